package imports

import "testing"

// A body without its credentials is the same otherwise.
func TestBodyKeepsWhatIsNoSecret(t *testing.T) {
	for body, want := range map[string]string{
		"":                                "",
		"hello":                           "hello",
		`{"q":1}`:                         `{"q":1}`,
		`{"password":"hunter2","q":1}`:    `{"password":"(blanked)","q":1}`,
		`{"a":{"password" : "b"}, "q":1}`: `{"a":{"password" : "(blanked)"}, "q":1}`,
		`{"tokens":3,"password":"a", "list":[1,2]}`:       `{"tokens":"(blanked)","password":"(blanked)", "list":[1,2]}`,
		`[{"password":{"x":[1,{"y":2}]}},"password","a"]`: `[{"password":"(blanked)"},"password","a"]`,
		`{"name":"password","value":"x"}`:                 `{"name":"password","value":"x"}`,
		`"password"`:                                      `"password"`,
		"password=hunter2&q=1":                            "password=%28blanked%29&q=1",
		"q=1&pass%77ord=x&r=":                             "q=1&pass%77ord=%28blanked%29&r=",
		"a=1&b":                                           "a=1&b",
		"password: hunter22 end":                          "password: (blanked)",
		"pin: 12":                                         "pin: 12",
	} {
		r := removed{}
		if got := r.fromBody(body); got != want {
			t.Errorf("%s\nbecomes %s\nwant    %s (left out: %v)", body, got, want, r)
		}
	}
}
