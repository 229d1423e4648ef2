package page

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/kabench/kabench/internal/chromium"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/text"
)

// tab is a page in a browser, with the test that looks at it.
type tab struct {
	t   *testing.T
	ctx context.Context
	*chromium.Tab
}

// openTab is a tab in which every chart is drawn.
func openTab(t *testing.T, browser context.Context, url string) *tab {
	b := visit(t, browser, url)
	b.until("every chart is drawn", `document.querySelectorAll('.chart').length > 0 && [...document.querySelectorAll('.chart')].every((c) => c.dataset.drawn)`)
	return b
}

func visit(t *testing.T, browser context.Context, url string) *tab {
	opened := chromium.Open(t, browser, url)
	return &tab{t, opened.Context, opened}
}

func (b *tab) run(actions ...chromedp.Action) {
	b.t.Helper()
	b.Run(b.t, actions...)
}

// eval is the value of an expression in the page.
func eval[T any](b *tab, expression string) T {
	b.t.Helper()
	return chromium.Eval[T](b.t, b.Tab, expression)
}

// until waits for an expression to be true.
func (b *tab) until(what, expression string) {
	b.t.Helper()
	for !eval[bool](b, expression) {
		if b.ctx.Err() != nil {
			b.t.Fatalf("never seen: %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (b *tab) quiet(allowed ...string) {
	b.t.Helper()
	b.Quiet(b.t, allowed...)
}

// file writes d as a page and returns its address.
func file(t *testing.T, d *Data) string {
	path := filepath.Join(t.TempDir(), "report.html")
	f, err := os.Create(path)
	must(t, err)
	must(t, Write(f, d))
	must(t, f.Close())
	return "file://" + path
}

// hostile is what a server, a file or a profile may say.
const hostile = `</script><script>window.pwned=1</script><img src=x onerror="window.pwned=1"> {a|b} ${1} ' " & ` + "\u2028"

// gathered is a short run with failures, evidence and hostile texts.
func gathered(name string, failing bool) Run {
	s := synthetic{4000, 400}
	doc := s.doc()
	doc.Name, doc.Question = hostile, hostile
	doc.Warnings = []string{hostile}
	doc.Expect = []results.Expectation{{Path: "failures", Want: hostile, Seen: hostile}}
	doc.Ports = &results.Ports{Predicted: 8}
	doc.Sockets.PortsAvailable = 700
	doc.Targets = []results.TargetFigures{{Target: hostile, Started: 3000}, {Target: "GET /b", Started: 1000}}
	doc.Statuses = map[string]uint64{"200": 3900, "503": 20}
	g := NewGatherer(name, doc)
	if failing {
		g.Evidence([]results.Evidence{{Seq: 980, Conn: 1, Client: hostile, Server: hostile, By: hostile, How: "fin", Rows: []results.EvidenceRow{{At: 2.4, Note: hostile}}}})
	}
	var e results.Exchange
	for seq := range s.n {
		s.exchange(&e, seq)
		switch {
		case !failing:
		case e.Use == 50:
			e.FirstByte, e.GotHeaders, e.Done, e.Status = results.Never, results.Never, e.Due+9*ms, 0
			e.Phase, e.Cause, e.Err = results.PhaseBeforeResponse, results.CauseFIN, fmt.Errorf("%s", hostile)
		case seq%100 == 7:
			e.Reset(seq, e.Due)
			e.Start, e.Done = e.Due+ms, e.Due+2*ms
			e.Phase, e.Cause = results.PhaseAcquire, results.CauseQueueFull
		}
		g.Observe(&e)
	}
	for i := range 100 {
		g.Sample(s.sample(i))
	}
	return g.Run()
}

func hostileComparison() *results.Comparison {
	measure := func(v float64) map[string]results.Measure {
		return map[string]results.Measure{
			results.MeasureFailureRate:       {Unit: results.UnitRatio, Known: true, Bounded: true, Value: v, Low: v / 2, High: 2 * v, Per: []float64{v, v * 1.1}},
			results.MeasureResponse + ".p99": {Unit: results.UnitSeconds, Known: true, Value: v, Per: []float64{v}, Why: hostile},
			hostile:                          {Unit: results.UnitCount, Why: hostile},
		}
	}
	return &results.Comparison{
		Name: hostile, Question: hostile, Confidence: 0.95, Verdict: hostile, Warnings: []string{hostile},
		Arms:  []results.Arm{{Name: hostile, Runs: 2, Change: map[string]string{hostile: hostile}, Measures: measure(0.1)}, {Name: "b", Runs: 2, Measures: measure(0.05)}},
		Pairs: []results.Pair{{A: hostile, B: "b", Verdict: hostile, Tests: []results.Test{{Measure: hostile, Method: hostile, EffectName: hostile, Why: hostile}}}},
	}
}

// hostileData is a page of everything at once.
func hostileData() *Data {
	c := hostileComparison()
	d := &Data{
		Kind: KindComparison, Title: hostile, Question: hostile, Headline: text.HeadlineOfComparison(c), Notes: []string{hostile},
		Runs: []Run{gathered(hostile, true), gathered("b", false)}, Comparison: c,
		Spelled: []Spelled{{hostile, []results.ClientSetting{{Client: hostile, Path: hostile, Value: hostile, In: hostile, Text: hostile, Note: hostile}, {Client: "b", Instead: hostile}}}},
	}
	for _, name := range c.MeasureNames() {
		d.Measures = append(d.Measures, [2]string{name, results.MeasureLabel(name)})
	}
	return d
}

// drawnCharts is how many charts have something on their canvas.
const drawnCharts = `[...document.querySelectorAll('.chart canvas')].filter((c) => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v) => v > 0)).length`

// failureAt is where the first failure of the first lifelines is on the screen.
const failureAt = `(() => {
	const box = document.querySelector('#lifelines .chart');
	box.scrollIntoView({block: 'center'});
	const lanes = JSON.parse(document.getElementById('data').textContent).runs[0].lifelines.lanes;
	const y = lanes.findIndex((l) => l.conn && l.exchanges.some((x) => x.failed && x.ladder)), x = lanes[y].exchanges.find((x) => x.failed && x.ladder);
	const [px, py] = echarts.getInstanceByDom(box).convertToPixel({xAxisIndex: 0, yAxisIndex: 0}, [x.done, y]);
	const place = box.getBoundingClientRect();
	return [place.left + px, place.top + py, x.seq];
})()`

const evidenceShown = `!document.querySelector('#lifelines .evidence').hidden`

func TestPageInABrowser(t *testing.T) {
	b := chromium.Start(t)
	t.Run("a run", func(t *testing.T) {
		run := gathered("run", true)
		run.Doc.Warnings = []string{"w1", "w2", "w3", "w4", "w5"}
		run.Doc.Preset = &results.Preset{Name: "reactor-netty", Changed: []results.PresetChange{{Path: "pool.idle_timeout", Preset: "0s", Run: "15s"}}}
		headline := text.HeadlineOfRun(run.Doc)
		headline.More = []string{"another remedy"}
		tab := openTab(t, b, file(t, &Data{Kind: KindRun, Title: "t", Question: "q", Headline: headline, Notes: []string{"n"}, Runs: []Run{run}}))
		if head := eval[string](tab, `document.querySelector('header').innerText + document.getElementById('full').innerText`); !strings.Contains(head, "another remedy") || !strings.Contains(head, "5 warnings") || strings.Contains(head, "w4") {
			t.Errorf("the head is %q", head)
		}
		if pool := eval[string](tab, `document.querySelector('#pool').innerText`); !strings.Contains(pool, "Set: "+run.Doc.Preset.String()+", ") {
			t.Errorf("the pool's setup is %q", pool)
		}
		// Each connection was used 50 times, and a lane has room for fewer.
		if n := eval[int](tab, `echarts.getInstanceByDom(document.querySelector('#lifelines .chart')).getOption().series.find((s) => s.name === 'exchanges left out').data.length`); n == 0 {
			t.Error("exchanges without room are drawn as if the connection had been idle")
		}
		if n := eval[int](tab, drawnCharts); n != 7 {
			t.Errorf("%d charts are drawn, want 7", n)
		}
		if n := eval[int](tab, `[...document.querySelectorAll('.chart')].filter((c) => (c.getAttribute('aria-label') || '').length > 20).length`); n != 7 {
			t.Errorf("%d charts say what they show, want 7", n)
		}
		testNotKept(t, tab)
		testEvidence(t, tab)
		testTables(t, tab)
		testZoom(t, tab)
		testSorting(t, tab)
		testWidths(t, tab)
		tab.quiet("file://")
	})
	t.Run("no interval", func(t *testing.T) { testNoInterval(t, b) })
	t.Run("nothing recorded", func(t *testing.T) {
		run := NewGatherer("run", &results.Run{Name: "n"}).Run()
		d := &Data{Kind: KindRun, Title: "t", Headline: text.HeadlineOfRun(run.Doc), Notes: []string{}, Runs: []Run{run}}
		tab := visit(t, b, file(t, d))
		tab.until("the reasons why there are no pictures", `document.querySelectorAll('.empty').length === 9 && [...document.querySelectorAll('.empty')].every((e) => e.textContent.startsWith('None: ')) && document.querySelectorAll('main table').length > 0`)
		tab.quiet("file://")
	})
	t.Run("hostile", func(t *testing.T) { testHostile(t, b) })
	t.Run("live", func(t *testing.T) { testLive(t, b) })
}

// notKept is, of the first lane in the picture, when its first exchange that is
// kept was leased and how long the connection had been idle, and the stretches that
// are drawn as idle and as exchanges that are not kept.
const notKept = `(() => {
	const x = JSON.parse(document.getElementById('data').textContent).runs[0].lifelines.lanes.filter((l) => l.conn)[0].exchanges[0];
	const series = echarts.getInstanceByDom(document.querySelector('#lifelines .chart')).getOption().series;
	const y = series.find((s) => s.name === 'exchange').data.find((d) => d.value[3] === x.seq).value[2];
	const of = (name) => series.find((s) => s.name === name).data.map((d) => d.value).filter((v) => v[2] === y).map((v) => v.slice(0, 2));
	return { leased: x.leased, idle: x.idle, use: x.use, drawn: of('idle'), untold: of('exchanges left out') };
})()`

// testNotKept looks for exchanges that a page does not keep: a connection was not
// idle while it had them.
func testNotKept(t *testing.T, tab *tab) {
	lane := eval[struct {
		Leased, Idle  float64
		Use           int
		Drawn, Untold [][2]float64
	}](tab, notKept)
	if lane.Use < 2 {
		t.Fatalf("all exchanges of the lane are kept: %+v", lane)
	}
	if len(lane.Untold) == 0 || len(lane.Drawn) == 0 {
		t.Fatalf("what is not kept is drawn as idle: %+v", lane)
	}
	if known := lane.Leased - lane.Idle; lane.Untold[0][1] > known+1e-9 || lane.Drawn[0][0] < known-1e-9 {
		t.Errorf("idle is known of from %v on: %+v", known, lane)
	}
}

// testEvidence opens the evidence of a failure by mouse and by keyboard.
func testEvidence(t *testing.T, tab *tab) {
	at := eval[[]float64](tab, failureAt)
	tab.run(chromedp.MouseClickXY(at[0], at[1]))
	tab.until("evidence after a click", evidenceShown)
	if seq := eval[string](tab, `document.querySelector('.evidence').dataset.seq`); seq != fmt.Sprint(at[2]) {
		t.Errorf("the evidence is of request %s, clicked was that of %v", seq, at[2])
	}
	text := eval[string](tab, `document.querySelector('.evidence').textContent`)
	for _, want := range []string{"before_response / fin", "time by phase", `onerror="window.pwned=1"`, "2.400000 s"} {
		if !strings.Contains(text, want) {
			t.Errorf("the evidence has no %q: %s", want, text)
		}
	}
	tab.run(chromedp.Focus(".evidence", chromedp.ByQuery), chromedp.KeyEvent(kb.Escape))
	tab.until("no evidence after Escape", `!(`+evidenceShown+`)`)
	if !eval[bool](tab, `document.activeElement === document.querySelector('#lifelines .chart')`) {
		t.Error("Escape does not go back to the chart")
	}
	tab.run(chromedp.KeyEvent(kb.ArrowRight), chromedp.KeyEvent(kb.Enter))
	tab.until("evidence after Enter", evidenceShown)
	if !eval[bool](tab, `document.activeElement === document.querySelector('.evidence')`) {
		t.Error("Enter does not go to the evidence")
	}
	seq := eval[string](tab, `document.querySelector('.evidence').dataset.seq`)
	if seq == fmt.Sprint(at[2]) {
		t.Error("the arrow does not go to the next failure")
	}
	if said := eval[string](tab, `document.querySelector('#lifelines [role=status]').textContent`); !strings.Contains(said, "request "+seq+",") {
		t.Errorf("to those who hear the page it says %q", said)
	}
	tab.run(chromedp.Click(".evidence .buttons button", chromedp.ByQuery))
	tab.until("a closer look", `document.querySelector('.zoom').classList.contains('on')`)
}

// testTables opens the table of each chart.
func testTables(t *testing.T, tab *tab) {
	tab.run(chromedp.Evaluate(`document.querySelectorAll('main details').forEach((d) => { d.open = true; })`, nil))
	tab.until("tables with figures", `[...document.querySelectorAll('main details')].length === 7 && [...document.querySelectorAll('main details')].every((d) => d.querySelectorAll('td').length > 0)`)
	tab.run(chromedp.Evaluate(`document.querySelectorAll('main details').forEach((d) => { d.open = false; })`, nil))
}

// testWidths sees the page on a phone, on paper and in the dark.
func testWidths(t *testing.T, tab *tab) {
	const over = `document.documentElement.scrollWidth - document.documentElement.clientWidth`
	const tooWide = `[...document.querySelectorAll('main *, header *')].filter((e) => e.getBoundingClientRect().right > document.documentElement.clientWidth).map((e) => e.tagName + '.' + e.className)`
	const wide = `[...document.querySelectorAll('.chart')].filter((c) => c.querySelector('canvas').getBoundingClientRect().width > c.clientWidth + 1).length`
	tab.run(emulation.SetDeviceMetricsOverride(360, 740, 2, true))
	tab.until("charts as wide as a phone", wide+` === 0`)
	if px := eval[int](tab, over); px > 0 {
		t.Errorf("on a phone the page is %d pixels too wide: %v", px, eval[[]string](tab, tooWide))
	}
	tab.run(emulation.SetDeviceMetricsOverride(1200, 900, 1, false),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: "dark"}}))
	tab.until("a dark page", `getComputedStyle(document.body).backgroundColor === 'rgb(20, 23, 26)'`)
	tab.until("charts in the colours of the dark", `echarts.getInstanceByDom(document.querySelector('.chart')).getOption().series[2].lineStyle.color === '#5aaee8'`)
	var pdf []byte
	tab.run(chromedp.ActionFunc(func(ctx context.Context) (err error) {
		pdf, _, err = page.PrintToPDF().WithPaperWidth(8.27).WithPaperHeight(11.69).Do(ctx)
		return err
	}))
	if !strings.HasPrefix(string(pdf), "%PDF") || len(pdf) < 30_000 {
		t.Errorf("the printed page has %d bytes", len(pdf))
	}
	tab.until("the screen's colours after printing", `echarts.getInstanceByDom(document.querySelector('.chart')).getOption().series[2].lineStyle.color === '#5aaee8'`)
	tab.run(emulation.SetEmulatedMedia().WithMedia("print"), emulation.SetDeviceMetricsOverride(700, 900, 1, false))
	tab.run(chromedp.Evaluate(`window.dispatchEvent(new Event('beforeprint'))`, nil))
	if px := eval[int](tab, over); px > 0 {
		t.Errorf("on paper the page is %d pixels too wide: %v", px, eval[[]string](tab, tooWide))
	}
	if n := eval[int](tab, wide); n > 0 {
		t.Errorf("on paper %d charts are too wide", n)
	}
	if colour := eval[string](tab, `echarts.getInstanceByDom(document.querySelector('.chart')).getOption().series[2].lineStyle.color`); colour != "#0072b2" {
		t.Errorf("on paper the colour is %s", colour)
	}
}

// testNoInterval looks at a comparison in which one arm's interval is not known: it
// is not one from 0 to 0.
func testNoInterval(t *testing.T, b context.Context) {
	const name = results.MeasureResponse + ".p99"
	measure := func(m results.Measure) map[string]results.Measure { return map[string]results.Measure{name: m} }
	c := &results.Comparison{
		Confidence: 0.95, Verdict: "Nothing.",
		Arms: []results.Arm{
			{Name: "a", Runs: 2, Measures: measure(results.Measure{Unit: results.UnitSeconds, Known: true, Value: 0.02, Bounded: true, Low: 0.01, High: 0.03, Per: []float64{0.02, 0.02}})},
			{Name: "b", Runs: 1, Measures: measure(results.Measure{Unit: results.UnitSeconds, Known: true, Value: 0.04, Per: []float64{0.04}, Why: "one run has no interval"})},
		},
		Pairs: []results.Pair{{A: "a", B: "b", Verdict: "Nothing.", Tests: []results.Test{{Measure: name, Unit: results.UnitSeconds, Difference: 0.02, P: 1, PAdjusted: 1, Why: "one run"}}}},
	}
	tab := openTab(t, b, file(t, &Data{
		Kind: KindComparison, Title: "t", Headline: text.HeadlineOfComparison(c), Notes: []string{}, Comparison: c, Measures: [][2]string{{name, "response p99"}},
		Runs: []Run{gathered("a", false), brief("b")},
	}))
	testOwnAxis(t, tab)
	label := eval[string](tab, `[...document.querySelectorAll('.chart')].map((c) => c.getAttribute('aria-label') || '').find((l) => l.startsWith('response p99'))`)
	if !strings.Contains(label, "a 20.0 ms, 10.0 ms to 30.0 ms") || !strings.Contains(label, "b 40.0 ms, no interval") {
		t.Errorf("the chart is said to show %q", label)
	}
	tab.run(chromedp.Evaluate(`document.querySelectorAll('main details').forEach((d) => { d.open = true; })`, nil))
	tab.until("tables that say so", `[...document.querySelectorAll('tr')].filter((r) => r.textContent.includes('not knownnot known')).length === 2`)
	tab.quiet("file://")
}

// testHostile lets texts into every place there is, and looks at all of them.
func testHostile(t *testing.T, b context.Context) {
	tab := openTab(t, b, file(t, hostileData()))
	tab.run(chromedp.Evaluate(`document.querySelectorAll('details').forEach((d) => { d.open = true; }); [...document.querySelectorAll('[data-failure]')].find((b) => b.textContent.includes('/ fin')).click()`, nil))
	tab.until("all tables and evidence", `document.querySelectorAll('details td').length > 100 && `+evidenceShown)
	// An interval is drawn where there is one: of the failure rate, and not of the response time.
	if got := eval[[]int](tab, `[...document.querySelectorAll('#measures .chart')].map((c) => echarts.getInstanceByDom(c).getOption().series[0].data.length)`); len(got) != 2 || got[0]+got[1] != 2 {
		t.Errorf("%v intervals are drawn, want those of two arms in one picture", got)
	}
	// A tooltip of each chart is shown, where there may be one.
	for i := range eval[int](tab, `document.querySelectorAll('.chart').length`) {
		at := eval[[]float64](tab, fmt.Sprintf(`(() => { const c = document.querySelectorAll('.chart')[%d]; c.scrollIntoView({block: 'center'}); const r = c.getBoundingClientRect(); return [r.left + r.width / 2, r.top + r.height / 2]; })()`, i))
		tab.run(input.DispatchMouseEvent(input.MouseMoved, at[0], at[1]))
	}
	if eval[bool](tab, `'pwned' in window`) {
		t.Error("a hostile text was run")
	}
	if n := eval[int](tab, `document.querySelectorAll('img, svg:not(figure.race > svg, #picture svg), #picture svg :not(svg, g, title, text, tspan, rect, line, circle), iframe, figure.race svg > :not(rect, line, polygon, circle, text), figure.race text > :not(tspan), figure.race tspan > *').length`); n > 0 {
		t.Errorf("%d elements were made of hostile texts", n)
	}
	if drawn := eval[string](tab, `document.querySelector('figure.race').textContent`); !strings.Contains(drawn, "<script>window.pwned=1</script>") {
		t.Errorf("the drawn race says %q", drawn)
	}
	if n := eval[int](tab, `document.querySelectorAll('script').length`); n != 4 { // data, library twice, program
		t.Errorf("%d scripts, want 4", n)
	}
	for _, place := range []string{"#question", "#title", "#more", "#notes", "#measures h3", "#pairs .verdict", "#figures-table th:nth-child(2)", "#expectations td", "#lifelines .evidence", "#arms td", "#spelled h3", "#spelled td:nth-child(3)", "#error-table td", "#target-table th"} {
		var seen bool
		tab.run(chromedp.Evaluate(fmt.Sprintf(`[...document.querySelectorAll(%q)].some((e) => e.textContent.includes('<script>window.pwned=1</script>'))`, place), &seen))
		if !seen {
			t.Errorf("%s does not show the text as it is", place)
		}
	}
	tab.quiet("file://")
}

// testLive follows a run that goes on, and ends.
func testLive(t *testing.T, b context.Context) {
	s := synthetic{4000, 400}
	begun := s.doc()
	begun.Counts = results.Counts{}
	g := NewLiveGatherer("run", begun)
	var mu sync.Mutex
	var e results.Exchange
	allowed, seq := uint64(500), uint64(0) // the run goes on when the test lets it
	more := func(n uint64) {
		for range n {
			s.exchange(&e, seq)
			g.Observe(&e)
			seq++
		}
	}
	more(allowed)
	const all = 3500
	data := func() *Data {
		mu.Lock()
		defer mu.Unlock()
		d := g.Data()
		d.Live = seq < all
		return d
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _ = Write(w, data()) })
	mux.HandleFunc("GET /data.json", func(w http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		more(min(allowed-seq, 1000))
		mu.Unlock()
		_ = WriteData(w, data())
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	var first strings.Builder
	must(t, Write(&first, data()))
	if !strings.Contains(first.String(), "of 500 requests") || !strings.Contains(first.String(), ">Running</p>") {
		t.Errorf("at first: %s", first.String()[:4000])
	}
	tab := openTab(t, b, server.URL+"/")
	// The page draws itself again every second, and shows the part of the time that was chosen.
	tab.run(chromedp.Evaluate(`document.querySelectorAll('.zoom button')[2].click()`, nil))
	tab.until("a part of the time in every chart", extents+`.every(([from]) => from > 0)`)
	part := eval[[][2]float64](tab, extents)[0]
	mu.Lock()
	allowed = all
	mu.Unlock()
	tab.until("the end of the run", `document.getElementById('answer').textContent.includes('of 3500 requests') && document.getElementById('live').hidden`)
	tab.until("charts of the end", `[...document.querySelectorAll('.chart')].every((c) => c.dataset.drawn)`)
	for _, extent := range eval[[][2]float64](tab, extents) {
		if extent != part {
			t.Errorf("after the run it shows %v, chosen was %v", extent, part)
		}
	}
	// Only what has no icon of its own is asked for by the browser itself.
	tab.Ignore("favicon.ico")
	tab.quiet(server.URL+"/", "data:")
}

// The library is the one that its README names.
func TestLibraryIsAsPublished(t *testing.T) {
	library, err := assets.ReadFile("assets/echarts/echarts.min.js")
	must(t, err)
	readme, err := assets.ReadFile("assets/echarts/README.md")
	must(t, err)
	if sum := fmt.Sprintf("%x", sha256.Sum256(library)); !strings.Contains(string(readme), sum) {
		t.Errorf("the SHA-256 of echarts.min.js is %s, and its README has another", sum)
	}
}

// The texts of Data cannot end the script that they are in.
func TestDataCannotLeaveItsScript(t *testing.T) {
	d := hostileData()
	var b strings.Builder
	must(t, Write(&b, d))
	text := b.String()
	if n := strings.Count(text, "</script>"); n != 3 {
		t.Errorf("%d scripts end, want 3", n)
	}
	_, rest, _ := strings.Cut(text, `id="data">`)
	embedded, _, _ := strings.Cut(rest, "</script>")
	if strings.Contains(text, "<img") || strings.Contains(embedded, "\u2028") {
		t.Error("a hostile text is there as it is")
	}
	var back Data
	must(t, json.Unmarshal([]byte(embedded), &back))
	if back.Title != hostile {
		t.Errorf("read back: %q", back.Title)
	}
	if !strings.Contains(text, "default-src &#39;none&#39;") {
		t.Error("the page has no policy that allows nothing")
	}
}
