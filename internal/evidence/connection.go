package evidence

import (
	"net/netip"
	"time"
)

// Basis says how a statement is known.
type Basis uint8

const (
	Unknown  Basis = iota
	Inferred       // it follows from what was seen, but was not seen itself
	Seen
)

// Side is an end of a connection, or a machine between the ends.
type Side uint8

const (
	Nobody   Side = iota // and unknown, if the Basis of the statement is Unknown
	ByClient             // the end that opened the connection
	ByServer             // the end that accepted it
	ByMiddle             // neither: a firewall, NAT or balancer forged the segment
)

// Kind is the way in which a connection was closed.
type Kind uint8

const (
	Open   Kind = iota // it was not closed while it was observed
	FIN                // an orderly close
	RST                // a reset
	Notify             // a TLS close_notify, with or without a FIN after it
	Silent             // segments were sent and nothing came back, no ACK either
)

// Exchange is a request and its response on a connection. Times are since the start
// of the observation, as its observer saw them; NotSeen where it did not.
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
	Slack          time.Duration // how much later than on the wire a time here may have been taken
}
