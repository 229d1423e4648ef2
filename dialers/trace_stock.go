package dialers

import "github.com/kabench/kabench/results"

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

// tracePeer tells that the peer has ended the connection, if that is what err
// says and it is the first time.
func (c *stockConn) tracePeer(err error) {
	if err == nil || c.stock.Tracer == nil {
		return
	}
	e := TraceEvent{State: ClosedByPeer}
	switch CauseOf(err) {
	case results.CauseFIN:
	case results.CauseRST:
		e.State = ResetByPeer
	default:
		return // our own close, or a deadline
	}
	if c.peerSeen.CompareAndSwap(false, true) {
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
