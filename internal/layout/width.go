package layout

import (
	"strings"
	"unicode"

	"golang.org/x/text/width"
)

// Columns returns how many columns of a terminal text takes. A character of an East
// Asian script takes two columns, a combining mark none.
func Columns(text string) int {
	n := 0
	for _, r := range text {
		n += runeColumns(r)
	}
	return n
}

func runeColumns(r rune) int {
	switch {
	case r < 0x300:
		return 1
	case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf), r >= 0x1160 && r <= 0x11ff: // medial and final jamo join the letter before
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// Cut returns the beginning of text that fits into columns, and how many columns it
// takes. Characters that are not printable, as in an escape sequence in a profile's
// name, become question marks.
func Cut(text string, columns int) (string, int) {
	var b strings.Builder
	used := 0
	for i, r := range text {
		if !unicode.IsPrint(r) {
			r = '?'
		}
		w := runeColumns(r)
		left := columns - used - w
		if left < 0 || left == 0 && w > 0 && len(text[i:]) > len(string(r)) {
			if used < columns {
				b.WriteRune('…')
				used++
			}
			break
		}
		b.WriteRune(r)
		used += w
	}
	return b.String(), used
}

// printable returns text without characters that control a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
}
