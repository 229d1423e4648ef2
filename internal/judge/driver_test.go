package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

// A driver that was late, broke its protocol or ended makes a run invalid; a disagreement
// about words does not.
func TestDriverIsJudged(t *testing.T) {
	for name, c := range map[string]struct {
		change  func(*results.DriverSeen)
		invalid string // "": valid
		warning string
	}{
		"good": {func(*results.DriverSeen) {}, "", ""},
		"late": {func(d *results.DriverSeen) { d.Late.P99, d.Lag.P99 = 0.2, 0.19 },
			"the driver of OkHttp was late: 1 % of the client's calls were made at least 200 ms after kabench had handed the request over, because it held them before it made the client's call (load.max_lag is 50ms)", ""},
		"read late": {func(d *results.DriverSeen) { d.Late.P99, d.Pickup.P99 = 0.2, 0.19 }, "because it read them late", ""},
		"fault": {func(d *results.DriverSeen) {
			d.Faults = []results.DriverFault{{Name: "answers twice", Count: 2, Example: "number 7"}}
		}, "the driver of OkHttp broke the protocol, 2 times: answers twice (number 7)", ""},
		"ended": {func(d *results.DriverSeen) { d.Ended = "exit status 3" }, "the driver of OkHttp ended during the run: exit status 3", ""},
		"disagrees": {func(d *results.DriverSeen) {
			d.Disagreements, d.Errors = 3, []results.DriverError{{Text: "boom", Seq: 9, Differ: "its words stand for a timeout"}}
		}, "", `For 3 of 90 exchanges, what OkHttp said, as kabench understands its words, is not what was seen on the wire. What was seen counts. For example "boom" of exchange 9: its words stand for a timeout`},
		"cold": {func(d *results.DriverSeen) { d.WarmUp = &results.DriverWarmUp{Requests: 10, Failed: 4} }, "", "4 of 10 requests of the client's warm-up failed"},
	} {
		d := &results.DriverSeen{Client: "OkHttp", Answered: 90, Looked: true}
		c.change(d)
		run := &results.Run{Complete: true, Counts: results.Counts{Due: 90, Started: 90, OK: 90}, Driver: d}
		limits := Limits{MaxLag: 50 * time.Millisecond, MaxInFlight: 100}
		Run(run, limits)
		Advise(run, limits)
		invalid, warnings := strings.Join(run.Invalid, "\n"), strings.Join(run.Warnings, "\n")
		if c.invalid == "" && invalid != "" || !strings.Contains(invalid, c.invalid) {
			t.Errorf("%s: invalid %q; want %q", name, invalid, c.invalid)
		}
		if !strings.Contains(warnings, c.warning) {
			t.Errorf("%s: warnings %q; want %q", name, warnings, c.warning)
		}
	}
}

// A remedy that the client lacks is reported, and does not count against the incident.
func TestRemedyNotAvailable(t *testing.T) {
	run := &results.Run{Valid: true, Complete: true, Counts: results.Counts{Due: 9, Started: 9, OK: 9}}
	rep := &results.Reproduction{
		Reproduced: true, IncidentRun: run, RemedyRuns: []results.RemedyRun{},
		NotAvailable: []results.NotAvailable{{Remedy: "a retry", Why: "OkHttp has no setting for resend"}},
	}
	Reproduction(Says{Happened: "it broke", Costs: []string{""}, Names: []string{"a retry"}}, rep)
	if !rep.Reproduced || !strings.Contains(rep.Verdict, `"a retry" is not available on this client, so it was not run: OkHttp has no setting for resend.`) {
		t.Errorf("%v: %s", rep.Reproduced, rep.Verdict)
	}
}

// A run shows nothing if a real client does not tell any figure of its conditions.
func TestNothingToldIsNothingShown(t *testing.T) {
	run := &results.Run{Valid: true, Complete: true, Counts: results.Counts{Due: 9, Started: 9, OK: 9}, Driver: &results.DriverSeen{Client: "OkHttp"}}
	run.Expect = []results.Expectation{{Path: "pool.peak_dialing", Want: ">= 1", Why: "unknown: OkHttp does not tell it", Unknown: true}}
	told := *run
	told.Expect = append([]results.Expectation{{Path: "failures", Want: "0", Seen: "0", Met: true}}, run.Expect...)
	if Shown(run) || !Shown(&told) {
		t.Errorf("shown: %v, with a condition that is met: %v", Shown(run), Shown(&told))
	}
	says := Says{Happened: "it broke", Costs: []string{""}, Names: []string{"shorter"}}
	rep := &results.Reproduction{IncidentRun: run}
	Reproduction(says, rep)
	if want := "Not judged: none of 9 requests failed; none of its conditions can be checked: pool.peak_dialing >= 1 (unknown: OkHttp"; !strings.HasPrefix(rep.Verdict, want) {
		t.Errorf("%s; want %s", rep.Verdict, want)
	}
	rep = &results.Reproduction{IncidentRun: &told, RemedyRuns: []results.RemedyRun{{Remedy: "shorter", Run: run}}}
	Reproduction(says, rep)
	if want := `"shorter" was not judged, because none of its conditions can be checked`; !strings.Contains(rep.Verdict, want) {
		t.Errorf("%s; want %s", rep.Verdict, want)
	}
}
