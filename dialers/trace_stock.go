package dialers

import (
	"errors"
	"io"
	"syscall"

	"github.com/kabench/kabench/results"
)

// trace tells the tracer, if there is one. Without a time it is now.
func (s *Stock) trace(e TraceEvent) {
	if s.Tracer == nil {
		return
	}
	if e.At == 0 {
		e.At = s.now()
	}
	s.Tracer(e)
}

func (c *stockConn) trace(e TraceEvent) {
	if c.stock.Tracer != nil {
		e.Conn, e.Port = c.id, portOf(c.LocalAddr())
		c.stock.trace(e)
	}
}

// tracePeer tells that the peer has ended the connection, if that is what err, of
// a Read or Write, says. When it leaves open how, Close knows.
func (c *stockConn) tracePeer(err error) {
	if err == nil || c.stock.Tracer == nil || errors.Is(err, io.EOF) && inReset(c.Conn) {
		return
	}
	c.tellPeer(err)
}

// tellPeer tells, the first time, that the peer has ended the connection: by a FIN
// (io.EOF), or by a reset.
func (c *stockConn) tellPeer(end error) {
	e := TraceEvent{State: ClosedByPeer}
	switch {
	case errors.Is(end, io.EOF):
	case errors.Is(end, syscall.ECONNRESET):
		e.State = ResetByPeer
	default:
		return // nobody has, or our own close
	}
	if c.stock.Tracer != nil && c.peerSeen.CompareAndSwap(false, true) {
		c.trace(e)
	}
}

// trace tells of a change to the connection that w's exchange is on; mu is held.
func (w *witness) trace(e TraceEvent) {
	if w.conn != nil && w.stock.Tracer != nil {
		e.On, e.Seq = true, w.e.Seq
		w.conn.trace(e)
	}
}

// traceEnd tells how w's exchange came out; mu is held.
func (w *witness) traceEnd() {
	e := TraceEvent{At: w.e.Done, State: ResponseCompleted, Bytes: w.facts.Bytes}
	if !w.e.OK() {
		e.State, e.Phase, e.Cause = RequestFailed, w.e.Phase, w.e.Cause
		if w.e.Phase > results.PhaseBeforeResponse {
			e.State = ResponseIncomplete
		}
	}
	w.trace(e)
}

// idle tells that the Transport has put the connection among its idle ones,
// unless it would not have it. The exchange need not be over for its caller.
func (w *witness) idle(refused error) {
	if w.stock.Tracer == nil || refused != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		w.conn.trace(TraceEvent{State: Idle})
	}
}
