package text

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/kabench/kabench/internal/layout"
)

// These are the longest texts of a Markdown report, in characters. Longer ones are
// cut, so that the report stays readable with a text from any source.
const (
	maxAnswer   = 4000
	maxCodeLine = 240
)

// maxLabel and maxSentence are the longest name and the longest sentence, in
// characters. Longer ones are cut.
const (
	maxLabel    = 120
	maxSentence = 600
)

var (
	// listMark matches the beginning of a numbered list.
	listMark = regexp.MustCompile(`^(\d+)([.)])( |$)`)
	// linkMark matches text that GitHub turns into a link without any markup.
	linkMark = regexp.MustCompile(`(?i)(://|www\.|mailto:|xmpp:)`)
)

// prose returns text as Markdown that is displayed as exactly this text, on one line,
// even where a block may begin. It creates no HTML, markup, link or mention of a user.
func prose(text string, limit int) string {
	escaped := inline(text, limit)
	if escaped != "" && strings.ContainsRune("-+=:", rune(escaped[0])) {
		return `\` + escaped
	}
	return listMark.ReplaceAllString(escaped, `$1\$2$3`)
}

// inline is prose for a place inside a line: the cell of a table, or after other text.
func inline(text string, limit int) string {
	runes := []rune(layout.Clean(text, limit))
	var b strings.Builder
	for i, r := range runes {
		if strings.ContainsRune("\\`*[]<>|~&$#", r) ||
			r == '_' && !(i > 0 && i+1 < len(runes) && wordRune(runes[i-1]) && wordRune(runes[i+1])) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
		if r == '@' {
			b.WriteRune('\u200b') // GitHub then notifies no user and links no address
		}
	}
	return linkMark.ReplaceAllStringFunc(b.String(), func(mark string) string {
		i := strings.IndexAny(mark, ":.")
		return mark[:i] + `\` + mark[i:]
	})
}

// wordRune reports whether r is a letter or digit. An underscore between two of them
// is no markup.
func wordRune(r rune) bool {
	return r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// fence returns text as a code block that no line of text can end; "" if text is blank.
func fence(text string) string {
	if strings.TrimSpace(text) == "" {
		return ""
	}
	var b strings.Builder
	longest := 2
	for line := range strings.Lines(text) {
		indent := min(len(line)-len(strings.TrimLeft(line, " ")), maxCodeLine)
		line = line[:indent] + layout.Clean(line, maxCodeLine)
		b.WriteString(line + "\n")
		for run := range strings.FieldsFuncSeq(line, func(r rune) bool { return r != '`' }) {
			longest = max(longest, len(run))
		}
	}
	ticks := strings.Repeat("`", longest+1)
	return ticks + "text\n" + b.String() + ticks + "\n"
}

// MarkdownText returns text for the cell of a table or the inside of a line of
// Markdown. It is displayed as exactly this text.
func MarkdownText(text string) string { return inline(text, maxSentence) }
