package harness

import (
	"regexp"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// causes says, for each of these incidents, what takes its cause away: the
// signature must then not be met.
var causes = map[string][]string{
	"before-response":                  {"target.lab.fault=none", "target.lab.fault_on=all"},
	"while-sending-body":               {"target.lab.fault=none"},
	"during-response":                  {"target.lab.fault=close_before_response"},
	"pending-queue-full":               {"pool.pending_max=400"},
	"pending-timeout":                  {"pool.pending_timeout=5s"},
	"backpressure":                     {"pool.max_conns=64"},
	"lifecycle":                        {"target.lab.idle_timeout=0s", "load.arrivals.gap_min=2s", "load.arrivals.gap_max=2s"},
	"three-mitigations":                {"target.lab.idle_timeout=0s"},
	"direct-idle-order":                {"target.lab.idle_timeout=0s"},
	"http10-keep-alive":                {"target.lab.version=http/1.1"},
	"keep-alive-hint":                  {"target.lab.idle_timeout=0s"},
	"truncated":                        {"target.lab.fault=close_before_response"},
	"retry-and-idempotence":            {"pool.resend=[]"},
	"data-after-close":                 {"target.lab.after_fin=drain 2s"},
	"time-wait-shift":                  {"target.lab.idle_timeout=0s"},
	"idle-race-tls":                    {"target.lab.tls=false"},
	"nginx-1s":                         {"target.lab.idle_timeout=2s"},
	"dumb-proxy":                       {"target.lab.ignore_keep_alive=true"},
	"hop-by-hop":                       {"target.proxies.0.hop_by_hop=forwarded", "target.proxies.0.proxy_connection=forwarded"},
	"half-close":                       {"target.lab.upload=answer_close", "target.lab.after_fin=drain 2s"},
	"handshake-cost":                   {"pool.max_idle=-1"},
	"nagle-delayed-ack":                {"target.tcp.nagle=false"},
	"parallel-persistent-pipelined":    {"pool.max_idle=-1"},
	"slow-start":                       {"target.lab.body=10000"}, // fits into the first window
	"nginx-upstream-ok":                {"target.lab.idle_timeout=1ms"},
	"nginx-upstream-keepalive-timeout": {"target.lab.idle_timeout=2s"},
	"nginx-upstream-mismatch":          {"target.lab.max_connections=0", "target.lab.threads=0", "target.lab.backlog=0"},
	"l7-lb-order":                      {"target.lab.idle_timeout=0s"},
}

// Every incident shows its signature, its remedies show what they are to show,
// and neither is a matter of course: without the cause the signature is not met,
// and what the incident shows is not what its advised remedy is to show.
func TestIncidents(t *testing.T) {
	for name, without := range causes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if testing.Short() && load(t, name).Takes() > 10*time.Second {
				t.Skip("-short leaves out what takes more than 10s")
			}
			if name == "nginx-upstream-mismatch" && runtime.GOOS != "linux" {
				t.Skip("what a full queue of the kernel does with a SYN is told of Linux")
			}
			p := incident(t, name)
			if p.Network != nil {
				needSandbox(t)
			}
			rep, err := judged(t, p, "")
			if err != nil {
				t.Fatal(err)
			}
			if !rep.Reproduced || len(rep.RemedyRuns) != len(p.Remedies) {
				t.Errorf("not reproduced: %s", rep.Verdict)
			}
			if regexp.MustCompile(`\{[\w.-]+\}|\(unknown: `).MatchString(rep.Verdict) {
				t.Errorf("the verdict lacks figures: %s", rep.Verdict)
			}
			for _, run := range append([]results.RemedyRun{{Remedy: "incident", Run: rep.IncidentRun}}, rep.RemedyRuns...) {
				if t.Failed() && len(run.Warnings) > 0 {
					t.Logf("%s was warned of: %q", run.Remedy, run.Warnings)
				}
				if !run.Counts.Balance() || run.Counts.Due == 0 {
					t.Errorf("%s: %+v", run.Remedy, run.Counts)
				}
			}
			if cleared := results.CheckBeside(rep.IncidentRun, results.Beside{Incident: rep.IncidentRun}, p.Remedies[0].Expect); allMet(cleared) {
				t.Errorf("the incident itself meets what %q is to show: %+v", p.Remedies[0].Name, cleared)
			}
			other := incident(t, name, append(without, "remedies=null")...)
			rep, err = judged(t, other, "")
			if err != nil {
				t.Fatal(err)
			}
			if rep.Reproduced {
				t.Errorf("reproduced with %q: %+v", without, rep.IncidentRun.Expect)
			}
		})
	}
}

// alone is held for reading while an incident runs beside others, and for
// writing by one that needs the machine for itself.
var alone sync.RWMutex

// judged is a reproduction of p of which something can be said. An invalid run
// says nothing and is made again, with no other incident beside it. The results
// are kept in out; "": nowhere.
func judged(t *testing.T, p *profiles.Profile, out string) (*results.Reproduction, error) {
	t.Helper()
	lock := alone.RLocker()
	lock.Lock()
	defer func() { lock.Unlock() }()
	rep, err := Reproduce(t.Context(), p, ReproduceOptions{
		Options: Options{Out: out},
		Again: func(a results.MadeAgain) {
			t.Logf("made again: %q: %q", a.Run, a.Invalid)
			if lock != sync.Locker(&alone) {
				lock.Unlock()
				lock = &alone
				lock.Lock()
			}
		},
	})
	if err == nil && !allValid(rep) {
		t.Errorf("this machine had no core in time for any of %d: %s", MostAgain+1, rep.Verdict)
	}
	return rep, err
}

func allValid(rep *results.Reproduction) bool {
	valid := rep.IncidentRun.Valid
	for _, r := range rep.RemedyRuns {
		valid = valid && r.Run.Valid
	}
	return valid
}

func allMet(list []results.Expectation) bool {
	for _, e := range list {
		if !e.Met {
			return false
		}
	}
	return true
}

// Where an incident asks what the arrivals alone decide, its file says how many
// requests that are: those whose gap from the request before on the same
// connection lies where a timer of the server's loses them, the link's round
// trip and the server's delay taken into account.
func TestIncidentsArrivals(t *testing.T) {
	for _, test := range []struct {
		name  string
		timer time.Duration
		want  int
		spans time.Duration // from the first to the last of them, to 10 ms
	}{
		{"three-mitigations", time.Second, 113, 430 * time.Millisecond},
		{"three-mitigations", 1500 * time.Millisecond, 34, 220 * time.Millisecond},
		{"direct-idle-order", time.Second, 27, 310 * time.Millisecond},
		{"keep-alive-hint", time.Second, 27, 310 * time.Millisecond},
		{"data-after-close", time.Second, 27, 310 * time.Millisecond},
		{"idle-race-tls", 2 * time.Second, 26, 550 * time.Millisecond},
	} {
		p := load(t, test.name)
		schedule, err := p.Load.Schedule()
		if err != nil {
			t.Fatal(err)
		}
		const delay = 10 * time.Millisecond
		server := time.Second
		if test.timer >= 2*time.Second {
			server = test.timer
		}
		if p.Target.Lab.Delay.A != delay || p.Target.Lab.IdleTimeout != server {
			t.Errorf("%s: not the server that the arrivals were counted for", test.name)
		}
		var due, lost []time.Duration
		link := p.Target.Link
		if link == nil {
			link = &lab.LinkConfig{Delay: p.Network.Links[0].Delay}
		}
		for at := range schedule {
			due = append(due, at)
			if before := len(due) - 1 - p.Pool.Shards; before >= 0 {
				gap := at - due[before]
				if gap > test.timer+delay && gap < test.timer+delay+2*link.Delay {
					lost = append(lost, at)
				}
			}
		}
		if len(lost) != test.want {
			t.Errorf("%s, timer %v: %d requests are lost, want %d", test.name, test.timer, len(lost), test.want)
			continue
		}
		if spans := lost[len(lost)-1] - lost[0]; (spans - test.spans).Abs() > 10*time.Millisecond {
			t.Errorf("%s, timer %v: within %v, want %v", test.name, test.timer, spans, test.spans)
		}
	}
}

// An incident that names a client's preset has the preset's pool, but for what
// the source says of it.
func TestIncidentsPresets(t *testing.T) {
	named := 0
	for _, e := range profiles.Incidents() {
		p := load(t, e.Name)
		if p.Preset == "" {
			continue
		}
		named++
		want, err := profiles.LoadPool(p.Preset)
		if err != nil {
			t.Fatal(err)
		}
		// The source's own figures.
		want.MaxConns, want.PendingMax, want.PendingTimeout = p.Pool.MaxConns, p.Pool.PendingMax, p.Pool.PendingTimeout
		if diff := cmp.Diff(want, p.Pool); diff != "" {
			t.Errorf("%s (-%s +its pool)\n%s", e.Name, p.Preset, diff)
		}
	}
	if named == 0 {
		t.Error("none names one")
	}
	builder, err := profiles.LoadPool("reactor-netty-builder")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(builder, load(t, "pending-queue-full").Pool); diff != "" {
		t.Errorf("pending-queue-full is not the untouched builder's (-want +got)\n%s", diff)
	}
}
