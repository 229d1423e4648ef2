package site

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/kabench/kabench/internal/chromium"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/text"
	"github.com/kabench/kabench/results/trend"
)

// nightly are the entries of a site of one question, asked every night: in the last eight
// nights more requests failed. Two runs are invalid. Then others, of other kinds.
func nightly(t *testing.T) *manifest {
	m := &manifest{Schema: schema, Title: "Benchmarks of orders", Version: "v1.2.3", ID: "tag:example.org,2026-03-02:kabench/x"}
	now := time.Date(2026, 4, 1, 8, 0, 0, 0, time.UTC)
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 30 {
		rate := 0.002
		if n >= 22 {
			rate = 0.012
		}
		run := &results.Run{
			Version: "v1.2.3", Name: "orders", Question: "How many requests meet a server that is being restarted?", Start: began.AddDate(0, 0, n), Complete: true, Valid: n != 7 && n != 15,
			Host: results.Host{OS: "linux", Arch: "amd64", Kernel: "6.12", CPUs: 2, Commit: fmt.Sprintf("%07x%033d", 0xabc0000+7*n, 0)},
		}
		run.End = run.Start.Add(time.Minute)
		for range 6000 {
			if r.Float64() < rate {
				run.Counts.Failed++
			}
		}
		run.Counts.Due, run.Counts.Started, run.Counts.OK = 6000, 6000, 6000-run.Counts.Failed
		p99 := 0.02 * (1 + 0.05*r.NormFloat64())
		run.Latency = map[string]results.Quantiles{results.LatencyResponse: {Count: run.Counts.OK, P50: p99 / 2, P99: p99}}
		if n == 7 {
			run.Invalid = []string{"kabench was late"}
			run.Counts.Failed = 200
		}
		add(t, m, &record.Archive{Run: run, Runs: []record.ArchivedRun{{Name: run.Name, Run: run}}}, now)
	}
	incident := &results.Run{
		Version: "v1.2.2", Name: "idle-race", Question: "How often does a request meet the server's close?", Start: began.AddDate(0, 0, 20), Complete: true, Valid: true,
		Counts: results.Counts{Due: 500, Started: 500, OK: 450, Failed: 50}, Latency: map[string]results.Quantiles{results.LatencyResponse: {Count: 450, P50: 0.01, P99: 0.0123}},
	}
	rep := &results.Reproduction{Incident: "idle-race", Question: incident.Question, Reproduced: true, Verdict: "Reproduced: 50 of 500 requests met the server's close.\nSet pool.idle_timeout below 1 s.", IncidentRun: incident}
	add(t, m, &record.Archive{Reproduction: rep, Runs: []record.ArchivedRun{{Name: "incident", Run: incident}}}, now)
	measures := func(v float64) map[string]results.Measure {
		return map[string]results.Measure{results.MeasureFailureRate: {Unit: results.UnitRatio, Known: true, Value: v}}
	}
	c := &results.Comparison{Version: "v1.2.3", Name: "three pools", Question: "Which pool fails least?", Start: began.AddDate(0, 0, 25), Verdict: "reactor-netty fails most.",
		Arms: []results.Arm{{Name: "reactor-netty", Runs: 5, Measures: measures(0.02)}, {Name: "okhttp", Runs: 5, Measures: measures(0.001)}}}
	add(t, m, &record.Archive{Comparison: c}, now)
	return m
}

// add adds a report of k.
func add(t *testing.T, m *manifest, k *record.Archive, now time.Time) {
	e := Entry{
		Slug: fmt.Sprintf("%s-%s-%s", record.Slug(k.Title(), ""), k.Kind(), k.Start().Format("20060102")), Kind: k.Kind(), Title: k.Title(), Question: k.Question(),
		Outcome: text.OutcomeOf(k), Headline: text.HeadlineOf(k), Start: k.Start(), Version: k.Version(), HasPage: true,
	}
	e.Failures, e.P99 = cells(k)
	var notes []string
	if e.Points, notes = trend.Points(k, ""); len(notes) > 0 {
		t.Fatal(notes)
	}
	m.add(&e, now)
}

// written writes the site of m and returns the addresses of its index and of the trend.
func written(t *testing.T, m *manifest) (index, trends string) {
	out := t.TempDir()
	files, links, err := m.trends()
	must(t, err)
	if len(links) != 1 {
		t.Fatalf("%d questions have a trend: %v", len(links), links)
	}
	files[fileIndex], err = m.index(links)
	must(t, err)
	files[fileFeed], err = m.feed()
	must(t, err)
	must(t, m.write(out, files))
	for _, name := range links {
		trends = "file://" + filepath.Join(out, name)
	}
	return "file://" + filepath.Join(out, fileIndex), trends
}

// TestLooks sees the index and a trend on a wide screen, a tablet, a phone, in the dark
// and on paper. KABENCH_PICTURES=write in the environment writes the pictures of
// testdata/looks again.
func TestLooks(t *testing.T) {
	index, trends := written(t, nightly(t))
	b := chromium.Start(t)
	for name, url := range map[string]string{"index": index, "trend": trends} {
		t.Run(name, func(t *testing.T) {
			tab := chromium.Open(t, b, url)
			chromium.Pictures(t, tab.Context, "testdata/looks", name, nil)
			tab.Quiet(t, "file://")
		})
	}
	t.Run("what is missing is seen", func(t *testing.T) {
		look, tab := chromium.Looks()[0], chromium.Open(t, b, trends)
		look.Apply(t, tab.Context)
		whole := chromium.Small(look.Shoot(t, tab.Context, "whole"))
		for what, change := range map[string]string{
			"a chart":      `document.querySelectorAll('figure')[1].style.visibility = 'hidden'`,
			"the table":    `document.querySelector('details').style.display = 'none'`,
			"the right":    `document.querySelector('main').style.cssText = 'width: 18rem; overflow: hidden'`,
			"one sentence": `document.querySelector('.how').style.display = 'none'`,
		} {
			tab.Run(t, chromedp.Reload(), chromedp.Evaluate(change, nil))
			differences := chromium.Compare(whole, chromium.Small(look.Shoot(t, tab.Context, "less")))
			if small := what == "one sentence"; (len(differences) == 0) != small {
				t.Errorf("without %s: %q", what, differences)
			}
		}
	})
	t.Run("use", func(t *testing.T) { testUse(t, chromium.Open(t, b, index)) })
	t.Run("no program", func(t *testing.T) {
		tab := chromium.Open(t, b, "about:blank")
		tab.Run(t, page.Enable(), chromium.WithoutPrograms(), chromedp.Navigate(index))
		if n := chromium.Eval[int](t, tab, `document.querySelectorAll('tbody tr').length`); n != 32 {
			t.Errorf("without a program the table has %d rows", n)
		}
		if chromium.Eval[bool](t, tab, `document.getElementById('filters').checkVisibility()`) {
			t.Error("without a program there are filters, which do nothing")
		}
	})
}

// testUse filters and sorts the table by the keyboard alone.
func testUse(t *testing.T, tab *chromium.Tab) {
	shown := func() []string {
		return chromium.Eval[[]string](t, tab, `[...document.querySelectorAll('tbody tr')].filter((r) => r.checkVisibility()).map((r) => r.querySelector('th a').textContent)`)
	}
	says := func() string {
		return chromium.Eval[string](t, tab, `document.getElementById('shown').textContent`)
	}
	if n := len(shown()); n != 32 || says() != "32 of 32 shown" {
		t.Fatalf("%d rows, %q", n, says())
	}
	tab.Run(t, chromedp.Focus(`[name=text]`, chromedp.ByQuery), chromedp.KeyEvent("CLOSE often"))
	if got := shown(); len(got) != 1 || got[0] != "idle-race" || says() != "1 of 32 shown" {
		t.Errorf("with that text: %q, %q", got, says())
	}
	tab.Run(t, chromedp.Evaluate(`document.querySelector('[name=text]').select()`, nil), chromedp.KeyEvent(kb.Delete))
	tab.Run(t, chromedp.Focus(`[name=verdict]`, chromedp.ByQuery), chromedp.KeyEvent("Invalid"))
	if got := shown(); len(got) != 2 {
		t.Errorf("invalid ones: %q", got)
	}
	tab.Run(t, chromedp.KeyEvent(kb.Home)) // all
	if n := len(shown()); n != 32 {
		t.Errorf("all again: %d", n)
	}
	sorted := func(column string, want ...string) {
		t.Helper()
		tab.Run(t, chromedp.Evaluate(fmt.Sprintf(`[...document.querySelectorAll('thead button')].find((b) => b.textContent === %q).focus()`, column), nil), chromedp.KeyEvent(kb.Enter))
		if got := shown(); strings.Join(got[:len(want)], " ") != strings.Join(want, " ") {
			t.Errorf("sorted by %s: %q, want %q first", column, got, want)
		}
	}
	sorted("report", "idle-race", "orders")
	sorted("report", "three pools", "orders")
	sorted("failed", "orders")
	sorted("failed", "idle-race", "orders", "three pools") // 10 %, the invalid run with 3.3 %, 2 %
	sorted("response p99", "idle-race")
	if last := shown(); last[31] != "three pools" {
		t.Errorf("a figure that is not known is not last: %q", last)
	}
	sorted("response p99", "orders")
	if last := shown(); last[31] != "three pools" {
		t.Errorf("a figure that is not known is not last the other way: %q", last)
	}
	if n := chromium.Eval[int](t, tab, `document.querySelectorAll('[aria-sort=descending]').length`); n != 1 {
		t.Errorf("%d columns say that they are sorted", n)
	}
	tab.Quiet(t, "file://")
}

// A trend names the change, and links each run.
func TestTrendPage(t *testing.T) {
	_, url := written(t, nightly(t))
	content, err := os.ReadFile(strings.TrimPrefix(url, "file://"))
	must(t, err)
	all := string(content)
	for want, n := range map[string]int{
		`<a href="../reports/orders-run-202603`: 3 * 30, // two charts and the table
		`class="unfit"`:                         4,
		`class="change worse"`:                  1,
		`The failure rate rose from 0.`:         1,
		`not used, because it is invalid`:       4,
		`<script`:                               0,
	} {
		if got := strings.Count(all, want); got != n {
			t.Errorf("%q is there %d times, want %d", want, got, n)
		}
	}
	if !strings.Contains(all, "commit abc009a000") {
		t.Error("the commit of the change is not named")
	}
}
