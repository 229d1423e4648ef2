package expect

import (
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
)

// A condition may name another figure instead of a number: a figure of the same run
// or, in the condition of a remedy, a figure of the incident.
func TestReferences(t *testing.T) {
	incident, remedy := aRun(), aRun()
	incident.Counts = results.Counts{Due: 100, Started: 100, OK: 60, Failed: 40}
	remedy.Counts = results.Counts{Due: 100, Started: 100, OK: 90, Failed: 10}
	incident.Connections.Opened, remedy.Connections.Opened = 20, 100
	remedy.Statuses = map[string]uint64{"200": 90}
	for _, tt := range []struct {
		path, want string
		met        bool
		seen       string
	}{
		{"connections.opened", "== counts.started", true, "100 (counts.started 100)"},
		{"counts.ok", "== counts.started", false, "90 (counts.started 100)"},
		{"statuses.200", "counts.ok", true, "90 (counts.ok 90)"},
		{"failures", "< incident", true, "10 (incident 40)"},
		{"failures", "1..50% of incident", true, "10 (incident 40)"},
		{"failures", "1..20% of incident", false, "10 (incident 40)"},
		{"failures", "5% of counts.due..20% of counts.due", true, "10 (counts.due 100, counts.due 100)"},
		{"connections.opened", ">= 500% of incident", true, "100 (incident 20)"},
		{"counts.ok", "> incident.counts.ok", true, "90 (incident 60)"},
		{"failures", "<  25%  of  incident", false, "10 (incident 40)"},
		{"response.p99", "== incident.response.p99", true, ""},
	} {
		must(t, ValidateRemedy(map[string]string{tt.path: tt.want}))
		e := CheckAgainst(remedy, References{Incident: incident}, map[string]string{tt.path: tt.want})[0]
		if e.Met != tt.met || tt.seen != "" && e.Seen != tt.seen || e.Why != "" {
			t.Errorf("%s %s: %+v, want %v and %q", tt.path, tt.want, e, tt.met, tt.seen)
		}
		c, err := ParseCondition(tt.want)
		must(t, err)
		if c.Met(0) || c.Met(10) {
			t.Errorf("%q is met before its figure is known", tt.want)
		}
	}
	for path, want := range map[string]string{"failures": "< incident", "counts.ok": "> incident.counts.ok"} {
		err := Validate(map[string]string{path: want})
		if err == nil || !strings.Contains(err.Error(), "only what a remedy expects") {
			t.Errorf("%s %s: %v", path, want, err)
		}
		if e := Check(remedy, map[string]string{path: want})[0]; e.Met || e.Why == "" {
			t.Errorf("%s %s without an incident: %+v", path, want, e)
		}
	}
	for _, tt := range []struct{ path, want, say string }{
		{"failures", "== counts.startet", "the nearest is counts.started"},
		{"failures", "== response.p99", "it is a count, and response.p99 is a duration"},
		{"response.p99", "0..counts.ok", "it is a duration, and counts.ok is a count"},
		{"response.p99", "1..incident", "give a unit"},
		{"failures", "< 50% of", "neither a number"},
		{"failures", "< incident.", "neither a number"},
		{"failures", "< 9999999999% of incident", "neither a number"},
	} {
		err := ValidateRemedy(map[string]string{tt.path: tt.want})
		if err == nil || !strings.Contains(err.Error(), tt.say) {
			t.Errorf("%s %s: %v, want %q", tt.path, tt.want, err, tt.say)
		}
	}
	incident.IdleAtFailure = nil
	e := CheckAgainst(remedy, References{Incident: incident}, map[string]string{"idle_at_failure.p50": "< incident"})[0]
	if e.Met || !strings.Contains(e.Why, "incident: there were none") {
		t.Errorf("a figure that nobody has: %+v", e)
	}
}

func TestFillIn(t *testing.T) {
	run, incident := aRun(), aRun()
	run.Counts.Dropped, incident.Counts.Dropped, run.Lab = 7, 9, nil
	got := FillIn("{counts.dropped} of {incident.counts.dropped}; {lab.requests}; {no such}", run, incident)
	if want := "7 of 9; (unknown: the target is not kabench's own server); {no such}"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	must(t, ValidateFillIn("{buffer.max} and {incident.response.p50}, and none"))
	err := ValidateFillIn("{bufer.max}, {incident}, {}")
	if err == nil || strings.Count(err.Error(), "is not a result") != 3 || !strings.Contains(err.Error(), "the nearest is buffer.max") {
		t.Errorf("%v, want three complaints", err)
	}
}

// A response that ends only because the connection ends is ok, and is also counted
// separately. The status of a response that broke off is not counted among the
// statuses of ok responses.
func TestTallyOfDoubtfulResponses(t *testing.T) {
	open, cut := done(1), stale(2)
	open.Unbounded = true
	cut.Phase, cut.Cause, cut.Status = results.PhaseDuringResponse, results.CauseTruncated, 200
	tally := tallied([]*results.Exchange{open, done(3)})
	tally.Merge(tallied([]*results.Exchange{cut, stale(4)}))
	run := filled(tally, 1)
	if run.Counts.Unbounded != 1 || run.Counts.OK != 2 || run.Statuses["200"] != 2 || run.FailedStatuses["200"] != 1 || len(run.FailedStatuses) != 1 {
		t.Errorf("%+v, statuses %v, of failures %v", run.Counts, run.Statuses, run.FailedStatuses)
	}
	seen := Check(run, map[string]string{"failed.statuses.200": "1", "counts.unbounded": "1", "failed.statuses.500": "0"})
	for _, e := range seen {
		if !e.Met {
			t.Errorf("%+v", e)
		}
	}
}
