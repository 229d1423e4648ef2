package site

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/kabench/kabench/results"
)

// What is invalid, cut off or interrupted is not published unless it is asked for,
// and then it says what it is wherever it is named.
func TestUnfitIsLeftOut(t *testing.T) {
	for name, tt := range map[string]struct {
		change       func(*results.Run)
		why, outcome string
	}{
		"invalid":     {func(run *results.Run) { run.Valid, run.Invalid = false, []string{"too late"} }, "it is invalid", "Invalid"},
		"interrupted": {func(run *results.Run) { run.Interrupted = true }, "it was interrupted", "Stopped early"},
		"cut off":     {func(run *results.Run) { run.Complete = false }, "it was cut off", "Cut off"},
	} {
		out := filepath.Join(t.TempDir(), "site")
		dir := keep(t, tt.change)
		done, err := Publish([]string{dir}, options(out, 2))
		must(t, err)
		if len(done) != 1 || done[0].State != LeftOut || done[0].Notes[0] != tt.why {
			t.Errorf("%s: %+v", name, done)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: a site was made of nothing", name)
		}

		// Beside one that is fit it is left out, and the other is there.
		fit := keep(t, func(run *results.Run) { run.Name = "fit" })
		done, err = Publish([]string{dir, fit}, options(out, 2))
		must(t, err)
		if len(done) != 2 || done[0].State != LeftOut || done[1].State != "new" || len(read(t, out).Entries) != 1 {
			t.Errorf("%s: %+v", name, done)
		}

		o := options(out, 3)
		o.Unfit = true
		done, err = Publish([]string{dir}, o)
		must(t, err)
		all, feed := files(t, out), read(t, out)
		if done[0].State != "new" || len(feed.Entries) != 2 {
			t.Fatalf("%s: %+v, %d entries", name, done, len(feed.Entries))
		}
		if report := all["reports/"+done[0].Slug+"/report.md"]; !strings.Contains(report, "**"+tt.outcome+".**") {
			t.Errorf("%s: the report does not say so:\n%s", name, report)
		}
		if !strings.Contains(all[fileIndex], ">"+tt.outcome+"</span>") || !strings.Contains(all[fileFeed], ": "+tt.outcome+"</title>") {
			t.Errorf("%s: the index or the feed does not say so", name)
		}
	}
	// What its own condition stopped is a result.
	done, err := Publish([]string{keep(t, func(run *results.Run) {
		run.Interrupted, run.Stopped = true, &results.Stopped{Path: "failures", When: "> 3", Seen: "4"}
	})}, options(filepath.Join(t.TempDir(), "site"), 2))
	must(t, err)
	if done[0].State != "new" {
		t.Errorf("stopped by abort_when: %+v", done)
	}
}

// A name in any script is the name of a link that leads somewhere.
func TestNamesInAnyScript(t *testing.T) {
	out := filepath.Join(t.TempDir(), "site")
	o := options(out, 2)
	o.BaseURL = "https://example.org/bench"
	done, err := Publish([]string{keep(t, func(run *results.Run) { run.Name = "주문 서비스" })}, o)
	must(t, err)
	slug := done[0].Slug
	if !strings.HasPrefix(slug, "주문-서비스-run-2026") {
		t.Error(slug)
	}
	all := files(t, out)
	if all["reports/"+slug+"/report.md"] == "" {
		t.Errorf("no report below %s", slug)
	}
	const escaped = "%EC%A3%BC%EB%AC%B8-%EC%84%9C%EB%B9%84%EC%8A%A4-run-2026"
	entry := read(t, out).Entries[0]
	if !strings.HasPrefix(entry.Links[0].Href, "https://example.org/bench/reports/"+escaped) || !strings.Contains(entry.ID, "/"+escaped) || !strings.HasPrefix(entry.Title, "주문 서비스: ") {
		t.Errorf("%+v", entry)
	}
	found := false
	for _, link := range links(t, all[fileIndex]) {
		found = found || strings.HasPrefix(link, "reports/"+escaped)
	}
	doc, err := html.Parse(strings.NewReader(all[fileIndex]))
	must(t, err)
	for n := range doc.Descendants() {
		if n.Data == "tr" && n.Parent.Data == "tbody" && (len(n.Attr) == 0 || n.Attr[0].Val != slug) {
			t.Errorf("the anchor is %+v", n.Attr)
		}
	}
	if !found {
		t.Error("the index does not lead to it")
	}
	// It is found again the next time.
	done, err = Publish([]string{keep(t, func(run *results.Run) { run.Name = "주문 서비스" })}, options(out, 3))
	must(t, err)
	if done[0].Slug != slug || done[0].State != "unchanged" {
		t.Errorf("%+v", done)
	}
}
