package profiles

import (
	"net/url"
	"strings"
)

// blanked stands in results where a secret was.
const blanked = "(blanked)"

// Redact is a copy of p for the results: the values of headers that carry
// secrets, the user in URLs and query parameters that look like secrets are
// blanked, in what remedies set too. Bodies are kept.
func Redact(p Profile) Profile {
	c := *p.Clone()
	c.Target.URL = redactURL(c.Target.URL)
	for name := range c.Target.Headers {
		if secretName(name) {
			c.Target.Headers[name] = blanked
		}
	}
	for _, r := range c.Remedies {
		for path, value := range r.Set {
			r.Set[path] = redactSetting(path, value)
		}
	}
	return c
}

// redactSetting is the value that may be shown for what was set at path.
func redactSetting(path, value string) string {
	header, isHeader := strings.CutPrefix(path, "target.headers.")
	switch {
	case isHeader && secretName(header), path == "target", path == "target.headers":
		return blanked // of the last two the value may hold headers
	case path == "target.url":
		return redactURL(value)
	}
	return value
}

// secretName reports whether a header or query parameter of that name carries a
// secret, as far as a name can tell. It errs on the side of secrecy.
func secretName(name string) bool {
	name = strings.ReplaceAll(strings.ToLower(name), "_", "-")
	switch name {
	case "key", "sig", "pwd", "pass", "sid", "code":
		return true
	}
	for _, part := range []string{
		"auth", "cookie", "token", "secret", "password", "passwd", "api-key", "apikey",
		"access-key", "private-key", "credential", "signature", "session", "jwt",
	} {
		if strings.Contains(name, part) {
			return true
		}
	}
	return false
}

// redactURL blanks the user and the secret query parameters in a URL.
func redactURL(text string) string {
	if text == "" {
		return ""
	}
	u, err := url.Parse(text)
	if err != nil {
		return blanked
	}
	parameters := strings.Split(u.RawQuery, "&")
	for i, parameter := range parameters {
		name, _, _ := strings.Cut(parameter, "=")
		if plain, err := url.QueryUnescape(name); err != nil || secretName(plain) {
			parameters[i] = name + "=" + blanked
		}
	}
	hadUser := u.User != nil
	if query := strings.Join(parameters, "&"); query != u.RawQuery || hadUser {
		u.RawQuery, u.User = query, nil
		text = u.String()
	}
	if hadUser {
		text = strings.Replace(text, "//", "//"+blanked+"@", 1)
	}
	return text
}
