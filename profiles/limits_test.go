package profiles

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A preset says what it cannot express as a text, or as a text with the stories that
// show it.
func TestLimits(t *testing.T) {
	p, err := parsePreset("mine.yaml", []byte(`
name: mine
what: a test
versions: "1"
run: [1.0, 1.10]
cannot:
  - a plain text
  - {what: "a cut head is taken for a whole one", stories: [cut-headers-*, hint-1s]}
pool: {max_conns: 2}
`))
	if err != nil {
		t.Fatal(err)
	}
	want := Limits{{What: "a plain text"}, {What: "a cut head is taken for a whole one", Stories: []string{"cut-headers-*", "hint-1s"}}}
	if diff := cmp.Diff(want, p.Cannot); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"1.0", "1.10"}, p.Run); diff != "" {
		t.Error(diff)
	}
	for story, told := range map[string]bool{"cut-headers-fin": true, "hint-1s": true, "hint-10s": false, "a plain text": false} {
		if l, found := p.Cannot.Of(story); found != told || found && l.What != want[1].What {
			t.Errorf("%s: %v, %v", story, l, found)
		}
	}
	for text, wrong := range map[string]string{
		"{what: x, story: [a]}":        "stories",
		"{stories: [a]}":               "give what",
		"[a]":                          "mapping",
		"{what: x, stories: [\"[a\"]}": "is not a pattern",
	} {
		if _, err := parsePreset("mine.yaml", []byte("name: mine\ncannot:\n  - "+text+"\npool: {max_conns: 2}\n")); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
