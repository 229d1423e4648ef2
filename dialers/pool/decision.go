package pool

import (
	"fmt"
	"time"
)

// Decision is one thing the rules want done. Decisions are returned in the
// order in which they were made.
type Decision struct {
	Kind    Kind
	Request *Request // of DoLease, DoProbe, DoDial and DoRefuse
	Conn    *Conn    // of DoLease, DoProbe and DoClose
	Reason  Reason   // of DoClose: why it leaves the pool
	Refusal Refusal  // of DoRefuse
}

// Kind is what a Decision asks for.
type Kind uint8

const (
	DoLease  Kind = iota // Conn is Request's until it is released
	DoProbe              // look whether Conn is alive, then tell by Probed
	DoDial               // make a connection for Request, then tell by Dialed or DialFailed
	DoRefuse             // Request gets no connection
	DoClose              // close Conn's socket; Conn is never leased again
)

func (k Kind) String() string {
	return nameOf([]string{"lease", "probe", "dial", "refuse", "close"}, int(k))
}

// Refusal is why a request got no connection.
type Refusal uint8

const (
	QueueFull      Refusal = iota // the queue holds pending_max requests already
	PendingTimeout                // it waited for pending_timeout
	Closed                        // the pool was closed
)

func (r Refusal) String() string {
	return nameOf([]string{"queue_full", "pending_timeout", "closed"}, int(r))
}

// Reason is why a connection left the pool.
type Reason uint8

// The reasons. Keep is the absence of one.
const (
	Keep            Reason = iota
	Expired                // idle for idle_timeout
	Lifetime               // as old as max_lifetime
	MaxRequests            // carried max_requests exchanges
	Surplus                // given back with max_idle connections idle already
	PeerClosed             // the peer's FIN or close_notify was noticed while idle
	Reset                  // the peer's RST was noticed while idle
	ServerSaidClose        // the response said so, or its end was the connection's end
	Broken                 // an exchange failed on it, or bytes came that nobody asked for
	Shutdown               // the pool was closed

	NumReasons = int(Shutdown) + 1
)

func (r Reason) String() string {
	return nameOf([]string{"keep", "expired", "lifetime", "max_requests", "surplus", "peer_closed", "reset",
		"server_said_close", "broken", "shutdown"}, int(r))
}

// Conn is the rules' view of one connection. Its fields belong to the Core,
// except Data.
type Conn struct {
	Data any // the caller's; never looked at here

	Origin  int           // as in the Request it was dialed for
	Created time.Duration // when its dial was done
	Uses    int           // leases so far, the present one included
	IdleFor time.Duration // how long it had been idle when last leased; 0 on its first lease

	id         uint64 // order of creation
	released   time.Duration
	state      state
	dead       Reason // noticed dead; Keep: alive as far as known
	hungUp     bool   // its DoClose was decided while it stays in the accounts (ReapAtLease)
	prev, next *Conn  // in the origin's idle list
	fitIndex   int    // in the origin's heap by creation; -1: not in it
	timerIndex int    // in the core's heap by deadline; -1: not in it
}

type state uint8

const (
	leased state = iota
	probing
	idle
	gone
)

// Request is one request for a connection. Embed or keep it until it has been
// answered by DoLease or DoRefuse, or was taken back by Cancel; it may be used
// again after that.
type Request struct {
	Data   any // the caller's; never looked at here
	Origin int // the sub-pool it wants, from AddOrigin

	queued     time.Duration
	waiting    bool
	prev, next *Request
}

// Stats are the pool's gauges and their peaks, over all origins.
type Stats struct {
	Leased, Idle, Dialing, Pending                          int
	PeakLeased, PeakIdle, PeakDialing, PeakPending, MaxOpen int
	Opened                                                  uint64 // dials that made a connection
	Evicted                                                 [NumReasons]uint64
}

// String is the gauges in one line: "idle 3, leased 2, dialing 1, pending 0".
func (s Stats) String() string {
	return fmt.Sprintf("idle %d, leased %d, dialing %d, pending %d", s.Idle, s.Leased, s.Dialing, s.Pending)
}
