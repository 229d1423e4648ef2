package results

import (
	"iter"
	"time"
)

// Never marks a stamp that was not reached.
const Never time.Duration = -1

// Exchange is one request as measured. It is filled in as it goes: Due by the
// schedule, Start by the generator, the rest by the Doer that performs it.
//
// Stamps are offsets from the start of the run on the monotonic clock; a stamp
// that was not reached is Never. They never decrease in the order in which the
// fields are listed, but for one case: a server may answer before the request
// is written whole.
type Exchange struct {
	Seq      uint64 // place in the schedule, from 0; also counts requests that were dropped
	Target   int    // index of the request among the run's targets
	WarmUp   bool   // due in the warm-up: recorded, but left out of every count
	Attempts int    // how often the request was put on a connection; above 1 only if something re-sent it

	Due          time.Duration // when the schedule wanted it
	Start        time.Duration // handed to the Doer
	Leased       time.Duration // the pool allotted a connection, or the right to dial one
	Resolved     time.Duration // new connections only
	Connected    time.Duration // new connections only
	Secured      time.Duration // new TLS connections only
	WroteHeaders time.Duration
	Wrote        time.Duration // request written whole
	FirstByte    time.Duration // first byte of the response
	GotHeaders   time.Duration // head of the final response read
	Done         time.Duration // over, however it ended

	Buffered time.Duration // how long it waited, after being due, for a slot in the generator's bounded buffer

	Conn uint64        // the connection that carried it, numbered from 1 within the run; 0: none
	Use  int           // which exchange of that connection this is, from 1; above 1 the connection is reused
	Idle time.Duration // how long the connection had been idle when leased; 0 when fresh
	Age  time.Duration // time since the connection was established, when leased; 0 when fresh

	Phase    Phase // where it ended, and why, as its caller is shown it: what every figure counts
	Cause    Cause
	Status   int   // HTTP status of the final response, 0 if its head did not arrive
	BytesOut int64 // request bytes written, head included
	BytesIn  int64 // response bytes read, head included
	Err      error // the error behind Cause, for the example in the outcome table; nil when done

	AtLease   *TCPInfo // of some failures: its connection when leased, if reused
	AtFailure *TCPInfo // of some failures: its connection when it failed
	Local     string   // our end of the connection that a failure was on, as 10.0.0.1:40000; "": not known. Not recorded
	SeenPhase Phase    // where it ended as seen on its connection; differs from Phase only if the client hides that from its caller. Not recorded
	SeenCause Cause    // why, as seen on its connection
	Unbounded bool     // it is done, and its response had neither a length nor chunks: that it is whole is not known

	Tries []Try // the attempts before the last one, each of which failed; above, Attempts and the bytes are of all, the rest of the last
	Twice bool  // it may have been executed more than once, and its method is not idempotent
}

// Try is an attempt that failed and was made again.
type Try struct {
	Phase  Phase
	Cause  Cause
	Leased time.Duration // Never: no connection was had
	Done   time.Duration
	Conn   uint64
	Use    int
	Idle   time.Duration // of the connection, when leased
}

// Again puts the attempt that has just failed among the tries, and makes e ready
// for the next.
func (e *Exchange) Again() {
	e.Tries = append(e.Tries, Try{e.Phase, e.Cause, e.Leased, e.Done, e.Conn, e.Use, e.Idle})
	e.Leased, e.Resolved, e.Connected, e.Secured = Never, Never, Never, Never
	e.WroteHeaders, e.Wrote, e.FirstByte, e.GotHeaders, e.Done = Never, Never, Never, Never, Never
	e.Conn, e.Use, e.Idle, e.Age = 0, 0, 0, 0
	e.Phase, e.Cause, e.Status, e.Err, e.Local, e.Unbounded = PhaseSchedule, CauseNone, 0, nil, "", false
	e.SeenPhase, e.SeenCause, e.AtLease, e.AtFailure = PhaseSchedule, CauseNone, nil, nil
}

// Reset makes e the exchange numbered seq, due at the given offset, with
// nothing measured yet.
func (e *Exchange) Reset(seq uint64, due time.Duration) {
	*e = Exchange{
		Seq: seq, Due: due, Start: Never, Leased: Never, Resolved: Never, Connected: Never, Secured: Never,
		WroteHeaders: Never, Wrote: Never, FirstByte: Never, GotHeaders: Never, Done: Never,
	}
}

// OK reports whether the response arrived whole, whatever its status.
func (e *Exchange) OK() bool { return e.Phase == PhaseDone }

// Unfinished reports whether the exchange was started and then given up
// because the run was aborted; it is neither a success nor a failure.
func (e *Exchange) Unfinished() bool { return e.Cause == CauseAborted }

// Failed reports whether the exchange was started and ended in a failure.
func (e *Exchange) Failed() bool {
	return e.Phase != PhaseSchedule && e.Phase != PhaseDone && e.Cause != CauseAborted
}

// Reused reports whether an earlier exchange had used the same connection.
func (e *Exchange) Reused() bool { return e.Use > 1 }

// Reused reports whether an earlier exchange had used the same connection.
func (t *Try) Reused() bool { return t.Use > 1 }

// lastUse is Use of the last connection the exchange was put on: the last
// attempt's, or of the one before it when that got none. It is 0 when no attempt
// was put on a connection.
func (e *Exchange) lastUse() int {
	use := e.Use
	for i := len(e.Tries) - 1; use == 0 && i >= 0; i-- {
		use = e.Tries[i].Use
	}
	return use
}

// ResponseTime is what a user would have waited: from due to over.
func (e *Exchange) ResponseTime() time.Duration { return e.Done - e.Due }

// ServiceTime is what the pool and the server took: from start to over.
func (e *Exchange) ServiceTime() time.Duration { return e.Done - e.Start }

// Lag is how late the generator itself was. Waiting in the bounded buffer is
// policy, not lag, and is left out. Large lag spoils the run.
func (e *Exchange) Lag() time.Duration { return e.Start - e.Due - e.Buffered }

// Phases yields every phase the last attempt went through and the time spent in
// it, the phase in which it failed included. The first attempt begins at the
// exchange's start, one made again at the end of the attempt before it: the time
// of the attempts before the last is in none of the phases. Times are never
// negative.
func (e *Exchange) Phases() iter.Seq2[Phase, time.Duration] {
	return func(yield func(Phase, time.Duration) bool) {
		last := e.Start
		if last == Never {
			return
		}
		if n := len(e.Tries); n > 0 {
			last = max(last, e.Tries[n-1].Done)
		}
		for _, step := range [...]struct {
			phase Phase
			end   time.Duration
		}{
			{PhaseAcquire, e.Leased}, {PhaseResolve, e.Resolved}, {PhaseConnect, e.Connected},
			{PhaseTLS, e.Secured}, {PhaseWriteHeaders, e.WroteHeaders}, {PhaseWriteBody, e.Wrote},
			{PhaseBeforeResponse, e.FirstByte}, {PhaseResponseHeaders, e.GotHeaders},
			{PhaseDuringResponse, e.Done},
		} {
			end := step.end
			if step.phase == e.Phase {
				end = e.Done // ended here: the rest of its time was spent here
			} else if step.phase == PhaseWriteBody && end == e.WroteHeaders {
				continue // no body, or one that left in the same write
			}
			if end != Never {
				if !yield(step.phase, max(end-last, 0)) {
					return
				}
				last = max(end, last)
			}
			if step.phase == e.Phase {
				return
			}
		}
	}
}

// TCPInfo is what the kernel says of a connection at one moment (tcp(7),
// TCP_INFO; Linux only). Unacked, Retransmits and the times are of what is
// outstanding; the sums are of the connection's whole life.
type TCPInfo struct {
	State         string        // one of TCPStates
	RTT           time.Duration // smoothed round trip, in µs; 0: none measured yet
	RTTVar        time.Duration // its mean deviation
	Unacked       int           // segments sent and not acknowledged
	Retransmits   int           // timeouts in a row of the oldest of these
	TotalRetrans  int           // segments sent again so far
	SinceSent     time.Duration // since data was last sent; in ms, and exact to a tick of the kernel's (1 to 10 ms)
	SinceReceived time.Duration // since data was last received; as SinceSent. Before the first: since the connection was made
	BytesAcked    int64         // of ours that the peer has acknowledged; on a client's connection 1 more, its SYN
	BytesReceived int64         // data of the peer's; its FIN counts as 1
}

// TCPStates are the states of a TCPInfo, by the kernel's numbers
// (net/tcp_states.h) less 1.
var TCPStates = [...]string{
	"ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK",
	"LISTEN", "CLOSING", "NEW_SYN_RECV",
}

// Established reports whether neither side had ended the connection, as far as
// the kernel on our side knew.
func (i *TCPInfo) Established() bool { return i.State == TCPStates[0] }
