package results

import (
	"strings"
	"unicode/utf8"
)

// maxErrorText bounds the text of an error kept with an exchange or an
// outcome, in bytes. What a server sends can end up in it.
const maxErrorText = 200

// errorText is the text of err as recorded: at most maxErrorText bytes, valid
// UTF-8, cut between characters.
func errorText(err error) string {
	text := err.Error()
	if len(text) > maxErrorText {
		cut := maxErrorText
		for cut > maxErrorText-utf8.UTFMax && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut]
	}
	text = strings.ToValidUTF8(text, "?") // "?" is no longer than what it replaces
	return text
}
