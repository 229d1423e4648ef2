package text

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/extension"
	gohtml "github.com/yuin/goldmark/renderer/html"
	"golang.org/x/net/html"
	"pgregory.net/rapid"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

func TestRenderMarkdown(t *testing.T) {
	incident, err := record.OpenArchive(keep(t, reproduced()))
	must(t, err)
	comparison, err := record.OpenArchive(keepCompared(t, compared()))
	must(t, err)
	for name, k := range map[string]*record.Archive{"run.md": archiveOf(dated()), "reproduction.md": incident, "comparison.md": comparison} {
		var b bytes.Buffer
		must(t, RenderMarkdown(&b, k))
		golden(t, name, b.String())
	}
}

// shown is Markdown as GitHub shows it, with HTML as it stands: what must not
// get in would be seen.
func shown(t testing.TB, markdown []byte) *html.Node {
	t.Helper()
	var b bytes.Buffer
	must(t, goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithRendererOptions(gohtml.WithUnsafe())).Convert(markdown, &b))
	doc, err := html.Parse(&b)
	must(t, err)
	return doc
}

// ours are the elements that a report has.
var ours = map[string]bool{
	"html": true, "head": true, "body": true, "h1": true, "h2": true, "p": true, "blockquote": true, "strong": true, "hr": true,
	"table": true, "thead": true, "tbody": true, "tr": true, "th": true, "td": true, "ul": true, "li": true, "pre": true, "code": true,
}

// shape counts the elements of a page, and complains of those that are not ours.
func shape(t testing.TB, doc *html.Node) map[string]int {
	t.Helper()
	count := map[string]int{}
	for n := range doc.Descendants() {
		switch n.Type {
		case html.ElementNode:
			if count[n.Data]++; !ours[n.Data] {
				t.Errorf("a <%s> got in: %v", n.Data, n.Attr)
			}
		case html.CommentNode:
			t.Errorf("a comment got in: %s", n.Data)
		}
	}
	return count
}

// spoil puts text into every text of v, a document.
func spoil(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		if v.CanSet() {
			v.SetString(text)
		}
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			spoil(v.Elem(), text)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() && v.Type().Field(i).Name != "Dir" {
				spoil(v.Field(i), text)
			}
		}
	case reflect.Slice:
		if v.Type() != reflect.TypeFor[json.RawMessage]() {
			for i := range v.Len() {
				spoil(v.Index(i), text)
			}
		}
	case reflect.Map:
		if v.Type().Elem().Kind() == reflect.String && !v.IsNil() {
			v.SetMapIndex(reflect.ValueOf(text), reflect.ValueOf(text))
		}
	}
}

// TestMarkdownIsEscaped: whatever the texts of a document say, the report has
// the elements that it has of harmless ones.
func TestMarkdownIsEscaped(t *testing.T) {
	make := func(text string) map[string]*record.Archive {
		run := archiveOf(dated())
		run.Run.Invalid = []string{"x"}
		run.Run.Preset = &results.Preset{Name: "x", Client: "x", Log: []results.LogLine{{Says: []string{"x"}}}}
		incident := incidentArchive(reproduced())
		incident.Notes = []string{"x"}
		comparison := &record.Archive{Comparison: compared(), Runs: []record.ArchivedRun{{Name: "x", Run: dated()}}}
		all := map[string]*record.Archive{"run": run, "incident": incident, "comparison": comparison}
		for _, k := range all {
			spoil(reflect.ValueOf(k), text)
		}
		return all
	}
	of := func(t testing.TB, k *record.Archive) (string, map[string]int) {
		var b bytes.Buffer
		must(t, RenderMarkdown(&b, k))
		return b.String(), shape(t, shown(t, b.Bytes()))
	}
	harmless := map[string]map[string]int{}
	for name, k := range make("x") {
		_, harmless[name] = of(t, k)
	}
	check := func(t testing.TB, text string) {
		for name, k := range make(text) {
			report, got := of(t, k)
			want := harmless[name]
			if layout.Clean(text, maxLabel) == "" {
				continue // a text of nothing leaves out what would name it
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("%s with %q: elements %v, want %v:\n%s", name, text, got, want, report)
			}
		}
	}
	for _, text := range hostile {
		check(t, text)
	}
	check(t, strings.Join(hostile, ""))
	rapid.Check(t, func(r *rapid.T) {
		check(t, strings.Join(rapid.SliceOfN(rapid.SampledFrom(append(hostile, "`", "|", "<", "\\", "_", "*", "x", " ", "\n", "[", "]", "(", ")", "!", "&", "1.", "#")), 1, 6).Draw(r, "text"), ""))
	})
}

// TestMarkdownShowsTheText: what is escaped is shown as it was.
func TestMarkdownShowsTheText(t *testing.T) {
	for _, text := range append(hostile, "pool.idle_timeout = 3s", "a_b_c _x_", "before_response / fin, reused", "95 % of $5") {
		doc := shown(t, []byte("x "+MarkdownText(text)+" y"))
		var got strings.Builder
		for n := range doc.Descendants() {
			if n.Type == html.TextNode {
				got.WriteString(n.Data)
			}
		}
		plain := strings.ReplaceAll(strings.TrimSpace(got.String()), "\u200b", "")
		if want := "x " + layout.Clean(text, maxSentence) + " y"; strings.Join(strings.Fields(plain), " ") != strings.Join(strings.Fields(want), " ") {
			t.Errorf("%q is shown as %q", want, plain)
		}
	}
}

// TestMarkdownFits: it stays below what a comment takes, and says what it left out.
func TestMarkdownFits(t *testing.T) {
	long := strings.Repeat("쇼|", 40_000)
	long200 := reproduced()
	for range 200 {
		long200.RemedyRuns = append(long200.RemedyRuns, long200.RemedyRuns[0])
	}
	incident := incidentArchive(long200)
	many := &record.Archive{Comparison: compared()}
	for i := range 300 {
		arm := many.Comparison.Arms[0]
		arm.Name = fmt.Sprint(i)
		many.Comparison.Arms = append(many.Comparison.Arms, arm)
	}
	run := archiveOf(dated())
	for range 10_000 {
		run.Run.Warnings = append(run.Run.Warnings, "one more")
	}
	spoiled := archiveOf(dated())
	spoil(reflect.ValueOf(spoiled), long)
	left := regexp.MustCompile(`(?m)^Left out for lack of room: .+\.$`)
	for name, all := range map[string][]*record.Archive{"remedies": {incident}, "arms": {many}, "warnings": {run}, "texts": {spoiled}, "several": {run, incident, many}} {
		var b bytes.Buffer
		must(t, RenderMarkdown(&b, all...))
		if b.Len() >= MaxMarkdown {
			t.Errorf("%s: %d bytes", name, b.Len())
		}
		if cut := name != "texts" && name != "arms"; cut && !left.Match(b.Bytes()) {
			t.Errorf("%s: it does not say what it left out", name)
		}
		shape(t, shown(t, b.Bytes()))
	}
	var all []*record.Archive
	for range 60 {
		all = append(all, spoiled)
	}
	var b bytes.Buffer
	if err := RenderMarkdown(&b, all...); err == nil || !strings.Contains(err.Error(), "export fewer at a time") || b.Len() > 0 {
		t.Errorf("60 long ones: %v, %d bytes written", err, b.Len())
	}
}

func TestMarkdownChartsAreOfTheSamples(t *testing.T) {
	k, err := record.OpenArchive(keep(t, reproduced()))
	must(t, err)
	text, notes := chartsOverTime(k)
	if len(notes) > 0 {
		t.Errorf("notes %q", notes)
	}
	for _, want := range []string{
		"incident, a column is 200 ms\n",
		// There were 10 i² failures after i seconds: the rate rises evenly.
		"failed per second   │▁▃▅▇█│ at most 160",
		"TIME_WAIT, ours     │▁▃▆▇█│ at most 18",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "pending") {
		t.Errorf("a line of nothing:\n%s", text)
	}
	// The end of the samples may be torn.
	path := filepath.Join(k.Runs[0].Dir.Path(), "samples.ndjson")
	data, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, data[:len(data)-3], 0o644))
	if _, notes := chartsOverTime(k); len(notes) > 0 {
		t.Errorf("a torn end is a note: %q", notes)
	}
	must(t, os.WriteFile(path, []byte("{}\nnonsense\n"), 0o644))
	if _, notes := chartsOverTime(k); len(notes) != 1 || strings.Contains(notes[0], path) {
		t.Errorf("damaged samples: notes %q", notes)
	}
}
