package text

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/kabench/kabench/internal/layout"
)

// How long a text of a Markdown report may be, in characters. Longer ones are
// cut: whoever wrote them, the report has to stay readable.
const (
	maxAnswer   = 4000
	maxCodeLine = 240
)

// maxLabel is the same of a name, and maxSentence of a sentence.
const (
	maxLabel    = 120
	maxSentence = 600
)

var (
	// listMark is what would begin a numbered list.
	listMark = regexp.MustCompile(`^(\d+)([.)])( |$)`)
	// linkMark is what GitHub makes a link of, without any markup.
	linkMark = regexp.MustCompile(`(?i)(://|www\.|mailto:|xmpp:)`)
)

// prose is text as Markdown that shows as that text, on one line, wherever a
// block may begin. No HTML, markup, link or mention of a user comes of it.
func prose(text string, limit int) string {
	escaped := inline(text, limit)
	if escaped != "" && strings.ContainsRune("-+=:", rune(escaped[0])) {
		return `\` + escaped
	}
	return listMark.ReplaceAllString(escaped, `$1\$2$3`)
}

// inline is prose within a line: in the cell of a table, or after other text.
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
			b.WriteRune('\u200b') // nobody is called, and no address is a link
		}
	}
	return linkMark.ReplaceAllStringFunc(b.String(), func(mark string) string {
		i := strings.IndexAny(mark, ":.")
		return mark[:i] + `\` + mark[i:]
	})
}

// wordRune reports whether an underscore between two such as r is but itself.
func wordRune(r rune) bool {
	return r < unicode.MaxASCII && (unicode.IsLetter(r) || unicode.IsDigit(r))
}

// fence is text as a code block that nothing in it can end; "" for none.
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

// MarkdownText is text for the cell of a table or the inside of a line of
// Markdown: it shows as that text, whatever is in it.
func MarkdownText(text string) string { return inline(text, maxSentence) }
