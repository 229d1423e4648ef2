package page

import (
	"testing"

	"github.com/kabench/kabench/internal/chromium"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/text"
)

// TestLooks sees the page of each kind on a wide screen, a tablet, a phone, in the dark
// and on paper: nothing is too wide, and it looks as in testdata/looks.
//
//	KABENCH_PICTURES=write go test -run TestLooks ./results/page                 writes the pictures again
//	go test -run TestLooks ./results/page -artifacts -outputdir /tmp/pictures    keeps large ones, to look at
func TestLooks(t *testing.T) {
	b := chromium.Start(t)
	for name, d := range looked() {
		t.Run(name, func(t *testing.T) {
			tab := openTab(t, b, file(t, d))
			chromium.Pictures(t, tab.ctx, "testdata/looks", name, func() {
				tab.until("every chart has its place", `[...document.querySelectorAll('.chart')].every((c) => c.dataset.drawn && c.querySelector('canvas, svg').getBoundingClientRect().width <= c.clientWidth + 1)`)
			})
			tab.quiet("file://")
		})
	}
}

// looked are pages of computed runs, one of each kind and an invalid one.
func looked() map[string]*Data {
	incident, remedy := bursts{}.run(8), bursts{idleTimeout: 500 * ms}.run(8)
	incident.Name, remedy.Name = "incident", "the client's idle timeout is shorter"
	run := queue{workers: 8, rate: 100, service: 50 * ms, from: 3, to: 3.6, slow: 300 * ms}.run(8)
	late := queue{workers: 8, rate: 100, service: 50 * ms, from: 3, to: 3.6, slow: 300 * ms}.run(8)
	invalid := *late.Doc
	invalid.Valid, invalid.Invalid = false, []string{"kabench fell behind: 1 % of requests started at least 83 ms late (load.max_lag is 50 ms)"}
	late.Doc = &invalid
	rep := &results.Reproduction{
		Incident: "idle-race", Question: "How often does a request meet the server's close?", Reproduced: true,
		Verdict:     "Reproduced: requests met the server's close.\nA shorter idle timeout of the client clears it.",
		IncidentRun: incident.Doc, RemedyRuns: []results.RemedyRun{{Remedy: remedy.Name, Cleared: true, Run: remedy.Doc}},
	}
	c := comparedPools()
	return map[string]*Data{
		"run":      {Kind: KindRun, Title: "queue", Question: "What do slow answers do to the queue?", Headline: text.HeadlineOfRun(run.Doc), Notes: []string{}, Runs: []Run{run}},
		"invalid":  {Kind: KindRun, Title: "queue", Question: "What do slow answers do to the queue?", Headline: text.HeadlineOfRun(late.Doc), Notes: []string{}, Runs: []Run{late}},
		"incident": {Kind: KindReproduction, Title: "idle-race", Question: rep.Question, Headline: text.HeadlineOfReproduction(rep), Notes: []string{}, Runs: []Run{incident, remedy}},
		"comparison": {
			Kind: KindComparison, Title: "pools", Question: "Which pool fails least?", Headline: text.HeadlineOfComparison(c), Notes: []string{}, Comparison: c,
			Measures: [][2]string{{results.MeasureFailureRate, results.MeasureLabel(results.MeasureFailureRate)}, {results.MeasureResponse + ".p99", results.MeasureLabel(results.MeasureResponse + ".p99")}},
			Runs:     []Run{incident, remedy, run},
		},
	}
}

// comparedPools is a comparison of three pools, whose figures are made up.
func comparedPools() *results.Comparison {
	measures := func(rate, p99 float64) map[string]results.Measure {
		around := func(unit results.Unit, v float64) results.Measure {
			return results.Measure{Unit: unit, Known: true, Bounded: true, Value: v, Low: 0.8 * v, High: 1.2 * v, Per: []float64{0.9 * v, v, 1.1 * v}}
		}
		return map[string]results.Measure{
			results.MeasureFailureRate:       around(results.UnitRatio, rate),
			results.MeasureResponse + ".p99": around(results.UnitSeconds, p99),
		}
	}
	c := &results.Comparison{
		Name: "pools", Question: "Which pool fails least?", Confidence: 0.95, Repeats: 3, Start: story("x", "{}", 1).Start, End: story("x", "{}", 1).End,
		Verdict: "reactor-netty fails most; okhttp and hc5 do not differ.", Warnings: []string{},
		Arms: []results.Arm{
			{Name: "reactor-netty", Runs: 3, Change: map[string]string{"pool.preset": "reactor-netty"}, Measures: measures(0.1, 0.02)},
			{Name: "okhttp", Runs: 3, Change: map[string]string{"pool.preset": "okhttp"}, Measures: measures(0.02, 0.021)},
			{Name: "hc5", Runs: 3, Change: map[string]string{"pool.preset": "hc5"}, Measures: measures(0.021, 0.03)},
		},
	}
	for _, p := range [][2]string{{"reactor-netty", "okhttp"}, {"reactor-netty", "hc5"}, {"okhttp", "hc5"}} {
		c.Pairs = append(c.Pairs, results.Pair{A: p[0], B: p[1], Verdict: p[0] + " and " + p[1] + " were compared.", Tests: []results.Test{
			{Measure: results.MeasureFailureRate, Unit: results.UnitRatio, Method: "t test", Difference: -0.08, P: 0.001, PAdjusted: 0.003, EffectName: "large"},
		}})
	}
	return c
}
