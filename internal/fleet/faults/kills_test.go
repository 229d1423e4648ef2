package faults

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

var (
	kills     = flag.Int("kills", 20, "how many processes TestKills kills")
	killsSeed = flag.Uint64("kills-seed", 0, "the seed of the moments and victims of TestKills; 0: a new one")
)

// killsInCase is how many of them are in one run.
const killsInCase = 4

// The processes of a fleet are killed at random moments. What was killed is started again,
// and the run is taken up; then each exchange that a disk has is in the result exactly once.
//
//	go test ./internal/fleet/faults -run TestKills -count=1 -timeout 30m -v -args -kills 100
func TestKills(t *testing.T) {
	wires(t)
	program(t)
	seed := *killsSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("again: -args -kills %d -kills-seed %d", *kills, seed)
	// Each lane makes its cases one after another.
	cases := (*kills + killsInCase - 1) / killsInCase
	for lane := range lanes {
		t.Run(fmt.Sprintf("lane %d", lane), func(t *testing.T) {
			t.Parallel()
			for n := lane; n < cases; n += lanes {
				count := min(killsInCase, *kills-n*killsInCase)
				t.Run(fmt.Sprintf("case %d", n), func(t *testing.T) { killsCase(t, lane, seed, uint64(n), count) })
			}
		})
	}
}

// fleet is the processes of a run that are killed.
type fleet struct {
	*site
	random     *rand.Rand
	external   bool     // the broker is a process of its own
	server     *process // the external broker
	agents     []*process
	controller *process
	begun      time.Time // the controller was first started
}

// The moments of the kills, in seconds: from the first to startAt a run begins and agents
// join, and what is later counts from its agreed start, which is at startAt. The load lasts
// until startAt+lasts; then results are collected.
const (
	joins   = 1.5
	startAt = 4.0
	lasts   = 4.0
	latest  = 10.0
)

func killsCase(t *testing.T, lane int, seed, n uint64, count int) {
	f, w := newFleet(t, lane, rand.New(rand.NewPCG(seed, n)), n%2 == 0)
	moments := make([]float64, count)
	for i := range moments {
		moments[i] = latest * f.random.Float64()
	}
	slices.Sort(moments)
	for _, at := range moments {
		f.await(at)
		f.killOne(at)
	}
	f.finish()
	w.close()
	run, all := f.check(w)
	t.Logf("%d exchanges, %d lost with their agent; valid %v %v", len(all), all.lost(), run.Valid, run.Invalid)
}

// newFleet starts the processes of a fleet, and a run.
func newFleet(t *testing.T, lane int, random *rand.Rand, external bool) (*fleet, *witness) {
	f := &fleet{
		site:   newSite(t, lane, 3, load{rate: 300, duration: lasts * time.Second, seed: 1 + random.Uint64N(1<<40)}),
		random: random, external: external,
	}
	w := watch(t, f.agentDirs()...)
	if f.external {
		f.server = f.startBroker()
	}
	for i := range f.n {
		f.agents = append(f.agents, f.startAgent(i))
	}
	f.begun = time.Now()
	f.controller = f.begin(f.external)
	return f, w
}

// An agent that is killed while it sends, and started again, delivers what it had recorded:
// all except about the last second.
func TestKilledAgent(t *testing.T) {
	f, w := newFleet(t, 0, rand.New(rand.NewPCG(1, 2)), true)
	f.await(startAt + 2.5)
	f.agents[1].kill()
	f.agents[1] = f.startAgent(1)
	f.finish()
	w.close()
	run, all := f.check(w)
	whole := len(f.schedule()) / f.n
	recorded, lost := 0, 0
	for seq, e := range all {
		switch {
		case seq%uint64(f.n) != 1:
		case e.Cause == results.CauseAgentLost:
			lost++
		default:
			recorded++
		}
	}
	t.Logf("%d of %d exchanges of the killed agent are in the result", recorded, whole)
	if recorded < whole/8 || lost < whole/8 {
		t.Errorf("the killed agent has %d exchanges and lost %d of %d; it was killed in the middle", recorded, lost, whole)
	}
	if a := run.Agents[1]; a.Lost == nil || a.Lost.Arrivals != uint64(lost) {
		t.Errorf("%d exchanges were lost, and the document says %+v", lost, a.Lost)
	}
	if all.lost() != lost {
		t.Errorf("%d exchanges were lost, and %d of them of the agent that was killed", all.lost(), lost)
	}
}

// await waits for a moment of the run.
func (f *fleet) await(at float64) {
	seconds := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	if at < joins {
		time.Sleep(time.Until(f.begun.Add(seconds(at))))
		return
	}
	for !f.controller.over() {
		if start := f.state().Start; start != 0 {
			time.Sleep(time.Until(time.Unix(0, start).Add(seconds(at - startAt))))
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// state is what fleet.json says about the run.
func (f *fleet) state() (s struct {
	Phase string
	Start int64 // nanoseconds since 1970
}) {
	if data, err := os.ReadFile(filepath.Join(f.out, "fleet.json")); err == nil {
		_ = json.Unmarshal(data, &s) // it is written whole or not at all
	}
	return s
}

// killOne kills a process that is there, and starts it again within a second.
func (f *fleet) killOne(at float64) {
	f.t.Helper()
	victims := []int{}
	for i, p := range f.agents {
		if !p.over() {
			victims = append(victims, i)
		}
	}
	const controller, broker = 100, 101
	if !f.controller.over() {
		victims = append(victims, controller, controller)
	}
	if f.external {
		victims = append(victims, broker)
	}
	if len(victims) == 0 {
		return
	}
	victim := victims[f.random.IntN(len(victims))]
	pause := time.Duration(f.random.Int64N(int64(700 * time.Millisecond)))
	switch victim {
	case controller:
		f.t.Logf("%.2f s: the controller is killed, and takes the run up %v later", at, pause)
		f.controller.kill()
		time.Sleep(pause)
		f.again()
	case broker:
		lost := f.random.IntN(3) == 0
		f.t.Logf("%.2f s: the broker is killed, and comes back %v later; its store is lost: %v", at, pause, lost)
		f.server.kill()
		if lost {
			if err := os.RemoveAll(f.store); err != nil {
				f.t.Fatal(err)
			}
		}
		time.Sleep(pause)
		f.server = f.startBroker()
	default:
		f.t.Logf("%.2f s: agent-%d is killed, and comes back %v later", at, victim, pause)
		f.agents[victim].kill()
		time.Sleep(pause)
		f.agents[victim] = f.startAgent(victim)
	}
}

// again starts the controller again: it takes the run up, or begins a new one if nothing had
// been sent.
func (f *fleet) again() {
	f.t.Helper()
	if f.state().Start != 0 {
		f.controller = f.resume()
		return
	}
	if err := os.RemoveAll(f.out); err != nil {
		f.t.Fatal(err)
	}
	f.controller = f.begin(f.external)
}

// finish waits until the run has its results, taking it up as often as a user would, and
// fetches what is missing then.
func (f *fleet) finish() {
	f.t.Helper()
	for tries := 0; ; {
		code := f.controller.wait(f.t, 2*time.Minute)
		f.agentsLive()
		if _, err := os.Stat(filepath.Join(f.out, "run.json")); err == nil {
			break
		}
		said := strings.TrimSpace(tail(f.controller.stderr.String(), 500))
		f.t.Logf("the controller ended with exit code %d: %s", code, said)
		if strings.Contains(said, "another controller uses this broker") { // the one that was killed, for 15 s
			time.Sleep(2 * time.Second)
		} else if tries++; tries == 5 {
			f.t.Fatalf("the controller has ended %d times without a result", tries)
		}
		f.again()
	}
	f.collect().wait(f.t, 2*time.Minute)
	f.agentsLive()
}

// agentsLive checks that only those agents have ended that the test has killed.
func (f *fleet) agentsLive() {
	f.t.Helper()
	for i, p := range f.agents {
		if p.over() {
			f.t.Errorf("agent-%d has ended by itself: %s", i, tail(p.stderr.String(), 500))
			f.agents[i] = f.startAgent(i)
		}
	}
}
