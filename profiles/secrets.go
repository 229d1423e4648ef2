package profiles

import (
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"

	"github.com/kabench/kabench/results"
)

// Secrets are the credentials that p names and that requests send, which may be
// nil: what Redact blanks.
func Secrets(p *Profile, requests []Request) *results.Secrets {
	return results.NewSecrets(secretValues(p, requests)...)
}

func secretValues(p *Profile, requests []Request) []string {
	values := inURL(p.Target.URL)
	for name, value := range p.Target.Headers {
		if secretName(name) {
			values = append(values, value)
		}
	}
	for _, r := range p.Remedies {
		for path, value := range r.Set {
			values = append(values, inText(path+"="+value)...)
		}
	}
	seen := map[string]bool{}
	once := func(found []string) {
		for _, value := range found {
			if !seen[value] {
				seen[value] = true
				values = append(values, value)
			}
		}
	}
	for _, r := range requests {
		once(inURL(r.URL))
		once(inHeader(r.Header))
	}
	return values
}

func inHeader(h http.Header) (values []string) {
	for name, all := range h {
		if secretName(name) {
			values = append(values, all...)
		}
	}
	return values
}

// inURL is what redactURL blanks of a URL, whether or not it is one.
func inURL(text string) (values []string) {
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
		if plain, err := url.QueryUnescape(name); err != nil || secretName(plain) {
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

var (
	urlInText = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*:)?//[^\s"'<>]+`)
	// userInText is a user and a password in a URL without its scheme.
	userInText = regexp.MustCompile(`[^\s"'<>=/:]+:[^\s"'<>/][^\s"'<>]*@`)
	// namedInText is what has a value: a field of YAML or JSON, a header, a setting.
	namedInText = regexp.MustCompile(`["']?([A-Za-z][\w.-]*)["']?[ \t]*[:=][ \t]*\[?[ \t]*`)
	// nameInText begins a header that lacks its colon, and schemeInText is how a secret is used.
	nameInText   = regexp.MustCompile(`(?m)^[ \t]*([A-Za-z][\w-]*)[ \t]+`)
	schemeInText = regexp.MustCompile(`(?i)\b(?:bearer|basic|digest|negotiate)[ \t]+([^\s"',}\]]+)`)
	quotedInText = regexp.MustCompile(`^,?[ \t]*(?:"((?:[^"\\]|\\.)*)"?|'([^']*)'?)`)
)

// WithoutSecrets is err without the secrets in the texts that it may quote: the
// arguments, or a file, in any format and however broken.
func WithoutSecrets(err error, texts ...string) error {
	if err == nil {
		return nil
	}
	var values []string
	for _, text := range texts {
		values = append(values, inText(text)...)
	}
	secrets := results.NewSecrets(values...)
	list, ok := err.(Errors)
	if !ok {
		return secrets.Error(err)
	}
	shown := make(Errors, len(list))
	for i, c := range list {
		c.Source, c.Path, c.Text = secrets.Blank(c.Source), secrets.Blank(c.Path), secrets.Blank(c.Text)
		shown[i] = c
	}
	return shown
}

// inText finds what looks like a secret by the name before it, in a text that need
// not be well-formed.
func inText(text string) (values []string) {
	for _, at := range urlInText.FindAllStringIndex(text, -1) {
		values = append(values, inURL(text[at[0]:at[1]])...)
		line, _, _ := strings.Cut(text[at[0]:], "\n")
		if _, err := url.Parse(text[at[0]:at[1]]); err != nil { // a blank or a quote in the password
			_, rest, _ := strings.Cut(line[:min(len(line), 1<<10)], "//")
			values = append(values, userIn(rest)...)
		}
	}
	for _, found := range userInText.FindAllString(text, -1) {
		values = append(values, userIn(found)...)
	}
	for _, at := range namedInText.FindAllStringSubmatchIndex(text, -1) {
		if name := text[at[2]:at[3]]; secretName(name) && !strings.HasSuffix(name, "passes_on") {
			values = append(values, valuesAt(text, at[0], at[1])...)
		}
	}
	for _, at := range nameInText.FindAllStringSubmatchIndex(text, -1) {
		if secretName(text[at[2]:at[3]]) {
			line, _, _ := strings.Cut(text[at[1]:], "\n")
			values = append(values, strings.TrimLeft(line, ":= "))
		}
	}
	for _, found := range schemeInText.FindAllStringSubmatch(text, -1) {
		values = append(values, found[1])
	}
	return values
}

// valuesAt are the values that begin at from, whose name begins at named: quoted
// ones, or what is left of the line with the lines indented below it.
func valuesAt(text string, named, from int) (values []string) {
	rest := text[from:]
	for {
		m := quotedInText.FindStringSubmatch(rest)
		if m == nil {
			break
		}
		values = append(values, m[1], m[2])
		if plain, err := strconv.Unquote(`"` + m[1] + `"`); err == nil {
			values = append(values, plain)
		}
		rest = rest[len(m[0]):]
	}
	if values != nil {
		return values
	}
	begin := strings.LastIndexByte(text[:named], '\n') + 1
	line, below, _ := strings.Cut(rest, "\n")
	if strings.Contains(text[begin:named], "{") { // the others of a mapping on one line are no secrets
		if i := strings.IndexAny(line, ",}"); i >= 0 {
			return []string{line[:i]}
		}
	}
	switch line = strings.TrimSpace(line); line {
	case "true", "false", "null":
		return nil
	}
	values = []string{line}
	for more := range strings.Lines(below) {
		if indent(more) <= indent(text[begin:]) || strings.TrimSpace(more) == "" {
			break
		}
		values = append(values, strings.TrimSpace(more))
	}
	return values
}

func indent(line string) int { return len(line) - len(strings.TrimLeft(line, " \t")) }
