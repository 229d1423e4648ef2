package page

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/kabench/kabench/results"
)

// extents are the parts of the time that the charts show; reset zooms out.
const (
	extents = `[...document.querySelectorAll('.time .chart')].map((c) => echarts.getInstanceByDom(c).getModel().getComponent('xAxis', 0).axis.scale.getExtent())`
	reset   = `[...document.querySelectorAll('.zoom button')].find((b) => b.textContent === 'Reset zoom')`
)

// testZoom chooses a part of the time in one chart, by mouse, finger and keyboard.
func testZoom(t *testing.T, tab *tab) {
	tab.run(chromedp.Evaluate(reset+`.click()`, nil))
	tab.until("all of the time in every chart", extents+`.every(([from, to]) => from === 0 && to >= 10)`) // in the browser's next frame
	all := eval[[][2]float64](tab, extents)
	if len(all) != 6 {
		t.Fatalf("6 charts of time show all of it, not %v", all)
	}
	// Half of the traffic's time, from one quarter to three quarters.
	at := eval[[]float64](tab, `(() => { const c = document.querySelector('#traffic .chart'); c.scrollIntoView({block: 'center'}); const r = c.getBoundingClientRect(), x = (t) => r.left + echarts.getInstanceByDom(c).convertToPixel({xAxisIndex: 0}, t); return [x(2.5), x(7.5), r.top + 100]; })()`)
	tab.run(input.DispatchMouseEvent(input.MouseMoved, at[0], at[2]))
	const cursors = `[...document.querySelectorAll('.cursor:not([hidden])')].map((c) => echarts.getInstanceByDom(c.parentNode.querySelector('.chart')).convertFromPixel({xAxisIndex: 0}, parseFloat(c.style.left)))`
	seen := eval[[]float64](tab, cursors)
	for _, v := range seen {
		if v < 2.4 || v > 2.6 {
			t.Errorf("the cursor is at %v, want 2.5 s", seen)
		}
	}
	if len(seen) != len(all) {
		t.Errorf("%d charts show the cursor, want %d", len(seen), len(all))
	}
	tab.run(input.DispatchMouseEvent(input.MousePressed, at[0], at[2]).WithButton(input.Left).WithButtons(1).WithClickCount(1),
		input.DispatchMouseEvent(input.MouseMoved, at[1], at[2]).WithButton(input.Left).WithButtons(1),
		input.DispatchMouseEvent(input.MouseReleased, at[1], at[2]).WithButton(input.Left).WithClickCount(1))
	shows := func(how string, low, high, least float64) {
		t.Helper()
		tab.until(how, fmt.Sprintf(`%s.every(([a, b]) => a >= %v && b <= %v && b - a >= %v)`, extents, low, high, least))
	}
	shows("half of the time in every chart", 2.4, 7.6, 4.8)
	// Half of it again, by a finger.
	finger := func(kind input.TouchType, x ...float64) {
		points := []*input.TouchPoint{}
		for _, x := range x {
			points = append(points, &input.TouchPoint{X: x, Y: at[2]})
		}
		tab.run(input.DispatchTouchEvent(kind, points))
	}
	width := at[1] - at[0] // it is half of the chart's
	finger(input.TouchStart, at[0])
	finger(input.TouchMove, at[0]+width/2)
	finger(input.TouchMove, at[1])
	finger(input.TouchEnd)
	shows("a quarter of the time", 3.6, 6.4, 2.4)
	for range 11 {
		tab.run(chromedp.Evaluate(`document.querySelector('.zoom button[aria-label="Zoom in"]').focus()`, nil), chromedp.KeyEvent(kb.Enter))
	}
	tab.until("milliseconds", extents+`.every(([a, b]) => b - a < 2e-3 && b - a > 1e-3)`)
	// Lanes with nothing in that time are left out.
	lanes := eval[struct{ Shown, Inside, All int }](tab, `(() => {
		const all = JSON.parse(document.getElementById('data').textContent).runs[0].lifelines.lanes;
		const chart = echarts.getInstanceByDom(document.querySelector('#lifelines .chart')), [from, to] = `+extents+`[0];
		const inside = all.filter((l) => (l.opened < 0 ? l.exchanges[0].leased : l.opened) <= to && l.ended >= from).length;
		return { shown: chart.getOption().yAxis[0].data.length, inside: Math.min(inside, 24), all: all.length };
	})()`)
	if lanes.Shown != lanes.Inside || lanes.Inside >= lanes.All || lanes.Shown == 0 {
		t.Errorf("the lifelines show lanes %+v", lanes)
	}
	labels := eval[[]string](tab, `echarts.getInstanceByDom(document.querySelector('#pool .chart')).getModel().getComponent('xAxis', 0).axis.getViewLabels().map((l) => l.formattedLabel)`)
	if len(labels) < 2 || !strings.Contains(labels[1], "µs") && !strings.Contains(labels[1], "ms") {
		t.Errorf("the axis says %q", labels)
	}
	whole := func() {
		t.Helper()
		tab.until("all of the time", fmt.Sprintf(`JSON.stringify(%s) === JSON.stringify(%s)`, extents, marshal(t, all)))
	}
	tab.run(chromedp.KeyEvent(kb.Escape)) // in the bar, which has the focus
	whole()
	tab.run(input.DispatchMouseEvent(input.MouseWheel, at[0], at[2]).WithModifiers(input.ModifierCtrl).WithDeltaX(0).WithDeltaY(-200))
	shows("less of the time, around the pointer", 1.4, 5.6, 3)
	for n := range int64(2) {
		tab.run(input.DispatchMouseEvent(input.MousePressed, at[0], at[2]).WithButton(input.Left).WithButtons(1).WithClickCount(n+1),
			input.DispatchMouseEvent(input.MouseReleased, at[0], at[2]).WithButton(input.Left).WithClickCount(n+1))
	}
	whole()
}

func marshal(t *testing.T, v any) string {
	text, err := json.Marshal(v)
	must(t, err)
	return string(text)
}

// testSorting sorts a table by click and by keyboard.
func testSorting(t *testing.T, tab *tab) {
	const counts = `[...document.querySelectorAll('#error-table tbody tr')].map((r) => Number(r.children[3].textContent))`
	const sorted = `document.querySelector('#error-table th:nth-child(4)').getAttribute('aria-sort')`
	before := eval[[]int](tab, counts)
	if len(before) < 2 || !slices.IsSortedFunc(before, func(a, b int) int { return b - a }) || eval[string](tab, sorted) != "descending" {
		t.Fatalf("at first the counts are %v, %s", before, eval[string](tab, sorted))
	}
	tab.run(chromedp.Click(`#error-table th:nth-child(4) button`, chromedp.ByQuery))
	if after := eval[[]int](tab, counts); !slices.IsSorted(after) || eval[string](tab, sorted) != "ascending" {
		t.Errorf("after a click the counts are %v, %s", after, eval[string](tab, sorted))
	}
	tab.run(chromedp.Focus(`#error-table th:nth-child(2) button`, chromedp.ByQuery), chromedp.KeyEvent(kb.Enter))
	if causes := eval[[]string](tab, `[...document.querySelectorAll('#error-table tbody tr')].map((r) => r.children[1].textContent)`); !slices.IsSorted(causes) {
		t.Errorf("sorted by cause: %q", causes)
	}
}

// brief is a run of a second.
func brief(name string) Run {
	s := synthetic{400, 400}
	g := NewGatherer(name, s.doc())
	var e results.Exchange
	for seq := range s.n {
		s.exchange(&e, seq)
		g.Observe(&e)
	}
	return g.Run()
}

// testOwnAxis zooms in on the long run of a page: a run that is much shorter does not
// follow, because it may have ended by then.
func testOwnAxis(t *testing.T, tab *tab) {
	const ofTheFirst = `[...document.querySelectorAll('.time .chart')].map((c) => echarts.getInstanceByDom(c).getModel().getComponent('xAxis', 0).axis.scale.getExtent()).filter(([, to]) => to > 2)`
	all, long := len(eval[[][2]float64](tab, extents)), len(eval[[][2]float64](tab, ofTheFirst))
	tab.run(chromedp.Evaluate(`document.querySelector('.zoom button[aria-label="Zoom in"]').click()`, nil))
	tab.until("a part of the long run, and all of the short one", fmt.Sprintf(`(() => { const all = %s; return all.filter(([from, to]) => from === 0 && to <= 1.1).length === %d && all.filter(([from]) => from > 2).length === %d; })()`, extents, all-long, long))
	if long == 0 || long == all {
		t.Errorf("%d of %d charts are of the long run", long, all)
	}
}
