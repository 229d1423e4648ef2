package transport

import (
	"errors"
	"io"
	"syscall"
)

// Closer is who ended a TCP connection first. TLS alerts do not count: they have
// CloseNotify.
type Closer uint8

const (
	CloserNone    Closer = iota // it is not closed, or that was not checked
	CloserUnknown               // the kernel cannot tell: the two FINs crossed, or ours has not left yet
	CloserUs                    // our FIN, or our RST, left before the peer's FIN or RST had come
	CloserPeer                  // the peer's FIN had come
	CloserReset                 // the peer's RST had come, and no FIN before it

	NumClosers = int(CloserReset) + 1
)

// String is "", "unknown", "us", "peer" or "reset".
func (c Closer) String() string { return [...]string{"", "unknown", "us", "peer", "reset"}[c] }

// CloseNotify is whose close_notify alert was the first on a TLS connection.
type CloseNotify uint8

const (
	NotNotified    CloseNotify = iota // there was none, or there is no TLS
	NotifiedByUs                      // ours left before the peer's had been read
	NotifiedByPeer                    // the peer's had been read
)

// CloserOf is who ended a connection on which a read or a write has failed with
// err, which is not nil. A connection that our kernel has given up was ended by
// us.
func CloserOf(err error) Closer {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, syscall.EPIPE): // the kernel says EPIPE of an RST that came after a FIN
		return CloserPeer
	case errors.Is(err, syscall.ECONNRESET):
		return CloserReset
	}
	return CloserUs
}

// EstablishedThenEnded reports whether err, the error of a connect, means that
// the connection was established and that the peer has ended it since. A peer
// that does not want a connection refuses it.
func EstablishedThenEnded(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
