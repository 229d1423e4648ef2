package secrets

import (
	"net/url"
	"regexp"
	"strings"
)

var (
	// pathParameter is a parameter of a path segment, as in /a;jsessionid=1/b.
	pathParameter = regexp.MustCompile(`;[^;/]*`)
	// queryParameter is a parameter of a query, or of a URL in a query.
	queryParameter = regexp.MustCompile(`[?&;][^?&;]*`)
)

// RedactURL blanks the user, the fragment and the secret parameters in a URL,
// and leaves the rest as it is.
func RedactURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || strings.Contains(u.Opaque, "@") { // it may have a user
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

// redactParameter returns ?name=value without the value if the value is a secret. The
// first character separates the parameter from the text before it.
func redactParameter(text string) string {
	name, _, _ := strings.Cut(text[1:], "=")
	if plain, err := url.QueryUnescape(name); err != nil || Named(plain) {
		return text[:1] + name + "=" + Blanked
	}
	return text
}

// InURL returns the values that RedactURL blanks in a URL. The text need not be a
// valid URL.
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

// userIn returns the user in a URL that cannot be parsed. rest is the URL after its
// slashes.
func userIn(rest string) []string {
	i := strings.LastIndexByte(rest, '@')
	if i < 0 {
		return nil
	}
	user, password, _ := strings.Cut(rest[:i], ":")
	return []string{rest[:i], user, password}
}
