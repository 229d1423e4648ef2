package collectors

import (
	"testing"

	"github.com/kabench/kabench/results"
)

// Between two looks dials count as ports: at the limit, and not before, a look is
// asked for, and what it sees decides.
func TestGuardAsksForALookAtTheLimit(t *testing.T) {
	g := NewPortGuard(1000)
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
	g := NewPortGuard(1000)
	g.dials.Store(900)
	g.Over()
	g.Look(&results.SocketSample{PortsUsed: 900})
	if g.why != "" {
		t.Error(g.why)
	}
}
