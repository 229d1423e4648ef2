package aim

import (
	"strings"
	"testing"
)

// Copies of the pool are dealt out to agents, the same number to each, and what is expected
// is what one process would meet.
func TestCopiesAreDealtOutToAgents(t *testing.T) {
	for _, agents := range []int{2, 3, 7} {
		o := order(t, "idle-race", "reactor-netty", measured(20, 1990*ms, 2000*ms, 2010*ms))
		_, alone := plan(t, o)
		o.Agents = agents
		p, f := plan(t, o)
		if n := p.Pool.Shards; n < agents || n%agents != 0 {
			t.Errorf("%d agents: %d copies of the pool", agents, n)
		}
		if f.Mean < wanted/2 || alone.Mean < wanted/2 {
			t.Errorf("%d agents: %.1f failures are expected, and of one process %.1f; wanted %d", agents, f.Mean, alone.Mean, wanted)
		}
	}
}

func TestAimsThatAgentsCannotShare(t *testing.T) {
	server := measured(20, 1990*ms, 2000*ms, 2010*ms)
	copies := order(t, "idle-race", "reactor-netty", server, "pool.shards=5")
	real := order(t, "idle-race", "reactor-netty", server)
	real.OneClient = true
	for want, o := range map[string]Order{"a multiple of 2": copies, "one real client": real} {
		o.Agents = 2
		if _, _, err := Plan(o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want an error with %q", err, want)
		}
	}
}
