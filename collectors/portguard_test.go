package collectors

import (
	"testing"

	"github.com/kabench/kabench/results"
)

// Between two looks dials count as ports: at the limit, and not before, a look is
// asked for, and what it sees decides.
func TestGuardAsksForALookAtTheLimit(t *testing.T) {
	g := NewPortGuard(1000, 1)
	dial := func(n int) (asked bool) {
		for range n {
			if err := g.Dialing("tcp4", "127.0.0.1:1", nil); err != nil {
				t.Fatal(err)
			}
		}
		select {
		case <-g.urgent:
			return true
		default:
			return false
		}
	}
	g.Look(&results.SocketSample{PortsUsed: 300})
	if dial(200) {
		t.Error("a look was asked for at half of the ports")
	}
	if !dial(1) {
		t.Error("no look was asked for beyond half of the ports")
	}
	g.Look(&results.SocketSample{PortsUsed: 350}) // most have been closed by the peer
	if g.why != "" || dial(150) {
		t.Errorf("150 ports are left until the limit (%q)", g.why)
	}
	if !dial(1) {
		t.Error("no look was asked for the second time")
	}
	g.Look(&results.SocketSample{PortsUsed: 501})
	if g.why == "" {
		t.Error("not stopped")
	}
}

// The last sample is taken when the run is over: it does not say that the run was
// stopped.
func TestGuardDoesNotStopWhatIsOver(t *testing.T) {
	g := NewPortGuard(1000, 1)
	g.dials.Store(900)
	g.Over()
	g.Look(&results.SocketSample{PortsUsed: 900})
	if g.why != "" {
		t.Error(g.why)
	}
}

// Of 20 agents on one machine each has dialed 26 times when half of 1000 ports are in use.
// Each asks for a look in time, and is stopped; an agent that finds the ports used by
// others, when the run begins, is not.
func TestGuardOfAgentsOnOneMachine(t *testing.T) {
	for before, stopped := range map[int]bool{0: true, 500: false} {
		g := NewPortGuard(1000, 20)
		g.Look(&results.SocketSample{PortsUsed: before})
		asked := false
		for range 26 {
			if err := g.Dialing("tcp4", "127.0.0.1:1", nil); err != nil {
				t.Fatal(err)
			}
			asked = asked || len(g.urgent) > 0
		}
		g.Look(&results.SocketSample{PortsUsed: 520})
		if !asked || (g.why != "") != stopped {
			t.Errorf("after %d ports before the run: asked %v, %q", before, asked, g.why)
		}
	}
}
