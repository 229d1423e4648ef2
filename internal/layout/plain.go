package layout

import (
	"strings"
	"unicode"
)

// OneLine returns text on one line, without the characters that control a terminal.
func OneLine(text string) string { return strings.Join(strings.Fields(Printable(text)), " ") }

// Clean returns text on one line, with visible characters only. Control characters
// become spaces. Marks that change the direction of writing, join characters or hide
// them are removed. A text longer than limit characters is cut.
func Clean(text string, limit int) string {
	var b strings.Builder
	n := 0
	for _, r := range strings.ToValidUTF8(text, "�") {
		switch {
		case unicode.IsControl(r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
			r = ' '
		case unicode.Is(unicode.Cf, r), unicode.Is(unicode.Co, r):
			continue
		}
		if n == limit {
			b.WriteString("…")
			break
		}
		b.WriteRune(r)
		n++
	}
	return strings.TrimSpace(b.String())
}

// Printable returns text without the characters that control a terminal, except line
// ends. Names and reasons need this because they may come from files.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}
