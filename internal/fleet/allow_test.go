package fleet

import (
	"strings"
	"testing"

	"github.com/kabench/kabench/profiles"
)

func to(t *testing.T, url string) *profiles.Profile {
	t.Helper()
	p := profiles.Default()
	p.Target.URL = url
	return &p
}

func TestAnAgentSendsOnlyWhereItMay(t *testing.T) {
	for _, test := range []struct {
		allowed string
		url     string
		may     bool
	}{
		{"example.com", "http://example.com/", true},
		{"example.com", "https://EXAMPLE.com.:8443/", true},
		{"example.com:80", "http://example.com/", true},
		{"example.com:80", "https://example.com/", false},
		{"example.com:443", "https://example.com/", true},
		{"example.com", "http://www.example.com/", false},
		{"*.example.com", "http://www.example.com/", true},
		{"*.example.com", "http://example.com/", false},
		{"*.example.com", "http://badexample.com/", false},
		{"*.example.com:81", "http://a.b.example.com:81/", true},
		{"*.example.com:81", "http://a.b.example.com/", false},
		{"127.0.0.1", "http://127.0.0.1:9/", true},
		{"127.0.0.1", "http://localhost:9/", false},
		{"[::1]:80", "http://[::1]/", true},
		{"::1", "http://[0:0:0:0:0:0:0:1]:8080/", true},
		{"", "http://127.0.0.1/", false},
		{"a b-not-parsed-see-below", "http://x/", false},
	} {
		allowed, err := ParseAllowed(strings.Fields(test.allowed))
		if err != nil {
			t.Errorf("%q: %v", test.allowed, err)
			continue
		}
		err = allowed.Check(to(t, test.url))
		if (err == nil) != test.may {
			t.Errorf("--allow-target %q and %s: %v", test.allowed, test.url, err)
		}
		if err != nil && !strings.Contains(err.Error(), "--allow-target ") {
			t.Errorf("%v: does not say what to do", err)
		}
	}
}

func TestAnAgentServesNoLab(t *testing.T) {
	p, err := profiles.Open("steady", nil)
	if err != nil {
		t.Fatal(err)
	}
	allowed, err := ParseAllowed([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	if err := allowed.Check(p); err == nil {
		t.Error("a server of kabench's own would have been started")
	}
	if err := (Allowed{Any: true}).Check(p); err != nil {
		t.Error(err)
	}
}

func TestAllowTargetsThatAreRefused(t *testing.T) {
	for _, text := range []string{"", "*", "*.", "http://x/", "x:", "x:99999", "a*b", "u@x", "x/y"} {
		if _, err := ParseAllowed([]string{text}); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}
