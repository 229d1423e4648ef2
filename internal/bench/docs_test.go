package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// docs/performance.md has a place for the table of every scenario, once.
func TestTheDocumentHasAPlaceForEveryTable(t *testing.T) {
	text, err := os.ReadFile("../../docs/performance.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, sc := range scenarios(false) {
		begin, end := mark(sc.name)
		if strings.Count(string(text), begin) != 1 || strings.Count(string(text), end) != 1 {
			t.Errorf("docs/performance.md has no place for the table of %s, or several; it needs, once:\n%s%s", sc.name, begin, end)
		}
	}
}

func TestPlaceIn(t *testing.T) {
	doc := filepath.Join(t.TempDir(), "page.md")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(doc, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read := func() string {
		t.Helper()
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	const page = "# Page\n\n<!-- bench steady -->\nold one\n<!-- /bench steady -->\n\nBetween.\n\n<!-- bench fast -->\nold two\n<!-- /bench fast -->\nEnd.\n"
	write(page)
	r := &report{
		Date: time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC), Machine: machine{"Some CPU", 2, "Linux 6 amd64", "go1.26"}, Repeats: 3,
		Programs:  []program{{"kabench", "kabench devel"}, {"wrk2", "wrk 4.0.0"}, {"wrk", "wrk 4.2.0"}},
		LeftOut:   []string{"oha: no cargo"},
		scenarios: []scenario{{name: "steady", kind: paced}, {name: "fast", kind: paced}},
		Samples: []sample{
			{Scenario: "steady", Tool: "kabench", Offered: 400, Achieved: 400, Requests: 4000, CPU: 60, Lag: &lags{P50: 10, P99: 90}, Others: 0.25},
			{Scenario: "steady", Tool: "wrk2", Offered: 400, Achieved: 400, Requests: 4000, CPU: 50, Lag: &lags{P50: 20, P99: 100}, Others: 0.25},
		},
	}
	if err := r.placeIn(doc); err != nil {
		t.Fatal(err)
	}
	got := read()
	for _, want := range []string{
		"# Page\n\n<!-- bench steady -->\n\n| tool |", "| kabench | 10 | 90 |", "| *kabench ÷ wrk2* | 0.5 | 0.9 |", "Other programs used 0.25 CPUs",
		"\n\nMeasured on 2030-01-02: Some CPU, 2 cores, Linux 6 amd64, go1.26; 3 repeats; kabench (kabench devel), wrk2 (wrk 4.0.0). Missing: oha.\n\n<!-- /bench steady -->\n\nBetween.",
		"<!-- bench fast -->\nold two\n<!-- /bench fast -->\nEnd.\n", // not measured
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the page lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "old one") || strings.Contains(got, "4.2.0") {
		t.Errorf("the page has the old table, or a tool that was not measured:\n%s", got)
	}
	if err := r.placeIn(doc); err != nil || read() != got {
		t.Errorf("a second time, the page is another, or %v", err)
	}
	r.Interrupted = true
	write(page)
	if err := r.placeIn(doc); err != nil || read() != page {
		t.Errorf("after an interruption the page was changed, or %v", err)
	}
	r.Interrupted = false
	write("# Page\n")
	if err := r.placeIn(doc); err == nil || !strings.Contains(err.Error(), "no place for the table of steady; add these lines:\n<!-- bench steady -->") {
		t.Errorf("a page without marks: %v", err)
	}
}

func TestCurve(t *testing.T) {
	var s sample
	for i := range 361 { // an hour, every 10 s: 40 MB and 1 MB more each hour
		at := float64(10 * i)
		s.Memory = append(s.Memory, memoryAt{at, int64(40e6 + at/3600*1e6)})
	}
	var out strings.Builder
	curve(&printer{w: &out}, s)
	for _, want := range []string{"| 0.0 | 40.0 |", "| 5.0 | 40.1 |", "| 60.0 | 41.0 |", "the resident memory was 40.5 to 41.0 MB, with a trend of +1.00 MB an hour."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the curve lacks %q:\n%s", want, out.String())
		}
	}
	if got := slope([]memoryAt{{1, 5}, {1, 7}}); got != 0 || math.IsNaN(got) {
		t.Errorf("figures of one moment: slope %v", got)
	}
	out.Reset()
	curve(&printer{w: &out}, sample{})
	if !strings.Contains(out.String(), "too short") {
		t.Errorf("without figures: %q", out.String())
	}
}
