package profiles

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/kabench/kabench/internal/secrets"
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

func TestRedactChange(t *testing.T) {
	got := RedactChange(map[string]string{"target.headers.Authorization": "Bearer x", "pool.max_idle": "1"})
	if diff := cmp.Diff(map[string]string{"target.headers.Authorization": secrets.Blanked, "pool.max_idle": "1"}, got); diff != "" {
		t.Error(diff)
	}
	rapid.Check(t, func(rt *rapid.T) { // whatever it is, every field is still there
		change := rapid.MapOf(rapid.String(), rapid.String()).Draw(rt, "change")
		if len(RedactChange(change)) != len(change) {
			rt.Fatal(change)
		}
	})
}
