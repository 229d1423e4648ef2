package kabench

import (
	"testing"

	"github.com/kabench/kabench/collectors"
	"github.com/kabench/kabench/internal/capacity"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/network"
	"github.com/kabench/kabench/results"
)

func TestGuardStopsAtHalfThePorts(t *testing.T) {
	stopped := func(g *collectors.PortGuard) bool {
		select {
		case <-g.Stop():
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
		"a network": {func(p *profiles.Profile) { p.Network = &network.Config{} }, 0, 501, 501, false},
		// Each address has the ports to itself.
		"half of three addresses": {func(*profiles.Profile) {}, 3, 1500, 1500, false},
		"more of three addresses": {func(*profiles.Profile) {}, 3, 1501, 1501, true},
	} {
		p := profiles.Default()
		c.change(&p)
		g := newGuard(&p, capacity.Limits{Ports: 1000}, c.sources, 1)
		for range c.dials {
			if err := g.Dialing("tcp4", "127.0.0.1:1", nil); err != nil {
				t.Fatal(err)
			}
		}
		g.Look(nil) // sockets are not in every sample
		g.Look(&results.SocketSample{PortsUsed: c.used})
		g.Look(&results.SocketSample{PortsUsed: c.used})
		if stopped(g) != c.want || (g.Why() != "") != c.want {
			t.Errorf("%s: stopped %v, %q", name, stopped(g), g.Why())
		}
	}
}
