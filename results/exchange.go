package results

import (
	"iter"
	"time"
)

// Never marks a stamp that was not reached.
const Never time.Duration = -1

// Exchange is one request as measured. It is filled step by step: the schedule sets
// Due, the generator sets Start, and the Doer that performs it sets the rest.
//
// Stamps are offsets from the start of the run on the monotonic clock; a stamp
// that was not reached is Never. They never decrease in the order in which the
// fields are listed, with one exception: a server may respond before the request
// is completely written.
type Exchange struct {
	Seq      uint64 // place in the schedule, from 0; also counts requests that were dropped
	Target   int    // index of the request among the run's targets
	WarmUp   bool   // due in the warm-up: recorded, but left out of every count
	Attempts int    // how often the request was put on a connection; above 1 only if something sent it again

	Due          time.Duration // when the schedule wanted it
	Start        time.Duration // handed to the Doer
	Leased       time.Duration // the pool allotted a connection, or the right to dial one
	Resolved     time.Duration // new connections only
	Connected    time.Duration // new connections only
	Secured      time.Duration // new TLS connections only
	WroteHeaders time.Duration
	Wrote        time.Duration // request completely written
	FirstByte    time.Duration // first byte of the response
	GotHeaders   time.Duration // head of the final response read
	Done         time.Duration // when it ended, successful or not

	Buffered time.Duration // how long it waited, after being due, for a slot in the generator's bounded buffer

	Conn uint64        // the connection that carried it, numbered from 1 within the run; 0: none
	Use  int           // which exchange of that connection this is, from 1; above 1 the connection is reused
	Idle time.Duration // how long the connection had been idle when leased; 0 when fresh
	Age  time.Duration // time since the connection was established, when leased; 0 when fresh

	Phase    Phase // where it ended, and why, as the client reports it to its caller. Every figure counts these
	Cause    Cause
	Status   int   // HTTP status of the final response, 0 if its head did not arrive
	BytesOut int64 // request bytes written, head included
	BytesIn  int64 // response bytes read, head included
	Err      error // the error that Cause classifies, for the example in the outcome table; nil when done

	AtLease   *TCPInfo // its connection when leased, if reused; only some failures have it
	AtFailure *TCPInfo // its connection when it failed; only some failures have it
	Local     string   // local address of the connection that failed, as 10.0.0.1:40000; "": not known. Not recorded
	SeenPhase Phase    // where it ended on its connection; differs from Phase only if the client hides this from its caller. Not recorded
	SeenCause Cause    // why it ended on its connection. Not recorded
	InFlight  int      // exchanges in flight when it started, itself included. Not recorded
	Unbounded bool     // it is done, but its response had neither a length nor chunks, so it may be incomplete

	Tries []Try // the attempts before the last one; all of them failed. Attempts and the bytes count all attempts, the other fields describe the last
	Twice bool  // it may have been executed more than once, and its method is not idempotent
}

// Try is an attempt that failed, after which the request was sent again.
type Try struct {
	Phase  Phase
	Cause  Cause
	Leased time.Duration // Never: it got no connection
	Done   time.Duration
	Conn   uint64
	Use    int
	Idle   time.Duration // of the connection, when leased
}

// Again appends the attempt that has just failed to Tries, and makes e ready for
// the next attempt.
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

// OK reports whether the complete response arrived, whatever its status.
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

// lastUse is the Use of the last attempt that was put on a connection, or 0 when no
// attempt was.
func (e *Exchange) lastUse() int {
	use := e.Use
	for i := len(e.Tries) - 1; use == 0 && i >= 0; i-- {
		use = e.Tries[i].Use
	}
	return use
}

// ResponseTime is how long a user would have waited: from Due to Done.
func (e *Exchange) ResponseTime() time.Duration { return e.Done - e.Due }

// ServiceTime is how long the pool and the server took: from Start to Done.
func (e *Exchange) ServiceTime() time.Duration { return e.Done - e.Start }

// Lag is how late the generator itself was. It leaves out the time in the bounded
// buffer, because that wait is policy. A large lag makes the run invalid.
func (e *Exchange) Lag() time.Duration { return e.Start - e.Due - e.Buffered }

// Phases yields every phase that the last attempt went through, and the time spent
// in it. The phase in which the attempt failed is included. The first attempt begins
// at Start; each further attempt begins when the one before it ended. So no phase
// contains the time of the earlier attempts. Times are never negative.
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

// TCPInfo is the kernel's state of a connection at one moment (tcp(7), TCP_INFO;
// Linux only). Unacked and Retransmits describe the data that is outstanding; the
// sums cover the connection's whole life.
type TCPInfo struct {
	State         string        // one of TCPStates
	RTT           time.Duration // smoothed round trip, in µs; 0: none measured yet
	RTTVar        time.Duration // its mean deviation
	Unacked       int           // segments sent and not acknowledged
	Retransmits   int           // consecutive timeouts of the oldest of these
	TotalRetrans  int           // segments sent again so far
	SinceSent     time.Duration // since data was last sent; in ms, exact to one kernel tick (1 to 10 ms)
	SinceReceived time.Duration // since data was last received, or since the connection was made if there was none; exact as SinceSent
	BytesAcked    int64         // our bytes that the peer has acknowledged; on a client's connection 1 more, for its SYN
	BytesReceived int64         // the peer's data; its FIN counts as 1
}

// TCPStates are the states of a TCPInfo. The index is the kernel's number
// (net/tcp_states.h) minus 1.
var TCPStates = [...]string{
	"ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE", "CLOSE_WAIT", "LAST_ACK",
	"LISTEN", "CLOSING", "NEW_SYN_RECV",
}

// Established reports whether both sides still had the connection open, as far as
// our kernel knew.
func (i *TCPInfo) Established() bool { return i.State == TCPStates[0] }
