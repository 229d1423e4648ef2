package profiles

import (
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
)

// blanked stands in results where a secret was.
const blanked = "(blanked)"

// Redact is a copy of p for the results: the values of headers that carry
// secrets, and in URLs the user, the fragment and parameters that look like
// secrets are blanked, in what remedies set too. Where one of these values
// stands elsewhere in what is sent, it is blanked there as well; the rest of
// bodies is kept.
func Redact(p Profile) Profile {
	c := *p.Clone()
	secrets := Secrets(&p, nil)
	c.Target.URL = blankPath(redactURL(c.Target.URL), secrets)
	for name, value := range c.Target.Headers {
		if c.Target.Headers[name] = secrets.Blank(value); secretName(name) {
			c.Target.Headers[name] = blanked
		}
	}
	c.Question, c.Target.Body = secrets.Blank(c.Question), secrets.Blank(c.Target.Body)
	for _, r := range c.Remedies {
		for path, value := range r.Set {
			r.Set[path] = secrets.Blank(redactSetting(path, value))
		}
	}
	return c
}

// blankPath is a URL without secrets behind its host, which a user may be called
// after.
func blankPath(text string, secrets *results.Secrets) string {
	at := strings.Index(text, "//") + len("//")
	if i := strings.IndexAny(text[min(at, len(text)):], "/?"); at >= len("//") && i >= 0 {
		return text[:at+i] + secrets.Blank(text[at+i:])
	}
	return text
}

// redactSetting is the value that may be shown for what was set at path.
func redactSetting(path, value string) string {
	header, isHeader := strings.CutPrefix(path, "target.headers.")
	section, _, _ := strings.Cut(path, ".")
	switch {
	case isHeader && secretName(header):
		return blanked
	case path == "target", path == "target.headers", section == "remedies":
		return blanked // headers may be in it
	case path == "target.url":
		return redactURL(value)
	}
	return value
}

var (
	// secretParts tell a secret wherever in a name they are, which is compared
	// without what is between its words; some tell a little more besides.
	secretParts = []string{
		"auth", "bearer", "cookie", "credential", "csrf", "jwt", "pass", "pwd", "secret", "sess", "sig", "token", "xsrf",
	}
	// secretWords tell one as a word of their own, and not as a part of others.
	secretWords = []string{"key", "otp", "totp", "sid"}

	notWord = regexp.MustCompile(`[^A-Za-z]+`)
	newWord = regexp.MustCompile(`([a-z])([A-Z])`)
)

// secretName reports whether a header or a parameter of that name carries a
// secret, as far as a name can tell. It errs on the side of secrecy.
func secretName(name string) bool {
	words := strings.Split(strings.ToLower(notWord.ReplaceAllString(newWord.ReplaceAllString(name, "$1-$2"), "-")), "-")
	joined := strings.Join(words, "")
	return strings.HasSuffix(joined, "key") || strings.Contains(joined, "apikey") || strings.Contains(joined, "accesskey") ||
		joined == "code" || // of OAuth
		slices.ContainsFunc(secretParts, func(part string) bool { return strings.Contains(joined, part) }) ||
		slices.ContainsFunc(secretWords, func(word string) bool { return slices.Contains(words, word) })
}

var (
	// pathParameter is a parameter of a segment of a path, as in /a;jsessionid=1/b.
	pathParameter = regexp.MustCompile(`;[^;/]*`)
	// queryParameter is a parameter of a query, or of a URL in one.
	queryParameter = regexp.MustCompile(`[?&;][^?&;]*`)
)

// redactURL blanks the user, the fragment and the secret parameters in a URL,
// and leaves the rest as it is.
func redactURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || strings.Contains(u.Opaque, "@") { // a user, it may be
		return blanked
	}
	text, fragment, _ := strings.Cut(text, "#")
	path, query := text, ""
	if i := strings.IndexByte(text, '?'); i >= 0 {
		path, query = text[:i], text[i:]
	}
	if u.User != nil {
		before, rest, _ := strings.Cut(path, "//")
		authority := rest
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			authority = rest[:i]
		}
		path = before + "//" + blanked + rest[strings.LastIndexByte(authority, '@'):]
	}
	text = pathParameter.ReplaceAllStringFunc(path, redactParameter) + queryParameter.ReplaceAllStringFunc(query, redactParameter)
	if fragment != "" {
		text += "#" + blanked
	}
	return text
}

// redactParameter is ?name=value without the value if it is a secret. The first
// character is what separates the parameter from what is before it.
func redactParameter(text string) string {
	name, _, _ := strings.Cut(text[1:], "=")
	if plain, err := url.QueryUnescape(name); err != nil || secretName(plain) {
		return text[:1] + name + "=" + blanked
	}
	return text
}
