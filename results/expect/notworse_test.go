package expect

import (
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

// twoRuns returns a run and its baseline, with these numbers of started and of failed
// requests.
func twoRuns(started, failed, started0, failed0 uint64) (own, baseline *results.Run) {
	of := func(started, failed uint64) *results.Run {
		return &results.Run{
			Counts:   results.Counts{Due: started, Started: started, OK: started - failed, Failed: failed},
			Outcomes: []results.Outcome{{Phase: results.PhaseBeforeResponse, Cause: results.CauseFIN, Reused: true, Count: failed}},
		}
	}
	return of(started, failed), of(started0, failed0)
}

func TestNotWorseOfCounts(t *testing.T) {
	for _, tt := range []struct {
		started, failed, started0, failed0 uint64
		path                               string
		met                                bool
		seen, why                          string
	}{
		{1000, 9, 1000, 3, "failures", true, "9 (of 1000; baseline 3 of 1000; p 0.072, worse from 10 on)", ""},
		{1000, 10, 1000, 3, "failures", false, "10 (of 1000; baseline 3 of 1000; p 0.046, worse from 10 on)", ""},
		{1000, 10, 1000, 3, "failures.rate", false, "1.00 % (of 1000; baseline 3 of 1000; p 0.046, worse from 10 on)", ""},
		{1000, 10, 1000, 3, "failures.before_response.fin", false, "p 0.046", ""},
		{1000, 10, 1000, 3, "failures.connect", true, "0 (of 1000; baseline 0 of 1000", ""},
		{1000, 0, 1000, 0, "failures", true, "worse from 5 on", ""},
		{100, 30, 1000, 300, "failures", true, "30 (of 100; baseline 300 of 1000", ""}, // the runs differ in length
		{2, 2, 2, 0, "failures", false, "", "too few to tell"},
		{1000, 3, 0, 0, "failures", false, "", "too few to tell"},
		{1000, 3, 0, 0, "failures.rate", false, "", "baseline: no exchange was started"},
	} {
		own, baseline := twoRuns(tt.started, tt.failed, tt.started0, tt.failed0)
		expect := map[string]string{tt.path: "not worse than baseline"}
		must(t, Validate(expect))
		e := CheckAgainst(own, References{Baseline: baseline}, expect)[0]
		if e.Met != tt.met || !strings.Contains(e.Seen, tt.seen) || !strings.Contains(e.Why, tt.why) || (e.Why == "") != (tt.why == "") {
			t.Errorf("%+v: %+v", tt, e)
		}
	}
}

// A percentile is worse when more durations exceed the baseline's percentile than
// chance explains.
func TestNotWorseOfPercentiles(t *testing.T) {
	law := func(n int, scale float64) *results.Tally {
		tally := &results.Tally{}
		for i := range n {
			e := done(uint64(i))
			// The durations are spread evenly from 10 to 20 ms; their order does not matter.
			took := time.Duration(scale * float64(10*ms+time.Duration(i)*10*ms/time.Duration(n)))
			e.Done = e.Due + took
			tally.Add(e)
		}
		return tally
	}
	baseline := filled(law(2000, 1), time.Second)
	for _, tt := range []struct {
		scale      float64
		path, want string
		met        bool
	}{
		{1, "response.p99", "not worse than baseline", true},
		{0.9, "response.p99", "not worse than baseline", true},
		{1.2, "response.p99", "not worse than baseline", false},
		{1.2, "response.p50", "not worse than baseline", false},
		{1.2, "reused.response.p50", "not worse than baseline", false},
		{1.2, "response.p99", "not worse than 120% of baseline", true},
		{1.3, "response.p99", "not worse than 120% of baseline", false},
		{1.2, "response.p99", "<= 110% of baseline", false},
		{1.05, "response.p99", "<= 110% of baseline", true},
	} {
		tally := law(2000, tt.scale)
		run := filled(tally, time.Second)
		e := CheckAgainst(run, References{Baseline: baseline, Above: tally.Above}, map[string]string{tt.path: tt.want})[0]
		if e.Met != tt.met || e.Why != "" {
			t.Errorf("%v × %s %s: %+v", tt.scale, tt.path, tt.want, e)
		}
		e = CheckAgainst(run, References{Baseline: baseline}, map[string]string{tt.path: tt.want})[0]
		if strings.HasPrefix(tt.want, "not") && (e.Met || e.Why == "") {
			t.Errorf("without the durations: %+v", e)
		}
	}
	run := filled(law(2000, 1), time.Second)
	e := CheckAgainst(run, References{Baseline: baseline, Above: law(2000, 1).Above}, map[string]string{"tls.p99": "not worse than baseline"})[0]
	if e.Met || e.Why == "" {
		t.Errorf("of what never happened: %+v", e)
	}
}

func TestNotWorseIsAskedOfWhatCanBeTested(t *testing.T) {
	for path, tt := range map[string]struct{ want, say string }{
		"connections.opened": {"not worse than baseline", "no test for it"},
		"response.max":       {"not worse than baseline", "no test for it"},
		"statuses.200":       {"not worse than baseline", "no test for it"},
		"rate.throughput":    {"not worse than baseline", "no test for it"},
		"failures":           {"not worse than 110% of baseline", "write <= 110% of baseline"},
		"failures.connect":   {"not worse than counts.started", "is not another run"},
		"counts.dropped":     {"not worse than baseline.counts.ok", "is not another run"},
		"counts.failed":      {"not worse than incident", "only what a remedy expects"},
		"response.p99":       {"not worse", "neither a number"},
	} {
		err := Validate(map[string]string{path: tt.want})
		if err == nil || !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%s %s: %v, want %q", path, tt.want, err, tt.say)
		}
	}
	must(t, ValidateRemedy(map[string]string{"failures": "not worse than incident", "statuses.503": "not worse than baseline"}))
	want := []string{"failures", "response.p99"}
	got := NamingBaseline(map[string]string{"response.p99": "<= 110% of baseline", "failures": "not  worse than  baseline", "counts.ok": "> 0", "lag.p99": "< incident"})
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestBaselineFigures(t *testing.T) {
	own, baseline := aRun(), aRun()
	baseline.Connections.Opened = 40
	for path, want := range map[string]string{"connections.opened": "<= baseline", "connections.max_open": "< 50% of baseline.connections.opened"} {
		if e := CheckAgainst(own, References{Baseline: baseline}, map[string]string{path: want})[0]; !e.Met || !strings.Contains(e.Seen, "40") {
			t.Errorf("%+v", e)
		}
		if e := Check(own, map[string]string{path: want})[0]; e.Met || !strings.Contains(e.Why, "--baseline DIR") {
			t.Errorf("without a baseline: %+v", e)
		}
	}
}
