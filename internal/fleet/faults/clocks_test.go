package faults

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/results/record"
)

// wrong are the clocks of the agents in TestClocks: how far they are ahead, and by how much
// they are faster.
var wrong = [agentsInLane]struct {
	skew  time.Duration
	drift float64
}{
	{2 * time.Second, 100e-6},
	{-2 * time.Second, -100e-6},
	{2 * time.Second, -100e-6},
	{-2 * time.Second, 100e-6},
}

// Agents whose clocks are wrong by 2 s and by 100 ppm, on links of 0 to 40 ms, start together:
// within 1 ms and what they say their clock's error is, or the run says that it is invalid.
// What they send together is what one machine sends.
func TestClocks(t *testing.T) {
	s := newSite(t, 0, agentsInLane, load{rate: 400, duration: 4 * time.Second, seed: 15})
	w := watch(t, s.agentDirs()...)
	s.startBroker()
	bases := make([]*process, s.n)
	for i, c := range wrong {
		bases[i] = startRole(t, s.host(i), fmt.Sprintf("agent-%d", i), "agent", s.url(), s.cred("agent"), fmt.Sprintf("agent-%d", i),
			s.agentDir(i), s.allowed(), c.skew.String(), fmt.Sprint(c.drift))
	}
	controller := s.begin(true)
	controller.wait(t, 2*time.Minute)
	w.close()
	run, all := s.check(w)
	if all.lost() > 0 {
		t.Errorf("%d exchanges were lost with their agents, and no agent was", all.lost())
	}
	for i, a := range run.Agents {
		real := a.Start.Sub(run.Start).Seconds() // agents' processes have this machine's clock: only what they measure with is wrong
		bound := 1e-3 + a.Clock.Error
		t.Logf("%s: offset %.6f s ± %.6f, drift %.0f ppm, skew %.6f s as measured, %.6f s really, lag p99 %.4f s", a.Name, a.Clock.Offset, a.Clock.Error, a.Clock.Drift*1e6, a.Clock.Skew, real, a.Lag.P99)
		if math.Abs(real) > bound && run.Valid {
			t.Errorf("%s started %v s beside the agreed moment, more than %v s, and the run is valid", a.Name, real, bound)
		}
		if math.Abs(a.Clock.Skew-real) > bound {
			t.Errorf("%s says that it started %v s beside the agreed moment, ± %v s, and it was %v s", a.Name, a.Clock.Skew, a.Clock.Error, real)
		}
		base := must(strconv.ParseInt(strings.TrimSpace(bases[i].stdout.String()), 10, 64))
		ahead := wrong[i].skew.Seconds() + wrong[i].drift*float64(run.Start.UnixNano()-base)/1e9
		if math.Abs(a.Clock.Offset-ahead) > bound {
			t.Errorf("%s says that its clock is %v s ahead, ± %v s, and it is %v s", a.Name, a.Clock.Offset, a.Clock.Error, ahead)
		}
		// Half of the round trip, and the time that busy processes take.
		if least := (delays[i][0] + delays[i][1]).Seconds() / 2; a.Clock.Error < least {
			t.Errorf("%s says that it knows its clock to %v s over a link with a round trip of %v s", a.Name, a.Clock.Error, 2*least)
		}
	}
	s.sameAsOneMachine(all)
}

// sameAsOneMachine compares the due times with those of a run without agents.
func (s *site) sameAsOneMachine(all records) {
	s.t.Helper()
	alone := filepath.Join(s.dir, "alone")
	start(s.t, s.host(0), "one machine", "run", s.profile, "--out", alone, "--json").wait(s.t, time.Minute)
	if _, err := record.Open(alone); err != nil {
		s.t.Fatal(err)
	}
	if got, want := all.dues(), read(s.t, alone).dues(); !slices.Equal(got, want) {
		s.t.Errorf("%d due times, and one machine has %d others", len(got), len(want))
	}
}
