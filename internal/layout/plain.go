package layout

import (
	"strings"
	"unicode"
)

// OneLine is text in one line, without what a terminal would act upon.
func OneLine(text string) string { return strings.Join(strings.Fields(Printable(text)), " ") }

// Clean is text on one line, in characters that show: controls become spaces,
// and marks that turn the direction of writing, join or hide what is around
// them are gone. It is cut to limit characters.
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

// Printable is text without what a terminal would act upon but line ends: names and
// reasons may come from files.
func Printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}
