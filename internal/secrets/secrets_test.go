package secrets

import (
	"testing"
)

func TestSecretNames(t *testing.T) {
	for _, name := range []string{
		"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie", "X-Api-Key", "X-Auth-Token", "My-Secret", "db_password",
		"Ocp-Apim-Subscription-Key", "X-Functions-Key", "X-Passphrase", "subscription-key", "subscriptionKey", "key", "Key-Id", "awsAccessKeyId",
		"accesskeyid", "apikey2", "access_token", "accessToken", "token", "bearer", "otp", "otp_code", "otpCode", "X-OTP", "X-OTP2", "TOTP", "phpsessid",
		"jsessionid", "sid", "connect.sid", "PWD", "userpwd", "pass", "sig", "X-Hub-Signature-256", "X-Amz-Credential", "jwt", "code", "x-csrf", "session",
	} {
		if !Named(name) {
			t.Errorf("%s is not taken for a secret", name)
		}
	}
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Content-Type", "Host", "User-Agent", "X-Request-Id", "Traceparent", "q", "page", "id", "status_code", "keyboard", "inside", "X-A", "",
	} {
		if Named(name) {
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
		if got := RedactURL(text); got != want {
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
		once := RedactURL(text)
		if twice := RedactURL(once); twice != once {
			t.Errorf("%q becomes %q, and that %q", text, once, twice)
		}
	})
}
