package record

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxSlug is the longest Slug, in bytes. A file name may have 255 bytes, and it also
// contains a time and more.
const maxSlug = 120

// Slug makes name fit to be a part of a file name, a directory name or a link. It keeps
// letters and digits of any script, and the characters in keep. It replaces every other
// character by a dash.
func Slug(name, keep string) string {
	var b strings.Builder
	for _, r := range norm.NFC.String(name) { // otherwise two names that look the same could differ
		switch {
		case r == utf8.RuneError:
			r = '-'
		case unicode.IsLetter(r), unicode.IsDigit(r), strings.ContainsRune(keep, r):
		case unicode.IsMark(r) && b.Len() > 0: // for example vowels in the scripts of India
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
