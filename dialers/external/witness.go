package external

import (
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/results"
)

// A Witness says what happened to an exchange, from what was seen without the driver. seq
// is the number in the exchange's X-Request-Id; stamps are offsets from epoch.
//
// It is asked once for every exchange, when the driver says that it is over, or when the
// driver did not say so in time; one question at a time, on a goroutine that neither
// sends nor reads frames. What the driver had seen has been on this machine's interfaces
// before. A Witness may wait a few milliseconds for what is still on its way to it, but
// not as a rule: the next exchange waits meanwhile.
type Witness interface {
	Saw(seq uint64, epoch time.Time) Sight
}

// A Watcher is a Witness that also finds a request by its time, where its id cannot be
// read: over TLS. If a Witness is one, Between is called instead of Saw; the exchange was
// handed to the driver at from, and over at to or before, as offsets from epoch.
type Watcher interface {
	Between(seq uint64, epoch time.Time, from, to time.Duration) Sight
}

// A Counter is a Witness that also counts connections. If a Witness is one, the
// Engine's Stats are the Counter's, with the driver's gauges added where they are 0.
type Counter interface {
	Stats() dialers.Stats
}

// Sight is what was seen of one exchange.
type Sight struct {
	Seen     bool      // packets or the server's story were looked at; false: nobody could look
	Attempts []Attempt // each time the request was put on a connection, in order of time
}

// Attempt is one time that a request was put on a connection. Stamps are offsets from the
// epoch; results.Never where there was none.
type Attempt struct {
	Conn      uint64        // numbered from 1 in the order in which the connections were opened
	Local     string        // the client's end, as 10.0.0.1:40000; "": not known
	Use       int           // which request of the connection it is, from 1
	Idle, Age time.Duration // of the connection when the request began; 0 when fresh

	Opened  time.Duration // the connection's SYN
	Ready   time.Duration // its TCP handshake was over
	Secured time.Duration // its TLS handshake was over; Never without TLS
	Began   time.Duration // first byte of the request
	Sent    time.Duration // last byte of the request
	First   time.Duration // first byte of the response
	Done    time.Duration // last byte of the response, or the end of the attempt

	Status int           // of the response's head; 0: it did not come
	Phase  results.Phase // where it ended as seen on the wire; PhaseDone if a whole response came
	// Cause is why it ended there. CauseNone with a phase before PhaseDone: nothing has
	// ended it on the wire yet, or the client did.
	Cause results.Cause
	Basis evidence.Basis // of Phase and Cause: seen, inferred, unknown
	Why   string         // the reason, for a reader; may be empty
}
