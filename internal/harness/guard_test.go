package harness

import (
	"testing"

	"github.com/kabench/kabench/internal/sandbox"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

func TestGuardStopsAtHalfThePorts(t *testing.T) {
	stopped := func(g *guard) bool {
		select {
		case <-g.stop:
			return true
		default:
			return false
		}
	}
	for name, c := range map[string]struct {
		change  func(*profiles.Profile)
		sources int
		used    int
		dials   int
		want    bool
	}{
		"half":      {func(*profiles.Profile) {}, 0, 500, 500, false},
		"more":      {func(*profiles.Profile) {}, 0, 501, 100, true},
		"of others": {func(*profiles.Profile) {}, 0, 501, 99, false},
		"allowed":   {func(p *profiles.Profile) { p.Target.AllowPortExhaustion = true }, 0, 501, 501, false},
		"a network": {func(p *profiles.Profile) { p.Network = &sandbox.Config{} }, 0, 501, 501, false},
		// Each address has the ports to itself.
		"half of three addresses": {func(*profiles.Profile) {}, 3, 1500, 1500, false},
		"more of three addresses": {func(*profiles.Profile) {}, 3, 1501, 1501, true},
	} {
		p := profiles.Default()
		c.change(&p)
		g := newGuard(&p, limits{ports: 1000}, c.sources)
		for range c.dials {
			if err := g.dialing("tcp4", "127.0.0.1:1", nil); err != nil {
				t.Fatal(err)
			}
		}
		g.look(nil) // sockets are not in every sample
		g.look(&results.SocketSample{PortsUsed: c.used})
		g.look(&results.SocketSample{PortsUsed: c.used})
		if stopped(g) != c.want || (g.why != "") != c.want {
			t.Errorf("%s: stopped %v, %q", name, stopped(g), g.why)
		}
	}
}

// Between two looks dials count as ports: at the limit, and not before, a look is
// asked for, and what it sees decides.
func TestGuardAsksForALookAtTheLimit(t *testing.T) {
	p := profiles.Default()
	g := newGuard(&p, limits{ports: 1000}, 0)
	dial := func(n int) (asked bool) {
		for range n {
			if err := g.dialing("tcp4", "127.0.0.1:1", nil); err != nil {
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
	g.look(&results.SocketSample{PortsUsed: 300})
	if dial(200) {
		t.Error("a look was asked for at half of the ports")
	}
	if !dial(1) {
		t.Error("no look was asked for beyond half of the ports")
	}
	g.look(&results.SocketSample{PortsUsed: 350}) // most have been closed by the peer
	if g.why != "" || dial(150) {
		t.Errorf("150 ports are left until the limit (%q)", g.why)
	}
	if !dial(1) {
		t.Error("no look was asked for the second time")
	}
	g.look(&results.SocketSample{PortsUsed: 501})
	if g.why == "" {
		t.Error("not stopped")
	}
}

// The last sample is taken when the run is over: it says nothing of one that was
// stopped.
func TestGuardDoesNotStopWhatIsOver(t *testing.T) {
	p := profiles.Default()
	g := newGuard(&p, limits{ports: 1000}, 0)
	g.over.Store(true)
	g.dials.Store(900)
	g.look(&results.SocketSample{PortsUsed: 900})
	if g.why != "" {
		t.Error(g.why)
	}
}
