package lint

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// Several rules about one field give one piece of advice. If no value satisfies all
// of them, the advice says so.
func TestOneFieldHasOneAdvice(t *testing.T) {
	for _, c := range []struct {
		name, path string
		sets       []string
		rules      []string
		set        string
	}{
		{"two that close", "pool.idle_timeout", foreign("pool.idle_timeout=30s", "via.idle_timeout=10s", "via.passes_on=true"), []string{RuleIdleOrder}, "pool.idle_timeout=4s"},
		{"idle cap", "pool.max_idle", foreign("pool.max_idle=2", "pool.max_conns=none", "load.rate=700/s", "load.max_in_flight=50", "server.max_connections=200"), []string{RulePorts, RuleChurn}, "pool.max_idle=35"},
		{"room for both", "pool.max_conns", []string{"pool.max_conns=120", "load.rate=2000/s", "pool.shards=1", "server.max_connections=110", "server.threads=200", "target.lab.delay=90ms", "load.max_in_flight=500"}, []string{RuleConnections, RulePending}, "no value of pool.max_conns satisfies all rules: pending needs at least 200, and connections allows at most 110"},
		{"a range", "pool.max_requests", foreign("pool.max_requests=3", "load.rate=3000/s", "pool.max_conns=none", "load.max_in_flight=100", "server.max_requests=2", "server.unannounced=true", "server.threads=200"), []string{RuleMaxRequests, RulePorts},
			"no value of pool.max_requests satisfies all rules: ports needs at least 13, and max-requests-order allows at most 2. First change server.max_requests 2, unannounced"},
		{"none can be kept", "pool.max_idle", foreign("pool.max_idle=5", "server.idle_timeout=60ms"), []string{RuleIdleOrder, RuleChurn},
			"no value of pool.max_idle satisfies all rules: max-idle-churn needs at least 20, and idle-order allows at most 0. First change server.idle_timeout 60ms"},
		{"probes", "target.tcp.keep_alive", foreign("via.idle_timeout=6s", "via.silent=true", "server.silent=true", "target.tcp.keep_alive=15s"), []string{RuleKeepAlive}, "target.tcp.keep_alive=2.5s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var rules []string
			for _, f := range findingsOf(lintProfile(t, c.sets...)) {
				if f.Path != c.path {
					continue
				}
				rules = append(rules, f.Rule)
				if !strings.HasPrefix(f.Set, c.set) {
					t.Errorf("%s: set %q, want %q", f.Rule, f.Set, c.set)
				}
			}
			if fmt.Sprint(rules) != fmt.Sprint(c.rules) {
				t.Errorf("rules %v, want %v", rules, c.rules)
			}
		})
	}
}

// Of all presets beside all servers, with a load and without: no field has two
// advices, and no rule complains about a field twice.
func TestNoContradictions(t *testing.T) {
	for _, client := range profiles.Pools() {
		for _, server := range profiles.Servers() {
			for _, sets := range [][]string{nil, {"load.rate=2000/s", "load.timeout=5s", "load.max_in_flight=3000", "pool.shards=3", "server.delay=60ms"}} {
				p, err := profiles.LoadToCheck(append([]string{"pool=" + client.Name}, sets...))
				if err != nil {
					t.Fatal(err)
				}
				delay := p.Server.Delay
				p.Server = server.Facts
				p.Server.Take(server.Lab)
				p.Server.Delay = delay
				advice, seen := map[string]string{}, map[string]bool{}
				for _, f := range findingsOf(p) {
					if old := advice[f.Path]; old != "" && old != f.Set || seen[f.Rule+f.Path] {
						t.Errorf("%s, %s, %q: %s has %q and %q", client.Name, server.Name, sets, f.Path, old, f.Set)
					}
					advice[f.Path], seen[f.Rule+f.Path] = f.Set, true
				}
			}
		}
	}
}

// The words are the client's own; without a client they say whose they are.
func TestLintInTheClientsWords(t *testing.T) {
	words := func(client string, phase results.Phase, cause results.Cause, reused bool) []string {
		return []string{"(nothing at all)", fmt.Sprintf(" %s %v %v %v", client, phase, cause, reused), "more"}
	}
	for pool, want := range map[string]string{
		"envoy":   "in the log of envoy `envoy before_response fin true`, `envoy before_response rst true`;",
		"default": "logged by Reactor Netty as `Connection prematurely closed",
	} {
		p, err := profiles.LoadToCheck([]string{"pool=" + pool, "server.idle_timeout=5s"})
		if err != nil {
			t.Fatal(err)
		}
		list := Check(p, Options{Words: words})
		if len(list.Findings) != 1 || !strings.Contains(list.Findings[0].Seen, want) {
			t.Errorf("%s: %+v", pool, list.Findings)
		}
	}
}

// A default is no fact, one given is, whatever its value.
func TestDefaultsAreNoFacts(t *testing.T) {
	load := []string{"pool=go-default-transport", "load.rate=10/s", "server.delay=10ms", "server.idle_for_ever=true", "server.max_connections=500"}
	lint := func(more ...string) Checklist {
		p, err := profiles.LoadToCheck(append(append([]string{}, load...), more...))
		if err != nil {
			t.Fatal(err)
		}
		return Check(p, Options{})
	}
	if list := lint(); len(list.Findings) > 0 || !strings.Contains(fmt.Sprint(list.Lacking), "timeouts (load.timeout)") || !strings.Contains(fmt.Sprint(list.Lacking), "load.max_in_flight") {
		t.Errorf("%+v", list)
	}
	for _, c := range [][2]string{{"load.timeout=10s", RuleTimeouts}, {"load.max_in_flight=1000", RuleConnections}} {
		if list := lint(c[0]); len(list.Findings) != 1 || list.Findings[0].Rule != c[1] {
			t.Errorf("%s: %+v", c[0], list.Findings)
		}
	}
}
