package diagnose_test

import (
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/diagnose"
	"github.com/kabench/kabench/profiles/lint"
	"github.com/kabench/kabench/results"
)

func tried(incident string, f results.Forecast, rep *results.Reproduction) diagnose.Tried {
	return diagnose.Tried{Try: diagnose.Try{Incident: incident, Why: "it is the usual cause"}, Forecast: &f, Reproduction: rep}
}

var (
	good = results.Forecast{Mean: 14.2, Low: 6, High: 24, Requests: 600, Runs: 2, AllRequests: 1200, AllSeconds: 65, Connections: 12, LinkDelay: 0.005}
	none = results.Forecast{Why: "the pool's own timer is shorter", Takes: "a longer timer of the pool."}
	some = results.Forecast{Mean: 0.3, Why: "the closes are spread over 1.9 s", Takes: "more connections"}
)

// What is said before the first request has the numbers, and the reason if few are expected.
func TestExpected(t *testing.T) {
	for _, c := range []struct {
		f        results.Forecast
		hopeless bool
		want     []string
	}{
		{good, false, []string{"idle-race is tried, because it is the usual cause", "14 failures are expected, 6 to 24, of 600 requests", "1200 requests in 2 runs", "on up to 12 connections", "delays by 5.00 ms"}},
		{none, true, []string{"not tried, because no failure is expected: the pool's own timer is shorter.", "What it would take: a longer timer of the pool."}},
		{some, true, []string{"only 0.3 failures are expected: the closes are spread", "What it would take: more connections."}},
	} {
		got := diagnose.Expected(tried("idle-race", c.f, nil), c.hopeless)
		for _, w := range c.want {
			if !strings.Contains(got, w) {
				t.Errorf("%q lacks %q", got, w)
			}
		}
	}
}

// The verdict has the server, each incident that was tried, and what lint found if none of
// them was shown.
func TestVerdict(t *testing.T) {
	seen := uint64(14)
	shown := &results.Reproduction{
		Reproduced: true, Verdict: "14 of 600 requests failed: a long story.\nSet it.", IncidentRun: run(14, 600, 20), Forecast: &results.Forecast{Path: "failures", Mean: 15, Low: 9, High: 20, Seen: &seen},
		RemedyRuns: []results.RemedyRun{{Run: run(3, 600, 30)}, {Cleared: true, Run: run(0, 600, 70), Change: map[string]string{"pool.idle_timeout": "2s"}}},
	}
	missed := &results.Reproduction{Verdict: "None of 600 requests failed."}
	findings := []lint.Finding{{Rule: "max-requests-order", Numbers: [2]string{"a 1", "b 2"}, Set: "pool.max_requests=1"}}
	for name, c := range map[string]struct {
		tries    []diagnose.Try
		all      []diagnose.Tried
		want, no string
	}{
		"shown":     {nil, []diagnose.Tried{tried("idle-race", good, shown)}, "The server closes.\nidle-race was reproduced: 14 of 600 requests failed. Expected beforehand: 15, 9 to 20; counted: 14 (failures). With pool.idle_timeout 2s 0 of 600 failed, and 70 connections were opened instead of 20.", "max-requests-order"},
		"not shown": {nil, []diagnose.Tried{tried("idle-race", good, missed)}, "set pool.max_requests=1", "REPRODUCED"},
		"not tried": {nil, []diagnose.Tried{tried("idle-race", none, nil)}, "idle-race was not tried, because no failure is expected", "failed"},
		"nothing":   {nil, nil, "The server closes.", "failed"},
	} {
		got := diagnose.Verdict("The server closes.", diagnose.Choice{Tries: c.tries}, findings, c.all)
		if !strings.Contains(got, c.want) || strings.Contains(got, c.no) {
			t.Errorf("%s: %q", name, got)
		}
	}
	got := diagnose.Outcome([]diagnose.Tried{tried("a", none, nil), tried("b", good, shown)}, []diagnose.Try{{Incident: "c"}})
	if got != "a was not tried, because too few failures are expected. b was reproduced, and its remedy cleared it. c was not tried any more." {
		t.Errorf("%q", got)
	}
}

// If only the remedy's run is invalid, the incident was still reproduced.
func TestOutcomeWithAnInvalidRemedy(t *testing.T) {
	incident, remedy := run(48, 5000, 20), run(0, 5000, 70)
	incident.Valid = true
	rep := &results.Reproduction{IncidentRun: incident, RemedyRuns: []results.RemedyRun{{Run: remedy}}}
	want := "b was reproduced; that its remedy clears it was not shown, because its run was invalid (a lower load.rate or a quieter machine helps)."
	if got := diagnose.Outcome([]diagnose.Tried{tried("b", good, rep)}, nil); got != want {
		t.Errorf("%q", got)
	}
	incident.Valid = false
	if got := diagnose.Outcome([]diagnose.Tried{tried("b", good, rep)}, nil); got != "b was not reproduced." {
		t.Errorf("%q", got)
	}
}

func run(failed, started, opened uint64) *results.Run {
	return &results.Run{Counts: results.Counts{Failed: failed, Started: started}, Connections: results.Connections{Opened: opened}}
}

// Settings are those of the first remedy that cleared the incident, and only of an incident
// that was reproduced.
func TestSettings(t *testing.T) {
	a, b := []results.ClientSetting{{Text: "a"}}, []results.ClientSetting{{Text: "b"}}
	rep := &results.Reproduction{Reproduced: true, RemedyRuns: []results.RemedyRun{{Settings: a}, {Cleared: true, Settings: b}}}
	if got := diagnose.Settings(rep); len(got) != 1 || got[0].Text != "b" {
		t.Errorf("%+v", got)
	}
	rep.Reproduced = false
	if got := diagnose.Settings(rep); got != nil {
		t.Errorf("%+v", got)
	}
}

// With --dry-run the numbers are those that would be sent.
func TestWould(t *testing.T) {
	p := diagnose.WouldProbe("http://h/", 40, 60, 15*time.Minute)
	r := diagnose.WouldReproduce(tried("idle-race", good, nil))
	a := diagnose.WouldAim(diagnose.Try{Incident: "idle-race"}, 1000, 5000, 150*time.Second)
	for _, c := range []struct {
		got                   diagnose.Sends
		connections, requests uint64
		seconds               float64
	}{{p, 40, 60, 900}, {r, 12, 1200, 65}, {a, 1000, 5000, 150}} {
		if c.got.Connections != c.connections || c.got.Requests != c.requests || c.got.Seconds != c.seconds || c.got.What == "" {
			t.Errorf("%+v", c.got)
		}
	}
}
