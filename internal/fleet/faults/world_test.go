package faults

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/sandbox"
	"github.com/kabench/kabench/profiles/network"
)

// The network that all tests share: a web server, and in each lane a hub, where the controller
// and the broker are, and agents. Packets between an agent and its hub are delayed; those to
// the web server are not.
const (
	lanes        = 3
	agentsInLane = 4
)

// delays are those between each agent of a lane and its hub: there, and back.
var delays = [agentsInLane][2]time.Duration{
	{0, 0},
	{5 * time.Millisecond, 5 * time.Millisecond},
	{20 * time.Millisecond, 20 * time.Millisecond},
	{40 * time.Millisecond, 5 * time.Millisecond}, // an offset that is measured over it is wrong by 17.5 ms
}

func hubName(lane int) string          { return fmt.Sprintf("hub%d", lane) }
func agentName(lane, agent int) string { return fmt.Sprintf("agent%d%d", lane, agent) }

var shared struct {
	once sync.Once
	net  *sandbox.Network
	err  error
}

// wires returns the network.
func wires(t testing.TB) *sandbox.Network {
	t.Helper()
	needFleet(t)
	shared.once.Do(func() {
		cfg := network.Config{Hosts: []network.Host{{Name: "web"}}, Record: network.Record{Packets: 1 << 14}}
		for lane := range lanes {
			cfg.Hosts = append(cfg.Hosts, network.Host{Name: hubName(lane)})
			for agent, d := range delays {
				cfg.Hosts = append(cfg.Hosts, network.Host{Name: agentName(lane, agent)})
				cfg.Links = append(cfg.Links, network.Link{
					Between: [2]string{agentName(lane, agent), hubName(lane)},
					There:   &network.Conditions{Delay: d[0]}, Back: &network.Conditions{Delay: d[1]},
				})
			}
		}
		if shared.net, shared.err = sandbox.Start(cfg); shared.err != nil {
			return
		}
		var ln net.Listener
		if ln, shared.err = shared.net.Host("web").Listen(context.Background(), "tcp4", ":80"); shared.err == nil {
			go http.Serve(ln, http.HandlerFunc(serve)) //nolint:errcheck // it ends with the process
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.net
}

// serve is the web server: it responds at once, with a short body.
func serve(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "hello") }

// site is where one fleet runs: a lane, and directories.
type site struct {
	t    *testing.T
	net  *sandbox.Network
	lane int
	n    int // agents

	dir         string
	out         string // the run's directory
	store       string // the directory of an external broker
	credentials string // the directory with controller.cred and agent.cred
	profile     string
}

// load is what a run sends, each second for so long.
type load struct {
	rate     int
	duration time.Duration
	seed     uint64
}

// newSite makes credentials and a profile. No two sites use a lane at a time.
func newSite(t *testing.T, lane, n int, l load) *site {
	t.Helper()
	s := &site{t: t, net: wires(t), lane: lane, n: n, dir: t.TempDir()}
	s.out, s.store, s.credentials, s.profile = filepath.Join(s.dir, "out"), filepath.Join(s.dir, "broker"), filepath.Join(s.dir, "credentials"), filepath.Join(s.dir, "faults.yaml")
	made := start(t, s.hub(), "credentials", "fleet", "credentials", s.credentials, "--host", s.net.Addr(hubName(lane)).String())
	if code := made.wait(t, time.Minute); code != 0 {
		t.Fatalf("no credentials: exit code %d", code)
	}
	text := fmt.Sprintf(`name: faults
question: Is each exchange that a disk has in the result exactly once?
target:
  url: %s
load:
  rate: %d/s
  duration: %s
  arrivals: poisson
  seed: %d
  max_in_flight: 200
  timeout: 5s
pool:
  max_conns: 20
`, s.web(), l.rate, l.duration, l.seed)
	if err := os.WriteFile(s.profile, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) hub() *sandbox.Host       { return s.net.Host(hubName(s.lane)) }
func (s *site) host(i int) *sandbox.Host { return s.net.Host(agentName(s.lane, i)) }
func (s *site) web() string              { return "http://" + s.net.Addr("web").String() + "/" }
func (s *site) allowed() string          { return s.net.Addr("web").String() + ":80" }
func (s *site) agentDir(i int) string    { return filepath.Join(s.dir, "agent-"+fmt.Sprint(i)) }
func (s *site) cred(role string) string  { return filepath.Join(s.credentials, role+".cred") }
func (s *site) address() string          { return s.net.Addr(hubName(s.lane)).String() + ":4222" }
func (s *site) url() string              { return "nats://" + s.address() }

// agentDirs are the directories of all agents.
func (s *site) agentDirs() (names []string) {
	for i := range s.n {
		names = append(names, s.agentDir(i))
	}
	return names
}

// startBroker starts an external broker, over the store of the one before it.
func (s *site) startBroker() *process {
	s.t.Helper()
	p := startRole(s.t, s.hub(), "broker", "broker", s.address(), s.store, s.cred("controller"))
	waitFor(s.t, "the broker", time.Minute, func() bool { return strings.Contains(p.stdout.String(), "://") || p.over() })
	return p
}

// startAgent starts agent i, over the directory of the one before it.
func (s *site) startAgent(i int) *process {
	s.t.Helper()
	return start(s.t, s.host(i), fmt.Sprintf("agent-%d", i), "agent", "--join", s.url(), "--credentials", s.cred("agent"),
		"--name", fmt.Sprintf("agent-%d", i), "--dir", s.agentDir(i), "--allow-target", s.allowed())
}

// begin starts the controller of a new run: with the broker inside it, or with an external one.
func (s *site) begin(external bool) *process {
	s.t.Helper()
	args := []string{"run", s.profile, "--agents", fmt.Sprint(s.n), "--out", s.out, "--credentials", s.cred("controller"), "--json"}
	if external {
		args = append(args, "--broker", s.url())
	} else {
		args = append(args, "--listen", s.address())
	}
	return start(s.t, s.hub(), "controller", args...)
}

// resume takes the run up.
func (s *site) resume() *process {
	s.t.Helper()
	return start(s.t, s.hub(), "controller", "run", "--resume", s.out, "--json")
}

// collect fetches what is missing.
func (s *site) collect() *process {
	s.t.Helper()
	return start(s.t, s.hub(), "collect", "fleet", "collect", s.out, "--json")
}
