package harness

import (
	"fmt"
	"sync/atomic"
	"syscall"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// guard protects the machine outside of a private network: when more than half of
// the ephemeral ports towards its target are taken, a run that has a hand in it is
// stopped, before other programs get none. What others have left in TIME_WAIT
// does not stop a run that keeps its connections.
//
// A look at the sockets says how many ports are taken, and there are but two
// of them in a second. In between each dial counts as a port: when that comes to
// the limit, the guard asks for a look at once.
type guard struct {
	ports  int           // that there are, each source address's counted; 0: nothing is guarded
	stop   chan struct{} // closed to stop the run; why is set before
	why    string
	over   atomic.Bool   // nothing is left to stop
	urgent chan struct{} // a look at the sockets is wanted now

	dials  atomic.Int64 // sockets that were to connect, so far
	others atomic.Int64 // ports taken at the last look, less the dials until then
}

// newGuard guards a run of p whose connections come from so many addresses on
// purpose, in turn; 0: from the one that the kernel chooses.
func newGuard(p *profiles.Profile, l limits, sources int) *guard {
	g := &guard{ports: l.ports * max(sources, 1), stop: make(chan struct{}), urgent: make(chan struct{}, 1)}
	if p.Network != nil || p.Target.AllowPortExhaustion {
		g.ports = 0
	}
	return g
}

// tookPart is the part of the ports from which on they are taken by the run: it
// has dialed once for so many of them. A TLS handshake that fails leaves its port
// in TIME_WAIT too, so that connections opened would not do.
const tookPart = 10

// dialing is called with each socket before it connects, as dialers.Dialer.Control,
// from any goroutine.
func (g *guard) dialing(string, string, syscall.RawConn) error {
	dials := g.dials.Add(1)
	if g.ports == 0 || 2*(g.others.Load()+dials) <= int64(g.ports) {
		return nil
	}
	select {
	case g.urgent <- struct{}{}:
	default: // it has been asked for
	}
	return nil
}

// look is called by one goroutine.
func (g *guard) look(s *results.SocketSample) {
	if s == nil {
		return
	}
	g.others.Store(int64(s.PortsUsed) - g.dials.Load())
	if g.ports == 0 || g.over.Load() || 2*s.PortsUsed <= g.ports || g.why != "" || g.dials.Load()*tookPart < int64(g.ports) {
		return
	}
	g.why = fmt.Sprintf("stopped to protect this machine: %d of its %d ephemeral ports towards the target were taken, and beyond them other programs get none either; run it in a private network (network), reuse connections, or let it have its way with target.allow_port_exhaustion", s.PortsUsed, g.ports)
	close(g.stop)
}
