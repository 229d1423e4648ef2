package profiles

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/kabench/kabench/profiles/targets"
)

func TestSecretsOfProfileAndRequests(t *testing.T) {
	p, err := Load("p.yaml", []byte(`
load: {rate: 1}
question: is ZURLPASS1 used?
target:
  url: http://u:ZURLPASS1@localhost:80/ZBEARER11/a?token=ZPARAM111
  headers: {Authorization: Bearer ZBEARER11, Cookie: a=ZCOOKIE11, X-Trace: of ZPARAM111, X-Plain: ZPLAIN111}
  body: '{"token": "ZBEARER11", "plain": "ZPLAIN111"}'
remedies:
- {name: r, set: {target.headers.X-Api-Key: ZREMEDY11, target.body: again ZBEARER11}}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	requests := []targets.Request{{URL: "http://h/?sig=ZREQUEST1&q=ZPLAIN222#ZFRAGMENT", Header: http.Header{"X-Auth": {"ZHEADER11", "ZHEADER22"}, "Accept": {"ZPLAIN333"}}}}
	s := Secrets(p, requests)
	for _, secret := range []string{"ZURLPASS1", "ZPARAM111", "ZBEARER11", "ZCOOKIE11", "ZREMEDY11", "ZREQUEST1", "ZFRAGMENT", "ZHEADER11", "ZHEADER22"} {
		if got := s.Blank("x " + secret); got != "x (blanked)" {
			t.Errorf("%s: %s", secret, got)
		}
	}
	for _, plain := range []string{"ZPLAIN111", "ZPLAIN222", "ZPLAIN333"} {
		if s.Blank(plain) != plain {
			t.Errorf("%s is taken for a secret", plain)
		}
	}
	red := Redact(*p)
	text, err := Marshal(&red)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"ZURLPASS", "ZPARAM", "ZBEARER", "ZCOOKIE", "ZREMEDY"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("%s is still there:\n%s", secret, text)
		}
	}
	if got := red.Target.Body; got != `{"token": "(blanked)", "plain": "ZPLAIN111"}` || red.Target.URL != "http://(blanked)@localhost:80/(blanked)/a?token=(blanked)" {
		t.Errorf("body %s, URL %s", got, red.Target.URL)
	}
	red.Remedies = nil
	loadsBack(t, &red)
}

// A user with the same name as the host, or as a field in an error, hides neither
// the host nor the fields of a profile.
func TestRedactKeepsTheHost(t *testing.T) {
	p := Default()
	p.Target.URL = "http://orders:orders@orders.example:8080/orders"
	if got := Redact(p).Target.URL; got != "http://(blanked)@orders.example:8080/(blanked)" {
		t.Error(got)
	}
}

func TestWithoutSecrets(t *testing.T) {
	for text, secrets := range map[string]string{
		"Authorization: Bearer S1111111":                          "S1111111",
		"target.headers.Authorization=S1111111 S2222222":          "S1111111 S2222222",
		"{Authorization: S1111111, Accept: text/plain}":           "S1111111",
		`{"Authorization":["S1111111","S2222222"],"Accept":"no"}`: "S1111111 S2222222",
		"x-api-key: 'S1111111' # key":                             "S1111111",
		"a:\n  Cookie: |\n    S1111111\n    S2222222\n  b: no":    "S1111111 S2222222",
		"Authorization S1111111\n":                                "S1111111",
		"basic S1111111":                                          "S1111111",
		"http://S1111111:S2222222%zz@h/":                          "S1111111 S2222222%zz",
		"http://h/?a=b&token=S1111111&c=d":                        "S1111111",
		"S1111111:S2222222@h":                                     "S1111111 S2222222",
	} {
		for secret := range strings.FieldsSeq(secrets) {
			quoting := errors.New("it says \"" + secret + "\", and text/plain")
			if got := WithoutSecrets(quoting, "no", text).Error(); got != `it says "(blanked)", and text/plain` {
				t.Errorf("%q: %s", text, got)
			}
		}
	}
	if err := errors.New("x is neither true nor false"); WithoutSecrets(err, "passes_on: neither", "server.passes_on=neither", "key: true") != err || WithoutSecrets(nil, "a") != nil {
		t.Error("what is no secret is blanked")
	}
}

// FuzzWithoutSecrets holds that no text makes the search for secrets panic, and that
// the line of a header gives its value away.
func FuzzWithoutSecrets(f *testing.F) {
	for _, text := range []string{"GET http://u:p@h/\nCookie: a\n", "a: {token: [b, 'c", "//@", "token:\n  - \x00", `"token":"\u00`, "a=b:c@"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		const secret = "Zq7xWv93Kp2J"
		if err := WithoutSecrets(errors.New(secret), text+"\nAuthorization: Bearer "+secret+"\n"); strings.Contains(err.Error(), secret) {
			t.Errorf("%v", err)
		}
	})
}
