package collectors

import (
	"fmt"
	"sync/atomic"
	"syscall"

	"github.com/kabench/kabench/results"
)

// PortGuard protects other programs on this machine: it stops a run that holds many of
// the ephemeral ports towards its target when more than half of them are in use. A run
// that keeps its connections is not stopped because other programs left sockets in
// TIME_WAIT.
//
// How many ports are in use is known only when the sockets are looked at, once or twice a
// second. In between the guard counts each dial as a port; when that sum reaches the
// limit it asks for a look at once. In a run of several agents it takes it that the others
// dial as often and are on this machine too, because they may be.
type PortGuard struct {
	ports  int           // there are; 0: nothing is guarded
	agents int64         // of the run, at least 1
	before int           // ports in use at the first look; -1: there was none
	stop   chan struct{} // closed to stop the run; why is set before
	why    string
	over   atomic.Bool   // nothing is left to stop
	urgent chan struct{} // a look at the sockets is wanted now

	dials  atomic.Int64 // sockets about to connect, so far
	others atomic.Int64 // ports in use at the last look, less the dials until then, of all agents
}

// NewPortGuard guards that number of ports, those of every source address together; 0
// guards nothing. agents is how many send the run, at least 1.
func NewPortGuard(ports, agents int) *PortGuard {
	return &PortGuard{ports: ports, agents: int64(agents), before: -1, stop: make(chan struct{}), urgent: make(chan struct{}, 1)}
}

// minShare: a run is held responsible for used ports once it has dialed at least
// ports/minShare times. A TLS handshake that fails leaves its port in TIME_WAIT too, so
// counting only the connections opened would miss it.
const minShare = 10

// Stop is closed when the run must stop.
func (g *PortGuard) Stop() <-chan struct{} { return g.stop }

// Urgent asks for a look at the sockets, as Sources.Urgent does.
func (g *PortGuard) Urgent() <-chan struct{} { return g.urgent }

// Over says that the run has ended, so that there is nothing left to stop.
func (g *PortGuard) Over() { g.over.Store(true) }

// Why says why the run was stopped; "" if it was not. Call it when Look is not called
// any more.
func (g *PortGuard) Why() string { return g.why }

// Dialing counts a socket before it connects. It is a dialers.Dialer.Control, and may be
// called from any goroutine.
func (g *PortGuard) Dialing(string, string, syscall.RawConn) error {
	dials := g.dials.Add(1) * g.agents
	if g.ports == 0 || 2*(g.others.Load()+dials) <= int64(g.ports) {
		return nil
	}
	select {
	case g.urgent <- struct{}{}:
	default: // asked for already
	}
	return nil
}

// Look checks what was seen of the sockets, nil if they were not looked at. Only one
// goroutine may call it.
func (g *PortGuard) Look(s *results.SocketSample) {
	if s == nil {
		return
	}
	g.others.Store(int64(s.PortsUsed) - g.dials.Load()*g.agents)
	if g.before < 0 {
		g.before = s.PortsUsed
	}
	if g.ports == 0 || g.over.Load() || 2*s.PortsUsed <= g.ports || g.why != "" || !g.responsible(s.PortsUsed) {
		return
	}
	g.why = fmt.Sprintf("stopped to protect this machine: %d of its %d ephemeral ports towards the target were in use, and other programs need some too. Run it in a private network (network), reuse connections, or allow it with target.allow_port_exhaustion", s.PortsUsed, g.ports)
	close(g.stop)
}

// responsible reports whether the run is held responsible for the used ports. If many
// agents are on one machine, all ports may be gone before one of them has dialed ports/minShare
// times. So their dials count together, if the used ports have become more by that share.
func (g *PortGuard) responsible(used int) bool {
	dials, least := g.dials.Load()*minShare, int64(g.ports)
	return dials >= least || dials*g.agents >= least && int64(used-g.before)*minShare >= least
}
