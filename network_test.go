package kabench

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/internal/autopsy"
	"github.com/kabench/kabench/internal/live"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/page"
)

func networked(t *testing.T, yaml string) *profiles.Profile {
	t.Helper()
	p, err := profiles.Load("p.yaml", []byte(yaml), []string{"load.max_lag=0"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// Each way that requests can go in a network, with everything answered.
func TestRunInNetwork(t *testing.T) {
	t.Parallel()
	needSandbox(t)
	const load = "name: n\nload: {rate: 100/s, count: 20}\n"
	for name, yaml := range map[string]string{
		"server":       load + "network: {hosts: [{name: server}], links: [{between: [client, server], delay: 1ms}]}\ntarget: {lab: {body: 10}}",
		"stock":        load + "client: stock\nnetwork: {hosts: [{name: server}]}\ntarget: {lab: {body: 10}}",
		"tls balanced": load + "network: {hosts: [{name: a}, {name: b}], balancers: [{name: lb, backends: [a, b]}]}\ntarget: {lab: {tls: true}}\npool: {max_idle: 0}",
		"two proxies":  load + "network: {hosts: [{name: server}, {name: proxy}, {name: edge}]}\ntarget: {lab: {}, proxies: [{on: edge}, {}]}",
		"proxy, balancer": load + "network: {hosts: [{name: a}, {name: b}, {name: proxy}], balancers: [{name: lb, backends: [a, b], choose: round_robin}]}\n" +
			"target: {lab: {}, proxies: [{upstream: {per_request: true}}]}",
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "out")
			run, err := Run(t.Context(), networked(t, yaml), Options{Out: dir})
			if err != nil {
				t.Fatal(err)
			}
			if run.Counts.OK != 20 || run.Lab.Requests != 20 || run.Packets == nil || run.Packets.Seen == 0 {
				t.Errorf("%+v, %+v, %+v", run.Counts, run.Lab, run.Packets)
			}
			var opened uint64
			for _, c := range run.Packets.Closed {
				if c.Opened == "client" {
					opened += c.Count
				}
			}
			if n := len(endsIn(t, dir)); uint64(n) != opened {
				t.Errorf("the record has %d ends of connections, %d were opened", n, opened)
			}
			if opened != run.Connections.Opened {
				t.Errorf("%d connections of the client in the packets, it opened %d", opened, run.Connections.Opened)
			}
			for host, counters := range run.Kernel.Hosts {
				if _, known := counters["OutRsts"]; !known {
					t.Errorf("host %s: %v", host, counters)
				}
			}
			if want := len(run.Kernel.Hosts["client"]); want == 0 || len(run.Kernel.Hosts) < 2 || want != len(run.Kernel.Counters) {
				t.Errorf("the kernel counted %+v", run.Kernel)
			}
			for _, file := range []string{"packets.pcapng", "evidence.json", "run.json"} {
				if info, err := os.Stat(filepath.Join(dir, file)); err != nil || info.Size() == 0 {
					t.Errorf("%s: %v", file, err)
				}
			}
		})
	}
}

// The packets of a private network show an autopsy the same failures as the run, and
// the server's timer.
func TestAutopsyOfANetwork(t *testing.T) {
	t.Parallel()
	needSandbox(t)
	for name, target := range map[string]string{"plain": "lab: {idle_timeout: 300ms}", "tls": "lab: {idle_timeout: 300ms, tls: true}"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "out")
			run, err := Run(t.Context(), networked(t, `
name: n
load: {rate: 150/s, arrivals: {process: burst, on: 100ms, off: 260ms, off_max: 300ms, within: poisson}, duration: 4s, timeout: 5s, warm_up: 0s}
pool: {lease_order: fifo, idle_timeout: 0s, liveness: events}
network: {hosts: [{name: server}], links: [{between: [client, server], delay: 20ms}]}
target: {`+target+"}\n"), Options{Out: dir})
			if err != nil {
				t.Fatal(err)
			}
			v, err := autopsy.Examine(autopsy.Options{Files: []string{filepath.Join(dir, "packets.pcapng")}})
			if err != nil {
				t.Fatal(err)
			}
			t.Log(v.Headline)
			if uint64(len(v.Failures)) != run.Counts.Failed || uint64(v.Requests) != run.Counts.Started {
				t.Errorf("the autopsy found %d failures of %d requests, the run %d of %d", len(v.Failures), v.Requests, run.Counts.Failed, run.Counts.Started)
			}
			// One close may look early: a response that waited for its link to be carried was
			// seen late. Half of them are not.
			if idle := v.Servers[0].Facts.Idle; idle.Closes > 0 && idle.Median < 299*time.Millisecond {
				t.Errorf("the server's timer: %+v", idle)
			}
			for _, p := range v.Places {
				if p.Clock > 0.001 || p.Clock < -0.001 {
					t.Errorf("one clock stamps all packets, and the autopsy sees a difference: %+v", p)
				}
			}
		})
	}
}

// The server's side of the connections is seen in the namespaces of its hosts:
// who closes first keeps TIME_WAIT, here the servers behind a balancer, or a
// proxy.
func TestServersSocketsInNetwork(t *testing.T) {
	needSandbox(t)
	const load = "name: n\nload: {arrivals: {process: uniform, gap_min: 300ms, gap_max: 300ms}, count: 8}\n"
	for name, c := range map[string]struct {
		yaml   string
		client bool // it closes first
	}{
		"servers": {load + "network: {hosts: [{name: a}, {name: b}], balancers: [{name: lb, backends: [a, b], choose: round_robin}]}\ntarget: {lab: {idle_timeout: 50ms}}", false},
		"proxy":   {load + "network: {hosts: [{name: server}, {name: proxy}]}\ntarget: {lab: {}, proxies: [{idle_timeout: 50ms}]}", false},
		"client":  {load + "network: {hosts: [{name: server}]}\ntarget: {lab: {}}\npool: {max_idle: 0}", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run, err := Run(t.Context(), networked(t, c.yaml), Options{})
			if err != nil {
				t.Fatal(err)
			}
			k := run.Sockets
			mine, theirs := k.TimeWaitPeak, k.TimeWaitServer
			if c.client {
				mine, theirs = theirs, mine
			}
			// The last connections may not be closed yet when they are counted.
			if !k.Available || !k.ServerSide || mine != 0 || theirs < 5 || theirs > 8 {
				t.Errorf("%+v", k)
			}
		})
	}
}

// Proxies need no network.
func TestProxiesOnTheLoopback(t *testing.T) {
	p := load(t, "", "load.rate=100/s", "load.count=20", "target.lab={}", "target.proxies=[{via: a}, {via: b}]")
	run, err := Run(t.Context(), p, Options{})
	if err != nil || run.Counts.OK != 20 || run.Lab.Requests != 20 {
		t.Errorf("%+v, %v", run, err)
	}
}

// The client speaks TLS to the first proxy, whose certificate it trusts, and no
// hop behind it does.
func TestProxyWithTLS(t *testing.T) {
	for name, sets := range map[string][]string{
		"on the loopback": nil,
		"in a network":    {"network={hosts: [{name: proxy}, {name: edge}, {name: server}]}", "target.proxies.1.on=edge"},
	} {
		t.Run(name, func(t *testing.T) {
			if sets != nil {
				needSandbox(t)
			}
			sets = append([]string{"load.rate=100/s", "load.count=20", "target.lab={}", "target.proxies=[{tls: true}, {}]"}, sets...)
			run, err := Run(t.Context(), load(t, "", sets...), Options{})
			if err != nil {
				t.Fatal(err)
			}
			if run.Counts.OK != 20 || run.Lab.Requests != 20 || run.LatencyFresh["tls"].Max == 0 {
				t.Errorf("%+v, %v", run.Counts, run.LatencyFresh)
			}
		})
	}
}

// What one run leaves in TIME_WAIT is not there in the next, and the settings
// are those of the client's own namespace.
func TestEachRunHasANamespaceOfItsOwn(t *testing.T) {
	needSandbox(t)
	p := networked(t, `
name: n
load: {rate: 200/s, count: 60}
pool: {max_idle: 0}
network:
  hosts: [{name: server}, {name: client, port_range: [40000, 40099], sysctls: {net.ipv4.tcp_tw_reuse: 0}}]
target: {lab: {}}
expect: {failures.connect.port_exhausted: 0}
`)
	for range 2 { // the second would find 40 ports of the 60 it needs
		run, err := Run(t.Context(), p, Options{})
		if err != nil {
			t.Fatal(err)
		}
		// All 60 are in TIME_WAIT in the end, except those that closed after the last look.
		if run.Counts.OK != 60 || run.Sockets.PortsAvailable != 100 || run.Sockets.PortsUsedPeak > 60 || run.Sockets.TimeWaitPeak > 60 || run.Sockets.TimeWaitPeak == 0 {
			t.Errorf("%+v, %+v", run.Counts, run.Sockets)
		}
	}
}

// A balancer that has forgotten a connection resets it: the packets say so.
func TestEvidenceOfAReset(t *testing.T) {
	t.Parallel()
	needSandbox(t)
	p := networked(t, `
name: n
load: {arrivals: {process: uniform, gap_min: 600ms, gap_max: 700ms}, count: 6}
network:
  hosts: [{name: server}]
  balancers: [{name: lb, backends: [server], idle: 200ms, unknown: rst}]
target: {lab: {}}
`)
	run, err := Run(t.Context(), p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	// Requests 2, 4 and 6 meet a connection that the balancer has forgotten.
	if run.Counts.Failed != 3 || len(run.Packets.Failures) != 1 || run.Packets.Forgotten < 3 {
		t.Fatalf("%+v, %+v", run.Counts, run.Packets)
	}
	e := run.Packets.Failures[0]
	if e.Phase != results.PhaseBeforeResponse || e.Cause != results.CauseRST || e.By != "link" || e.How != "rst" {
		t.Errorf("%+v", e)
	}
	var story []string
	for _, r := range e.Rows {
		switch {
		case strings.HasPrefix(r.Note, "leased"):
			story = append(story, "leased")
		case strings.HasPrefix(r.Note, "got"):
			story = append(story, "got")
		case r.From == "client" && r.Fate == "answered_rst" && r.Who == "lb":
			story = append(story, "request")
		case r.From == "link" && r.Flags == "R":
			story = append(story, "reset")
		}
	}
	if got := strings.Join(story, " "); got != "leased request reset got" {
		t.Errorf("the ladder tells %q of %+v", got, e.Rows)
	}
	if want := []results.Closing{{Opened: "client", By: "link", How: "rst", Count: 3}}; len(run.Packets.Closed) != 1 || run.Packets.Closed[0] != want[0] {
		t.Errorf("closed: %+v", run.Packets.Closed)
	}
}

// What a remedy expects may name the incident's run in a network too, where each
// run is made by a child.
func TestRemedyInNetworkComparesWithTheIncident(t *testing.T) {
	t.Parallel()
	needSandbox(t)
	p := networked(t, `
name: n
load: {rate: 100/s, count: 10}
pool: {max_idle: 0}
network: {hosts: [{name: server}]}
target: {lab: {}}
expect: {connections.opened: == counts.started}
remedies:
- {name: reuse, set: {pool.max_idle: -1}, expect: {connections.opened: < incident}}
- {name: none, set: {load.count: 11}, expect: {connections.opened: < incident}}
`)
	rep, err := Reproduce(t.Context(), p, ReproduceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.RemedyRuns) != 2 || !rep.RemedyRuns[0].Cleared || rep.RemedyRuns[1].Cleared {
		t.Errorf("%s", rep.Verdict)
	}
}

// Where the record has no room for all packets nobody knows how all connections
// ended: that none was closed by the server is then not met.
func TestRecordWithoutRoom(t *testing.T) {
	t.Parallel()
	needSandbox(t)
	p := networked(t, `
name: n
load: {rate: 100/s, count: 30}
pool: {max_idle: 0}
network: {hosts: [{name: server}], record: {packets: 64}}
target: {lab: {}}
expect: {closed.server: 0}
`)
	run, err := Run(t.Context(), p, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if run.Packets.Overwritten == 0 || len(run.Expect) != 1 || run.Expect[0].Met || !strings.Contains(run.Expect[0].Why, "raise network.record.packets") {
		t.Errorf("%+v, %+v", run.Packets, run.Expect)
	}
	if !strings.Contains(strings.Join(run.Warnings, "\n"), "packets were not kept") {
		t.Errorf("warnings %q", run.Warnings)
	}
}

// The lives of connections are reported from within a network too.
func TestTraceInNetwork(t *testing.T) {
	t.Parallel()
	needSandbox(t)
	p := networked(t, "name: n\nload: {rate: 100/s, count: 3}\npool: {max_idle: 0}\nnetwork: {hosts: [{name: server}]}\ntarget: {lab: {}}")
	lives := map[uint64][]string{}
	run, err := Run(t.Context(), p, Options{Trace: func(e dialers.TraceEvent) {
		text := e.State.String()
		if e.State == dialers.Unregistered {
			text += " " + e.Reason.String()
		}
		lives[e.Conn] = append(lives[e.Conn], text)
	}})
	if err != nil || run.Counts.OK != 3 {
		t.Fatalf("%+v, %v", run, err)
	}
	if len(lives) != 3 {
		t.Errorf("%d lives: %v", len(lives), lives)
	}
	for conn, life := range lives {
		if got := strings.Join(life, ", "); !strings.HasPrefix(got, "registered, connected, ") || !strings.Contains(got, "request_sent, ") || !strings.HasSuffix(got, "unregistered surplus") {
			t.Errorf("connection %d: %s", conn, got)
		}
	}
}

func TestStopInNetwork(t *testing.T) {
	t.Parallel()
	needSandbox(t)
	p := networked(t, "name: n\nload: {rate: 100/s, duration: 1h}\nnetwork: {hosts: [{name: server}]}\ntarget: {lab: {}}")
	stop := make(chan struct{})
	run, err := Run(t.Context(), p, Options{Stop: stop, Progress: func(now Progress) {
		if now.Totals.OK > 0 {
			select {
			case <-stop:
			default:
				close(stop)
			}
		}
	}})
	if err != nil || !run.Interrupted || run.Counts.OK == 0 || run.End.Sub(run.Start) > 10*time.Minute {
		t.Errorf("%+v, %v", run, err)
	}
}

// The page, the conditions that stop a run and the baseline reach into the
// child.
func TestLiveAbortAndBaselineInNetwork(t *testing.T) {
	t.Parallel()
	needSandbox(t)
	text := "name: n\nload: {rate: 100/s, duration: %s, max_lag: 0}\nnetwork: {hosts: [{name: server}]}\ntarget: {lab: {fault: %s}}"
	earlier, err := Run(t.Context(), networked(t, fmt.Sprintf(text, "1s", "none")), Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := networked(t, fmt.Sprintf(text, "1h", "close_before_response"))
	p.Expect = map[string]string{"failures": "not worse than baseline"}
	p.AbortWhen = map[string]string{"failures": "> 200% of baseline after 3s"}
	feed := live.NewFeed()
	seen := make(chan uint64, 1)
	go func() {
		defer close(seen)
		for t.Context().Err() == nil {
			data, _ := feed.Data()
			var d page.Data
			if err := json.Unmarshal(data, &d); err != nil {
				t.Error(err)
				return
			}
			if len(d.Runs) == 1 && d.Runs[0].Doc.Counts.Failed > 0 && d.Live {
				seen <- d.Runs[0].Doc.Counts.Failed
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	run, err := Run(t.Context(), p, Options{Baseline: &Baseline{Dir: "before", Run: earlier}, Live: feed})
	if err != nil {
		t.Fatal(err)
	}
	if n := <-seen; n == 0 || n > run.Counts.Failed {
		t.Errorf("the page had %d failures, the run %d", n, run.Counts.Failed)
	}
	if run.Stopped == nil || run.Expect[0].Met || run.Expect[0].Why != "" || run.Baseline == nil {
		t.Errorf("stopped %+v, expectations %+v", run.Stopped, run.Expect)
	}
	data, over := feed.Data()
	var last page.Data
	if err := json.Unmarshal(data, &last); err != nil || !over || last.Live || last.Runs[0].Doc.Counts != run.Counts {
		t.Errorf("the last of the page: %v, over %v, live %v", err, over, last.Live)
	}
}

// What the child finds wrong is reported as by a run without a child.
func TestInputErrorsOfTheChild(t *testing.T) {
	needSandbox(t)
	p := networked(t, "name: n\nload: {rate: 100/s, count: 1}\nnetwork: {hosts: [{name: server, sysctls: {net.ipv4.no_such_thing: 1}}]}\ntarget: {lab: {}}")
	_, err := Run(t.Context(), p, Options{})
	if _, input := errors.AsType[*InputError](err); !input || !strings.Contains(err.Error(), "host server: net.ipv4.no_such_thing: this kernel has no such setting per namespace") {
		t.Errorf("%T %v", err, err)
	}
}
