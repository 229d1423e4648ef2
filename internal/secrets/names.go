package secrets

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
)

var (
	// secretParts show a secret anywhere in a name, after what separates its words is
	// removed.
	secretParts = []string{
		"auth", "bearer", "cookie", "credential", "csrf", "jwt", "pass", "pwd", "secret", "sess", "sig", "token", "xsrf",
	}
	// secretWords show a secret only as separate words.
	secretWords = []string{"key", "otp", "totp", "sid"}

	notWord = regexp.MustCompile(`[^A-Za-z]+`)
	newWord = regexp.MustCompile(`([a-z])([A-Z])`)
)

// Named reports whether a header or a parameter of that name carries a secret, as far
// as the name shows. It errs on the side of secrecy.
func Named(name string) bool {
	words := strings.Split(strings.ToLower(notWord.ReplaceAllString(newWord.ReplaceAllString(name, "$1-$2"), "-")), "-")
	joined := strings.Join(words, "")
	return strings.HasSuffix(joined, "key") || strings.Contains(joined, "apikey") || strings.Contains(joined, "accesskey") ||
		joined == "code" || // of OAuth
		slices.ContainsFunc(secretParts, func(part string) bool { return strings.Contains(joined, part) }) ||
		slices.ContainsFunc(secretWords, func(word string) bool { return slices.Contains(words, word) })
}

func InHeader(h http.Header) (values []string) {
	for name, all := range h {
		if Named(name) {
			values = append(values, all...)
		}
	}
	return values
}
