package lab

import (
	"context"
	"time"

	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/profiles/script"
)

// limits are what a server has a limited number of.
type limits struct {
	connections chan struct{} // one for each that is open; nil: no limit
	threads     chan struct{} // one for each request being served; nil: no limit
}

func newLimits(cfg script.Server) limits {
	var l limits
	if cfg.MaxConnections > 0 {
		l.connections = make(chan struct{}, cfg.MaxConnections)
	}
	if cfg.Threads > 0 {
		l.threads = make(chan struct{}, cfg.Threads)
	}
	return l
}

// take waits for a place, in the order of the calls; false: ctx is done.
func take(ctx context.Context, places chan struct{}) bool {
	if places == nil {
		return true
	}
	select {
	case places <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func giveBack(places chan struct{}) {
	if places != nil {
		<-places
	}
}

// admit waits until the server may accept another connection: what connects
// meanwhile waits in the kernel's queue, or, when that is full, for its SYN to
// be answered. False: the server is being closed.
func (s *Server) admit() bool {
	if s.accepted.Load() && !serve.Sleep(s.ln.Ctx, s.draw(s.cfg.AcceptPause)) {
		return false
	}
	return take(s.ln.Ctx, s.limits.connections)
}

// draw is the next of a delay's values; it costs nothing for the zero Delay.
func (s *Server) draw(d script.Delay) time.Duration {
	if d == (script.Delay{}) {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return d.Draw(s.rng)
}
