package kabench_test

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// translated are the documents that exist in two languages.
var translated = []struct{ english, korean string }{
	{"README.md", "README.ko.md"},
	{"docs/tutorial.md", "docs/ko/tutorial.md"},
	{"docs/concepts.md", "docs/ko/concepts.md"},
}

var (
	fenced   = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```")
	headed   = regexp.MustCompile(`(?m)^(#+) (.*)$`)
	linked   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	drawnAs  = regexp.MustCompile(`!\[[^\]]*\]\(([^)\s]+)\)`)
	unbold   = regexp.MustCompile(`[\p{P}]\*\*\p{L}`) // Markdown ends no bold text between punctuation and a letter
	plainEnd = regexp.MustCompile(`[^니\s]다\.`)        // a Korean sentence that is not in the polite form
)

// TestLanguagesHaveTheSameCommands: both versions of a document have the same headings
// by level, tables, lists, pictures and blocks of code; what kabench prints is English in
// both. Only text blocks may differ: they are drawn with words.
//
//	KABENCH_LANGUAGES=write go test -run TestLanguages .   copies changed blocks of code to the Korean version
func TestLanguagesHaveTheSameCommands(t *testing.T) {
	for _, d := range translated {
		english, korean := read(t, d.english), read(t, d.korean)
		if os.Getenv("KABENCH_LANGUAGES") == "write" {
			korean = withCode(korean, code(english))
			if err := os.WriteFile(d.korean, []byte(korean), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		for _, part := range []struct {
			name string
			of   func(text string) []string
		}{
			{"commands and code", code}, {"headings", levels}, {"tables", rowsOfTables}, {"lists", items}, {"pictures", drawings},
		} {
			if diff := cmp.Diff(part.of(english), part.of(korean)); diff != "" {
				t.Errorf("%s of %s (-) and %s (+) differ:\n%s", part.name, d.english, d.korean, diff)
			}
		}
	}
}

func code(text string) (list []string) {
	for _, block := range fenced.FindAllStringSubmatch(text, -1) {
		if block[1] != "text" {
			list = append(list, block[1]+"\n"+block[2])
		}
	}
	return list
}

// withCode is text with other blocks of code, if their number is the same.
func withCode(text string, blocks []string) string {
	if len(code(text)) != len(blocks) {
		return text
	}
	return fenced.ReplaceAllStringFunc(text, func(block string) string {
		if strings.HasPrefix(block, "```text\n") {
			return block
		}
		next := blocks[0]
		blocks = blocks[1:]
		return "```" + next + "```"
	})
}

// outsideCode is text without its blocks of code.
func outsideCode(text string) string { return fenced.ReplaceAllString(text, "") }

func levels(text string) (list []string) {
	for _, h := range headed.FindAllStringSubmatch(outsideCode(text), -1) {
		list = append(list, h[1])
	}
	return list
}

// rowsOfTables lists the number of cells of each row.
func rowsOfTables(text string) (list []string) {
	for line := range strings.Lines(outsideCode(text)) {
		if strings.HasPrefix(line, "|") {
			list = append(list, strings.Repeat("|", strings.Count(line, " |")))
		}
	}
	return list
}

// items lists the beginnings of the items of lists.
func items(text string) []string {
	return regexp.MustCompile(`(?m)^- `).FindAllString(outsideCode(text), -1)
}

// drawings lists the pictures, whatever language their words have.
func drawings(text string) (list []string) {
	for _, m := range drawnAs.FindAllStringSubmatch(text, -1) {
		list = append(list, filepath.Base(m[1]))
	}
	return list
}

// TestLinksOfDocuments: each link of a translated document leads to a file and a heading
// that exist, and the languages link each other at the top.
func TestLinksOfDocuments(t *testing.T) {
	for _, d := range translated {
		for _, pair := range [][2]string{{d.english, d.korean}, {d.korean, d.english}} {
			file, other := pair[0], pair[1]
			text := read(t, file)
			relative, err := filepath.Rel(filepath.Dir(file), other)
			if err != nil {
				t.Fatal(err)
			}
			if top := strings.Join(slices.Collect(strings.Lines(text))[:4], ""); !strings.Contains(top, "]("+filepath.ToSlash(relative)+")") {
				t.Errorf("%s does not link %s in its first lines", file, other)
			}
			for _, m := range linked.FindAllStringSubmatch(outsideCode(text), -1) {
				leads(t, file, m[1])
			}
		}
	}
}

func leads(t *testing.T, file, link string) {
	t.Helper()
	if strings.Contains(link, "://") {
		return
	}
	path, heading, _ := strings.Cut(link, "#")
	target := file
	if path != "" {
		target = filepath.Join(filepath.Dir(file), path)
	}
	if _, err := os.Stat(target); err != nil {
		t.Errorf("%s links %s, which does not exist", file, link)
		return
	}
	if heading == "" || filepath.Ext(target) != ".md" {
		return
	}
	var anchors []string
	for _, h := range headed.FindAllStringSubmatch(outsideCode(read(t, target)), -1) {
		anchors = append(anchors, anchor(h[2]))
	}
	if !slices.Contains(anchors, heading) {
		t.Errorf("%s links %s, and %s has only %q", file, link, target, anchors)
	}
}

// anchor is the name of a heading in a link.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_':
			return unicode.ToLower(r)
		case r == ' ':
			return '-'
		}
		return -1
	}, heading)
}

// TestKoreanIsPolite: sentences of the Korean documents end in the polite form, as
// Korean technical documents do, and bold words are bold. Texts of pictures are titles
// and need not.
func TestKoreanIsPolite(t *testing.T) {
	for _, d := range translated {
		text := drawnAs.ReplaceAllString(outsideCode(read(t, d.korean)), "")
		for i, line := range strings.Split(text, "\n") {
			if found := plainEnd.FindString(line); found != "" {
				t.Errorf("%s, line %d without its code, ends a sentence in %q: %s", d.korean, i+1, found, line)
			}
			if found := unbold.FindString(line); found != "" {
				t.Errorf("%s, line %d without its code: Markdown does not end bold text in %q: %s", d.korean, i+1, found, line)
			}
		}
	}
}
