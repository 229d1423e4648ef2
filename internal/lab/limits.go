package lab

import (
	"context"
	"sync"
	"time"

	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/profiles/script"
)

// limits hold the places for connections and for requests that a server has.
type limits struct {
	connections chan struct{} // has one element per open connection; nil: no limit
	threads     chan struct{} // has one element per request being served; nil: no limit
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

// enter waits for a place. Calls get a place in their order. False: ctx is done.
func enter(ctx context.Context, places chan struct{}) bool {
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

func leave(places chan struct{}) {
	if places != nil {
		<-places
	}
}

// stall holds responses back.
type stall struct {
	mu    sync.Mutex
	ended chan struct{} // closed when the stall ends; nil: there is none
}

// event begins or ends the stall if cfg names the event.
func (s *stall) event(cfg script.Stall, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch stalled := s.ended != nil; {
	case name == cfg.From && !stalled:
		s.ended = make(chan struct{})
	case name == cfg.Until && stalled:
		close(s.ended)
		s.ended = nil
	}
}

// wait waits until there is no stall. False: ctx is done.
func (s *stall) wait(ctx context.Context) bool {
	s.mu.Lock()
	ended := s.ended
	s.mu.Unlock()
	if ended == nil {
		return true
	}
	select {
	case <-ended:
		return true
	case <-ctx.Done():
		return false
	}
}

// admit waits until the server may accept another connection. Until then, new
// connections wait in the kernel's queue; if the queue is full, the kernel ignores
// their SYNs. False: the server is being closed.
func (s *Server) admit() bool {
	if s.accepted.Load() && !serve.Sleep(s.ln.Ctx, s.draw(script.Pauses, s.cfg.AcceptPause)) {
		return false
	}
	return enter(s.ln.Ctx, s.limits.connections)
}

// draw returns the next random value of d for this stream. It takes no lock if d is zero.
func (s *Server) draw(stream script.Stream, d script.Delay) time.Duration {
	if d == (script.Delay{}) {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return d.Draw(s.draws[stream])
}
