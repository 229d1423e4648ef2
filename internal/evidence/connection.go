package evidence

import (
	"net/netip"
	"time"

	"github.com/kabench/kabench/internal/enum"
)

// Basis says how a statement is known.
type Basis uint8

const (
	Unknown  Basis = iota
	Inferred       // it follows from what was seen, but was not seen itself
	Seen
)

var basisNames = enum.Names[Basis]{"unknown", "inferred", "seen"}

func (b Basis) String() string                   { return basisNames.Text(b) }
func (b Basis) MarshalText() ([]byte, error)     { return basisNames.Marshal(b) }
func (b *Basis) UnmarshalText(text []byte) error { return basisNames.Unmarshal(text, b) }

// Side is an end of a connection, or a machine between the ends.
type Side uint8

const (
	Nobody   Side = iota // and unknown, if the Basis of the statement is Unknown
	ByClient             // the end that opened the connection
	ByServer             // the end that accepted it
	ByMiddle             // neither: a firewall, NAT or balancer forged the segment
)

var sideNames = enum.Names[Side]{"nobody", "client", "server", "middle"}

func (s Side) String() string                   { return sideNames.Text(s) }
func (s Side) MarshalText() ([]byte, error)     { return sideNames.Marshal(s) }
func (s *Side) UnmarshalText(text []byte) error { return sideNames.Unmarshal(text, s) }

// Other returns the other end; a machine between the ends has none.
func (s Side) Other() Side {
	switch s {
	case ByClient:
		return ByServer
	case ByServer:
		return ByClient
	}
	return s
}

// Kind is the way in which a connection was closed.
type Kind uint8

const (
	Open   Kind = iota // it was not closed while it was observed
	FIN                // an orderly close
	RST                // a reset
	Notify             // a TLS close_notify, with or without a FIN after it
	Silent             // segments were sent and nothing came back, no ACK either
)

var kindNames = enum.Names[Kind]{"open", "fin", "rst", "close_notify", "silent"}

func (k Kind) String() string                   { return kindNames.Text(k) }
func (k Kind) MarshalText() ([]byte, error)     { return kindNames.Marshal(k) }
func (k *Kind) UnmarshalText(text []byte) error { return kindNames.Unmarshal(text, k) }

// Exchange is a request and its response on a connection. Times are since the start
// of the observation, as its observer saw them; NotSeen where it did not. An exchange
// without Sent and with a Status is a response that the client did not ask for, as the
// 408 of some servers to an idle connection.
type Exchange struct {
	Sent    time.Duration // the last byte of the request
	First   time.Duration // the first byte of the response
	Done    time.Duration // the last byte of the response
	Status  int           // of the response; 0: there was none, or it cannot be read
	Asked   bool          // the request said Connection: keep-alive
	Closing bool          // the response said Connection: close
	Hint    string        // the response's Keep-Alive header
	Backend string        // what the response says about the machine that sent it
	Origin  Origin        // what the request's headers say about where it came from
}

// Origin is what the headers of a request say about the way that it has come. A proxy
// keeps Trace and sets Passed.
type Origin struct {
	Trace  uint64 // of X-Request-Id, X-Correlation-Id, or the trace of traceparent, as a number; 0: none
	Passed bool   // Via, Forwarded or X-Forwarded-For says that a proxy passed the request on
}

// NotSeen is the time of an event that was not observed.
const NotSeen time.Duration = -1

// Close is how and when a connection ended.
type Close struct {
	Basis Basis
	By    Side
	How   Kind
	At    time.Duration // of the close_notify, FIN or RST that came first, or NotSeen
	FIN   time.Duration // of the FIN after a close_notify, or NotSeen
	Why   string        // the reason for Basis and By, for people
}

// Meeting is how a request without a response and the end of its connection met.
type Meeting uint8

const (
	Waiting   Meeting = iota // the connection was not closed while it was observed
	Crossed                  // the request was on the way when the server closed: neither end knew of the other's segment
	Arrived                  // the request had arrived, and the server closed anyway
	Late                     // the request was written after the server's close had come
	Forgotten                // a RST answered the request, and no close was seen before: the connection was no longer known there
	Abandoned                // the client closed first: it waited no longer
	Lost                     // the request was sent again and again, and no ACK came back
)

var meetingNames = enum.Names[Meeting]{"waiting", "crossed", "arrived", "late", "forgotten", "abandoned", "lost"}

func (m Meeting) String() string                   { return meetingNames.Text(m) }
func (m Meeting) MarshalText() ([]byte, error)     { return meetingNames.Marshal(m) }
func (m *Meeting) UnmarshalText(text []byte) error { return meetingNames.Unmarshal(text, m) }

// Unanswered is a request without a whole response.
type Unanswered struct {
	Basis   Basis
	Met     Meeting
	Line    string        // the method and the target, such as "GET /x"; "" if they were not captured
	Number  int64         // of the packet in which the request began; 0: not seen
	Nth     int           // of the requests of its connection that were seen, from 1
	Begun   time.Duration // the first byte of the request, or NotSeen
	Sent    time.Duration // its last byte that was seen, or NotSeen
	Whole   bool          // the whole request was seen
	First   time.Duration // the first byte of a response that was cut off; NotSeen: no byte came
	Idle    time.Duration // how long the connection had been idle before the request, or NotSeen
	Reused  bool          // the connection had carried an exchange before
	Apart   time.Duration // from the request to the close, as seen; negative: the close was seen first
	Retries int           // how often it was sent again
	Origin  Origin        `json:"-"`
	Why     string        // the reason for Met and Basis, for people
}

// Reset is a RST segment.
type Reset struct {
	At     time.Duration
	Number int64
	From   Side // whose addresses it carries
	Origin Side // who made it
	Basis  Basis
	Why    string // the reason for Origin and Basis, for people
}

// KeptFirst is how many of the first exchanges of a long connection are kept.
const KeptFirst = 16

// Connection is the life of one TCP connection, as far as it was observed.
type Connection struct {
	Client, Server netip.AddrPort
	TLS            bool
	Opened         time.Duration // the SYN, or NotSeen
	Ready          time.Duration // TCP and TLS were established, or NotSeen
	RoundTrip      time.Duration // of the SYN and its answer; 0: not known
	Exchanges      []Exchange
	Half           time.Duration // the last byte of an unfinished request head, sent after all Exchanges, or NotSeen
	Close          Close
	Until          time.Duration // the end of the observation of this connection
	Slack          time.Duration // how much later than on the wire a time here may have been taken; 0 in a capture
	Stamped        bool          // the responses' times are those of the kernel or of a capture, so Slack does not concern them

	// The rest is known only where segments were seen.

	Since       time.Duration // the first segment
	Requests    int           // all exchanges; of a long connection, Exchanges has the first KeptFirst and the newest
	LongestIdle time.Duration // the longest time between two exchanges that the connection survived
	Unanswered  []Unanswered
	Resets      []Reset
	Start       uint32 // the first sequence number of the client, if SYNs > 0
	SYNs        int    // how often the client sent its SYN
	Resent      int    // data segments that the client sent again
	ResentBack  int    // data segments that the server sent again
	Near        Side   // the end near which the segments were seen; Nobody: not known
	TimeWait    Side   // the end that keeps the ports in TIME_WAIT; Nobody: none, or not known
	BothWait    bool   // both ends do, because their FINs crossed
	Missing     int    // bytes that were sent and not observed
	Other       bool   // it carries another protocol than HTTP/1 and TLS; its exchanges are changes of direction
	Bare        bool   // only headers were seen: its exchanges are changes of direction, a TLS handshake among them
	Guessed     bool   // which end is the client is a guess
	Unasked     int    // the status of a response that no request had asked for, such as 408; 0: none
}
