package lint

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/script"
)

// The profiles that come with kabench: an incident breaks the rule it is about
// and its remedies do not; of the examples two keep connections for ever, which
// their loads leave no silence to show.
func TestLintLibrary(t *testing.T) {
	load := func(e profiles.Embedded) *profiles.Profile {
		p, err := profiles.Load(e.Name, []byte(e.Text), nil)
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, e := range profiles.Profiles() {
		p := load(e)
		want := []string(nil)
		if p.Pool.IdleTimeout == 0 {
			want = []string{RuleIdleOrder}
		}
		if got := rulesOf(findingsOf(p)); !slices.Equal(got, want) {
			t.Errorf("%s breaks %v, want %v", e.Name, got, want)
		}
	}
	e, found := profiles.Find("idle-race")
	if !found {
		t.Fatal("no idle-race")
	}
	incident := load(e)
	findings := findingsOf(incident)
	if !slices.Equal(rulesOf(findings), []string{RuleIdleOrder}) {
		t.Fatalf("idle-race: %+v", findings)
	}
	if want := "pool.idle_timeout=500ms, or less"; findings[0].Set != want {
		t.Errorf("set %q, want %q", findings[0].Set, want)
	}
	for _, r := range incident.Remedies {
		p, err := incident.With(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := findingsOf(p); len(got) != 0 {
			t.Errorf("%s: %+v", r.Name, got)
		}
	}
}

// Whatever a valid profile says, findings are whole sentences with figures.
func TestLintBearsEverything(t *testing.T) {
	huge := []string{
		"pool.max_conns=9223372036854775807", "pool.max_idle=9223372036854775807", "pool.shards=9223372036854775807",
		"pool.pending_max=9223372036854775807", "pool.idle_timeout=2562047h", "server.threads=9223372036854775807", "server.workers=3",
	}
	loads := [][]string{
		nil, {"load.arrivals=poisson"}, {"load.rate=1/h"}, {"load.rate=1e9/s"},
		{"load.rate=null", "load.arrivals={process: uniform, gap_min: 1ns, gap_max: 1h}"},
		{"load.arrivals={process: ramp, to: 400/s}"}, {"load.arrivals={process: ramp, to: 900/s}"},
		{"load.arrivals={process: sine, amplitude: 360/s, period: 1s}"},
		{"load.arrivals={process: burst, on: 1s, off: 1ns}"}, {"target.lab.delay=0s", "target.link=null"},
	}
	var all []*profiles.Profile
	for _, load := range loads {
		for _, more := range [][]string{nil, huge} {
			all = append(all, lintProfile(t, slices.Concat(load, more)...))
		}
	}
	for _, preset := range profiles.Pools() {
		policy, err := profiles.LoadPool(preset.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			p = p.Clone()
			if p.Pool.Shards > 1 { // a huge one
				policy.Shards, policy.PendingMax = p.Pool.Shards, p.Pool.PendingMax
			}
			p.Pool = policy
			for _, f := range findingsOf(p) {
				text := fmt.Sprintf("%q", []string{f.Rule, f.Path, f.Says, f.Numbers[0], f.Numbers[1], f.Seen, f.Set})
				if f.Says == "" || f.Seen == "" || f.Set == "" || f.Path == "" || strings.Contains(text, "NaN") || strings.Contains(text, "Inf") || strings.Contains(text, " -") {
					t.Errorf("%s, %+v: %s", preset.Name, p.Load, text)
				}
			}
		}
	}
	if !slices.Contains(rulesOf(findingsOf(lintProfile(t, huge...))), RuleIdleOrder) {
		t.Error("an idle timeout of centuries is in order")
	}
}

// Every pool with every server behind everything that can stand in the way: findings are
// whole sentences with figures, and a device that forgets is found exactly if the pool may
// leave a connection idle for that long.
func TestLintEveryWay(t *testing.T) {
	servers := profiles.Servers()
	found := map[string]int{}
	base := lintProfile(t, "target.lab=null", "target.link=null", "target.url=http://127.0.0.1:1/")
	for _, preset := range profiles.Pools() {
		for _, server := range servers {
			for _, via := range servers {
				if !via.OnTheWay {
					continue
				}
				p := base.Clone()
				p.Pool, p.Preset, p.Server, p.Via = preset.Pool, preset.Name, server.Facts, via.Facts
				p.Server.Take(server.Lab)
				p.Via.Take(via.Lab)
				p.Server.Delay, p.Server.Drain, p.Server.ScaleOut = 50*time.Millisecond, 5*time.Second, time.Minute
				if err := p.ValidateFacts(); err != nil {
					t.Fatalf("%s, %s: %v", server.Name, via.Name, err)
				}
				forgets := false
				for _, f := range findingsOf(p) {
					found[f.Rule]++
					text := fmt.Sprintf("%q", []string{f.Rule, f.Path, f.Says, f.Numbers[0], f.Numbers[1], f.Seen, f.Set})
					if f.Says == "" || f.Seen == "" || f.Set == "" || f.Path == "" || strings.Contains(text, "NaN") || strings.Contains(text, "Inf") || strings.Contains(text, " -") {
						t.Errorf("%s, %s, %s: %s", preset.Name, server.Name, via.Name, text)
					}
					forgets = forgets || f.Rule == RuleIdleOrder && strings.Contains(f.Numbers[1], "via.idle_timeout")
				}
				s := newSubject(p, DefaultPorts)
				if !p.Via.Silent || p.Via.IdleTimeout == 0 {
					continue
				}
				want := !s.client().idleLimit(s.entry).within(p.Via.IdleTimeout, 0) && !s.keptAlive(*s.via)
				if forgets != want {
					t.Errorf("%s, %s, %s: found %v, want %v", preset.Name, server.Name, via.Name, forgets, want)
				}
			}
		}
	}
	for _, rule := range []string{RuleIdleOrder, RuleNATPorts, RuleDrain, RuleScaleOut} {
		if found[rule] == 0 {
			t.Errorf("%s was never found: %v", rule, found)
		}
	}
}

// docs/lint.md names every rule, shows what is printed, and its facts load.
func TestLintDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/lint.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	for _, r := range rules {
		if !strings.Contains(page, "| `"+r.name+"` |") {
			t.Errorf("%s is not in the table", r.name)
		}
	}
	unwrapped := strings.ReplaceAll(page, "\n        ", " ") // a line is wrapped behind its name
	for _, name := range []string{"idle-race", "l7-lb-order"} {
		e, _ := profiles.Find(name)
		p, err := profiles.Load(e.Name, []byte(e.Text), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range findingsOf(p) {
			for _, part := range []string{f.Rule + ": " + f.Path, f.Hop, f.Says, f.Numbers[0] + "; " + f.Numbers[1], f.Seen, f.Set} {
				if !strings.Contains(unwrapped, part+"\n") {
					t.Errorf("%s: the example does not show %q", name, part)
				}
			}
		}
	}
	example := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(page)
	if example == nil {
		t.Fatal("no example of facts")
	}
	p, err := profiles.Load("docs/lint.md", []byte("load: {rate: 1/s}\ntarget: {url: \"http://127.0.0.1:1/\"}\n"+example[1]), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.ValidateFacts(); err != nil || p.Server.Threads != 200 {
		t.Errorf("%v, %+v", err, p.Server)
	}
}

func TestFactsFromAServersScript(t *testing.T) {
	f := profiles.ServerFacts{IdleTimeout: 350 * time.Second, Silent: true}
	f.Take(script.Server{})
	if want := (profiles.ServerFacts{IdleTimeout: 350 * time.Second, Silent: true}); f != want {
		t.Errorf("an empty script makes %+v", f)
	}
	f = profiles.ServerFacts{IdleForEver: true}
	if f.Take(script.Server{}); !f.IdleForEver {
		t.Error("an empty script says that it is not for ever")
	}
	if f.Take(script.Server{IdleTimeout: time.Second}); f.IdleForEver {
		t.Error("for ever, and for a second")
	}
	cfg := script.Server{IdleTimeout: 5 * time.Second, MaxRequests: 10, Unannounced: true, Hint: "timeout=5, max=10",
		MaxConnections: 8, Threads: 4, Backlog: 1}
	cfg.Delay.A = time.Millisecond
	f = profiles.ServerFacts{}
	f.Take(cfg)
	if want := (profiles.ServerFacts{IdleTimeout: 5 * time.Second, Hint: 5 * time.Second, MaxRequests: 10, Unannounced: true, Delay: time.Millisecond,
		MaxConnections: 8, Threads: 4, Backlog: 1}); f != want {
		t.Errorf("%+v", f)
	}
	f = profiles.ServerFacts{}
	if f.Take(script.Server{SayClose: true}); f != (profiles.ServerFacts{MaxRequests: 1}) {
		t.Errorf("a server that says close on every answer: %+v", f)
	}
	cfg.HintIfAsked, f = true, profiles.ServerFacts{}
	if f.Take(cfg); f.Hint != 0 {
		t.Errorf("a hint of %v though nobody asks", f.Hint)
	}
}
