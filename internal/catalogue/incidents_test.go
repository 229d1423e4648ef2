package catalogue

import (
	"cmp"
	"maps"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
)

// control says how an incident is tested beyond its own signature.
type control struct {
	without []string                                // takes the cause away: the signature must then not be met
	more    func(*testing.T, *results.Reproduction) // what else its results must show; nil: nothing
}

var controls = map[string]control{
	"before-response":                  {without: []string{"target.lab.fault=none", "target.lab.fault_on=all"}},
	"while-sending-body":               {without: []string{"target.lab.fault=none"}},
	"during-response":                  {without: []string{"target.lab.fault=close_before_response"}},
	"pending-queue-full":               {without: []string{"pool.pending_max=400"}},
	"pending-timeout":                  {without: []string{"pool.pending_timeout=5s"}},
	"backpressure":                     {without: []string{"pool.max_conns=64"}},
	"lifecycle":                        {without: []string{"target.lab.idle_timeout=0s", "load.arrivals.gap_min=2s", "load.arrivals.gap_max=2s"}},
	"three-mitigations":                {without: []string{"target.lab.idle_timeout=0s"}},
	"direct-idle-order":                {without: []string{"target.lab.idle_timeout=0s"}},
	"http10-keep-alive":                {without: []string{"target.lab.version=http/1.1"}},
	"keep-alive-hint":                  {without: []string{"target.lab.idle_timeout=0s"}},
	"truncated":                        {without: []string{"target.lab.fault=close_before_response"}},
	"retry-and-idempotence":            {without: []string{"pool.resend=[]"}},
	"data-after-close":                 {without: []string{"target.lab.after_fin=drain 2s"}},
	"time-wait-shift":                  {without: []string{"target.lab.idle_timeout=0s"}},
	"idle-race-tls":                    {without: []string{"target.lab.tls=false"}},
	"nginx-1s":                         {without: []string{"target.lab.idle_timeout=2s"}},
	"dumb-proxy":                       {without: []string{"target.lab.ignore_keep_alive=true"}},
	"hop-by-hop":                       {without: []string{"target.proxies.0.hop_by_hop=forwarded", "target.proxies.0.proxy_connection=forwarded"}},
	"half-close":                       {without: []string{"target.lab.upload=answer_close", "target.lab.after_fin=drain 2s"}},
	"handshake-cost":                   {without: []string{"pool.max_idle=-1"}},
	"nagle-delayed-ack":                {without: []string{"target.tcp.nagle=false"}},
	"parallel-persistent-pipelined":    {without: []string{"pool.max_idle=-1"}},
	"slow-start":                       {without: []string{"target.lab.body=10000"}}, // fits into the first window
	"nginx-upstream-ok":                {without: []string{"target.lab.idle_timeout=1ms"}},
	"nginx-upstream-keepalive-timeout": {without: []string{"target.lab.idle_timeout=2s"}},
	"nginx-upstream-mismatch":          {without: []string{"target.lab.max_connections=0", "target.lab.threads=0", "target.lab.backlog=0"}},
	"l7-lb-order":                      {without: []string{"target.lab.idle_timeout=0s"}},
	"idle-race":                        {without: []string{"target.lab.idle_timeout=0s"}, more: isTheRace},
	"lb-rst-unknown-flow":              {without: []string{"network.balancers.0.idle=0s"}},
	"stateless-lb-hash":                {without: []string{"network.balancers.0.choose=round_robin"}},
	"stateless-lb-round-robin":         {without: []string{"network.balancers.0.choose=source_hash"}, more: namesTwoServers},
	"silent-drop":                      {without: []string{"network.links.0.flows.idle=1h"}},
	"port-exhaustion":                  {without: []string{"load.rate=4/s", "load.duration=4s"}, more: metThePrediction},

	"rolling-deploy":           {without: []string{"target.lab.stop_on=null", "network.balancers.0.leaves=null", "events.first_later=null", "events.second_later=null"}},
	"scale-out-pinned":         {without: []string{"network.balancers.0.joins=null", "events=null"}},
	"dead-peer":                {without: []string{"network.links.1.rules=null"}},
	"nat-ports":                {without: []string{"network.nats.0.ports=400"}},
	"nat-port-meets-time-wait": {without: []string{"network.nats.0.ports=300"}}, // none comes round within the run
	"conntrack-full":           {without: []string{"network.links.0.flows.max=300"}},
	"lifetime-wave":            {without: []string{"pool.max_lifetime=0s", "pool.expiry=[]"}},
	"pool-leak":                {without: []string{"load.leak_every=0"}, more: emptiesAsPredicted},
	"retry-storm":              {without: []string{"target.lab.stall=null", "events=null"}},
}

// Every incident shows its signature, its remedies show what they promise, and
// neither is trivial: without the cause the signature is not met, and the
// incident itself does not meet the conditions of its first remedy.
func TestIncidents(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves the catalogue out")
	}
	for _, e := range profiles.Incidents() {
		if _, known := controls[e.Name]; !known {
			t.Errorf("%s has no control: say what takes its cause away", e.Name)
		}
	}
	// The longest first, so that none is left alone at the end.
	longest := slices.SortedFunc(maps.Keys(controls), func(a, b string) int {
		return cmp.Or(cmp.Compare(incident(t, b).Takes(), incident(t, a).Takes()), cmp.Compare(a, b))
	})
	all := &places{free: make(chan struct{}, atOnce)}
	all.beside.Add(len(longest))
	var running sync.WaitGroup
	defer running.Wait()
	for _, name := range longest {
		all.free <- struct{}{}
		running.Go(func() {
			here := &place{places: all}
			defer here.leave()
			t.Run(name, func(t *testing.T) {
				c := controls[name]
				if name == "nginx-upstream-mismatch" && runtime.GOOS != "linux" {
					t.Skip("it needs what Linux does with a SYN when the accept queue is full")
				}
				p := incident(t, name)
				if p.Network != nil {
					needSandbox(t)
				}
				shows(t, p, judged(t, p, here), c)
				other := incident(t, name, append(c.without, "remedies=null")...)
				if rep := judged(t, other, here); rep.Reproduced {
					t.Errorf("reproduced with %q: %+v", c.without, rep.IncidentRun.Expect)
				}
			})
		})
	}
}

// shows checks a valid reproduction of p.
func shows(t *testing.T, p *profiles.Profile, rep *results.Reproduction, c control) {
	t.Helper()
	if !rep.Reproduced || len(rep.RemedyRuns) != len(p.Remedies) {
		t.Errorf("not reproduced: %s", rep.Verdict)
	}
	if regexp.MustCompile(`\{[\w.-]+\}|\(unknown: `).MatchString(rep.Verdict) {
		t.Errorf("the verdict lacks figures: %s", rep.Verdict)
	}
	for _, run := range append([]results.RemedyRun{{Remedy: "incident", Run: rep.IncidentRun}}, rep.RemedyRuns...) {
		if t.Failed() {
			t.Logf("%s: %+v\nwarnings %q", run.Remedy, run.Expect, run.Warnings)
		}
		if !run.Counts.Balance() || run.Counts.Due == 0 {
			t.Errorf("%s: %+v", run.Remedy, run.Counts)
		}
	}
	if len(p.Remedies) > 0 {
		cleared := expect.CheckAgainst(rep.IncidentRun, expect.References{Incident: rep.IncidentRun}, p.Remedies[0].Expect)
		if allMet(cleared) {
			t.Errorf("the incident itself meets what %q must show: %+v", p.Remedies[0].Name, cleared)
		}
	}
	if c.more != nil {
		c.more(t, rep)
	}
}

func allMet(list []results.Expectation) bool {
	return !slices.ContainsFunc(list, func(e results.Expectation) bool { return !e.Met })
}

// isTheRace checks that the FIN of the server's idle timer crosses requests on the
// wire, on reused connections only, and that an idle_timeout below the server's
// clears it, at its price.
func isTheRace(t *testing.T, rep *results.Reproduction) {
	t.Helper()
	if len(rep.RemedyRuns) != 1 {
		t.Fatalf("%d remedies", len(rep.RemedyRuns))
	}
	run, remedy := rep.IncidentRun, rep.RemedyRuns[0]
	for _, o := range run.Outcomes {
		if o.Phase != results.PhaseDone && (!o.Reused || o.Phase != results.PhaseBeforeResponse || o.Cause != results.CauseFIN && o.Cause != results.CauseRST) {
			t.Errorf("an outcome that is not the race's: %+v", o)
		}
	}
	if run.IdleAtFailure == nil || run.IdleAtFailure.Count != run.Counts.Failed {
		t.Errorf("idle ages of %d failures: %+v", run.Counts.Failed, run.IdleAtFailure)
	}
	if remedy.Counts.Failed != 0 || remedy.Connections.Evictions["expired"] == 0 {
		t.Errorf("the remedy: %+v, %+v", remedy.Counts, remedy.Connections)
	}
	if remedy.Connections.Opened <= run.Connections.Opened || run.Connections.ClosedByPeer == 0 {
		t.Errorf("the remedy's price is not seen: %+v against %+v", remedy.Connections, run.Connections)
	}
	// The server's side of the story: it closed idle connections first, in the
	// incident, and every request it saw it answered.
	if run.Lab.ClosedIdle == 0 || run.Lab.Requests != run.Counts.OK {
		t.Errorf("the server saw %+v of %+v", run.Lab, run.Counts)
	}
}

// namesTwoServers holds that the packets of a failure say which servers it was
// that the connection met.
func namesTwoServers(t *testing.T, rep *results.Reproduction) {
	t.Helper()
	run := rep.IncidentRun
	if run.Packets == nil || len(run.Packets.Failures) == 0 {
		t.Fatal("no packets of a failure")
	}
	hosts := map[string]bool{}
	for _, row := range run.Packets.Failures[0].Rows {
		if row.Host != "" {
			hosts[row.Host] = true
		}
	}
	if len(hosts) < 2 || hosts["server"] || hosts["client"] {
		t.Errorf("hosts %v in %+v", hosts, run.Packets.Failures[0].Rows)
	}
}

// emptiesAsPredicted holds that the pool was empty after as many requests as it has connections
// for one leak in ten, and that a larger one lasted longer by as much.
func emptiesAsPredicted(t *testing.T, rep *results.Reproduction) {
	t.Helper()
	for _, r := range []struct {
		run *results.Run
		cap uint64
	}{{rep.IncidentRun, 20}, {rep.RemedyRuns[2].Run, 40}} {
		if r.run.Counts.OK != 10*r.cap || r.run.Connections.Leaked != r.cap {
			t.Errorf("%d connections for one leak in ten responses: %+v, %+v", r.cap, r.run.Counts, r.run.Connections)
		}
	}
}

// metThePrediction holds that the ports ran out when they were to, ports ÷ new
// connections per second, within a tenth, and came back.
func metThePrediction(t *testing.T, rep *results.Reproduction) {
	t.Helper()
	run := rep.IncidentRun
	p := run.Ports
	if p == nil || p.Predicted != 3 || p.FirstFail < 2.7 || p.FirstFail > 3.3 {
		t.Fatalf("300 ports at 100 connections/s: %+v", p)
	}
	if p.Recovered == 0 || p.Back < p.FirstFail || run.Counts.OK <= 300 {
		t.Errorf("not recovered: %+v, %+v", p, run.Counts)
	}
}
