package site

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/redact"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// began is when the runs of these tests did.
var began = time.Date(2026, 3, 1, 12, 0, 0, 123e6, time.UTC)

// keep writes a run and returns its directory.
func keep(t testing.TB, change func(*results.Run)) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	w, err := record.Create(dir)
	must(t, err)
	run := &results.Run{
		Version: "v1.2.3", Name: "idle-race", Question: "How many?", Start: began, End: began.Add(time.Second), Complete: true, Valid: true,
		Counts: results.Counts{Due: 10, Started: 10, OK: 9, Failed: 1},
	}
	if change != nil {
		change(run)
	}
	must(t, w.Begin(run))
	must(t, w.Close(run))
	return dir
}

// stubPage stands for the HTML report.
func stubPage(w io.Writer, dir string, redact *redact.Redactor) error {
	_, err := io.WriteString(w, "<!doctype html><title>"+redact.Foreign("at db01.acme.example")+"</title>")
	return err
}

func options(out string, day int) Options {
	return Options{Out: out, Version: "v1.2.3", Now: time.Date(2026, 3, day, 8, 0, 0, 0, time.UTC), Page: stubPage}
}

// files maps what is in dir to its contents.
func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	must(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		all[filepath.ToSlash(name)] = string(text)
		return err
	}))
	return all
}

// read reads the feed and checks it against RFC 4287 and RFC 4151.
func read(t testing.TB, out string) atomFeed {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(out, fileFeed))
	must(t, err)
	var f atomFeed
	must(t, xml.Unmarshal(text, &f))
	ids := map[string]bool{}
	tag := regexp.MustCompile(`^tag:[a-z0-9.-]+,\d{4}-\d{2}-\d{2}:[A-Za-z0-9./%-]+$`)
	thing := func(what, id, title, updated string, links []atomLink) {
		if !tag.MatchString(id) || ids[id] {
			t.Errorf("%s: its id %q is no tag URI, or another's", what, id)
		}
		ids[id] = true
		if title == "" {
			t.Errorf("%s: it has no title", what)
		}
		if _, err := time.Parse(time.RFC3339, updated); err != nil {
			t.Errorf("%s: updated: %v", what, err)
		}
		alternate := map[string]bool{}
		for _, l := range links {
			if _, err := url.Parse(l.Href); err != nil || l.Href == "" {
				t.Errorf("%s: a link to %q: %v", what, l.Href, err)
			}
			if l.Rel == "alternate" && alternate[l.Type] {
				t.Errorf("%s: two alternates of type %s", what, l.Type)
			}
			alternate[l.Type] = true
		}
		if len(links) == 0 {
			t.Errorf("%s: it has no link", what)
		}
	}
	thing("the feed", f.ID, f.Title, f.Updated, f.Links)
	if f.Author.Name == "" {
		t.Error("the feed has no author")
	}
	for _, e := range f.Entries {
		thing("entry "+e.Title, e.ID, e.Title, e.Updated, e.Links)
		if e.Summary == "" {
			t.Errorf("entry %s has no summary", e.Title)
		}
	}
	return f
}

// links are those of a page, as they stand.
func links(t testing.TB, text string) []string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(text))
	must(t, err)
	var all []string
	scripts := 0
	for n := range doc.Descendants() {
		for _, a := range n.Attr {
			if (a.Key == "href" || a.Key == "src") && !strings.HasPrefix(a.Val, "#") {
				all = append(all, a.Val)
			}
		}
		if n.Type == html.ElementNode && n.Data == "script" {
			if scripts++; n.FirstChild.Data != indexProgram {
				t.Error("the index has a script of others")
			}
		}
	}
	if scripts != 1 {
		t.Errorf("the index has %d scripts", scripts)
	}
	return all
}

func TestPublish(t *testing.T) {
	out := filepath.Join(t.TempDir(), "new", "site")
	race := keep(t, nil)
	o := options(out, 2)
	o.BaseURL, o.Title = "https://example.org/bench", "Ours"
	done, err := Publish([]string{race, race}, o)
	must(t, err)
	const slug = "idle-race-run-20260301-120000.123"
	if len(done) != 1 || done[0].Slug != slug || done[0].State != "new" {
		t.Fatalf("%+v", done)
	}
	first := files(t, out)
	if len(first) != 5 || first["reports/"+slug+"/index.html"] == "" || !strings.HasPrefix(first["reports/"+slug+"/report.md"], "# idle-race\n") {
		t.Errorf("files %q", slices.Collect(mapKeys(first)))
	}
	feed := read(t, out)
	if !strings.HasPrefix(feed.ID, "tag:example.org,2026-03-02:kabench/") || feed.Title != "Ours" || feed.Entries[0].ID != feed.ID+"/"+slug ||
		feed.Entries[0].Links[0].Href != "https://example.org/bench/reports/"+slug+"/" {
		t.Errorf("%+v", feed)
	}

	// The next day another one is added. The links and ids of the first stay, and so does what others put there.
	must(t, os.WriteFile(filepath.Join(out, "CNAME"), []byte("bench.example\n"), 0o644))
	later := keep(t, func(run *results.Run) { run.Name, run.Start = "steady", began.Add(time.Hour) })
	o = options(out, 3)
	done, err = Publish([]string{later, race}, o)
	must(t, err)
	if len(done) != 2 || done[0].State != "new" || done[1].State != "unchanged" {
		t.Errorf("%+v", done)
	}
	second, again := files(t, out), read(t, out)
	if len(second) != 8 || second["CNAME"] == "" || second["reports/"+slug+"/report.md"] != first["reports/"+slug+"/report.md"] {
		t.Errorf("files %q", slices.Collect(mapKeys(second)))
	}
	if again.ID != feed.ID || again.Title != "Ours" || len(again.Entries) != 2 || again.Entries[1].ID != feed.Entries[0].ID ||
		again.Entries[1].Updated != feed.Entries[0].Updated || again.Updated != "2026-03-03T08:00:00Z" ||
		!strings.HasPrefix(again.Entries[0].Links[0].Href, "https://example.org/bench/reports/steady-run-") {
		t.Errorf("%+v", again)
	}
	for _, link := range links(t, second[fileIndex]) {
		path := link
		if strings.HasSuffix(link, "/") {
			path += "index.html"
		}
		if second[path] == "" {
			t.Errorf("the index leads to %q, which is not there", link)
		}
	}

	// A new measurement with the same name and start is an update.
	must(t, os.Remove(filepath.Join(race, "run.json")))
	changed := keep(t, func(run *results.Run) { run.Counts.OK, run.Counts.Failed = 5, 5 })
	done, err = Publish([]string{changed}, options(out, 4))
	must(t, err)
	last := read(t, out)
	if done[0].State != "updated" || len(last.Entries) != 2 || last.Entries[1].Updated != "2026-03-04T08:00:00Z" || last.Entries[1].Published != "2026-03-02T08:00:00Z" {
		t.Errorf("%+v: %+v", done, last.Entries[1])
	}
	if _, err := Publish([]string{changed, keep(t, nil)}, options(out, 4)); err == nil || !strings.Contains(err.Error(), "the same link") {
		t.Errorf("two that are one link: %v", err)
	}
}

func mapKeys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for key := range m {
			if !yield(key) {
				return
			}
		}
	}
}

func TestPublishRefuses(t *testing.T) {
	race := keep(t, nil)
	made := filepath.Join(t.TempDir(), "made")
	_, err := Publish([]string{race}, options(made, 2))
	must(t, err)
	manifest := func(text string) string {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, fileManifest), []byte(text), 0o644))
		return dir
	}
	foreign := t.TempDir()
	must(t, os.WriteFile(filepath.Join(foreign, "index.html"), []byte("mine"), 0o644))
	file := filepath.Join(foreign, "index.html")
	inside := manifest(`{"schema":"kabench.site/v1"}`)
	must(t, os.WriteFile(filepath.Join(inside, "index.html"), []byte("mine"), 0o644))
	for name, tt := range map[string]struct {
		out, dir, base, say string
	}{
		"not empty":     {foreign, race, "", "is not empty and was not made by 'kabench publish'"},
		"a file":        {file, race, "", "not a directory"},
		"newer":         {manifest(`{"schema":"kabench.site/v2"}`), race, "", "made by a newer kabench"},
		"other":         {manifest(`{"schema":"x"}`), race, "", "was not made by 'kabench publish'"},
		"damaged":       {manifest(`{"schema"`), race, "", "is damaged"},
		"evil slug":     {manifest(`{"schema":"kabench.site/v1","entries":[{"slug":"../../x"}]}`), race, "", "is damaged"},
		"evil question": {manifest(`{"schema":"kabench.site/v1","entries":[{"slug":"a","points":[{"question":"../x"}]}]}`), race, "", "is damaged"},
		"evil base":     {manifest(`{"schema":"kabench.site/v1","base_url":"javascript:x"}`), race, "", "is damaged: its base_url"},
		"another's":     {inside, race, "", "was not made by 'kabench publish': move it away"},
		"no run":        {made, t.TempDir(), "", "not a run directory"},
		"base":          {made, race, "ftp://x/", "--base-url ftp://x/"},
		"base with key": {made, race, "https://a:b@x/", "--base-url"},
	} {
		before := map[string]string{}
		if tt.out != file {
			before = files(t, tt.out)
		}
		o := options(tt.out, 3)
		o.BaseURL = tt.base
		_, err := Publish([]string{race, tt.dir}, o)
		if err == nil || !strings.Contains(err.Error(), tt.say) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want %q", name, err, tt.say)
		}
		if name == "newer" && !errors.Is(err, record.ErrNewerSchema) {
			t.Errorf("%v is not %v", err, record.ErrNewerSchema)
		}
		if tt.out != file {
			after := files(t, tt.out)
			for path, text := range before {
				if after[path] != text {
					t.Errorf("%s: %s was changed", name, path)
				}
			}
			if len(after) != len(before) {
				t.Errorf("%s: files were added: %q", name, slices.Collect(mapKeys(after)))
			}
		}
	}
}

// secret are texts that a site may not have in any of its bytes.
var secret = []string{"acme", "db01", "planted", "203.0.113.9", "/home/alice", "orders"}

// planted is a run with names and secrets in it.
func planted(run *results.Run) {
	run.Name = "db01.acme.example" // as `kabench run --target` names it
	run.Profile = []byte(`{"target":{"url":"https://db01.acme.example/orders","headers":{"X-A":"planted"}}}`)
	run.Counts = results.Counts{Due: 1, Started: 1, Failed: 1}
	run.Outcomes = []results.Outcome{{Phase: results.PhaseConnect, Cause: results.CauseRefused, Count: 1,
		Example: "dial tcp 203.0.113.9:443: token=planted: open /home/alice/key.pem: db01.acme.example refused"}}
	run.Warnings = []string{"db01.acme.example at 203.0.113.9 is slow"}
	run.Targets = []results.TargetFigures{{Target: "GET https://db01.acme.example/orders", Started: 1}, {Target: "GET http://203.0.113.9/orders?token=planted"}}
}

func TestNothingLeaks(t *testing.T) {
	for _, show := range []bool{false, true} {
		out := filepath.Join(t.TempDir(), "site")
		o := options(out, 2)
		o.ShowHosts = show
		_, err := Publish([]string{keep(t, planted)}, o)
		must(t, err)
		all := files(t, out)
		for name, text := range all {
			for _, s := range secret {
				leaks := strings.Contains(strings.ToLower(name+"\n"+text), s)
				if leaks && (!show || s == "planted") {
					t.Errorf("hosts shown %v: %q is in %s", show, s, name)
				}
			}
		}
		if show && !strings.Contains(all[fileIndex], "db01.acme.example") {
			t.Error("asked for, hosts are not shown")
		}
	}
}

// TestHostileTexts: what a profile or a server says is text in a site.
func TestHostileTexts(t *testing.T) {
	evil := `</title><script>alert(1)</script><img src="https://evil.example/x" onerror=alert(1)>]]>&<!--` + "\x00\ufffe"
	out := filepath.Join(t.TempDir(), "site")
	o := options(out, 2)
	o.Title, o.Unfit = evil, true
	_, err := Publish([]string{keep(t, func(run *results.Run) {
		run.Name, run.Question, run.Version = evil, evil, evil
		run.Valid, run.Invalid = false, []string{evil}
	})}, o)
	must(t, err)
	read(t, out)
	all := files(t, out)
	for _, link := range links(t, all[fileIndex]) {
		if strings.Contains(link, ":") || strings.HasPrefix(link, "/") {
			t.Errorf("the index leads away, to %q", link)
		}
	}
	doc, err := html.Parse(strings.NewReader(all[fileIndex]))
	must(t, err)
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && n.Data == "img" || n.Type == html.CommentNode {
			t.Errorf("markup got in: %s", n.Data)
		}
	}
	if bytes.Contains([]byte(all[fileFeed]), []byte("<script")) {
		t.Error("markup got into the feed")
	}
}

// TestUndated: a run without a start time still has a link that stays the same.
func TestUndated(t *testing.T) {
	out := filepath.Join(t.TempDir(), "site")
	dir := keep(t, func(run *results.Run) { run.Start, run.End, run.Name = time.Time{}, time.Time{}, "" })
	first, err := Publish([]string{dir}, options(out, 2))
	must(t, err)
	second, err := Publish([]string{dir}, options(out, 3))
	must(t, err)
	if first[0].Slug != second[0].Slug || !strings.HasPrefix(first[0].Slug, "run-undated-") || second[0].State != "unchanged" {
		t.Errorf("%+v, then %+v", first, second)
	}
}
