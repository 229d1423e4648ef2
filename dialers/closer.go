package dialers

import (
	"errors"
	"io"
	"syscall"
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
