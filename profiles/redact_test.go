package profiles

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestRedact(t *testing.T) {
	p, err := Load("p.yaml", []byte(`
load: {rate: 1}
target:
  url: http://user:pw@h:80/a?x=1&api_key=s3cret&y=%20&Sig=s3cret&flag
  headers:
    Authorization: s3cret
    Proxy-Authorization: s3cret
    Cookie: s3cret
    Set-Cookie: s3cret
    X-Api-Key: s3cret
    X-Auth-Token: s3cret
    My-Secret: s3cret
    Db_Password: s3cret
    Ocp-Apim-Subscription-Key: s3cret
    X-Functions-Key: s3cret
    X-Passphrase: s3cret
    x-otp: s3cret
    Accept: text/plain
  body: kept
remedies:
- name: r
  set:
    target.headers.Authorization: s3cret
    target.headers.Accept: shown
    target.url: http://s3cret@h/
    load.rate: 2
- name: s
  set: {target.headers: '{Cookie: s3cret}', target: '{headers: {Cookie: s3cret}}', target.headers.X-Functions-Key: s3cret, remedies: '[{name: a, set: {target.headers.Cookie: s3cret}}]'}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	before := p.Clone()
	red := Redact(*p)
	if diff := cmp.Diff(before, p); diff != "" {
		t.Errorf("Redact changed the profile\n%s", diff)
	}
	text, err := Marshal(&red)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"s3cret", "user", "pw"} {
		if strings.Contains(string(text), secret) {
			t.Errorf("%q is still there:\n%s", secret, text)
		}
	}
	if want := "http://(blanked)@h:80/a?x=1&api_key=(blanked)&y=%20&Sig=(blanked)&flag"; red.Target.URL != want {
		t.Errorf("URL %s, want %s", red.Target.URL, want)
	}
	if red.Target.Headers["Accept"] != "text/plain" || red.Target.Headers["Cookie"] != "(blanked)" || red.Target.Body != "kept" {
		t.Errorf("target %+v", red.Target)
	}
	if s := red.Remedies[0].Set; s["target.headers.Accept"] != "shown" || s["load.rate"] != "2" || s["target.url"] != "http://(blanked)@h/" {
		t.Errorf("remedy sets %v", s)
	}
	red.Remedies = nil
	loadsBack(t, &red)
}

func TestSecretNames(t *testing.T) {
	for _, name := range []string{
		"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Api-Key", "X-Auth-Token", "My-Secret", "db_password",
		"Ocp-Apim-Subscription-Key", "X-Functions-Key", "X-Passphrase", "subscription-key", "subscriptionKey", "key", "Key-Id", "awsAccessKeyId",
		"accesskeyid", "apikey2", "access_token", "accessToken", "token", "bearer", "otp", "otp_code", "otpCode", "X-OTP", "X-OTP2", "TOTP", "phpsessid",
		"jsessionid", "sid", "connect.sid", "PWD", "userpwd", "pass", "sig", "X-Hub-Signature-256", "X-Amz-Credential", "jwt", "code", "x-csrf", "session",
	} {
		if !secretName(name) {
			t.Errorf("%s is not taken for a secret", name)
		}
	}
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Content-Type", "Host", "User-Agent", "X-Request-Id", "Traceparent", "q", "page", "id", "status_code", "keyboard", "inside", "X-A", "",
	} {
		if secretName(name) {
			t.Errorf("%s is taken for a secret", name)
		}
	}
}

func TestRedactURL(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   "",
		"http://h/a b?c=d":                   "http://h/a b?c=d",
		"http://h/?a=%20&b=a/b;c=d+e":        "http://h/?a=%20&b=a/b;c=d+e",
		"http://h/?token":                    "http://h/?token=(blanked)",
		"http://h/?%74oken=1&%zz=2":          "http://h/?%74oken=(blanked)&%zz=(blanked)",
		"http://h/?X-Amz-Signature=1":        "http://h/?X-Amz-Signature=(blanked)",
		"http://h/?subscription-key=S":       "http://h/?subscription-key=(blanked)",
		"http://h/?a=1;token=S;b=2":          "http://h/?a=1;token=(blanked);b=2",
		"http://h?otp=S&bearer=S&phpsessid=": "http://h?otp=(blanked)&bearer=(blanked)&phpsessid=(blanked)",
		"http://h/?next=/a?token=S":          "http://h/?next=/a?token=(blanked)",
		"http://h/#access_token=S":           "http://h/#(blanked)",
		"http://h/?a=b#S":                    "http://h/?a=b#(blanked)",
		"http://h/a;jsessionid=S/b;v=1":      "http://h/a;jsessionid=(blanked)/b;v=1",
		"http://u@h":                         "http://(blanked)@h",
		"http://u:p@h?a=x@y":                 "http://(blanked)@h?a=x@y",
		"http://u:p;x=1@h/a@b":               "http://(blanked)@h/a@b",
		"http://u:p@h:x/":                    "(blanked)",
		"http:u:p@h/":                        "(blanked)",
		"localhost:8080/a":                   "localhost:8080/a",
	} {
		if got := redactURL(text); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// What is blanked once needs no blanking again, whatever the URL.
func FuzzRedactURL(f *testing.F) {
	for _, text := range []string{"http://u:p@h/a;b=c?d=e;token=f&g#h", "//@", "a:b@c?;?&=", "http://[::1]?key", "\x00"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		once := redactURL(text)
		if twice := redactURL(once); twice != once {
			t.Errorf("%q becomes %q, and that %q", text, once, twice)
		}
	})
}
