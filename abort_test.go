package kabench

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/text"
)

// A run that would last an hour ends when what it must not see is seen, and its
// results say so and are kept.
func TestAbortWhenStopsARun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		when map[string]string
		path string
	}{
		"a share of failures": {map[string]string{"failures.rate": "> 50%", "counts.dropped": "> 1000000"}, "failures.rate"},
		"a count of a cause":  {map[string]string{"failures.before_response.fin": ">= 5 after 10 requests"}, "failures.before_response.fin"},
		"connections":         {map[string]string{"connections.opened": "> 5 after 100ms"}, "connections.opened"},
		"a latency":           {map[string]string{"failed.response.p99": ">= 0"}, "failed.response.p99"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "out")
			p := load(t, "quick", "load.duration=1h", "target.lab.fault=close_before_response")
			p.AbortWhen, p.Expect = c.when, nil
			run, err := Run(t.Context(), p, Options{Out: dir})
			if err != nil {
				t.Fatal(err)
			}
			if run.Stopped == nil || run.Stopped.Path != c.path || run.Stopped.When != c.when[c.path] || run.Stopped.Seen == "" || run.Stopped.At <= 0 {
				t.Fatalf("stopped: %+v", run.Stopped)
			}
			if !run.Interrupted || !run.Complete || !run.Counts.Balance() || run.Counts.Failed == 0 || run.Counts.Unfinished > 0 {
				t.Errorf("interrupted %v, complete %v, %+v", run.Interrupted, run.Complete, run.Counts)
			}
			d, err := record.Open(dir)
			if err != nil {
				t.Fatal(err)
			}
			kept, err := d.Run()
			if err != nil || kept.Stopped == nil || *kept.Stopped != *run.Stopped {
				t.Errorf("kept: %+v, %v", kept.Stopped, err)
			}
			var report strings.Builder
			if text.RenderRun(&report, kept); !strings.Contains(report.String(), "by abort_when: "+c.path) {
				t.Errorf("the report does not say what stopped the run:\n%s", report.String())
			}
		})
	}
}

func TestAbortWhenLetsARunBe(t *testing.T) {
	t.Parallel()
	p := load(t, "quick", "load.duration=2s")
	p.AbortWhen = map[string]string{"failures": "> 0", "response.p50": "> 30s", "failures.rate": ">= 0% after 1h"}
	run, err := Run(t.Context(), p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if run.Stopped != nil || run.Interrupted || run.Counts.OK != 200 {
		t.Errorf("stopped %+v, %+v", run.Stopped, run.Counts)
	}
}

// When the last request has been sent there is nothing left to stop: rates that
// fall while the last answers are waited for stop no run.
func TestAbortWhenIsNotAskedAtTheEnd(t *testing.T) {
	t.Parallel()
	p := load(t, "quick", "load.duration=1s", "load.warm_up=0", "target.lab.delay=3s")
	p.AbortWhen, p.Expect = map[string]string{"rate.throughput": "< 50/s after 1100ms"}, nil
	run, err := Run(t.Context(), p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if run.Stopped != nil || run.Interrupted || run.Counts.OK != 100 {
		t.Errorf("stopped %+v, %+v", run.Stopped, run.Counts)
	}
}

func TestBaseline(t *testing.T) {
	t.Parallel()
	base := load(t, "quick", "load.duration=1s", "load.warm_up=0")
	base.Expect = nil
	earlier, err := Run(t.Context(), base, Options{})
	if err != nil {
		t.Fatal(err)
	}
	asks := func(sets ...string) *profiles.Profile {
		p := load(t, "quick", append([]string{"load.duration=1s", "load.warm_up=0"}, sets...)...)
		p.Expect = map[string]string{"failures": "not worse than baseline", "response.p99": "> 0% of baseline", "connections.opened": "> 0% of baseline"}
		return p
	}
	run, err := Run(t.Context(), asks(), Options{Baseline: &Baseline{Dir: "before", Run: earlier}})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range run.Expect {
		if !e.Met || !strings.Contains(e.Seen, "baseline") {
			t.Errorf("%+v", e)
		}
	}
	if run.Baseline == nil || run.Baseline.Dir != "before" || run.Baseline.Name != "quick" || !run.Baseline.Start.Equal(earlier.Start) {
		t.Errorf("%+v", run.Baseline)
	}
	alone := 0
	for _, w := range run.Warnings {
		switch {
		case strings.Contains(w, "With one baseline it is not known how much such runs differ from each other"):
			alone++
		case strings.Contains(w, "baseline"):
			t.Errorf("a run like its baseline is warned of: %s", w)
		}
	}
	if alone != 1 {
		t.Errorf("what one baseline cannot tell is not said: %q", run.Warnings)
	}

	// Those of a directory are sifted: of the same pool, valid and whole.
	other := asks("pool.max_idle=0")
	elsewhere, err := Run(t.Context(), other, Options{Baseline: &Baseline{Dir: "before", Run: earlier}})
	if err != nil {
		t.Fatal(err)
	}
	several := &Baseline{Dir: "a", Run: elsewhere, Sifted: true, Others: []*Baseline{{Dir: "b", Run: earlier}, {Dir: "c", Run: run}}}
	both, err := Run(t.Context(), asks(), Options{Baseline: several})
	if err != nil {
		t.Fatal(err)
	}
	if b := both.Baseline; b.Dir != "b" || len(b.Others) != 1 || b.Others[0].Dir != "c" {
		t.Errorf("of several: %+v", b)
	}
	if _, err := Run(t.Context(), asks(), Options{Baseline: &Baseline{Dir: "a", Run: elsewhere, Sifted: true}}); err == nil || !strings.Contains(err.Error(), "no run given as a baseline is complete and valid and has the pool and client of this run") {
		t.Errorf("none of them fits: %v", err)
	}

	// What fails throughout is worse, and stops by a condition on the baseline.
	p := asks("target.lab.fault=close_before_response", "load.duration=1h")
	p.AbortWhen = map[string]string{"failures": "> 200% of baseline"}
	run, err = Run(t.Context(), p, Options{Baseline: &Baseline{Dir: "before", Run: earlier}})
	if err != nil {
		t.Fatal(err)
	}
	if run.Stopped == nil || !strings.Contains(run.Stopped.Seen, "(baseline 0)") {
		t.Errorf("stopped: %+v", run.Stopped)
	}
	if e := run.Expect[1]; e.Path != "failures" || e.Met || !strings.Contains(e.Seen, "worse from") {
		t.Errorf("%+v", e)
	}
	warned := strings.Join(run.Warnings, "\n")
	if !strings.Contains(warned, "load.duration was") || !strings.Contains(warned, "target.lab.fault") {
		t.Errorf("another target is not warned of: %s", warned)
	}
}

// What cannot be compared is refused before there is any traffic.
func TestBaselineThatDoesNotFit(t *testing.T) {
	t.Parallel()
	base := load(t, "quick", "load.duration=1s")
	base.Expect = nil
	earlier, err := Run(t.Context(), base, Options{})
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*results.Run)) *Baseline {
		run := *earlier
		change(&run)
		return &Baseline{Dir: "before", Run: &run}
	}
	for name, c := range map[string]struct {
		sets     []string
		baseline *Baseline
		say      string
	}{
		"lost agents": {nil, with(func(r *results.Run) {
			r.Outcomes = append(slices.Clone(r.Outcomes), results.Outcome{Cause: results.CauseAgentLost, Count: r.Counts.Due / 2})
		}), "the baseline before had less load than its profile asks for: 50.0 % of its requests were lost with agents"},
		"none":        {nil, nil, "these conditions name one: failures, abort_when.counts.failed; give an earlier run with 'kabench run --baseline DIR'"},
		"other rate":  {[]string{"load.rate=50/s"}, with(func(*results.Run) {}), `load.rate was "100/s" and is "50/s"`},
		"invalid":     {nil, with(func(r *results.Run) { r.Valid, r.Invalid = false, []string{"it lagged"} }), "is invalid, so nothing can be compared with it: it lagged"},
		"cut off":     {nil, with(func(r *results.Run) { r.Complete = false }), "was cut off"},
		"interrupted": {nil, with(func(r *results.Run) { r.Interrupted = true }), "was stopped early"},
	} {
		p := load(t, "quick", append([]string{"load.duration=1s", "target.lab=null", "target.url=http://127.0.0.1:1/"}, c.sets...)...)
		p.Expect, p.AbortWhen = map[string]string{"failures": "not worse than baseline"}, map[string]string{"counts.failed": "> baseline"}
		run, err := Run(t.Context(), p, Options{Baseline: c.baseline})
		if run != nil || err == nil || !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v, want %q", name, err, c.say)
		}
	}
	// A profile that cannot be read, and one that asks nothing of its baseline.
	p := load(t, "quick", "load.duration=1s")
	p.Expect = nil
	run, err := Run(t.Context(), p, Options{Baseline: with(func(r *results.Run) { r.Profile = nil })})
	if err != nil {
		t.Fatal(err)
	}
	warned := strings.Join(run.Warnings, "\n")
	if !strings.Contains(warned, "profile cannot be read") || !strings.Contains(warned, "nothing is compared with it") {
		t.Errorf("%s", warned)
	}
}

// A comparison compares its configurations with each other.
func TestCompareHasNoBaseline(t *testing.T) {
	p := load(t, "quick", "load.duration=1s")
	p.Expect = map[string]string{"failures": "not worse than baseline"}
	_, err := Compare(t.Context(), []ComparedArm{{Name: "a", Profile: p}, {Name: "b", Profile: p}}, CompareOptions{Repeats: 1})
	if err == nil || !strings.Contains(err.Error(), "these conditions name a baseline") {
		t.Errorf("%v", err)
	}
}
