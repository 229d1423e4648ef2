package secrets

import (
	"net/url"
	"regexp"
	"strings"
)

var (
	// pathParameter is a parameter of a segment of a path, as in /a;jsessionid=1/b.
	pathParameter = regexp.MustCompile(`;[^;/]*`)
	// queryParameter is a parameter of a query, or of a URL in one.
	queryParameter = regexp.MustCompile(`[?&;][^?&;]*`)
)

// RedactURL blanks the user, the fragment and the secret parameters in a URL,
// and leaves the rest as it is.
func RedactURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || strings.Contains(u.Opaque, "@") { // a user, it may be
		return Blanked
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
		path = before + "//" + Blanked + rest[strings.LastIndexByte(authority, '@'):]
	}
	text = pathParameter.ReplaceAllStringFunc(path, redactParameter) + queryParameter.ReplaceAllStringFunc(query, redactParameter)
	if fragment != "" {
		text += "#" + Blanked
	}
	return text
}

// redactParameter is ?name=value without the value if it is a secret. The first
// character is what separates the parameter from what is before it.
func redactParameter(text string) string {
	name, _, _ := strings.Cut(text[1:], "=")
	if plain, err := url.QueryUnescape(name); err != nil || Named(plain) {
		return text[:1] + name + "=" + Blanked
	}
	return text
}

// InURL is what RedactURL blanks of a URL, whether or not it is one.
func InURL(text string) (values []string) {
	text, fragment, _ := strings.Cut(text, "#")
	values = append(values, fragment)
	if u, err := url.Parse(text); err != nil {
		if _, rest, found := strings.Cut(text, "//"); found {
			values = append(values, userIn(rest)...)
		}
	} else if strings.Contains(u.Opaque, "@") { // without slashes
		values = append(values, userIn(text)...)
	} else if u.User != nil {
		password, _ := u.User.Password()
		values = append(values, u.User.String(), u.User.Username()+":"+password, u.User.Username(), password)
	}
	for _, parameter := range anyParameter.FindAllString(text, -1) {
		name, value, _ := strings.Cut(parameter[1:], "=")
		if plain, err := url.QueryUnescape(name); err != nil || Named(plain) {
			values = append(values, value)
		}
	}
	return values
}

var anyParameter = regexp.MustCompile(`[?&;][^?&;]*`)

// userIn is the user of a URL that cannot be parsed, from behind its slashes on.
func userIn(rest string) []string {
	i := strings.LastIndexByte(rest, '@')
	if i < 0 {
		return nil
	}
	user, password, _ := strings.Cut(rest[:i], ":")
	return []string{rest[:i], user, password}
}
