package lint

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/kabench/kabench/profiles"
)

// proxied puts a proxy that breaks no rule before lintBase's server.
func proxied(sets ...string) []string {
	return append([]string{"target.proxies=[{idle_timeout: 5s, upstream: {idle_timeout: 4s, max_idle: 30, connect_timeout: 1s, timeout: 5s}}]"}, sets...)
}

// findingsOn are the findings on the way from one to another, as rule and field.
func findingsOn(findings []Finding, hop string) []string {
	var list []string
	for _, f := range findings {
		if f.Hop == hop {
			list = append(list, f.Rule+" "+f.Path)
		}
	}
	return list
}

// Each profile breaks one rule once, behind its proxy or before it, and what the
// finding says to set mends it.
func TestLintFindingsOfProxies(t *testing.T) {
	const up = "target.proxies.0.upstream."
	two := func(first, second string) string {
		return "target.proxies=[{idle_timeout: 5s, upstream: {idle_timeout: 3s" + first + "}}, {idle_timeout: 4s, upstream: {idle_timeout: 3s, max_idle: 30" + second + "}}]"
	}
	network := func(delay string) []string {
		return []string{"target.link=null", "network={hosts: [{name: edge}, {name: server}], links: [{between: [edge, server], delay: " + delay + "}]}", "target.proxies.0.on=edge", "load.rate=10/s"}
	}
	for _, c := range []struct {
		name       string
		sets       []string
		rule, path string
		hop        string
		numbers    [2]string
		seen       string
	}{
		{"the client above the proxy", []string{"target.proxies.0.idle_timeout=3s"}, RuleIdleOrder, "pool.idle_timeout", "client -> proxy",
			[2]string{"pool.idle_timeout 4s", "target.proxies.0.idle_timeout 3s"}, "no resend rule covers GET"},
		{"the proxy above the server", []string{up + "idle_timeout=6s"}, RuleIdleOrder, up + "idle_timeout", "proxy -> server",
			[2]string{up + "idle_timeout 6s", "target.lab.idle_timeout 5s"}, "502, `upstream prematurely"},
		{"a proxy that keeps for ever", []string{up + "idle_timeout=0", "target.proxies.0.errors=haproxy"}, RuleIdleOrder, up + "idle_timeout", "proxy -> server",
			[2]string{up + "idle_timeout for ever", "target.lab.idle_timeout 5s"}, "without a response"},
		{"a proxy whose lifetime bounds no idle time", []string{up + "idle_timeout=0", up + "max_lifetime=1s"}, RuleIdleOrder, up + "idle_timeout", "proxy -> server",
			[2]string{up + "idle_timeout for ever", "target.lab.idle_timeout 5s"}, "retry none does not cover GET"},
		{"a proxy that sends again", []string{up + "idle_timeout=5s", up + "retry=idempotent"}, RuleIdleOrder, up + "idle_timeout", "proxy -> server",
			[2]string{up + "idle_timeout 5s", "target.lab.idle_timeout 5s"}, "each of these requests is sent again"},
		{"a proxy that does not send a POST again", []string{up + "idle_timeout=5s", up + "retry=idempotent", "target.method=POST"}, RuleIdleOrder, up + "idle_timeout", "proxy -> server",
			[2]string{up + "idle_timeout 5s", "target.lab.idle_timeout 5s"}, "retry idempotent does not cover POST"},
		{"nearer than a round trip of the network", network("600ms"), RuleIdleOrder, up + "max_requests", "proxy edge -> server",
			[2]string{up + "idle_timeout 4s", "target.lab.idle_timeout 5s"}, ""},
		{"no time to keep a connection for", []string{"target.lab.idle_timeout=60ms", "pool.idle_timeout=3s"}, RuleIdleOrder, up + "max_requests", "proxy -> server",
			[2]string{up + "idle_timeout 4s", "target.lab.idle_timeout 60ms"}, ""},
		{"a server of HTTP/1.0, asked to keep", []string{up + "idle_timeout=6s", up + "version=http/1.0", "target.lab.version=http/1.0"}, RuleIdleOrder, up + "idle_timeout", "proxy -> server",
			[2]string{up + "idle_timeout 6s", "target.lab.idle_timeout 5s"}, ""},
		{"the first proxy above the second", []string{two("", ""), up + "idle_timeout=6s"}, RuleIdleOrder, up + "idle_timeout", "proxy 0 -> proxy 1",
			[2]string{up + "idle_timeout 6s", "target.proxies.1.idle_timeout 4s"}, "proxy.stale"},
		{"the second proxy above the server", []string{two("", ""), "target.proxies.1.upstream.idle_timeout=1m"}, RuleIdleOrder, "target.proxies.1.upstream.idle_timeout", "proxy 1 -> server",
			[2]string{"target.proxies.1.upstream.idle_timeout 1m0s", "target.lab.idle_timeout 5s"}, ""},

		{"the client's requests above the proxy's", []string{"pool.max_requests=1000", "target.proxies.0.max_requests=100"}, RuleMaxRequests, "pool.max_requests", "client -> proxy",
			[2]string{"pool.max_requests 1000", "target.proxies.0.max_requests 100"}, "TIME_WAIT on the proxy"},
		{"the proxy's requests above the server's", []string{up + "max_requests=1000", "target.lab.max_requests=100"}, RuleMaxRequests, up + "max_requests", "proxy -> server",
			[2]string{up + "max_requests 1000", "target.lab.max_requests 100"}, "proxy.upstream_said_close"},
		{"a server that ends unannounced", []string{"target.lab.max_requests=100", "target.lab.unannounced=true"}, RuleMaxRequests, up + "max_requests", "proxy -> server",
			[2]string{up + "max_requests no limit", "target.lab.max_requests 100, unannounced"}, "one in 101"},

		{"a pool above the server's places", []string{"target.lab.max_connections=29"}, RuleConnections, "target.lab.max_connections", "proxy -> server",
			[2]string{up + "max_idle 30", "target.lab.max_connections 29"}, "use up the server's limit"},
		{"pools of several workers", []string{"target.proxies.0.workers=4"}, RuleConnections, "server.max_connections", "proxy -> server",
			[2]string{up + "max_idle 30 x target.proxies.0.workers 4 = 120", "server.max_connections 100"}, ""},
		{"a pool without a cap", []string{up + "max_idle=0"}, RuleConnections, "server.max_connections", "proxy -> server",
			[2]string{up + "max_idle no limit, load.max_in_flight 1000", "server.max_connections 100"}, ""},
		{"more at a time than threads", []string{"target.lab.threads=15"}, RuleConnections, "target.lab.threads", "proxy -> server",
			[2]string{"400/s x 40ms = 16 connections", "target.lab.threads 15"}, "504"},
		{"more at a time than the backlog", []string{"target.lab.backlog=5"}, RuleConnections, "target.lab.backlog", "proxy -> server",
			[2]string{"400/s x 40ms = 16 connections", "target.lab.backlog 5"}, "1 s, 2 s, 3 s"},

		{"a proxy more patient than the client", []string{up + "timeout=10s"}, RuleTimeouts, up + "timeout", "proxy -> server",
			[2]string{up + "timeout 10s", "load.timeout 10s"}, "instead of 504"},
		{"a proxy more patient than the client for an answer", []string{"pool.response_timeout=5s"}, RuleTimeouts, up + "timeout", "proxy -> server",
			[2]string{up + "timeout 5s", "pool.response_timeout 5s"}, "499"},
		{"a connect longer than the client waits", []string{up + "connect_timeout=1m"}, RuleTimeouts, up + "connect_timeout", "proxy -> server",
			[2]string{up + "connect_timeout 1m0s", "load.timeout 10s"}, "504"},
		{"the second proxy more patient than the first", []string{two(", timeout: 3s", ", timeout: 4s")}, RuleTimeouts, "target.proxies.1.upstream.timeout", "proxy 1 -> server",
			[2]string{"target.proxies.1.upstream.timeout 4s", up + "timeout 3s"}, ""},

		{"a POST sent again by the proxy", []string{"target.method=POST", up + "retry=always"}, RuleRetry, up + "retry", "proxy -> server",
			[2]string{up + "retry always: POST", "executions it allows 1"}, "duplicates"},

		{"Connection sent on", []string{"target.proxies.0.hop_by_hop=forwarded", "target.proxies.0.proxy_connection=forwarded", "target.headers.connection=X-A, keep-alive"}, RuleHopByHop, "target.proxies.0.hop_by_hop", "proxy -> server",
			[2]string{"target.proxies.0.hop_by_hop forwarded", "Connection: x-a, keep-alive"}, "headers that were for the proxy"},
		{"a blind proxy", []string{"target.proxies=[{hop_by_hop: blind, proxy_connection: forwarded}]"}, RuleHopByHop, "target.proxies.0.hop_by_hop", "proxy -> server",
			[2]string{"target.proxies.0.hop_by_hop blind", "HTTP/1.1 without Connection: close, which keeps a connection open"}, "never read"},
	} {
		t.Run(c.rule+" "+c.name, func(t *testing.T) {
			sets := proxied(c.sets...)
			findings := findingsOf(lintProfile(t, sets...))
			if len(findings) != 1 {
				t.Fatalf("%d findings: %+v", len(findings), findings)
			}
			f := findings[0]
			if f.Rule != c.rule || f.Path != c.path || f.Numbers != c.numbers || f.Hop != c.hop {
				t.Errorf("%s at %s, %s, %q; want %s at %s, %s, %q", f.Rule, f.Path, f.Hop, f.Numbers, c.rule, c.path, c.hop, c.numbers)
			}
			if !strings.Contains(f.Seen, c.seen) || f.Seen == "" || f.Says == "" {
				t.Errorf("seen %q has no %q", f.Seen, c.seen)
			}
			mends(t, sets, f)
		})
	}
}

func TestLintFindsNothingInProxies(t *testing.T) {
	const up = "target.proxies.0.upstream."
	for _, c := range []struct {
		name string
		sets []string
	}{
		{"as it is", nil},
		{"the client above the server, whom it does not reach", []string{"target.lab.idle_timeout=5s", "pool.idle_timeout=8s", "target.proxies.0.idle_timeout=10s"}},
		{"a proxy that keeps its clients for ever", []string{"target.proxies.0.idle_timeout=0", "pool.idle_timeout=0"}},
		{"a connection for each request", []string{"target.proxies=[{idle_timeout: 5s, upstream: {per_request: true}}]"}},
		{"a server that says close", []string{up + "idle_timeout=0", "target.lab.say_close=true"}},
		{"a server of HTTP/1.0, which closes", []string{up + "idle_timeout=0", "target.lab.version=http/1.0"}},
		{"as many requests as the server", []string{up + "max_requests=100", "target.lab.max_requests=100"}},
		{"just enough places", []string{"target.lab.max_connections=30", "target.lab.threads=16", "target.lab.backlog=16"}},
		{"a proxy that waits for ever", []string{up + "timeout=0", up + "connect_timeout=0"}},
		{"a client that waits for ever", []string{"load.timeout=0", up + "timeout=1h"}},
		{"a POST sent again unsent", []string{"target.method=POST", up + "retry=idempotent"}},
		{"close sent on", []string{"target.proxies.0.hop_by_hop=forwarded", "target.proxies.0.proxy_connection=forwarded", "target.headers.connection=close"}},
		{"a blind proxy before a server that closes", []string{"target.proxies=[{hop_by_hop: blind, proxy_connection: forwarded}]", "target.lab.version=http/1.0"}},
		{"a blind proxy before a client that does not come again", []string{"target.proxies=[{hop_by_hop: blind, proxy_connection: forwarded}]", "pool.max_requests=1", "load.rate=100/s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if findings := findingsOf(lintProfile(t, proxied(c.sets...)...)); len(findings) != 0 {
				t.Errorf("%+v", findings)
			}
		})
	}
}

// What a proxy tries at each of several servers takes as many times its limit.
func TestLintTimeoutsOfSeveralServers(t *testing.T) {
	sets := proxied("target.link=null", "network={hosts: [{name: edge}, {name: a}, {name: b}, {name: c}]}", "target.on=[a, b, c]", "target.proxies.0.on=edge")
	for _, c := range []struct {
		sets []string
		want string
	}{
		{nil, ""},
		{[]string{"retry=idempotent"}, "target.proxies.0.upstream.timeout 5s x 3 attempts = 15s"},
		{[]string{"retry=idempotent", "retries=1"}, "target.proxies.0.upstream.timeout 5s x 2 attempts = 10s"},
		{[]string{"retry=unsent", "timeout=9s"}, ""},
		{[]string{"retry=unsent", "connect_timeout=4s"}, "target.proxies.0.upstream.connect_timeout 4s x 3 attempts = 12s"},
	} {
		all := slices.Clone(sets)
		for _, set := range c.sets {
			all = append(all, "target.proxies.0.upstream."+set)
		}
		findings, got := findingsOf(lintProfile(t, all...)), ""
		if len(findings) > 0 {
			got = findings[0].Numbers[0]
			mends(t, all, findings[0])
		}
		if got != c.want || len(findings) > 1 {
			t.Errorf("%q: %+v, want %q", c.sets, findings, c.want)
		}
	}
}

// A load balancer of via stands before the proxies, and a server that is not
// kabench's may stand behind them.
func TestLintProxiesBetween(t *testing.T) {
	p := lintProfile(t, proxied("via.idle_timeout=10s", "via.max_requests=1000", "server.idle_timeout=3s", "server.delay=40ms")...)
	p.Target.Lab = nil // as --server has it
	findings := findingsOf(p)
	want := []string{"idle-order load balancer -> proxy via.idle_timeout 10s", "idle-order proxy -> server target.proxies.0.upstream.idle_timeout 4s"}
	var got []string
	for _, f := range findings {
		got = append(got, f.Rule+" "+f.Hop+" "+f.Numbers[0])
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// Each incident with proxies has the finding that its remedies remove, and the
// remedied profile does not have it. The remaining findings are the same.
func TestLintIncidentsOfProxies(t *testing.T) {
	const up = " target.proxies.0.upstream."
	idle := RuleIdleOrder + up + "idle_timeout"
	mismatch := []string{RuleMaxRequests + up + "max_requests", RuleConnections + " target.lab.max_connections", RuleConnections + " target.lab.threads", RuleConnections + " target.lab.backlog"}
	blind := []string{RuleHopByHop + " target.proxies.0.hop_by_hop"}
	want := map[string][]string{ // by incident, and incident and remedy; others have none
		"dumb-proxy": blind, "dumb-proxy: Proxy-Connection through the blind one and then one that understands it": blind,
		"hop-by-hop: a proxy that sends them on": blind, "hop-by-hop: two proxies": blind,
		"l7-lb-order": {idle}, "l7-lb-order: only the client below the server": {idle},
		"nginx-upstream-keepalive-timeout": {idle}, "nginx-upstream-keepalive-timeout: no retry": {idle},
		"nginx-upstream-mismatch": mismatch, "nginx-upstream-mismatch: a longer queue alone": mismatch[:3],
		"nginx-upstream-ok": nil,
	}
	seen := map[string]bool{}
	hold := func(name string, p *profiles.Profile) {
		seen[name] = true
		var got []string
		for i, proxies := 0, len(p.Target.Proxies); i < proxies; i++ {
			from, to := "proxy", "server"
			if proxies > 1 {
				from, to = fmt.Sprintf("proxy %d", i), "proxy 1"
				if i == 1 {
					to = "server"
				}
			}
			if on := p.Target.Proxies[i].On; on != "" {
				from += " " + on
			}
			got = append(got, findingsOn(findingsOf(p), from+" -> "+to)...)
		}
		if !slices.Equal(got, want[name]) {
			t.Errorf("%s: %q, want %q", name, got, want[name])
		}
		if before := findingsOn(findingsOf(p), "client -> proxy"); len(before) > 0 {
			t.Errorf("%s: before its proxy %q", name, before)
		}
	}
	for _, e := range profiles.Incidents() {
		p, err := profiles.Load(e.Name, []byte(e.Text), nil)
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Target.Proxies) == 0 {
			continue
		}
		hold(e.Name, p)
		for _, r := range p.Remedies {
			remedied, err := p.With(r)
			if err != nil {
				t.Fatal(err)
			}
			hold(e.Name+": "+r.Name, remedied)
		}
	}
	for name := range want {
		if !seen[name] {
			t.Errorf("there is no %s", name)
		}
	}
}
