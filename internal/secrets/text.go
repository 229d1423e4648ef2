package secrets

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

var (
	urlInText = regexp.MustCompile(`([A-Za-z][A-Za-z0-9+.-]*:)?//[^\s"'<>]+`)
	// userInText is a user and a password in a URL without its scheme.
	userInText = regexp.MustCompile(`[^\s"'<>=/:]+:[^\s"'<>/][^\s"'<>]*@`)
	// namedInText matches a name with a value after it: a field of YAML or JSON, a
	// header, a setting.
	namedInText = regexp.MustCompile(`["']?([A-Za-z][\w.-]*)["']?[ \t]*[:=][ \t]*\[?[ \t]*`)
	// nameInText matches the beginning of a header that lacks its colon, and schemeInText
	// a secret after an authentication scheme.
	nameInText   = regexp.MustCompile(`(?m)^[ \t]*([A-Za-z][\w-]*)[ \t]+`)
	schemeInText = regexp.MustCompile(`(?i)\b(?:bearer|basic|digest|negotiate)[ \t]+([^\s"',}\]]+)`)
	quotedInText = regexp.MustCompile(`^,?[ \t]*(?:"((?:[^"\\]|\\.)*)"?|'([^']*)'?)`)
)

// InText finds values that look like secrets because of the name before them. The text
// need not be well-formed.
func InText(text string) (values []string) {
	for _, at := range urlInText.FindAllStringIndex(text, -1) {
		values = append(values, InURL(text[at[0]:at[1]])...)
		line, _, _ := strings.Cut(text[at[0]:], "\n")
		if _, err := url.Parse(text[at[0]:at[1]]); err != nil { // the password has a blank or a quote
			_, rest, _ := strings.Cut(line[:min(len(line), 1<<10)], "//")
			values = append(values, userIn(rest)...)
		}
	}
	for _, found := range userInText.FindAllString(text, -1) {
		values = append(values, userIn(found)...)
	}
	for _, at := range namedInText.FindAllStringSubmatchIndex(text, -1) {
		if name := text[at[2]:at[3]]; Named(name) && !strings.HasSuffix(name, "passes_on") && !strings.HasSuffix(name, "key_file") { // a file is no secret, and its name is needed in errors
			values = append(values, valuesAt(text, at[0], at[1])...)
		}
	}
	for _, at := range nameInText.FindAllStringSubmatchIndex(text, -1) {
		if Named(text[at[2]:at[3]]) {
			line, _, _ := strings.Cut(text[at[1]:], "\n")
			values = append(values, strings.TrimLeft(line, ":= "))
		}
	}
	for _, found := range schemeInText.FindAllStringSubmatch(text, -1) {
		values = append(values, found[1])
	}
	return values
}

// valuesAt returns the values that begin at from, whose name begins at named: quoted
// values, or the rest of the line and the lines indented below it.
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
	if strings.Contains(text[begin:named], "{") { // other values of a mapping on one line are not secret
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
