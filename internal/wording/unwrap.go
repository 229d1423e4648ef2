package wording

import (
	"html"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxLayers bounds how many nested envelopes are removed, such as a JSON string in a
// JSON string in an HTML page.
const maxLayers = 4

var (
	colours = regexp.MustCompile("\x1b\\[[0-9;]*[A-Za-z]")
	// A line of a Kubernetes container log: time, stream, and whether the line is
	// complete (F) or continues in the next one (P).
	criLine = regexp.MustCompile(`(?m)^[ \t]*[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,20}(?:Z|[+-][0-9:]{4,6}) (?:stdout|stderr) ([FP]) `)
	// What loggers write before a message. A line end is added after it, so that the
	// message begins a line.
	logPrefix = regexp.MustCompile(`(?m)^[ \t]*(?:` +
		`[IWEF][0-9]{4} [0-9:.]{8,15} +[0-9]{1,10} [^ \]]{1,80}\]` + // klog
		`|(?:TRAC|DEBU|INFO|WARN|ERRO|FATA|PANI)\[[0-9T:+Z-]{1,30}\]` + // logrus
		`|\[?[0-9]{4}[-/][0-9]{2}[-/][0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}[0-9.,Z+:-]{0,20}\]?(?: +[A-Za-z0-9_./-]{1,80}\.go:[0-9]{1,6}:)?(?: +\[?(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL)\]?:?)?` +
		`|\[?(?:TRACE|DEBUG|INFO|WARN|WARNING|ERROR|FATAL|CRITICAL)\]?` +
		`)[ \t]+`)
)

// tags are HTML's. Texts in angle brackets that Rust and Python print are not among
// them.
var tags = regexp.MustCompile(`(?i)</?(?:a|b|i|em|strong|p|br|div|span|pre|code|samp|tt|td|th|tr|table|tbody|li|ul|ol|h[1-6]|html|body|title|center|hr)(?: [^<>]{0,200})?/?>`)

// unwrap removes what encloses a message: colours, escapes of JSON, Java and Python,
// HTML entities, syslog's #012, lines of container logs. It keeps names of fields and
// loggers, because they name the client.
func unwrap(text string) string {
	text = colours.ReplaceAllString(text, "")
	for range maxLayers {
		was := text
		if strings.Contains(text, "&") {
			text = html.UnescapeString(text)
		}
		text = unescape(text)
		if text == was {
			break
		}
	}
	return logPrefix.ReplaceAllString(joinCRI(tags.ReplaceAllString(text, "\n")), "$0\n")
}

// joinCRI removes the prefixes of a container log and joins the parts of a cut line.
func joinCRI(text string) string {
	if !criLine.MatchString(text) {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	goesOn := false
	for line := range strings.Lines(text) {
		at := criLine.FindStringSubmatchIndex(line)
		if at != nil {
			kind := line[at[2]]
			line = line[at[1]:]
			if goesOn = kind == 'P'; goesOn {
				line = strings.TrimRight(line, "\r\n")
			}
		}
		b.WriteString(line)
	}
	return b.String()
}

// unescape decodes one layer of backslash escapes, and syslog's #012 and #011. It
// keeps a backslash before other characters, as in a PHP class or a Windows path.
func unescape(text string) string {
	if !strings.ContainsAny(text, `\#`) {
		return text
	}
	var b strings.Builder
	b.Grow(len(text))
	for i := 0; i < len(text); {
		plain, n := escape(text[i:])
		if n == 0 {
			b.WriteByte(text[i])
			i++
			continue
		}
		b.WriteString(plain)
		i += n
	}
	return b.String()
}

// escape returns the text that the escape at the beginning of s stands for, and the
// escape's length; 0 if s does not begin with one.
func escape(s string) (string, int) {
	switch {
	case strings.HasPrefix(s, "#012"):
		return "\n", 4
	case strings.HasPrefix(s, "#011"):
		return "\t", 4
	case len(s) < 2 || s[0] != '\\':
		return "", 0
	}
	switch s[1] {
	case 'n', 'r':
		return "\n", 2
	case 't':
		return "\t", 2
	case '"', '\'', '/', '\\':
		return s[1:2], 2
	case 'u':
		if len(s) < 6 {
			return "", 0
		}
		r, err := strconv.ParseUint(s[2:6], 16, 32)
		if err != nil || !utf8.ValidRune(rune(r)) {
			return "", 0
		}
		return string(rune(r)), 6
	}
	return "", 0
}
