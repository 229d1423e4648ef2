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
		change func(*profiles.Profile)
		used   int
		opened uint64
		want   bool
	}{
		"half":      {func(*profiles.Profile) {}, 500, 500, false},
		"more":      {func(*profiles.Profile) {}, 501, 100, true},
		"of others": {func(*profiles.Profile) {}, 501, 99, false},
		"allowed":   {func(p *profiles.Profile) { p.Target.AllowPortExhaustion = true }, 501, 501, false},
		"a network": {func(p *profiles.Profile) { p.Network = &sandbox.Config{} }, 501, 501, false},
	} {
		p := profiles.Default()
		c.change(&p)
		g := newGuard(&p, limits{ports: 1000})
		g.look(nil, 0) // sockets are not in every sample
		g.look(&results.SocketSample{PortsUsed: c.used}, c.opened)
		g.look(&results.SocketSample{PortsUsed: c.used}, c.opened)
		if stopped(g) != c.want || (g.why != "") != c.want {
			t.Errorf("%s: stopped %v, %q", name, stopped(g), g.why)
		}
	}
}
