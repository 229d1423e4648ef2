package page

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"github.com/kabench/kabench/internal/chromium"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/text"
)

// saved writes the run with a document that change has filled in.
func (s synthetic) saved(t testing.TB, dir string, change func(*results.Run)) *results.Run {
	s.write(t, dir)
	doc := s.doc()
	doc.Schema, doc.Host = results.Schema, results.Host{OS: "linux", Arch: "amd64", Kernel: "6.18.44", CPUs: 2, GoVersion: "go1.26.8"}
	doc.Latency = map[string]results.Quantiles{results.LatencyResponse: {Count: s.n, P50: 0.0052, P99: 0.007}}
	doc.Connections.Opened = 194
	if change != nil {
		change(doc)
	}
	var b strings.Builder
	must(t, record.EncodeRun(&b, doc))
	must(t, os.WriteFile(filepath.Join(dir, "run.json"), []byte(b.String()), 0o644))
	return doc
}

// raced makes the document of a run in which requests met closes.
func raced(doc *results.Run) {
	doc.Counts.OK, doc.Counts.Failed = doc.Counts.Started-126, 126
	doc.Outcomes = []results.Outcome{{Phase: results.PhaseBeforeResponse, Cause: results.CauseFIN, Reused: true, Count: 126}}
	doc.Command = "kabench reproduce idle-race"
	doc.Profile = []byte(`{"load":{"rate":"400/s","duration":"10s","arrivals":{"process":"burst","on":"250ms","off":"950ms","within":"poisson"},"max_in_flight":1000},
		"pool":{"max_conns":-1,"idle_timeout":"0s","lease_order":"fifo"},"target":{"method":"GET","lab":{"delay":"40ms","idle_timeout":"1s"},"link":{"delay":"5ms"}}}`)
}

func savedReproduction(t testing.TB) string {
	dir, s := t.TempDir(), synthetic{4000, 400}
	incident := s.saved(t, filepath.Join(dir, "incident"), raced)
	remedy := s.saved(t, filepath.Join(dir, "remedy-1"), func(doc *results.Run) { doc.Connections.Opened = 281 })
	must(t, record.SaveReproduction(dir, &results.Reproduction{
		Incident: "idle-race", Reproduced: true, IncidentRun: incident,
		Question: `Why do a few requests die "before response" when traffic comes in bursts, although the server is healthy and the network loses nothing?`,
		Verdict: "126 of 4000 requests failed, all before_response/fin on reused connections that had been idle for 997 ms in the median: the server's keep-alive timer had run out, and its FIN crossed the requests on the wire.\n" +
			"Set the pool's idle_timeout below the server's keep-alive timeout, so that the client lets go first: with pool.idle_timeout 500ms none of 4000 requests failed. It costs 281 connections opened instead of 194.",
		RemedyRuns: []results.RemedyRun{{Remedy: "idle_timeout below the server's", Change: map[string]string{"pool.idle_timeout": "500ms"}, Cleared: true, Run: remedy}},
	}))
	return dir
}

// threePools is a comparison in which the second arm fails less and opens more, and the third
// differs from the first in nothing that was found.
func threePools() *results.Comparison {
	measures := func(rate, p99, opened float64) map[string]results.Measure {
		bounded := func(unit results.Unit, v float64) results.Measure {
			return results.Measure{Unit: unit, Known: true, Bounded: true, Value: v, Low: 0.8 * v, High: 1.2 * v, Per: []float64{0.9 * v, 1.1 * v}}
		}
		return map[string]results.Measure{
			results.MeasureFailureRate: bounded(results.UnitRatio, rate), results.MeasureResponse + ".p99": bounded(results.UnitSeconds, p99),
			results.MeasureOpened: bounded(results.UnitCount, opened), results.MeasureDropped: {Unit: results.UnitRatio, Known: true, Per: []float64{0, 0}},
			results.MeasureTimeWait: {Unit: results.UnitCount, Why: "nobody looked"},
		}
	}
	const a, b, c = "pools/service-a/reactor-netty.yaml", "pools/service-a/okhttp.yaml", "pools/service-a/apache-hc5.yaml"
	test := func(measure string, unit results.Unit, difference, low, high float64, differs bool) results.Test {
		return results.Test{Measure: measure, Unit: unit, Method: "a test", Difference: difference, Bounded: true, Low: low, High: high, P: 0.001, PAdjusted: 0.01, Differs: differs}
	}
	return &results.Comparison{
		Name: "steady", Question: "Which of three pools bears this traffic?", Confidence: 0.95, Seed: 7, Repeats: 2,
		Verdict: b + " fails least. With " + b + " fewer requests fail than with " + a + ": 3.00 % instead of 9.30 % (adjusted p 0.01). It costs: connections / 1000 requests 300 instead of 176.",
		Arms:    []results.Arm{{Name: a, Runs: 2, Measures: measures(0.093, 0.06, 176)}, {Name: b, Runs: 2, Measures: measures(0.03, 0.061, 300)}, {Name: c, Runs: 2, Measures: measures(0.09, 0.062, 180)}},
		Runs:    []results.ComparedRun{{Arm: a, Block: 1, Dir: "1-a"}, {Arm: b, Block: 1, Dir: "2-b"}, {Arm: c, Block: 1, Dir: "3-c"}},
		Pairs: []results.Pair{
			{A: a, B: b, Verdict: "It fails less.", Tests: []results.Test{
				test(results.MeasureFailureRate, results.UnitRatio, -0.063, -0.071, -0.051, true), test(results.MeasureResponse+".p99", results.UnitSeconds, 0.001, -0.001, 0.003, false),
				test(results.MeasureOpened, results.UnitCount, 124, 105.6, 140.8, true),
			}},
			{A: a, B: c, Verdict: "It does not differ.", Tests: []results.Test{test(results.MeasureFailureRate, results.UnitRatio, -0.003, -0.02, 0.014, false)}},
		},
	}
}

func savedComparison(t testing.TB) string {
	dir, s := t.TempDir(), synthetic{4000, 400}
	for _, run := range []string{"1-a", "2-b", "3-c"} {
		s.saved(t, filepath.Join(dir, run), raced)
	}
	must(t, record.SaveComparison(dir, threePools()))
	return dir
}

func savedInvalid(t testing.TB) string {
	dir := filepath.Join(t.TempDir(), "run")
	synthetic{4000, 400}.saved(t, dir, func(doc *results.Run) {
		doc.Valid, doc.Invalid = false, []string{"kabench fell behind: 1 % of requests started at least 83.1 ms late (load.max_lag is 50ms). Up to 113/s was on time. Lower load.rate or free up CPU"}
		doc.Command = "kabench run steady --set load.max_lag=50ms"
	})
	return dir
}

// screens is where the pictures of TestFirstScreen go; "": to a directory that is removed.
const screens = "KABENCH_SCREENS"

// The first screen has the verdict, the answer, three values with intervals, the picture and
// what was run, on a wide screen. On a telephone what was run may be below it.
func TestFirstScreen(t *testing.T) {
	b := chromium.Start(t)
	to := os.Getenv(screens)
	all := to != "" // for somebody who wants to look at them
	if to == "" {
		to = t.TempDir()
	}
	for _, c := range []struct {
		name, dir, badge, says string
		intervals              int // figures that name one
	}{
		{"reproduction", savedReproduction(t), "REPRODUCED", "With pool.idle_timeout 500ms none of 4000 failed.", 2},
		{"comparison", savedComparison(t), "DIFFERENCE FOUND", "okhttp.yaml fails least.", 3},
		{"invalid", savedInvalid(t), "INVALID", "kabench fell behind", 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Gather(c.dir)
			must(t, err)
			tab := openTab(t, b, file(t, d))
			for _, screen := range [][2]int64{{1400, 900}, {768, 1024}, {390, 844}} {
				tab.run(emulation.SetDeviceMetricsOverride(screen[0], screen[1], 1, screen[0] < 500))
				tab.until("the charts' width", `[...document.querySelectorAll('.chart')].every((c) => c.querySelector('canvas').getBoundingClientRect().width <= c.clientWidth + 1)`)
				tab.run(chromedp.Evaluate(`window.scrollTo(0, 0)`, nil))
				onScreen(t, tab, screen)
				if all || screen[0] != 768 {
					shoot(t, tab, filepath.Join(to, fmt.Sprintf("%s-%d.png", c.name, screen[0])), false)
				}
			}
			tab.run(emulation.SetDeviceMetricsOverride(1400, 900, 1, false))
			for id, want := range map[string]string{"badge": c.badge, "answer": c.says} {
				if got := eval[string](tab, fmt.Sprintf(`document.getElementById(%q).innerText`, id)); !strings.Contains(got, want) {
					t.Errorf("#%s says %q, want %q", id, got, want)
				}
			}
			if n := eval[int](tab, `[...document.querySelectorAll('#figures .note')].filter((n) => /interval|\[/.test(n.textContent)).length`); n != c.intervals {
				t.Errorf("%d of the values have intervals, want %d: %s", n, c.intervals, eval[string](tab, `document.getElementById('figures').innerText`))
			}
			if invalid := c.name == "invalid"; eval[bool](tab, `document.getElementById('do').checkVisibility()`) != invalid {
				t.Errorf("whether it says what to do: want %v", invalid)
			}
			testContents(t, tab)
			if all {
				testShown(t, tab, filepath.Join(to, c.name))
			}
			tab.quiet("file://")
		})
	}
	t.Logf("pictures of the first screens are in %s (%s names another directory)", to, screens)
}

// testShown saves pictures of the whole page, of the page in the dark, and of the page on paper.
func testShown(t *testing.T, tab *tab, path string) {
	shoot(t, tab, path+"-whole.png", true)
	tab.run(emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}))
	tab.until("a dark page", `getComputedStyle(document.body).backgroundColor === 'rgb(20, 23, 26)'`)
	shoot(t, tab, path+"-dark.png", false)
	tab.run(emulation.SetEmulatedMedia(), chromedp.ActionFunc(func(ctx context.Context) error {
		pdf, _, err := page.PrintToPDF().WithPaperWidth(8.27).WithPaperHeight(11.69).Do(ctx)
		if err == nil {
			err = os.WriteFile(path+".pdf", pdf, 0o644)
		}
		return err
	}), emulation.SetEmulatedMedia().WithMedia("print"), emulation.SetDeviceMetricsOverride(700, 990, 1, false),
		chromedp.Evaluate(`window.dispatchEvent(new Event('beforeprint'))`, nil))
	shoot(t, tab, path+"-print.png", false)
}

// onScreen checks that the parts of the first screen are visible on it, and that nothing is
// clipped at its side.
func onScreen(t *testing.T, tab *tab, screen [2]int64) {
	t.Helper()
	parts := []string{"#badge", "#question", "#answer", "#figures li:nth-child(3)", "#picture svg"}
	if screen[0] > 1000 {
		parts = append(parts, "#asked", "#asked div:last-child")
	}
	type box struct{ Top, Bottom, Left, Right, Width, Height float64 }
	boxes := eval[map[string]*box](tab, fmt.Sprintf(`Object.fromEntries(%s.map((q) => [q, document.querySelector(q) && document.querySelector(q).getBoundingClientRect().toJSON()]))`, asJSON(parts)))
	for _, part := range parts {
		b := boxes[part]
		if b == nil || b.Width < 20 || b.Height < 10 || b.Top < 0 || b.Left < 0 || b.Bottom > float64(screen[1]) || b.Right > float64(screen[0]) {
			t.Errorf("at %d x %d %s is at %+v", screen[0], screen[1], part, b)
		}
	}
	if over := eval[[]string](tab, `[...document.querySelectorAll('body *')].filter((e) => e.checkVisibility() && !e.closest('.scroll, pre, .race, svg, .chart, .skip, .unseen') && e.getBoundingClientRect().right > document.documentElement.clientWidth + 0.5).map((e) => e.tagName + '#' + e.id + '.' + e.className + ' ' + e.textContent.slice(0, 40))`); len(over) > 0 {
		t.Errorf("at %d wide these are clipped: %v", screen[0], over)
	}
	// Texts of the picture do not lie on each other.
	if hit := eval[[]string](tab, `(() => {
		const texts = [...document.querySelectorAll('#picture text')].map((e) => [e.textContent, e.getBoundingClientRect()]).filter(([, r]) => r.width > 0);
		return texts.flatMap(([a, x], i) => texts.slice(i + 1).filter(([, y]) => x.left < y.right - 1 && y.left < x.right - 1 && x.top < y.bottom - 2 && y.top < x.bottom - 2).map(([b]) => a + ' / ' + b));
	})()`); len(hit) > 0 {
		t.Errorf("at %d wide texts of the picture overlap: %v", screen[0], hit)
	}
}

func asJSON(v any) string {
	text, _ := json.Marshal(v) // strings always can be written
	return string(text)
}

// testContents checks that the contents name every section, in its order, and that each
// section and each panel can be linked to.
func testContents(t *testing.T, tab *tab) {
	t.Helper()
	listed := eval[[]string](tab, `[...document.querySelectorAll('#contents a')].slice(1).map((a) => a.hash)`)
	sections := eval[[]string](tab, `[...document.querySelectorAll('.content section')].filter((s) => s.checkVisibility() && s.querySelector('h2')).map((s) => '#' + s.id)`)
	if len(sections) < 4 || strings.Join(listed, " ") != strings.Join(sections, " ") {
		t.Errorf("the contents list %v, the page has %v", listed, sections)
	}
	if lost := eval[[]string](tab, `[...document.querySelectorAll('.anchor, #contents a')].map((a) => a.getAttribute('href')).filter((h) => h !== '#' && document.querySelectorAll('[id="' + h.slice(1) + '"]').length !== 1)`); len(lost) > 0 {
		t.Errorf("links to nothing, or to several places: %v", lost)
	}
	if n := eval[int](tab, `[...document.querySelectorAll('#pictures .panel')].filter((p) => !p.id && !p.closest('[id]')).length`); n > 0 {
		t.Errorf("%d panels cannot be linked to", n)
	}
	if n := eval[int](tab, `new Set([...document.querySelectorAll('#pictures > section.half')].map((s) => Math.round(s.getBoundingClientRect().left))).size`); n == 1 {
		t.Error("on a wide screen the charts are in one column")
	}
}

func shoot(t *testing.T, tab *tab, path string, whole bool) {
	t.Helper()
	var png []byte
	if whole {
		tab.run(chromedp.FullScreenshot(&png, 100))
	} else {
		tab.run(chromedp.CaptureScreenshot(&png))
	}
	must(t, os.WriteFile(path, png, 0o644))
}

// The page of a comparison says which differences were found, and which direction is better.
func TestComparisonPage(t *testing.T) {
	d, err := Gather(savedComparison(t))
	must(t, err)
	if got := strings.Join(d.Arms, " "); got != "reactor-netty.yaml okhttp.yaml apache-hc5.yaml" {
		t.Errorf("the short names are %s", got)
	}
	tab := openTab(t, chromium.Start(t), file(t, d))
	marked := eval[[]string](tab, `[...document.querySelectorAll('#measures .panel')].filter((p) => p.querySelector('.found')).map((p) => p.querySelector('h3').firstChild.textContent)`)
	if strings.Join(marked, ", ") != "failure rate, connections / 1000 requests" {
		t.Errorf("found in %v", marked)
	}
	first := eval[[]string](tab, `[...document.querySelectorAll('#measures h3')].slice(0, 2).map((h) => h.firstChild.textContent)`)
	if strings.Join(first, ", ") != strings.Join(marked, ", ") {
		t.Errorf("the first charts are of %v", first)
	}
	if none := eval[[]string](tab, `[...document.querySelectorAll('#measures .empty')].map((e) => e.textContent)`); strings.Join(none, "|") != "None: 0 in every run.|None: nobody looked" {
		t.Errorf("the empty charts say %q", none)
	}
	labels := eval[[]string](tab, `echarts.getInstanceByDom(document.querySelector('#measures .chart')).getOption().yAxis[0].data`)
	if strings.Join(labels, "|") != "reactor-netty.yaml|okhttp.yaml ▼|apache-hc5.yaml" {
		t.Errorf("the rows are %q", labels)
	}
	if n := eval[int](tab, `[...document.querySelectorAll('#measures .direction')].filter((e) => e.textContent.includes('less is better')).length`); n != 3 {
		t.Errorf("%d charts say that less is better, want 3", n)
	}
	if picture := eval[string](tab, `document.getElementById('picture').textContent`); !strings.Contains(picture, "better3.00 %") || strings.Count(picture, "better") != 2 { // one mark, and one in the note; the other there is “Better”
		t.Errorf("the picture says %q", picture)
	}
	if full := eval[string](tab, `document.getElementById('full').innerText + document.getElementById('answer').innerText`); !strings.Contains(full, "fails 3.1 times less often than reactor-netty.yaml [2.2, 4.2]") || !strings.Contains(full, "opens 1.7 times as many connections [1.6, 1.8]") {
		t.Errorf("it says %q", full)
	}
	tab.quiet("file://")
}

// Texts of servers and files stay texts in a picture, and its figures are numbers.
func TestPicturesOfAnswers(t *testing.T) {
	r := gathered(hostile, true)
	r.Name = hostile
	c := hostileComparison()
	rep := &results.Reproduction{IncidentRun: r.Doc, RemedyRuns: []results.RemedyRun{{Remedy: hostile, Run: r.Doc, Cleared: true}, {Remedy: "not run"}}}
	r.Doc.Counts = results.Counts{Due: 10, Started: 10, OK: 7, Failed: 3}
	empty := Run{Doc: &results.Run{}}
	for name, p := range map[string]*Picture{"run": pictureOfRun(&r), "runs": pictureOfRuns([]Run{r, r}), "comparison": pictureOfComparison(c), "reproduction": pictureOfReproduction(rep)} {
		if p == nil {
			t.Fatalf("%s: there is no picture", name)
		}
		if strings.Contains(p.SVG, "<script") || strings.Contains(p.SVG, "<img") || strings.Contains(p.SVG, "NaN") || strings.Contains(p.SVG, "Inf") {
			t.Errorf("%s: %s", name, p.SVG)
		}
	}
	if pictureOfRun(&empty) != nil || pictureOfRuns([]Run{empty}) != nil || pictureOfComparison(&results.Comparison{}) != nil || pictureOfReproduction(&results.Reproduction{}) != nil {
		t.Error("there is a picture of nothing")
	}
	many := &results.Comparison{Confidence: 0.9}
	for i := range 9 {
		many.Arms = append(many.Arms, results.Arm{Name: fmt.Sprint(i), Runs: 1, Measures: map[string]results.Measure{results.MeasureFailureRate: {Known: true, Unit: results.UnitRatio, Value: float64(i) / 100, Bounded: i == 8, High: 1}}})
	}
	p := pictureOfComparison(many)
	if strings.Count(p.SVG, "<circle") != mostBars || !strings.Contains(p.Note, "90\u00a0% intervals") || !strings.Contains(p.Note, "3 more configurations are below") {
		t.Errorf("%q: %s", p.Note, p.SVG)
	}
}

// The interval of a percentile is that of order statistics.
func TestQuantileBounds(t *testing.T) {
	var curve []Point // the value of each percentile is its number
	for p := 0.0; p < 100; p += 0.01 {
		curve = append(curve, Point{p, p})
	}
	low, high, known := quantileBounds(curve, 0.99, 1000)
	off := 100 * 1.96 * math.Sqrt(0.99*0.01/1000)
	if !known || math.Abs(low-(99-off)) > 0.02 || math.Abs(high-(99+off)) > 0.02 {
		t.Errorf("%v to %v, %v; want 99 ± %v", low, high, known, off)
	}
	if _, _, known := quantileBounds(curve, 0.99, 100); known {
		t.Error("a hundred values bound the 99th percentile from above")
	}
	if _, _, known := quantileBounds(nil, 0.99, 0); known {
		t.Error("an interval of nothing")
	}
}

// A page of a run that goes on says so, and its first screen follows it.
func TestLiveHead(t *testing.T) {
	s := synthetic{400, 400}
	g := NewLiveGatherer("run", s.doc())
	var e results.Exchange
	for seq := range s.n {
		s.exchange(&e, seq)
		g.Observe(&e)
	}
	d := g.Data()
	if d.Headline.Outcome != "Running" || d.Headline.Tone != text.TonePlain || d.Picture == nil || len(d.Asked) == 0 {
		t.Errorf("%+v, %+v", d.Headline, d.Asked)
	}
}
