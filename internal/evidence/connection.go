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
	Slack          time.Duration // how far from its time on the wire a time here may be; 0 in a capture
}
