package redact

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestSecretsAreBlanked(t *testing.T) {
	jwt := "eyJhbGciOiJIUzI1NiJ9." + strings.Repeat("Ab0_-", 30)
	s := NewSecrets("Bearer "+jwt, "sid=q7Wx93zL; lang=en; theme=solarized", "Basic "+base64.StdEncoding.EncodeToString([]byte("operator:keyring")),
		`Digest username="mufasa7", response="6629fae49393a053"`, "s3cr%2Ft", "hunter2", "pw", "80", "")
	for text, want := range map[string]string{
		"":                                  "",
		"malformed status line \"HTTP/1\"":  "malformed status line \"HTTP/1\"",
		"got " + jwt:                        "got (blanked)",
		"got " + strings.ToUpper(jwt) + "!": "got (blanked)!",
		`version "` + jwt[:60] + `"`:        `version "(blanked)"`,
		`version "xx` + jwt[40:80] + `"`:    `version "xx(blanked)"`,
		`version "` + jwt[:5] + `"`:         `version "(blanked)"`,
		"in base64 " + base64.StdEncoding.EncodeToString([]byte(jwt)):       "in base64 (blanked)",
		"in base64 " + base64.StdEncoding.EncodeToString([]byte("hunter2")): "in base64 (blanked)=="[:19],
		"cookie q7Wx93zL, twice Q7WX93ZL":                                   "cookie (blanked), twice (blanked)",
		"operator:keyring, operator, keyring":                               "(blanked), (blanked), (blanked)",
		"mufasa7 6629fae49393a053":                                          "(blanked) (blanked)",
		"s3cr%2Ft and s3cr/t":                                               "(blanked) and (blanked)",
		"hunter2":                                                           "(blanked)",
		"200OKhunter2: 1 and operators, xkeyring":                           "200OK(blanked): 1 and (blanked)s, xkeyring",
		"pw, 80 and en are too short: dial tcp 127.0.0.1:80":                "pw, 80 and en are too short: dial tcp 127.0.0.1:80",
		"read tcp 10.0.0.1:40000->10.0.0.2:80: connection reset by peer":    "read tcp 10.0.0.1:40000->10.0.0.2:80: connection reset by peer",
	} {
		got := s.Blank(text)
		if strings.HasPrefix(text, "in base64") { // padding is not part of the secret
			got, want = strings.TrimRight(got, "="), strings.TrimRight(want, "=")
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// With a hundred thousand secrets, each is still found, whole and in part.
func TestManySecrets(t *testing.T) {
	var values []string
	for i := range 100_000 {
		sum := sha256.Sum256([]byte{byte(i), byte(i >> 8), byte(i >> 16)})
		values = append(values, "Bearer "+hex.EncodeToString(sum[:16]))
	}
	s := NewSecrets(values...)
	for i := 0; i < len(values); i += 999 {
		_, secret, _ := strings.Cut(values[i], " ")
		if got := s.Blank(`got "` + secret + `"`); got != `got "(blanked)"` {
			t.Errorf("%s: %s", secret, got)
		}
		if got := s.Blank(secret[:18]); strings.Contains(got, secret[3:14]) {
			t.Errorf("%s: %s", secret[:18], got)
		}
	}
}

// Words that are common in errors do not become secrets because a cookie has them.
func TestSecretsLeaveErrorsReadable(t *testing.T) {
	s := NewSecrets("proto=http; host=server; port=8080; peer=peer; on=true", "Bearer Zq7xWv93Kp2J")
	for _, text := range []string{"http: server gave HTTP response to HTTPS client", "dial tcp 127.0.0.1:8080: connect: connection refused", "connection reset by peer"} {
		if got := s.Blank(text); got != text {
			t.Errorf("%s becomes %s", text, got)
		}
	}
}

func TestSecretsInErrors(t *testing.T) {
	var none *Secrets
	s := NewSecrets("Bearer Zq7xWv93Kp2J")
	if s.Error(nil) != nil || none.Error(io.EOF) != io.EOF || s.Error(io.EOF) != io.EOF || none.Blank("Zq7xWv93Kp2J") != "Zq7xWv93Kp2J" {
		t.Error("what has no secret is changed")
	}
	inner := errors.New("Zq7xWv93Kp2J")
	if err := s.Error(errors.Join(io.EOF, inner)); err.Error() != "EOF\n(blanked)" || errors.Is(err, inner) {
		t.Errorf("%v, and what is behind it can be had: %v", err, errors.Is(err, inner))
	}
}

// FuzzSecrets checks that places are in order and within the text, and that a secret of
// at least 8 bytes is found, whatever is around it.
func FuzzSecrets(f *testing.F) {
	f.Add("Bearer Zq7xWv93Kp2J", "a", "b")
	f.Add("u:p%20w=;\"", "%", "\x00")
	f.Add("\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7", "\xf8", "é")
	f.Fuzz(func(t *testing.T, secret, before, after string) {
		s := NewSecrets(secret)
		text := before + secret + after
		last := 0
		for _, place := range s.Find([]byte(text)) {
			if place[0] < last || place[1] <= place[0] || place[1] > len(text) {
				t.Fatalf("%q in %q: %v after %d", secret, text, place, last)
			}
			last = place[1]
		}
		secret = partsOf(secret)[0] // without a scheme
		if shown := s.Blank(text); len(secret) >= window && !strings.Contains(blanked, secret) && strings.Contains(shown, secret) {
			t.Errorf("%q is in %q", secret, shown)
		}
	})
}
