package text

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
)

// The settings of a remedy are printed if the incident was there and the remedy cleared it.
func TestSpelledRemedies(t *testing.T) {
	words := []results.ClientSetting{{Client: "undici", Text: "x"}}
	unmet := &results.Run{Valid: true, Expect: []results.Expectation{{Path: "failures", Want: "> 1", Seen: "0"}}}
	for _, test := range []struct {
		about      string
		incident   *results.Run
		reproduced bool
		cleared    bool
		settings   []results.ClientSetting
		want       int
	}{
		{"reproduced", unmet, true, true, words, 1},
		{"the incident is there, another remedy did not clear it", &results.Run{Valid: true}, false, true, words, 1},
		{"not cleared", &results.Run{Valid: true}, false, false, words, 0},
		{"no incident", unmet, false, true, words, 0},
		{"an invalid run", &results.Run{}, false, true, words, 0},
		{"no run", nil, false, true, words, 0},
		{"no field of the pool", &results.Run{Valid: true}, true, true, nil, 0},
	} {
		r := &results.Reproduction{IncidentRun: test.incident, Reproduced: test.reproduced, RemedyRuns: []results.RemedyRun{{Remedy: "r", Cleared: test.cleared, Settings: test.settings}}}
		if got := SpelledRemedies(r); len(got) != test.want {
			t.Errorf("%s: %+v", test.about, got)
		}
	}
}

// A terminal shows the settings of one client; of several there is a table elsewhere.
func TestRenderSpelled(t *testing.T) {
	one := results.ClientSetting{Client: "undici", Path: "pool.idle_timeout", Value: "4s", In: "JavaScript", Text: "new Agent({ keepAliveTimeout: 4000 })", Versions: "undici 3.2 and later", Unchecked: true}
	other := one
	other.Client = "go-tuned"
	for _, test := range []struct {
		list []results.ClientSetting
		want string
	}{
		{[]results.ClientSetting{one}, "  pool.idle_timeout in the words of undici\n    new Agent({ keepAliveTimeout: 4000 })\n      sets 4s; JavaScript; undici 3.2 and later (not checked in its source)\n"},
		{[]results.ClientSetting{one, other}, ""},
		{nil, ""},
	} {
		var plain, b bytes.Buffer
		renderSpelled(&plain, test.list)
		must(t, layout.Print(&b, plain.String(), textWidth))
		if b.String() != test.want {
			t.Errorf("%q", b.String())
		}
	}
}

func TestCodeSpan(t *testing.T) {
	for text, want := range map[string]string{"a": "` a `", "a | b": "` a \\| b `", "`a``": "``` `a`` ```", "a\nb": "` a b `"} {
		if got := codeSpan(text); got != want || strings.Contains(got, "\n") {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
