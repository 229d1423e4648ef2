package expect

import (
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

func TestAbortWaits(t *testing.T) {
	run := aRun() // 991 started, 30 of them failed
	for want, tt := range map[string]struct {
		measured time.Duration
		stops    bool
	}{
		"> 1%":                            {time.Second, true},
		"> 50%":                           {time.Hour, false},
		"> 1% after 5s":                   {5 * time.Second, true},
		">1%  after 6s":                   {5 * time.Second, false},
		"> 1% after 900 requests":         {time.Second, true},
		"> 1% after 1000000 requests":     {time.Hour, false},
		"> 1% after 5s and 900 requests":  {5 * time.Second, true},
		"> 1% after 5s and 1 request":     {4 * time.Second, false},
		"> 1% after 5s and 9999 requests": {time.Hour, false},
		">= 0%":                           {0, false}, // still warming up
	} {
		a, err := ParseAbort(map[string]string{"failures.rate": want, "counts.dropped": "> 1000"})
		must(t, err)
		s := a.Check(run, References{}, tt.measured, tt.measured+time.Second)
		if (s != nil) != tt.stops {
			t.Errorf("%s after %v: %+v", want, tt.measured, s)
		}
		if s != nil && (s.Path != "failures.rate" || s.When != want || s.Seen != "3.03 %" || s.At != tt.measured.Seconds()+1) {
			t.Errorf("%s: %+v", want, s)
		}
	}
	var none *Abort
	if none.Check(run, References{}, time.Hour, time.Hour) != nil || none.Latencies() != nil {
		t.Error("without conditions there is one")
	}
}

func TestAbortOnFiguresOfOthers(t *testing.T) {
	run, baseline := aRun(), aRun()
	baseline.Counts.Failed = 10
	a, err := ParseAbort(map[string]string{"failures": "> 200% of baseline", "response.p99": "> 400% of service.p50", "reused.acquire.p50": "> 1s", "lag.max": "> 1s"})
	must(t, err)
	if s := a.Check(run, References{Baseline: baseline}, time.Second, time.Second); s == nil || s.Path != "failures" {
		t.Errorf("%+v", s)
	}
	if got := a.NamingBaseline(); len(got) != 1 || got[0] != "failures" {
		t.Errorf("%q", got)
	}
	if got := strings.Join(a.Latencies(), " "); got != "lag response service reused.acquire" {
		t.Errorf("%q", got)
	}
	// A figure without a value yet does not stop the run.
	for _, run := range []*results.Run{{}, {Sockets: results.Sockets{Why: "not on Linux"}}} {
		a, err := ParseAbort(map[string]string{"failures.rate": ">= 0%", "response.p99": "< 1h", "sockets.time_wait_peak": ">= 0"})
		must(t, err)
		if s := a.Check(run, References{}, time.Hour, time.Hour); s != nil {
			t.Errorf("%+v", s)
		}
	}
}

func TestAbortRefuses(t *testing.T) {
	for path, tt := range map[string]struct{ want, say string }{
		"valid":                    {"false", "known at the end of a run only; while it goes on there are attempts, connections"},
		"lab.requests":             {"> 5", "known at the end"},
		"kernel.TCPTimeouts":       {"> 5 after 5s", "known at the end"},
		"ports.first":              {"> 5s", "known at the end"},
		"failures":                 {"== lab.requests", "lab.requests is known at the end"},
		"failurs":                  {"> 5", "the nearest is failures"},
		"failures.rate":            {"> 5ms", "it is a ratio"},
		"failures.connect":         {"not worse than baseline", "sooner or later chance"},
		"failures.acquire":         {"> incident", "only what a remedy expects"},
		"failures.tls":             {"> 5 after", "neither a number"},
		"failures.write_body":      {"> 5 after 5", "neither a time nor a number"},
		"failures.resolve":         {"> 5 after 5s and 5s", "neither a time nor a number"},
		"failures.before_response": {"> 5 after -5s", "neither a time nor a number"},
	} {
		err := ValidateAbort(map[string]string{path: tt.want})
		if err == nil || !strings.Contains(err.Error(), tt.say) || !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("%s %s: %v, want %q", path, tt.want, err, tt.say)
		}
	}
	err := ValidateAbort(map[string]string{"valid": "true", "closed.client": "> 1"})
	if err == nil || strings.Count(err.Error(), "known at the end") != 2 {
		t.Errorf("%v, want both complaints", err)
	}
}

// A glance fills every path for which liveKnown reports true.
func TestGlanceTellsWhatIsLive(t *testing.T) {
	tally := tallied(append(mixed(1000), aborted(1001)))
	names := []string{"response", "failed.response", "reused.service", "idle_at_failure", "lag"}
	whole, glance := &results.Run{}, &results.Run{}
	tally.Fill(whole, 2500*ms)
	tally.Glance(names).Fill(glance, 2500*ms)
	for _, path := range knownPaths() {
		name := path[:max(strings.LastIndexByte(path, '.'), 0)]
		isLatency := results.IsLatency(name)
		named := false
		for _, n := range names {
			named = named || n == name
		}
		if !liveKnown(path) || isLatency && !named {
			continue
		}
		a, err1 := Lookup(whole, path)
		b, err2 := Lookup(glance, path)
		if err1 != nil || err2 != nil || a != b {
			t.Errorf("%s: %+v in a glance, %+v in all (%v, %v)", path, b, a, err1, err2)
		}
	}
	// A glance is a copy: it does not contain what the tally counts later.
	g := tally.Glance(names)
	tally.Add(done(2000))
	if above, of := g.Above("response", 0); above == 0 || of != whole.Latency["response"].Count {
		t.Errorf("%d of %d", above, of)
	}
}
