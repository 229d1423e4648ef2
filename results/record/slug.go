package record

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxSlug is how long a Slug is at most, in bytes: a name in a file system takes
// 255, and there is a time and more beside it.
const maxSlug = 120

// Slug is name as a part of a file's or directory's name, or of a link: letters
// and digits of any script, and the characters of keep. What stands between them
// is a dash.
func Slug(name, keep string) string {
	var b strings.Builder
	for _, r := range norm.NFC.String(name) { // else two that look alike would be two
		switch {
		case r == utf8.RuneError:
			r = '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), strings.ContainsRune(keep, r):
		case unicode.IsMark(r) && b.Len() > 0: // as vowels are, in scripts of India
		default:
			r = '-'
		}
		if b.Len()+utf8.RuneLen(r) > maxSlug {
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
