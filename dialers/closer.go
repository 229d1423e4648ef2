package dialers

import (
	"errors"
	"io"
	"syscall"

	"github.com/kabench/kabench/dialers/pool"
)

// Closer is who ended a TCP connection first. A TLS alert before that is not in
// it: see Stats.NotifiedByUs.
type Closer uint8

const (
	CloserNone    Closer = iota // it is not closed, or nobody has looked
	CloserUnknown               // nobody can tell from here: see Stats.ClosedUnknown
	CloserUs                    // our FIN, or our RST, left before anything of the peer's that ends it had come
	CloserPeer                  // the peer's FIN had come
	CloserReset                 // the peer's RST had come, and no FIN before it

	numClosers = int(CloserReset) + 1
)

// String is "", "unknown", "us", "peer" or "reset".
func (c Closer) String() string { return [...]string{"", "unknown", "us", "peer", "reset"}[c] }

// closerIn is who ended a connection of which a read has said err, which is not
// nil. A connection that our kernel has given up was ended by us.
func closerIn(err error) Closer {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, syscall.EPIPE): // the kernel says EPIPE of an RST that came after a FIN
		return CloserPeer
	case errors.Is(err, syscall.ECONNRESET):
		return CloserReset
	}
	return CloserUs
}

// hangUp closes the connection for the reason.
func (c *Conn) hangUp(reason pool.Reason) {
	if c.closed {
		return
	}
	c.hungUpIdle()
	c.closed, c.reason = true, reason
	c.wire.close(c)
}

// gone counts who was first to end the connection, which is closed now.
func (c *Conn) gone(first Closer) {
	c.shard.closed[first]++
	if c.c.Tracer != nil {
		c.trace(TraceEvent{At: c.c.clock(), State: Unregistered, Reason: c.reason, First: first})
	}
}

// goneSecure is gone, of a connection on which close_notify alerts may have been
// sent.
func (c *Conn) goneSecure(first Closer, by notified) {
	c.shard.notified.us += by.us
	c.shard.notified.peer += by.peer
	c.gone(first)
}
