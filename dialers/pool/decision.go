package pool

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/internal/enum"
)

// Decision is one thing the rules want done. Decisions are returned in the
// order in which they were made.
type Decision struct {
	Kind    Kind
	Request *Request // of DoLease, DoProbe, DoDial and DoRefuse
	Conn    *Conn    // of DoLease, DoProbe and DoClose
	Dial    *Dial    // of DoDial
	Reason  Reason   // of DoClose: why it leaves the pool
	Refusal Refusal  // of DoRefuse
}

// Kind is what a Decision asks for.
type Kind uint8

const (
	DoLease  Kind = iota // Conn is Request's until it is released
	DoProbe              // look whether Conn is alive, then call Probed
	DoDial               // make a connection for Request, then call Dialed or DialFailed
	DoRefuse             // Request gets no connection
	DoClose              // close Conn's socket; Conn is never leased again
)

var kindNames = enum.Names[Kind]{"lease", "probe", "dial", "refuse", "close"}

func (k Kind) String() string { return kindNames.Text(k) }

// Refusal is why a request got no connection.
type Refusal uint8

const (
	QueueFull      Refusal = iota // the queue holds pending_max requests already
	PendingTimeout                // it waited for pending_timeout
	Closed                        // the pool was closed
	DialFailed                    // its dial failed, or with dial_fail all_pending another one of the same key
)

var refusalNames = enum.Names[Refusal]{"queue_full", "pending_timeout", "closed", "dial_failed"}

func (r Refusal) String() string { return refusalNames.Text(r) }

// Reason is why a connection left the pool.
type Reason uint8

// The reasons. Keep is the absence of one.
const (
	Keep            Reason = iota
	Expired                // idle for idle_timeout, or for what the server had announced
	Lifetime               // as old as max_lifetime
	MaxRequests            // carried max_requests exchanges
	Surplus                // max_idle or max_idle_all connections were idle already
	MadeRoom               // closed to make room for a request of another key, or one that wants a new connection
	Hinted                 // the server's Keep-Alive hint, less hint_margin, leaves no time to be idle
	PeerClosed             // the peer's FIN or close_notify was noticed while idle
	Reset                  // the peer's RST was noticed while idle
	ServerSaidClose        // the response said so, or its end was the connection's end
	Broken                 // an exchange failed on it, or bytes came while no request was under way
	Shutdown               // the pool was closed

	NumReasons = int(Shutdown) + 1
)

var reasonNames = enum.Names[Reason]{
	"keep", "expired", "lifetime", "max_requests", "surplus", "made_room", "hint", "peer_closed", "reset", "server_said_close", "broken", "shutdown",
}

func (r Reason) String() string { return reasonNames.Text(r) }

// Conn is the rules' view of one connection. Its fields belong to the Core,
// except Data.
type Conn struct {
	Data any // the caller's; never looked at here

	Origin  int           // as in the Request it was dialed for
	Created time.Duration // when its dial was done
	Uses    int           // leases so far, the present one included
	IdleFor time.Duration // how long it had been idle when last leased; 0 on its first lease

	id          uint64 // order of creation; of its slot's, with Slots
	release     uint64 // order of its last release
	released    time.Duration
	idleTimeout time.Duration // 0: none; the policy's, or by the server's hint
	lifetime    time.Duration // 0: none
	state       state
	dead        Reason // why it is known to be dead; Keep: it is not
	hungUp      bool   // its DoClose was decided, and it is still counted (ReapAtLease)
	links       [numLists]link
	fitIndex    int // in the origin's heap by creation; -1: not in it
	timerIndex  int // in the core's heap by deadline; -1: not in it
}

type state uint8

const (
	leased state = iota
	probing
	idle
	gone
)

// Request is one request for a connection. Keep it until DoLease or DoRefuse is
// decided for it, or Cancel has taken it back. After that it may be used again.
type Request struct {
	Data   any  // the caller's; never looked at here
	Origin int  // the sub-pool it wants, from AddOrigin
	Safe   bool // it is a GET: with probe_unsafe_only, no probe is made for it
	Fresh  bool // it wants a new connection; once it has to wait, it takes any

	state   requestState
	arrived uint64 // order of arrival
	queued  time.Duration
	dial    *Dial // its own, under way
	links   [numOfLists]requestLink
}

// Granted reports whether a DoDial was decided for r since it last asked.
func (r *Request) Granted() bool { return r.dial != nil }

type requestState uint8

const (
	decided  requestState = iota // for DoLease, DoProbe or DoRefuse; or it is not in the pool
	waiting                      // in the queue
	bindable                     // its own dial is under way, and it takes another connection if one comes first (late_bind)
	dialing                      // its own dial is under way, and it waits for that
)

// Dial is a connection being made.
type Dial struct {
	Origin  int
	request *Request // the one it was granted for; nil: that was served otherwise, or taken back
	slot    slot     // that the connection will take, if hasSlot
	hasSlot bool
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
