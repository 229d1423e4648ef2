package compare

import (
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/text"
)

// Failures have a half of the chance of a false finding, p50 and p99 a quarter, all
// the rest a quarter.
func TestWeights(t *testing.T) {
	var open []*question
	for _, name := range []string{results.MeasureFailureRate, p99, results.MeasureResponse + ".p50", "service.p99", "acquire.p99", results.MeasureOpened, results.MeasureCPU} {
		open = append(open, &question{measure: measure{name: name}})
	}
	weigh(open)
	for i, want := range []float64{0.5, 0.125, 0.125, 0.0625, 0.0625, 0.0625, 0.0625} {
		if !close(open[i].weight, want) {
			t.Errorf("%s has %v, want %v", open[i].measure.name, open[i].weight, want)
		}
	}
	// What a class without questions would have goes to the others.
	weigh(open[3:])
	if !close(open[3].weight, 0.25) {
		t.Errorf("alone the rest has %v each, want a quarter of four", open[3].weight)
	}
	// Where nothing fails, what a rate of failures would have taken is said at its half.
	none := &question{measure: measure{name: results.MeasureFailureRate}, why: "none"}
	if got := asIfTested(none, append(open[1:], none)); !close(got, 0.5) {
		t.Errorf("without any failure the failure rate has %v, want a half", got)
	}
}

// The verdict names the detectable difference only if that is useful.
func TestUnseenDifferences(t *testing.T) {
	seconds := func(v float64) results.Measure {
		return results.Measure{Unit: results.UnitSeconds, Known: true, Value: v}
	}
	ratio := func(v float64) results.Measure {
		return results.Measure{Unit: results.UnitRatio, Known: true, Value: v}
	}
	for _, tt := range []struct {
		a, b     results.Measure
		test     results.Test
		say, not string
	}{
		{seconds(0.033), seconds(0.023), results.Test{Detectable: 0.672, RepeatsNeeded: 45, Method: "x"},
			"No significant difference in response p99 (33.0 ms and 23.0 ms). To detect a difference as small as the one seen, in 80 % of such experiments, takes about 45 repeats.", "672"},
		{seconds(0.033), seconds(0.033), results.Test{Detectable: 0.672, Method: "x"}, "(33.0 ms in both). These runs vary too much to detect even twice this value; make more with --repeats.", "672"},
		{seconds(0.033), seconds(0.031), results.Test{Detectable: 0.01, RepeatsNeeded: 1001, Method: "x"},
			"A difference of 10.0 ms would have been detected in 80 % of such experiments. To detect a difference as small as the one seen takes more than 1000 repeats.", "about"},
		{ratio(0), ratio(0), results.Test{Detectable: 0.004, Why: "none in any run of both settings"}, "(0.00 % in both). A difference of 0.40 % would have been detected in 80 % of such experiments.", "repeats"},
		{seconds(0.033), seconds(0.031), results.Test{Why: "one run does not show how much runs vary"}, "can be separated from chance (33.0 ms and 31.0 ms): one run", "80 %"},
	} {
		tt.test.Unit = tt.a.Unit
		tt.test.Measure = p99
		if tt.a.Unit == results.UnitRatio {
			tt.test.Measure = results.MeasureFailureRate
		}
		j := judge{c: &results.Comparison{Seed: 1, Arms: []results.Arm{
			{Name: "a", Measures: map[string]results.Measure{tt.test.Measure: tt.a}}, {Name: "b", Measures: map[string]results.Measure{tt.test.Measure: tt.b}},
		}}}
		got := j.unseen(&results.Pair{A: "a", B: "b"}, &tt.test)
		if !strings.Contains(got, tt.say) || strings.Contains(got, tt.not) {
			t.Errorf("want %q, and not %q, in:\n%s", tt.say, tt.not, got)
		}
	}
}

// A comparison that was interrupted in its first run says so, and nothing else.
func TestInterruptedInTheFirstRun(t *testing.T) {
	run := setting{fails: 0.1, p99: 0.05}.simulated(rand.New(rand.NewPCG(1, 1)))
	run.Interrupted = true
	c := &results.Comparison{Seed: 1, Interrupted: true, Confidence: 0.95, Arms: []results.Arm{{Name: "a"}, {Name: "b"}}, Runs: []results.ComparedRun{{Arm: "a", Block: 1}}}
	judged(t, c, []Run{{Doc: run}})
	if want := "Interrupted before there was a valid run: nothing was compared."; c.Verdict != want || len(c.Warnings) > 0 {
		t.Errorf("%q, and %q, want %q", c.Verdict, c.Warnings, want)
	}
	var report strings.Builder
	if err := text.RenderComparison(&report, c); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(report.String(), " - ") || strings.Contains(report.String(), "failure rate") || strings.Count(report.String(), "\n") > 3 {
		t.Errorf("more than a line:\n%s", report.String())
	}
}
