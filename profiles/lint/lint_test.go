package lint

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/profiles"
)

// lintBase breaks no rule: 400/s x 50ms keeps 20 connections busy.
const lintBase = `
load: {rate: 400/s, timeout: 10s}
pool: {max_conns: 32, idle_timeout: 4s, pending_max: 64}
target:
  lab: {idle_timeout: 5s, delay: 40ms}
  link: {delay: 5ms}
server: {max_connections: 100, threads: 50, backlog: 128}
`

func lintProfile(t *testing.T, sets ...string) *profiles.Profile {
	t.Helper()
	p, err := profiles.Load("test", []byte(lintBase), sets)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// foreign makes the target a server that is not kabench's.
func foreign(sets ...string) []string {
	return append([]string{"target.lab=null", "target.link=null", "target.url=http://127.0.0.1:1/", "server.idle_timeout=5s", "server.delay=50ms"}, sets...)
}

// findingsOf is what Check finds on a machine as Linux sets it up.
func findingsOf(p *profiles.Profile) []Finding { return Check(p, Options{}).Findings }

func rulesOf(findings []Finding) []string {
	var list []string
	for _, f := range findings {
		list = append(list, f.Rule)
	}
	return list
}

// Each profile breaks one rule once, and what the finding says to set mends it.
func TestLintFindings(t *testing.T) {
	for _, c := range []struct {
		name       string
		sets       []string
		rule, path string
		numbers    [2]string
		seen       string // part of it
		set        string // the whole, or its beginning
	}{
		{"kept for ever", []string{"pool.idle_timeout=0"}, RuleIdleOrder, "pool.idle_timeout",
			[2]string{"pool.idle_timeout for ever", "target.lab.idle_timeout 5s"}, "no resend rule covers GET", "pool.idle_timeout=4s"},
		{"equal", []string{"pool.idle_timeout=5s"}, RuleIdleOrder, "pool.idle_timeout",
			[2]string{"pool.idle_timeout 5s", "target.lab.idle_timeout 5s"}, "before_response", "pool.idle_timeout=4s"},
		{"nearer than a round trip", []string{"pool.idle_timeout=4s", "target.link.delay=500ms", "load.rate=20/s"}, RuleIdleOrder, "pool.max_idle",
			[2]string{"pool.idle_timeout 4s", "target.lab.idle_timeout 5s"}, "", "pool.max_idle=0"},
		{"never looked at", []string{"pool.idle_timeout=0", "pool.expiry=[]"}, RuleIdleOrder, "pool.idle_timeout",
			[2]string{"pool.idle_timeout for ever", "target.lab.idle_timeout 5s"}, "", "pool.idle_timeout=4s, with pool.expiry=[lease]"},
		{"looked at by a sweep alone", []string{"pool.expiry=[sweep]", "pool.sweep_every=2s"}, RuleIdleOrder, "pool.idle_timeout",
			[2]string{"pool.idle_timeout and pool.sweep_every 6s", "target.lab.idle_timeout 5s"}, "", "pool.idle_timeout=4s, with pool.expiry=[lease,sweep]"},
		{"sent again", []string{"pool.idle_timeout=0", "pool.resend=[{on: reused, after: [eof, rst], methods: safe, max: 1, path: fresh}]"}, RuleIdleOrder, "pool.idle_timeout",
			[2]string{"pool.idle_timeout for ever", "target.lab.idle_timeout 5s"}, "each of these requests is sent again", "pool.idle_timeout=4s"},
		{"a hint that is not true", foreign("pool.server_hint=replace", "server.hint=6s"), RuleIdleOrder, "pool.hint_cap",
			[2]string{"the server's hint (pool.server_hint) 6s", "server.idle_timeout 5s"}, "", "pool.hint_cap=4s"},
		{"a server that is early", foreign("server.idle_early=1s"), RuleIdleOrder, "pool.idle_timeout",
			[2]string{"pool.idle_timeout 4s", "server.idle_timeout 5s less 1s"}, "idle for about 4s", "pool.idle_timeout=3s"},
		{"a load balancer in between", foreign("via.idle_timeout=3s"), RuleIdleOrder, "pool.idle_timeout",
			[2]string{"pool.idle_timeout 4s", "via.idle_timeout 3s"}, "idle for about 3s", "pool.idle_timeout=2s"},
		{"a load balancer above the server", foreign("via.idle_timeout=1m", "pool.idle_timeout=30s"), RuleIdleOrder, "server.idle_timeout",
			[2]string{"via.idle_timeout 1m0s", "server.idle_timeout 5s"}, "502", "server.idle_timeout=1m6s"},
		{"a load balancer whose other side is above the server", foreign("via.idle_timeout=10s", "via.upstream_idle=1m"), RuleIdleOrder, "server.idle_timeout",
			[2]string{"via.upstream_idle 1m0s", "server.idle_timeout 5s"}, "502", "server.idle_timeout=1m6s"},
		{"a firewall that drops", foreign("via.idle_timeout=2s", "via.silent=true", "via.at_expiry=drop"), RuleIdleOrder, "pool.idle_timeout",
			[2]string{"pool.idle_timeout 4s", "via.idle_timeout 2s"}, "a pause hangs until its timeout (before_response, timeout; retransmissions, no FIN); all others", "pool.idle_timeout=1s"},
		{"a NAT that answers", foreign("via.idle_timeout=2s", "via.silent=true", "via.at_expiry=rst_next"), RuleIdleOrder, "pool.idle_timeout",
			[2]string{"pool.idle_timeout 4s", "via.idle_timeout 2s"}, "a pause gets a reset (before_response, rst) that no server has sent; all others", "pool.idle_timeout=1s"},
		{"a balancer that chooses again", foreign("via.idle_timeout=2s", "via.silent=true", "via.at_expiry=reroute"), RuleIdleOrder, "pool.idle_timeout",
			[2]string{"pool.idle_timeout 4s", "via.idle_timeout 2s"}, "a pause goes to another server, which resets it", "pool.idle_timeout=1s"},
		{"probes do not count for HTTP", foreign("pool.idle_timeout=10s", "target.tcp.keep_alive=1s"), RuleIdleOrder, "pool.idle_timeout",
			[2]string{"pool.idle_timeout 10s", "server.idle_timeout 5s"}, "", "pool.idle_timeout=4s, or less; target.tcp.keep_alive does not help"},
		{"a NAT that forgets", foreign("via.idle_timeout=2s", "via.silent=true"), RuleIdleOrder, "pool.idle_timeout",
			[2]string{"pool.idle_timeout 4s", "via.idle_timeout 2s"}, "hangs until its timeout", "pool.idle_timeout=1s, or less; or target.tcp.keep_alive=1s"},
		{"a server behind one that forgets", foreign("server.silent=true", "pool.idle_timeout=10s"), RuleIdleOrder, "pool.idle_timeout",
			[2]string{"pool.idle_timeout 10s", "server.idle_timeout 5s"}, "hangs until its timeout", "pool.idle_timeout=4s, or less; or target.tcp.keep_alive=2.5s"},
		{"a server behind what passes connections on", foreign("pool.idle_timeout=30s", "via.idle_timeout=4m", "via.passes_on=true"), RuleIdleOrder, "pool.idle_timeout",
			[2]string{"pool.idle_timeout 30s", "server.idle_timeout 5s"}, "idle for about 5s", "pool.idle_timeout=4s"},
		{"what passes connections on and resets them", foreign("via.idle_timeout=3s", "via.passes_on=true"), RuleIdleOrder, "pool.idle_timeout",
			[2]string{"pool.idle_timeout 4s", "via.idle_timeout 3s"}, "idle for about 3s", "pool.idle_timeout=2s"},

		{"no limit of requests", []string{"target.lab.max_requests=10", "target.lab.unannounced=true"}, RuleMaxRequests, "pool.max_requests",
			[2]string{"pool.max_requests no limit", "target.lab.max_requests 10, unannounced"}, "one in 11", "pool.max_requests=10"},
		{"a higher limit of requests", foreign("pool.max_requests=101", "server.max_requests=100", "server.unannounced=true"), RuleMaxRequests, "pool.max_requests",
			[2]string{"pool.max_requests 101", "server.max_requests 100, unannounced"}, "", "pool.max_requests=100"},
		{"a limit of requests that is never reached", []string{"pool.max_requests=1000", "target.lab.max_requests=100"}, RuleMaxRequests, "pool.max_requests",
			[2]string{"pool.max_requests 1000", "target.lab.max_requests 100"}, "no failure", "pool.max_requests=100"},
		{"a longer life", foreign("pool.max_lifetime=1h", "server.max_lifetime=1h", "server.unannounced=true"), RuleMaxRequests, "pool.max_lifetime",
			[2]string{"pool.max_lifetime 1h0m0s", "server.max_lifetime 1h0m0s, unannounced"}, "in waves", "pool.max_lifetime=54m0s"},

		{"more than are accepted", []string{"pool.max_conns=101", "server.threads=200"}, RuleConnections, "pool.max_conns",
			[2]string{"pool.max_conns 101", "server.max_connections 100"}, "backlog", "pool.max_conns=100"},
		{"shards", []string{"pool.shards=3", "server.max_connections=40", "server.workers=2", "server.threads=100"}, RuleConnections, "pool.max_conns",
			[2]string{"pool.max_conns 32 x pool.shards 3 = 96", "server.max_connections 40 x server.workers 2 = 80"}, "", "pool.max_conns=26"},
		{"no cap", []string{"pool.max_conns=none", "load.max_in_flight=101"}, RuleConnections, "pool.max_conns",
			[2]string{"load.max_in_flight 101", "server.max_connections 100"}, "backlog", "pool.max_conns=100"},
		{"threads", []string{"server.threads=9", "server.workers=2"}, RuleConnections, "server.threads",
			[2]string{"400/s x 50ms = 20 connections", "server.threads 9 x server.workers 2 = 18"}, "access log", "server.threads=10, or more"},
		{"backlog", []string{"server.backlog=19"}, RuleConnections, "server.backlog",
			[2]string{"400/s x 50ms = 20 connections", "server.backlog 19"}, "1 s, 2 s, 3 s", "server.backlog=20, or more"},

		{"too few connections", []string{"pool.max_conns=16"}, RulePending, "pool.max_conns",
			[2]string{"400/s x 50ms = 20 connections", "pool.max_conns 16"}, "no more than 320/s succeed; the others fail at once to acquire (queue_full)", "pool.max_conns=25"},
		{"too few for the average of ramp", []string{"load.arrivals={process: ramp, to: 1200/s}"}, RulePending, "pool.max_conns",
			[2]string{"800/s x 50ms = 40 connections", "pool.max_conns 32"}, "640/s", "pool.max_conns=50"},
		{"a queue too short for a burst", []string{"load.rate=840/s", "load.arrivals={process: burst, on: 500ms, off: 500ms}"}, RulePending, "pool.pending_max",
			[2]string{"100 waiting at the end of a peak of 840/s", "pool.pending_max 64"}, "queue_full", "pool.pending_max=100"},
		{"a wait too short for a burst", []string{"load.rate=840/s", "load.arrivals={process: burst, on: 500ms, off: 500ms}", "pool.pending_max=-1", "pool.pending_timeout=100ms"}, RulePending, "pool.pending_timeout",
			[2]string{"longest wait of a burst 156ms", "pool.pending_timeout 100ms"}, "timeout", "pool.pending_timeout=195ms"},
		{"a fall after a warm-up", []string{"load.rate=740/s", "load.arrivals={process: ramp, to: 100/s}", "load.warm_up=1s", "pool.pending_max=200", "load.max_in_flight=2000"}, RulePending, "pool.pending_max",
			[2]string{"335 waiting at the end of a peak of 740/s", "pool.pending_max 200"}, "", "pool.pending_max=335"},
		{"a swing above the pool", []string{"load.arrivals={process: sine, amplitude: 360/s, period: 10s}", "pool.pending_max=0"}, RulePending, "pool.pending_max",
			[2]string{"212 waiting at the end of a peak of 760/s", "pool.pending_max 0"}, "", "pool.pending_max=212"},

		{"one request per connection", []string{"pool.max_requests=1", "load.rate=480/s"}, RulePorts, "pool.max_requests",
			[2]string{"480/s new connections x 60s = 28800 ports", "ports 28232"}, "from about 59s on", "pool.max_requests="},
		{"a short life", []string{"pool.max_lifetime=40ms", "load.rate=600/s"}, RulePorts, "pool.max_lifetime",
			[2]string{"600/s new connections x 60s = 36000 ports", "ports 28232"}, "from about 47s on", "pool.max_lifetime=128ms"},

		{"a POST sent again", []string{"target.method=POST", "pool.resend=[{on: reused, after: [unsent, eof], methods: all, max: 1, path: fresh}]"}, RuleRetry, "pool.resend.0",
			[2]string{"pool.resend.0: a POST sent up to 2", "executions it allows 1"}, "duplicates", "pool.resend.0.methods=idempotent, or pool.resend.0.after=[unsent]"},
		{"a PATCH sent again and again", []string{"target.method=PATCH", "pool.resend=[{on: any, after: [unsent], methods: all}, {on: any, after: [body], methods: all}]"}, RuleRetry, "pool.resend.1",
			[2]string{"pool.resend.1: a PATCH sent until an attempt on a fresh connection fails", "executions it allows 1"}, "", "pool.resend.1.methods=idempotent"},

		{"an idle cap below what is busy", []string{"pool.max_idle=19"}, RuleChurn, "pool.max_idle",
			[2]string{"400/s x 50ms = 20 connections", "pool.max_idle 19"}, "given back when 19 are idle is closed: in steady traffic up to about 5 % of the requests open a new one, at most 5 %", "pool.max_idle=20"},
		{"an idle cap over all", []string{"pool.max_idle_all=5", "pool.shards=2"}, RuleChurn, "pool.max_idle_all",
			[2]string{"400/s x 50ms = 20 connections", "pool.max_idle_all 5 x pool.shards 2 = 10"}, "", "pool.max_idle_all=10"},
		{"no keep-alive", []string{"pool.max_idle=0"}, RuleChurn, "pool.max_idle",
			[2]string{"400/s x 50ms = 20 connections", "pool.max_idle 0"}, "after one request", "pool.max_idle=20"},

		{"connect_timeout", []string{"pool.connect_timeout=30s"}, RuleTimeouts, "pool.connect_timeout",
			[2]string{"pool.connect_timeout 30s", "load.timeout 10s"}, "connect", "pool.connect_timeout=5s"},
		{"response_timeout", []string{"pool.response_timeout=11s"}, RuleTimeouts, "pool.response_timeout",
			[2]string{"pool.response_timeout 11s", "load.timeout 10s"}, "", "pool.response_timeout=5s"},
		{"pending_timeout", []string{"pool.pending_timeout=45s"}, RuleTimeouts, "pool.pending_timeout",
			[2]string{"pool.pending_timeout 45s", "load.timeout 10s"}, "load.timeout", "pool.pending_timeout=5s"},
		{"probes too seldom", foreign("via.idle_timeout=6s", "via.silent=true", "target.tcp.keep_alive=15s"), RuleKeepAlive, "target.tcp.keep_alive",
			[2]string{"target.tcp.keep_alive 15s", "via.idle_timeout 6s"}, "", "target.tcp.keep_alive=3s"},
		{"probes too seldom for what resets", foreign("via.idle_timeout=6s", "via.passes_on=true", "target.tcp.keep_alive=6s"), RuleKeepAlive, "target.tcp.keep_alive",
			[2]string{"target.tcp.keep_alive 6s", "via.idle_timeout 6s"}, "", "target.tcp.keep_alive=3s"},

		{"a connection for each request", foreign("pool.max_requests=1", "via.silent=true", "via.idle_timeout=1h", "via.ports=20000", "via.port_reuse=65s"), RuleNATPorts, "pool.max_requests",
			[2]string{"400/s new connections x 65s = 26000 ports, and 20 connections busy", "via.ports 20000, for all clients behind it, and each more makes it worse"},
			"from about 50s on, new connections get no answer", "pool.max_requests=3, or more; or via.ports=28622"},
		{"a server that ends them", foreign("server.max_requests=1", "via.silent=true", "via.idle_timeout=1h", "via.ports=20000", "via.port_reuse=65s"), RuleNATPorts, "server.max_requests",
			[2]string{"400/s new connections x 65s = 26000 ports, and 20 connections busy", "via.ports 20000, for all clients behind it, and each more makes it worse"}, "connect failures (timeout)", "server.max_requests=3"},
		{"fewer ports than connections", foreign("via.silent=true", "via.idle_timeout=1h", "via.ports=16", "via.ports_per=client", "via.port_reuse=2m"), RuleNATPorts, "via.ports",
			[2]string{"20 connections busy", "via.ports 16, for this client"}, "from the beginning", "via.ports=22"},

		{"a server that stops at once", foreign("via.silent=true", "via.idle_timeout=1h", "via.propagation=10s", "server.drain=10s"), RuleDrain, "server.drain",
			[2]string{"server.drain 10s", "via.propagation 10s"}, "connect failures (refused)", "server.drain=15.05s"},

		{"connections that live for ever", foreign("server.scale_out=5m"), RuleScaleOut, "pool.max_lifetime",
			[2]string{"pool.max_lifetime for ever", "server.scale_out 5m0s"}, "gets nothing on kept connections", "pool.max_lifetime=5m0s"},
		{"requests that last for longer", foreign("server.scale_out=5m", "pool.max_requests=10000"), RuleScaleOut, "pool.max_lifetime",
			[2]string{"pool.max_requests 10000, reached after about 8m20s", "server.scale_out 5m0s"}, "", "pool.max_lifetime=5m0s"},
	} {
		t.Run(c.rule+" "+c.name, func(t *testing.T) {
			sets := c.sets
			if c.rule != RuleConnections && c.rule != RuleIdleOrder { // room for what else they change
				sets = append(slices.Clone(sets), "server.threads=100", "server.max_connections=100")
			}
			findings := findingsOf(lintProfile(t, sets...))
			if len(findings) != 1 {
				t.Fatalf("%d findings: %+v", len(findings), findings)
			}
			f := findings[0]
			if f.Rule != c.rule || f.Path != c.path || f.Numbers != c.numbers {
				t.Errorf("%s at %s, %q; want %s at %s, %q", f.Rule, f.Path, f.Numbers, c.rule, c.path, c.numbers)
			}
			if !strings.Contains(f.Seen, c.seen) || f.Seen == "" || f.Says == "" {
				t.Errorf("seen %q has no %q", f.Seen, c.seen)
			}
			if !strings.HasPrefix(f.Set, c.set) {
				t.Errorf("set %q, want %q", f.Set, c.set)
			}
			mends(t, sets, f)
		})
	}
}

// mends fails the test unless what a finding says to set, up to the first "or",
// is a way out.
func mends(t *testing.T, sets []string, f Finding) {
	t.Helper()
	change, _, _ := strings.Cut(f.Set, ", or ")
	change, _, _ = strings.Cut(change, "; or ")
	for _, set := range regexp.MustCompile(`[a-z_]+(?:\.[a-z_0-9]+)+=[^\s;:]*[^\s;:,]`).FindAllString(change, -1) {
		sets = append(slices.Clone(sets), set)
	}
	for _, left := range findingsOf(lintProfile(t, sets...)) {
		if left.Rule == f.Rule && left.Path == f.Path {
			t.Errorf("with %q: %+v", sets, left)
		}
	}
}

// Without a profile nobody has said what is sent: a GET and a POST may fare differently.
func TestMethodNotGiven(t *testing.T) {
	const again, notCovered = "each of these requests is sent again", "no resend rule covers "
	for _, c := range []struct {
		pool string
		set  string
		want string
	}{
		{"go-default-transport", "", "a GET is sent again, a POST is not: callers see its error"},
		{"go-default-transport", "target.method=GET", again},
		{"go-default-transport", "target.method=POST", notCovered + "POST"},
		{"go-default-transport", "target.headers.Idempotency-Key=a", again},
		{"reactor-netty", "pool.resend=[]", notCovered + "GET, POST"},
	} {
		sets := []string{"pool=" + c.pool, "server.idle_timeout=20s"}
		if c.set != "" {
			sets = append(sets, c.set)
		}
		p, err := profiles.LoadToCheck(sets)
		if err != nil {
			t.Fatal(err)
		}
		found := findingsOf(p)
		if len(found) != 1 || found[0].Rule != RuleIdleOrder || !strings.Contains(found[0].Seen, c.want) {
			t.Errorf("%s, %q: %+v", c.pool, c.set, found)
		}
	}
}

// The NAT of a profile's network has its ports, its addresses and its reuse delay there.
func TestNATOfTheNetwork(t *testing.T) {
	const base = `
load: {rate: 10/s, timeout: 5s, duration: 5s}
pool: {max_idle: 0, connect_timeout: 1s}
network:
  hosts: [{name: server}, {name: client}]
  nats: [{name: nat, ports: 20, reuse: 10s}]
  links: [{between: [client, nat], delay: 1ms}]
target:
  lab: {delay: 1ms}
`
	for _, c := range []struct {
		sets    []string
		numbers [2]string // none: the rule finds nothing
		seen    string
	}{
		{nil, [2]string{"10/s new connections x 10s = 100 ports, and 1 connections busy", "network.nats.0.ports 20, for all clients behind it, and each more makes it worse"}, "from about 2s on"},
		{[]string{"network.nats.0.addresses=3"}, [2]string{"10/s new connections x 10s = 100 ports, and 1 connections busy", "network.nats.0.ports 20 x 3 addresses = 60, for all clients behind it, and each more makes it worse"}, "from about 6s on"},
		{[]string{"network.nats.0.ports_per=client"}, [2]string{"10/s new connections x 10s = 100 ports, and 1 connections busy", "network.nats.0.ports 20, for this client"}, "from about 2s on"},
		{[]string{"network.nats.0.ports=112"}, [2]string{}, ""},
		{[]string{"network.nats.0.addresses=6"}, [2]string{}, ""},
		{[]string{"network.nats.0.reuse=0s"}, [2]string{}, ""},
		{[]string{"pool.max_idle=-1"}, [2]string{}, ""},
		{[]string{"network.nats=null", "network.links=null"}, [2]string{}, ""},
	} {
		p, err := profiles.Load("test", []byte(base), c.sets)
		if err != nil {
			t.Fatalf("%q: %v", c.sets, err)
		}
		found := slices.DeleteFunc(findingsOf(p), func(f Finding) bool { return f.Rule != RuleNATPorts })
		switch {
		case c.numbers == [2]string{}:
			if len(found) > 0 {
				t.Errorf("%q: %+v", c.sets, found)
			}
		case len(found) != 1 || found[0].Path != "pool.max_idle" || found[0].Numbers != c.numbers || !strings.HasPrefix(found[0].Seen, c.seen):
			t.Errorf("%q: %+v", c.sets, found)
		}
	}
}

func TestLintFindsNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		sets []string
	}{
		{"as it is", nil},
		{"expiry at lease only", []string{"pool.expiry=[lease]"}},
		{"a sweep that comes in time", []string{"pool.expiry=[sweep]", "pool.sweep_every=500ms"}},
		{"a lifetime below the server's idle time", []string{"pool.idle_timeout=0", "pool.max_lifetime=4s"}},
		{"a server that keeps for ever", []string{"pool.idle_timeout=0", "target.lab.idle_timeout=0"}},
		{"no connection used twice", []string{"pool.idle_timeout=0", "pool.max_requests=1"}},
		{"a server that says close", []string{"pool.idle_timeout=0", "target.lab.say_close=true"}},
		{"a server that says close, idle cap or not", []string{"pool.max_idle=2", "target.lab.say_close=true"}},
		{"a foreign server that ends each connection", foreign("pool.idle_timeout=0", "pool.max_idle=2", "load.rate=640/s", "server.max_requests=1")},
		{"requests that ask for a close", foreign("pool.idle_timeout=0", "pool.max_idle=2", "load.rate=640/s", "target.headers.connection=Close")},
		{"a hint heeded", foreign("pool.idle_timeout=0", "pool.server_hint=min", "pool.hint_margin=1s", "server.hint=5s")},
		{"a hint too short to keep", foreign("pool.idle_timeout=0", "pool.server_hint=min", "pool.hint_margin=1s", "server.hint=1s")},
		{"in order over a load balancer", foreign("pool.idle_timeout=2s", "via.idle_timeout=4s")},
		{"what passes connections on, kept awake", foreign("via.idle_timeout=3s", "via.passes_on=true", "target.tcp.keep_alive=1s")},
		{"a NAT kept awake", foreign("via.idle_timeout=3s", "via.silent=true", "target.tcp.keep_alive=1s")},
		{"a NAT kept awake by the server", foreign("via.idle_timeout=3s", "via.silent=true", "server.keep_alive=1s")},
		{"a load balancer with an earlier side behind", foreign("via.idle_timeout=10s", "via.upstream_idle=4s")},
		{"ports enough", foreign("pool.max_requests=1", "via.silent=true", "via.idle_timeout=1h", "via.ports=26020", "via.port_reuse=65s")},
		{"kept connections need few ports", foreign("via.silent=true", "via.idle_timeout=1h", "via.ports=64", "via.port_reuse=2m")},
		{"a server that goes on for long enough", foreign("via.silent=true", "via.idle_timeout=1h", "via.propagation=10s", "server.drain=15s")},
		{"a lifetime for scale-out", foreign("server.scale_out=5m", "pool.max_lifetime=5m")},
		{"requests for scale-out", foreign("server.scale_out=5m", "pool.max_requests=5000")},
		{"scale-out behind what spreads requests", foreign("server.scale_out=5m", "via.idle_timeout=10s", "via.upstream_idle=4s")},
		{"a server that forgets, kept awake", foreign("server.silent=true", "pool.idle_timeout=0", "target.tcp.keep_alive=1s")},
		{"as many requests as the server", []string{"pool.max_requests=10", "target.lab.max_requests=10", "target.lab.unannounced=true"}},
		{"an end that is announced", []string{"target.lab.max_requests=10"}},
		{"just enough places", []string{"pool.max_conns=100", "server.backlog=20", "server.threads=20"}},
		{"threads for all that are in flight", []string{"pool.shards=2", "pool.max_conns=40", "load.max_in_flight=50", "server.threads=50"}},
		{"shards share what is in flight", []string{"pool.shards=3", "pool.max_conns=none", "load.max_in_flight=50"}},
		{"just enough connections", []string{"pool.max_conns=20"}},
		{"an idle cap of what is busy", []string{"pool.max_idle=20"}},
		{"an idle cap of all there can be", []string{"pool.max_conns=20", "pool.max_idle=20", "pool.pending_max=-1", "load.arrivals={process: sine, amplitude: 360/s, period: 1s}"}},
		{"an idle cap of all that are in flight", []string{"pool.max_conns=none", "pool.max_idle=19", "load.max_in_flight=19"}},
		{"a burst that fits", []string{"load.rate=760/s", "load.arrivals={process: burst, on: 500ms, off: 500ms}"}},
		{"a burst held back by the generator", []string{"load.rate=840/s", "load.arrivals={process: burst, on: 500ms, off: 500ms}", "load.max_in_flight=32"}},
		{"few connections opened", []string{"pool.max_requests=1", "load.rate=470/s"}},
		{"a GET sent again", []string{"pool.resend=[{on: any, after: [eof, rst, body], methods: all, max: 3}]"}},
		{"a POST sent again unsent", []string{"target.method=POST", "pool.resend=[{on: reused, after: [unsent], methods: all}]"}},
		{"a POST with a key", []string{"target.method=POST", "target.headers.idempotency-key=x", "pool.resend=[{on: reused, after: [eof], methods: all}]"}},
		{"a POST that no rule takes", []string{"target.method=POST", "pool.resend=[{on: reused, after: [eof], methods: safe}]"}},
		{"limits as long as the whole", []string{"pool.connect_timeout=10s", "pool.response_timeout=10s", "pool.pending_timeout=10s"}},
		{"limits of requests without one", []string{"load.timeout=0", "pool.connect_timeout=30s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if findings := findingsOf(lintProfile(t, c.sets...)); len(findings) != 0 {
				t.Errorf("%+v", findings)
			}
		})
	}
}

// Go's default keeps 2 idle connections per host: at 700/s x 50ms 33 of 35 are
// closed as they come back, and the ports run out.
func TestLintIdleChurnTakesPorts(t *testing.T) {
	for _, client := range []string{"client=policy", "client=stock"} {
		p := lintProfile(t, foreign(client, "pool.max_idle=2", "pool.max_conns=none", "load.rate=700/s", "load.max_in_flight=50")...)
		if client == "client=stock" {
			p = lintProfile(t, foreign(client, "load.rate=700/s", "load.max_in_flight=50", "server.idle_timeout=2m")...)
		}
		var ports Finding
		for _, f := range findingsOf(p) {
			if f.Rule == RulePorts {
				ports = f
			}
		}
		want := [2]string{"at most 660/s new connections x 60s = 39600 ports; in steady traffic up to about 233.3/s x 60s = 14000 ports", "ports 28232"}
		if ports.Numbers != want || ports.Path != "pool.max_idle" {
			t.Errorf("%s: %+v", client, ports)
		}
		if stock := strings.Contains(ports.Set, "client=policy"); stock != (client == "client=stock") {
			t.Errorf("%s: set %q", client, ports.Set)
		}
		if list := Check(p, Options{Ports: 40000}); slices.Contains(rulesOf(list.Findings), RulePorts) {
			t.Errorf("%s: 39600 of 40000 ports are too many: %+v", client, list.Findings)
		}
	}
}

// A change at the server needs no other client.
func TestLintStockClientKeepsWhatIsNotThePools(t *testing.T) {
	sets := foreign("pool=default", "client=stock", "load.timeout=0", "server.max_connections=2000", "server.threads=2000", "server.backlog=2000",
		"load.rate=20/s", "server.idle_timeout=100s", "via.idle_timeout=100s", "via.delay=50ms")
	findings := findingsOf(lintProfile(t, sets...))
	if got := rulesOf(findings); !slices.Equal(got, []string{RuleIdleOrder}) {
		t.Fatalf("broken: %v", got)
	}
	if f := findings[0]; f.Path != "server.idle_timeout" || strings.Contains(f.Set, "client=policy") {
		t.Errorf("%s: set %q", f.Path, f.Set)
	}
}

// Settings of the pool that the stock client does not have are named; there are
// none when the pool is the default.
func TestLintStockClientHasNoSettings(t *testing.T) {
	sets := foreign("client=stock", "server.idle_timeout=2m")
	var got []Finding
	for _, f := range findingsOf(lintProfile(t, sets...)) {
		if f.Rule == RuleClient {
			got = append(got, f)
		}
	}
	if want := [2]string{"client stock", "pool.max_conns, pool.pending_max, pool.idle_timeout"}; len(got) != 1 || got[0].Path != "client" || got[0].Numbers != want {
		t.Fatalf("%+v", got)
	}
	for _, more := range []string{"client=policy", "pool=default"} {
		if left := findingsOf(lintProfile(t, append(slices.Clone(sets), more)...)); slices.Contains(rulesOf(left), RuleClient) {
			t.Errorf("%s: %+v", more, left)
		}
	}
}

// A server that keeps connections for ever is known, and not a missing fact.
func TestLintForEver(t *testing.T) {
	for _, sets := range [][]string{{"server.idle_timeout=0s", "server.idle_for_ever=true"}, {"server.idle_timeout=0s"}} {
		list := Check(lintProfile(t, foreign(append(sets, "pool.idle_timeout=0s")...)...), Options{})
		known := len(sets) == 2
		lacks := slices.ContainsFunc(list.Lacking, func(u Unchecked) bool { return u.Rule == RuleIdleOrder })
		if len(list.Findings) > 0 || lacks == known || len(list.Notes) > 0 != known {
			t.Errorf("%q: %+v", sets, list)
		}
	}
}

// Caps are per host, and so are ports: of four hosts each has a quarter of the
// load, and one that gets half of the targets half of it.
func TestLintSeveralHosts(t *testing.T) {
	file := filepath.Join(t.TempDir(), "targets.txt")
	write := func(hosts ...string) {
		text := "GET http://" + strings.Join(hosts, "/\n\nGET http://") + "/\n"
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lint := func(sets ...string) []Finding {
		sets = append([]string{"target.url=", "target.file=" + file}, sets...)
		return findingsOf(lintProfile(t, foreign(sets...)...))
	}
	write("a", "b", "c", "d")
	for _, sets := range [][]string{
		{"pool.max_conns=5"}, {"pool.max_idle=5"}, {"pool.max_conns_all=20"}, {"pool.max_idle_all=20"}, {"pool.max_requests=1", "load.rate=600/s"},
	} {
		if findings := lint(sets...); len(findings) != 0 {
			t.Errorf("%q: %+v", sets, findings)
		}
	}
	for _, c := range [][3]string{
		{"pool.max_conns=4", "100/s x 50ms = 5 connections", "pool.max_conns 4"},
		{"pool.max_conns_all=19", "400/s x 50ms = 20 connections", "pool.max_conns_all 19"},
		{"pool.max_idle=4", "100/s x 50ms = 5 connections", "pool.max_idle 4"},
		{"pool.max_idle_all=19", "400/s x 50ms = 20 connections", "pool.max_idle_all 19"},
	} {
		if findings := lint(c[0]); len(findings) != 1 || findings[0].Numbers != [2]string(c[1:]) {
			t.Errorf("%s: %+v", c[0], findings)
		}
	}
	write("a", "b", "a", "c")
	if findings := lint("pool.max_conns=9"); len(findings) != 1 || findings[0].Numbers[0] != "200/s x 50ms = 10 connections" {
		t.Errorf("a host with half of the load: %+v", findings)
	}
}

// A burst after a silence longer than idle_timeout opens everything again.
func TestLintSilencesTakePorts(t *testing.T) {
	sets := []string{"pool.idle_timeout=100ms", "load.rate=400/s", "load.arrivals={process: burst, on: 400ms, off: 600ms}"}
	list := Check(lintProfile(t, sets...), Options{Ports: 1000})
	if len(list.Findings) != 1 || list.Findings[0].Numbers != [2]string{"20/s new connections x 60s = 1200 ports", "ports 1000"} {
		t.Errorf("%+v", list.Findings)
	}
}

func TestLintLacksFacts(t *testing.T) {
	p := profiles.Default()
	list := Check(&p, Options{})
	if len(list.Findings) != 0 {
		t.Errorf("%+v", list.Findings)
	}
	var lacking []string
	for _, u := range list.Lacking {
		lacking = append(lacking, u.String())
	}
	want := []string{
		"idle-order (server.idle_timeout)", "max-requests-order (server.max_requests)", "connections (load.rate)",
		"ports (load.rate)", "timeouts (load.timeout)",
	}
	if !slices.Equal(lacking, want) {
		t.Errorf("lacking %q, want %q", lacking, want)
	}
	if want := []string{RulePending, RuleRetry, RuleChurn}; !slices.Equal(list.Checked, want) {
		t.Errorf("checked %q, want %q", list.Checked, want)
	}

	list = Check(lintProfile(t, foreign("server.idle_timeout=0s", "server.max_requests=1")...), Options{})
	if len(list.Findings) != 0 || len(list.Lacking) != 0 {
		t.Errorf("a server that ends each connection has none idle: %+v", list)
	}
	full := Check(lintProfile(t), Options{})
	if len(full.Lacking) != 0 || len(full.Checked) != 8 {
		t.Errorf("checked %q, lacking %v", full.Checked, full.Lacking)
	}
}

// Without a target nobody said that it is GET; it matters where a POST would be
// sent again.
func TestLintPoolAloneHasNoMethod(t *testing.T) {
	for preset, want := range map[string]bool{"okhttp": true, "libcurl": true, "go-default-transport": false, "requests": false} {
		for _, sets := range [][]string{{"pool=" + preset}, {"pool=" + preset, "target.method=POST"}} {
			p, err := profiles.LoadToCheck(sets)
			if err != nil {
				t.Fatal(err)
			}
			list := Check(p, Options{})
			lacks := strings.Contains(fmt.Sprint(list.Lacking), "retry (target.method)")
			if broken := slices.Contains(rulesOf(list.Findings), RuleRetry); lacks != (want && len(sets) == 1) || broken != (want && len(sets) == 2) {
				t.Errorf("%q: lacking %v, broken %v", sets, list.Lacking, rulesOf(list.Findings))
			}
		}
	}
}

// The methods of a target file count.
func TestLintTargetFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "targets.txt")
	text := "GET http://127.0.0.1:1/\n\nPOST http://127.0.0.1:1/a\nX-Idempotency-Key: 1\n\nPUT http://127.0.0.1:1/b\n"
	resend := "pool.resend=[{on: any, after: [eof], methods: all, max: 1}]"
	sets := foreign("target.url=", "target.file="+file, resend)
	for _, more := range []string{"", "\nPOST http://127.0.0.1:1/c\n"} {
		if err := os.WriteFile(file, []byte(text+more), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, want := len(findingsOf(lintProfile(t, sets...))), min(len(more), 1); got != want {
			t.Errorf("with %q: %d findings, want %d", more, got, want)
		}
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	list := Check(lintProfile(t, sets...), Options{})
	if got := fmt.Sprint(list.Lacking); !strings.Contains(got, "retry (target.file)") {
		t.Errorf("lacking %s", got)
	}
}

func TestFindingAsJSON(t *testing.T) {
	text, err := json.Marshal(findingsOf(lintProfile(t, "pool.connect_timeout=30s"))[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"rule":"timeouts"`, `"path":"pool.connect_timeout"`, `"numbers":["pool.connect_timeout 30s","load.timeout 10s"]`, `"seen":`, `"says":`, `"set":`} {
		if !strings.Contains(string(text), part) {
			t.Errorf("no %s in %s", part, text)
		}
	}
}

func TestServerFactsValidate(t *testing.T) {
	good := profiles.ServerFacts{IdleTimeout: 5 * time.Second, IdleEarly: time.Second, MaxRequests: 100, Unannounced: true}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	if err := (profiles.ServerFacts{IdleForEver: true, IdleTimeout: time.Second}).Validate(); err == nil || !strings.HasPrefix(err.Error(), "idle_for_ever: ") {
		t.Errorf("for ever, and for a second: %v", err)
	}
	bad := profiles.ServerFacts{IdleTimeout: -1, IdleEarly: time.Second, Threads: -1, Unannounced: true}
	err := bad.Validate()
	if err == nil {
		t.Fatal("no complaint")
	}
	for _, field := range []string{"idle_timeout:", "threads:", "idle_early:", "unannounced:"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("no complaint about %s in %v", field, err)
		}
	}
}

// A pool alone can be checked; but the fields that are set must be valid.
func TestLoadToCheck(t *testing.T) {
	p, err := profiles.LoadToCheck([]string{"pool=default", "server.idle_timeout=60s"})
	if err != nil {
		t.Fatal(err)
	}
	if got := rulesOf(findingsOf(p)); !slices.Equal(got, []string{RuleIdleOrder}) {
		t.Errorf("broken: %v", got)
	}
	_, err = profiles.LoadToCheck([]string{"pool.max_conns=-2", "target.url=nonsense", "load.rate=fast"})
	for _, path := range []string{"pool.max_conns", "target.url", "load.rate"} {
		if err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("no complaint about %s in %v", path, err)
		}
	}
	p.Via.Hint = -1
	if err := p.ValidateFacts(); err == nil || !strings.HasPrefix(err.Error(), "via.hint: ") {
		t.Errorf("via.hint: %v", err)
	}
}

func TestFactsAreWrittenWithTheProfile(t *testing.T) {
	p := lintProfile(t, foreign("via.idle_timeout=1m", "via.silent=true")...)
	text, err := profiles.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	back, err := profiles.Load("back", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	if back.Server != p.Server || back.Via != p.Via {
		t.Errorf("wrote %+v, %+v; read %+v, %+v", p.Server, p.Via, back.Server, back.Via)
	}
}
