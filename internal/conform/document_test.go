package conform

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A document keeps what was not played again, in the order of the stories.
func TestDocumentWith(t *testing.T) {
	report := func(driver, version string, results ...Result) Report {
		return Report{Driver: driver, Client: "C", Version: version, Preset: "p", Results: results}
	}
	one := func(story string, v Verdict) Result { return Result{Story: story, About: AboutRaces, Verdict: v} }
	old := NewDocument("v1", []Report{report("b", "1", one("race-fin-get", Agrees), one("race-fin-post", Differs), one("gone", Differs)), report("c", "1", one("race-fin-get", Differs))})
	now := old.With("v2", []Report{
		report("b", "1", one("race-fin-post", Agrees), one("race-fin-get", NotPlayed)),
		report("c", "2", one("race-fin-post", Known)),
		report("a", "1", one("race-fin-get", Disturbed)),
	})
	var got []string
	for _, r := range now.Reports {
		for _, x := range r.Results {
			got = append(got, r.Driver+" "+x.Story+" "+string(x.Verdict))
		}
	}
	if text := strings.Join(got, ", "); text != "a race-fin-get disturbed, b race-fin-get agrees, b race-fin-post agrees, c race-fin-post known" {
		t.Error(text)
	}
	if want := (Counts{Pairs: 3, Agree: 2, Known: 1, Unknown: 1}); now.Counts != want || !strings.Contains(now.Counts.String(), "100.0 %") || !strings.Contains(old.Counts.String(), "25.0 %") {
		t.Errorf("%v, %v", now.Counts, old.Counts)
	}
}

// A document is written and read again, and its tables go between the marks of a page.
func TestDocumentOnDisk(t *testing.T) {
	file := filepath.Join(t.TempDir(), "x.json")
	if d, err := Read(file); err != nil || len(d.Reports) != 0 {
		t.Errorf("no file: %+v, %v", d, err)
	}
	d := NewDocument("v1", []Report{{Driver: "a", Client: "A|B", Version: "2.5", Runtime: "Java 17", Preset: "p", Date: "2026-01-31", Results: []Result{
		{Story: "race-fin-get", About: AboutRaces, Verdict: Differs, Differences: []Difference{{"request 2", "GET 200, reused | fresh", "GET failed, reused"}}},
		{Story: "race-rst-get", About: AboutRaces, Verdict: Known, Known: "it cannot"},
		{Story: "race-fin-put", About: AboutRaces, Verdict: Disturbed, Why: "too busy"},
		{Story: "race-rst-put", About: AboutRaces, Verdict: Agrees},
	}}})
	f, err := os.Create(file)
	if err == nil {
		err = d.Kept().Encode(f)
		f.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	again, err := Read(file)
	if err != nil || again.Markdown() != d.Markdown() {
		t.Errorf("%v\n%s", err, again.Markdown())
	}
	page, err := Insert("before\n<!-- conform -->\nold\n<!-- /conform -->\nafter\n", d.Markdown())
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"before\n<!-- conform -->\n3 pairs", "66.7 %", "Not judged: 1.",
		`| a | A\|B 2.5, Java 17 | p | 3 | 1 | 1 | 1 | 2026-01-31 |`,
		"| races | 3 | 1 | 1 | 1 |",
		`| a | p | race-fin-get | request 2: GET 200, reused \| fresh | request 2: GET failed, reused |`,
		"| a | p | it cannot | race-rst-get |", "| a | p | race-fin-put | disturbed: too busy |", "<!-- /conform -->\nafter\n",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("there is no %q in\n%s", want, page)
		}
	}
	if _, err := Insert("no marks", ""); err == nil {
		t.Error("a page without marks is taken")
	}
	os.WriteFile(file, []byte(`{"schema":"other"}`), 0o644)
	if _, err := Read(file); err == nil || !strings.Contains(err.Error(), "kabench.conform/v1") {
		t.Errorf("%v", err)
	}
}

// The page of the documentation shows what is kept beside it.
func TestPageShowsWhatIsKept(t *testing.T) {
	d, err := Read("../../docs/conformance.json")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/conformance.md")
	if err != nil {
		t.Fatal(err)
	}
	want, err := Insert(string(page), d.Markdown())
	if err != nil || want != string(page) {
		t.Errorf("docs/conformance.md is not what docs/conformance.json says; 'kabench conform NAME --write docs/conformance.md' writes both: %v", err)
	}
}
