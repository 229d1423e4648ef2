package terminal

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"golang.org/x/term"
)

// When says when text is coloured, as --color has it.
type When string

const (
	Auto   When = "auto"   // in a terminal, unless NO_COLOR is set
	Always When = "always" // whatever it is written to
	Never  When = "never"
)

// Whens are the values of When.
var Whens = []string{string(Auto), string(Always), string(Never)}

// Colours reports whether what is written to w is coloured. The error names the values.
func (c When) Colours(w io.Writer) (bool, error) {
	switch c {
	case Always:
		return true, nil
	case Never:
		return false, nil
	case Auto, "":
		f, ok := w.(*os.File)
		// no-color.org: set, and not empty
		return ok && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd())) && understandsEscapes(f), nil
	}
	return false, fmt.Errorf("--color %s: want auto, always or never", string(c))
}

// The colours are three of the eight that every terminal has, so that the user's own palette
// decides how they look. SGR of ECMA-48.
const (
	good  = "\x1b[32m"
	doubt = "\x1b[33m"
	bad   = "\x1b[1;31m"
	plain = "\x1b[0m"
)

// paints are the words of kabench's reports and progress that are coloured. What is coloured
// has no meaning of its own: the words say all. A rule has one group, which is painted.
var paints = []struct {
	colour string
	at     *regexp.Regexp
}{
	{bad, regexp.MustCompile(`(?m)^(?:  )?(NOT MET|INVALID|STOPPED|NOT REPRODUCED|INCOMPLETE)\b`)},
	{doubt, regexp.MustCompile(`(?m)^(?:  )?(NOT JUDGED)\b`)},
	{good, regexp.MustCompile(`(?m)^(REPRODUCED)$`)},
	{good, regexp.MustCompile(`(?m)^  (met)  `)},
	{bad, regexp.MustCompile(`(?m)^(Failures: [1-9][0-9]* of [0-9]+, [0-9.]+ %)`)},
	{good, regexp.MustCompile(`(?m)^(No failures) in`)},
	{doubt, regexp.MustCompile(`(?m)^(Warnings)$`)},
	{bad, regexp.MustCompile(`(?m)^(bad)  `)}, // of doctor
	{doubt, regexp.MustCompile(`(?m)^(warn)  `)},
	{bad, regexp.MustCompile(`\b(failed [1-9][0-9]*)(?:,|$| \()`)}, // of the progress
	{bad, regexp.MustCompile(`(?m)^(failures)   `)},
}

// failedRow is the row of a reproduction that counts failures; its numbers above 0 are painted.
var (
	failedRow = regexp.MustCompile(`(?m)^  failed {2,}.*$`)
	aboveZero = regexp.MustCompile(`\b[1-9][0-9]*\b`)
)

// paint returns text, laid out before, with colours. Its width stays as it is.
func paint(text string) string {
	for _, p := range paints {
		text = replaceGroup(p.at, text, func(s string) string { return p.colour + s + plain })
	}
	return failedRow.ReplaceAllStringFunc(text, func(row string) string {
		return aboveZero.ReplaceAllStringFunc(row, func(n string) string { return bad + n + plain })
	})
}

// replaceGroup replaces what the group of re matches.
func replaceGroup(re *regexp.Regexp, text string, by func(string) string) string {
	found := re.FindAllStringSubmatchIndex(text, -1)
	if found == nil {
		return text
	}
	var b strings.Builder
	from := 0
	for _, at := range found {
		b.WriteString(text[from:at[2]] + by(text[at[2]:at[3]]))
		from = at[3]
	}
	return b.String() + text[from:]
}
