package text

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/results"
)

func headlineRun(change func(*results.Run)) *results.Run {
	run := &results.Run{
		Complete: true, Valid: true,
		Counts:      results.Counts{Due: 1040, Started: 1040, OK: 1040},
		Attempts:    1040,
		Reuse:       results.Reuse{Reused: 1040},
		Latency:     map[string]results.Quantiles{results.LatencyResponse: {Count: 1040, P50: 0.0517, P99: 0.0538}},
		Connections: results.Connections{Opened: 194},
	}
	if change != nil {
		change(run)
	}
	return run
}

func withFailures(run *results.Run) {
	run.Counts.OK, run.Counts.Failed = 936, 104
	run.Outcomes = []results.Outcome{
		{Phase: results.PhaseDone, Count: 936, Reused: true},
		{Phase: results.PhaseBeforeResponse, Cause: results.CauseRST, Reused: true, Count: 2},
		{Phase: results.PhaseBeforeResponse, Cause: results.CauseFIN, Reused: true, Count: 102},
	}
	run.IdleAtFailure = &results.Quantiles{Count: 104, P50: 0.996}
}

func TestHeadlineOfRun(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*results.Run)
		answer string
		good   bool
		first  string
	}{
		{"all well", nil, "None of 1040 requests failed; half were answered within 51.7 ms, and 99 in 100 within 53.8 ms.", true, "0.00 %"},
		{"failures", withFailures, "104 of 1040 requests failed: 102 of them before_response / fin on reused connections, idle for 996 ms in the median.", true, "10.0 %"},
		{"one kind", func(r *results.Run) {
			r.Counts.OK, r.Counts.Failed = 1039, 1
			r.Outcomes = []results.Outcome{{Phase: results.PhaseConnect, Cause: results.CauseRefused, Count: 1}}
		}, "1 of 1040 requests failed: all connect / refused.", true, "0.10 %"},
		{"no success", func(r *results.Run) {
			r.Counts.OK, r.Counts.Failed, r.Latency = 0, 1040, nil
			r.Outcomes = []results.Outcome{{Phase: results.PhaseConnect, Cause: results.CauseRefused, Count: 1040}}
		}, "Not one of 1040 requests succeeded: all connect / refused.", false, "100 %"},
		{"nothing", func(r *results.Run) { r.Counts, r.Attempts, r.Reuse = results.Counts{}, 0, results.Reuse{} }, "No request was started, so there is nothing to answer with.", false, "-"},
		{"unfinished", func(r *results.Run) { r.Counts.OK, r.Counts.Unfinished = 0, 1040 }, "None of the 1040 requests came to an end.", false, unknown},
		{"invalid", func(r *results.Run) { r.Valid, r.Invalid = false, []string{"the generator lagged"} }, "This run is invalid, and its figures do not say what they seem to: the generator lagged. None of 1040", false, "0.00 %"},
		{"not met", func(r *results.Run) {
			withFailures(r)
			r.Expect = []results.Expectation{{Path: "failures", Want: "0", Seen: "104"}, {Path: "valid", Met: true}}
		}, "median. Expected failures 0, seen 104.", false, "10.0 %"},
		{"cut off", func(r *results.Run) { r.Complete = false }, "The run was cut off; this is what was recorded until then.", false, "0.00 %"},
		{"interrupted", func(r *results.Run) { r.Interrupted = true }, "The run was stopped early.", false, "0.00 %"},
		{"errors only", func(r *results.Run) {
			r.Statuses = map[string]uint64{"500": 1000, "404": 40}
			r.ErrorAnswers = results.ErrorAnswers{Client: 40, Server: 1000}
		}, "1040 of 1040 answers were an error: 1000 with status 500, 40 with status 404. None of 1040 requests failed;", false, "0.00 %"},
		{"errors and failures", func(r *results.Run) {
			withFailures(r)
			r.Statuses = map[string]uint64{"200": 900, "503": 36}
			r.ErrorAnswers = results.ErrorAnswers{Server: 36}
		}, "in the median. 36 of 936 answers were an error: 36 with status 503.", true, "10.0 %"},
		{"dropped", func(r *results.Run) { r.Counts.Due, r.Counts.Dropped = 1050, 10 }, "10 of the 1050 requests due were never started", true, "0.00 %"},
		{"sent again", func(r *results.Run) {
			r.Attempts, r.Resends = 1041, results.Resends{Count: 1, Exchanges: 1, Rescued: 1}
		}, "1 request was ok only because the pool sent again.", true, "0.00 %"},
		{"unasked", func(r *results.Run) { r.Attempts = 1043 }, "3 requests were sent again below the pool, unasked.", true, "0.00 %"},
	} {
		h := HeadlineOfRun(headlineRun(tt.change))
		if !strings.Contains(h.Answer, tt.answer) || h.Good != tt.good || len(h.Figures) < 3 || h.Figures[0].Value != tt.first {
			t.Errorf("%s: %+v, want %q, good %v, %s first", tt.name, h, tt.answer, tt.good, tt.first)
		}
	}
}

func TestHeadlineOfReproduction(t *testing.T) {
	r := &results.Reproduction{
		Reproduced: true, IncidentRun: headlineRun(withFailures), Verdict: "So it was.\nSet the timeout.\n",
		RemedyRuns: []results.RemedyRun{
			{Remedy: "none", Run: headlineRun(withFailures)},
			{Remedy: "shorter", Cleared: true, Run: headlineRun(func(r *results.Run) { r.Connections.Opened = 312 })},
			{Remedy: "not made"},
		},
	}
	h := HeadlineOfReproduction(r)
	if h.Answer != "So it was. Set the timeout." || !h.Good || len(h.Figures) != 3 ||
		h.Figures[0].Value != "10.0 %" || h.Figures[1].Value != "0.00 %" || !strings.Contains(h.Figures[1].Label, "shorter") || h.Figures[2].Value != "194 → 312" {
		t.Errorf("%+v", h)
	}
	r.Verdict = "So it was.\nSet the timeout.\nWith \"a\", it is less.\n\nWith \"b\"\ntoo."
	if h = HeadlineOfReproduction(r); h.Answer != "So it was. Set the timeout." || len(h.More) != 3 || h.More[0] != "With \"a\", it is less." {
		t.Errorf("other remedies: %q, %q", h.Answer, h.More)
	}
	h = HeadlineOfReproduction(&results.Reproduction{IncidentRun: headlineRun(nil)})
	if !strings.HasPrefix(h.Answer, "Not reproduced. None of 1040 requests failed") || h.Good || len(h.Figures) != 3 {
		t.Errorf("without remedies: %+v", h)
	}
	if h = HeadlineOfReproduction(&results.Reproduction{}); !strings.HasPrefix(h.Answer, "Not judged") {
		t.Errorf("empty: %+v", h)
	}
}

// An incident without failures is about another effect, and its figures show which.
func TestHeadlineOfAnIncidentWithoutFailures(t *testing.T) {
	slow := headlineRun(func(r *results.Run) {
		r.Latency = map[string]results.Quantiles{results.LatencyResponse: {Count: 1040, P50: 0.25}}
		r.Statuses = map[string]uint64{"200": 1000, "502": 40}
		r.Expect = []results.Expectation{{Path: "failures"}, {Path: "response.p50"}, {Path: "response.p50"}, {Path: "statuses.502"}, {Path: "connections.opened"}, {Path: "buffer.max"}}
	})
	quick := headlineRun(func(r *results.Run) {
		r.Latency = map[string]results.Quantiles{results.LatencyResponse: {Count: 1040, P50: 0.05}}
		r.Expect = []results.Expectation{{Path: "counts.ok"}}
	})
	r := &results.Reproduction{Reproduced: true, IncidentRun: slow, RemedyRuns: []results.RemedyRun{{Remedy: "reuse", Cleared: true, Run: quick}}, Verdict: "So."}
	var got []string
	for _, f := range HeadlineOfReproduction(r).Figures {
		got = append(got, f.Value+" "+f.Label)
	}
	want := []string{"40 → 0 statuses.502, before and after", "250 ms → 50.0 ms response.p50, before and after", "194 → 194 connections opened, before and after"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	slow.Expect = nil
	if figures := HeadlineOfReproduction(r).Figures; len(figures) != 3 || !strings.Contains(figures[0].Label, "failed") || !strings.Contains(figures[1].Label, "in the incident") {
		t.Errorf("nothing shifted: %+v", figures)
	}
}

func TestHeadlineOfComparison(t *testing.T) {
	rate := func(v float64) map[string]results.Measure {
		return map[string]results.Measure{results.MeasureFailureRate: {Unit: results.UnitRatio, Known: true, Value: v}, results.MeasureOpened: {Unit: results.UnitCount, Known: true, Value: 1000 * v}}
	}
	c := &results.Comparison{Verdict: "b fails less.", Arms: []results.Arm{
		{Name: "a", Runs: 3, Measures: rate(0.1)}, {Name: "b", Runs: 3, Measures: rate(0.09)}, {Name: "c", Runs: 2, Excluded: 1, Measures: rate(0)},
	}}
	h := HeadlineOfComparison(c)
	if h.Answer != "b fails less. 1 run was left out." || !h.Good || len(h.Figures) != 3 ||
		h.Figures[0] != (Figure{"10.0 % → 0.00 %", "failure rate", "a → c"}) || h.Figures[1].Value != unknown || h.Figures[2].Value != "100 → 0.00" {
		t.Errorf("%+v", h)
	}
	if h = HeadlineOfComparison(&results.Comparison{Interrupted: true, Arms: []results.Arm{{Name: "a"}}}); h.Good ||
		!strings.HasPrefix(h.Answer, "There are not two") || !strings.HasSuffix(h.Answer, "stopped early.") || len(h.Figures) != 3 {
		t.Errorf("one arm: %+v", h)
	}
}
