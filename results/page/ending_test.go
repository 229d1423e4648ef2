package page

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/kabench/kabench/internal/chromium"
	"github.com/kabench/kabench/results"
)

// The end of a connection in words: who closed it, how, after which idle time, and why.
func TestEndText(t *testing.T) {
	const never = results.Never
	ls := newLifelines(1)
	ls.poolIdle = 500 * ms
	for want, e := range map[string]results.ConnectionEnd{
		"closed by us (FIN) after 500 ms idle: pool.idle_timeout":                                           {By: results.EndUs, How: results.HowFIN, Idle: 500 * ms, Reason: "expired"},
		"closed by us (FIN) after 988 ms idle: pool.idle_timeout of 500 ms was over when the pool looked":   {By: results.EndUs, How: results.HowFIN, Idle: 988 * ms, Reason: "expired"},
		"closed by us (FIN) after 100 ms idle: the time that the server's Keep-Alive header announced":      {By: results.EndUs, How: results.HowFIN, Idle: 100 * ms, Reason: "expired"},
		"closed by us (FIN) right after its last exchange: pool.max_requests":                               {By: results.EndUs, How: results.HowFIN, Reason: "max_requests"},
		"closed by us (RST): its exchange did not end in order":                                             {By: results.EndUs, How: results.HowRST, Idle: never, Reason: "broken"},
		"closed by us (TLS close_notify) after 20.0 ms idle: the end of the run":                            {By: results.EndUs, How: results.HowCloseNotify, Idle: 20 * ms, Reason: "shutdown"},
		"closed by us (FIN) after 2.00 s idle":                                                              {By: results.EndUs, How: results.HowFIN, Idle: 2 * time.Second},
		"closed by the server (FIN) after 1.00 s idle: its idle timer ran out":                              {By: results.EndPeer, How: results.HowFIN, Idle: time.Second, Reason: "peer_closed", Server: "idle_timeout"},
		"closed by the server (FIN) after 1.00 s idle; we closed our side 2.00 s later":                     {By: results.EndPeer, How: results.HowFIN, Idle: time.Second, Closed: 2 * time.Second},
		"closed by the server (FIN) while a request was on it: it had served as many requests as it allows": {By: results.EndPeer, How: results.HowFIN, Idle: never, Server: "max_requests"},
		"reset by the server (RST) while a request was on it: as its script says":                           {By: results.EndReset, How: results.HowRST, Idle: never, Server: "fault"},
		"closed, but which side was first could not be seen after 1.00 s idle":                              {Idle: time.Second},
		"closed by the server (FIN) after 1.00 s idle: a word of a later kabench":                           {By: results.EndPeer, How: results.HowFIN, Idle: time.Second, Server: "a word of a later kabench"},
	} {
		if got := ls.endText(&e); got != want {
			t.Errorf("%+v:\n%s, want\n%s", e, got, want)
		}
	}
}

// A lane without an end says why it is not known.
func TestUnknownEnds(t *testing.T) {
	doc := story("old", `{}`, 10)
	for want, c := range map[string]struct {
		complete, ends bool
		oneIn          uint64
	}{
		"the record does not say":            {complete: true},
		"it was open when the record ended":  {ends: true},
		"one in 7 of such ends was recorded": {complete: true, ends: true, oneIn: 7},
		"its end was not seen":               {complete: true, ends: true},
	} {
		doc := *doc
		doc.Complete, doc.Recording.SuccessesOneIn = c.complete, c.oneIn
		g := NewGatherer("old", &doc)
		var e results.Exchange
		e.Reset(1, 0)
		e.Start, e.Leased, e.Done, e.Conn, e.Use, e.Phase, e.Connected = 0, 0, ms, 1, 1, results.PhaseDone, 0
		g.Observe(&e)
		if c.ends {
			g.Ended(&results.ConnectionEnd{Conn: 2})
		}
		if lane := g.Run().Lifelines.Lanes[0]; !strings.Contains(lane.How, want) || lane.End != nil {
			t.Errorf("%q, want %q", lane.How, want)
		}
	}
}

// A race is to scale between its breaks, and a silence of a second is a break.
func TestRaceIsToScale(t *testing.T) {
	r := race{packets: []flight{
		{sent: 0, arrived: 0.005, fromClient: true, kind: "data"}, {sent: 1.007, arrived: 1.012, kind: "fin"}, {sent: 1.009, arrived: 1.014, fromClient: true, kind: "data"},
	}}
	p := r.plan()
	if len(p.breaks) != 1 || p.moments[p.breaks[0]] != 1.007 {
		t.Errorf("breaks before %v of %v", p.breaks, p.moments)
	}
	perMS := (p.place(0.005) - p.place(0)) / 5
	for _, pair := range [][2]float64{{1.007, 1.009}, {1.009, 1.012}, {1.007, 1.014}} {
		if got := p.place(pair[1]) - p.place(pair[0]); math.Abs(got-perMS*(pair[1]-pair[0])*1000) > 1e-6 {
			t.Errorf("%v takes %v pixels, at %v for a millisecond", pair, got, perMS)
		}
	}
}

// Without packets a failure is drawn from the client's stamps: what the server did is there if
// it is kabench's own, and is not made up if it is not.
func TestRaceOfStamps(t *testing.T) {
	var e results.Exchange
	e.Reset(7, time.Second)
	e.Start, e.Leased, e.Wrote, e.Done = e.Due, e.Due, e.Due+40*time.Microsecond, e.Due+9*ms
	e.Conn, e.Use, e.Idle, e.Age, e.BytesOut = 3, 4, 992*ms, 993*ms, 62
	e.Phase, e.Cause = results.PhaseBeforeResponse, results.CauseFIN
	end := results.ConnectionEnd{Conn: 3, Ended: e.Done, Closed: e.Done, By: results.EndPeer, How: results.HowFIN, Server: "idle_timeout", ServerAt: e.Due + 4*ms}
	for name, c := range map[string]struct {
		end        *results.ConnectionEnd
		has, not   []string
		dashed     int
		arrowHeads int
	}{
		"our own server": {&end, []string{"request, 62 B", "timer ran out:", ">FIN sent <", "+3960 µs", "they cross", "request would arrive:", "FIN arrives:", "+8960 µs", "\u2212992.040 ms"}, []string{"not seen"}, 1, 2},
		"another server": {nil, []string{"server (not seen)", "request, 62 B", "FIN arrives:", "+8960 µs"}, []string{"timer", "they cross", "would arrive", "FIN sent"}, 2, 1},
	} {
		r, ok := raceOfStamps(&e, c.end)
		svg := r.svg("x")
		for _, want := range c.has {
			if !strings.Contains(svg, want) {
				t.Errorf("%s: no %q in\n%s", name, want, svg)
			}
		}
		for _, bad := range c.not {
			if strings.Contains(svg, bad) {
				t.Errorf("%s: %q in\n%s", name, bad, svg)
			}
		}
		if n := strings.Count(svg, `stroke-dasharray="6 4"`); !ok || n != c.dashed || strings.Count(svg, "<polygon") != c.arrowHeads {
			t.Errorf("%s: %d lines are dashed, %d arrows end, want %d, %d", name, n, strings.Count(svg, "<polygon"), c.dashed, c.arrowHeads)
		}
	}
	e.Wrote = results.Never
	if _, ok := raceOfStamps(&e, nil); ok {
		t.Error("a failure is drawn on which nothing was sent")
	}
}

// In the page each lane ends with a mark that says who closed; the first failure is drawn
// without a click, and a button shows its milliseconds in all charts of time.
func TestEndsInABrowser(t *testing.T) {
	d := &Data{Kind: KindReproduction, Title: "bursts", Notes: []string{}, Runs: []Run{bursts{}.run(4), bursts{idleTimeout: 500 * ms}.run(4)}}
	d.Runs[1].Name = "remedy"
	tab := openTab(t, chromium.Start(t), file(t, d))
	const option = `const option = (i) => echarts.getInstanceByDom(document.querySelectorAll('#lifelines .chart')[i]).getOption();
		const data = (i, name) => (option(i).series.find((s) => s.name === name) || { data: [] }).data;`
	inPage := func(js string) string { return `(() => {` + option + js + `})()` }
	type lanes struct{ Us, Peer, Failures, Timers int }
	for i, want := range []lanes{{3, 3, 3, 3}, {12, 0, 0, 0}} {
		got := eval[lanes](tab, inPage(`return { Us: data(`+string(rune('0'+i))+`, 'closed by us').length, Peer: data(`+string(rune('0'+i))+`, 'closed by the server').length,
			Failures: data(`+string(rune('0'+i))+`, 'failure').length, Timers: data(`+string(rune('0'+i))+`, 'the server\u2019s timer').length };`))
		if got != want {
			t.Errorf("run %d: %+v, want %+v", i, got, want)
		}
	}
	const ours = "closed by us (FIN) after 500 ms idle: pool.idle_timeout"
	if tip := eval[string](tab, inPage(`return option(1).tooltip[0].formatter({ seriesName: 'closed by us', value: data(1, 'closed by us')[0].value });`)); !strings.Contains(tip, "conn 1: "+ours) {
		t.Errorf("the tooltip says %q", tip)
	}
	if tails := eval[[]float64](tab, inPage(`return data(1, 'idle').map((x) => x.value[1] - x.value[0]);`)); len(tails) != 12 || math.Abs(tails[0]-0.5) > 1e-6 {
		t.Errorf("the idle times drawn are %v, want 12 of 0.5 s", tails)
	}
	tab.run(chromedp.Evaluate(`document.querySelectorAll('#lifelines .chart')[1].focus()`, nil), chromedp.KeyEvent(kb.ArrowDown))
	tab.until("what the key says", `[...document.querySelectorAll('#lifelines [role=status]')].some((s) => s.textContent === 'Lane 1 of 12: conn 1, `+ours+`')`)
	if drawn := eval[string](tab, `document.querySelector('#lifelines .first-race svg').textContent`); !strings.Contains(drawn, "timer ran out") || !strings.Contains(drawn, "they cross") {
		t.Errorf("the first failure is drawn as %q", drawn)
	}
	tab.run(chromedp.Click(`#lifelines .first-race button`, chromedp.ByQuery))
	tab.until("the milliseconds around the failure in all charts of time", extents+`.every(([from, to]) => to - from > 0.005 && to - from < 0.1)`)
	if got := eval[float64](tab, `Math.max(...`+extents+`.map(([from, to]) => to)) - Math.min(...`+extents+`.map(([from]) => from))`); got > 0.1 {
		t.Errorf("the charts show parts of %v s", got)
	}
	tab.quiet("file://")
}
