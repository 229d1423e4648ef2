package transport

import (
	"errors"
	"io"
	"net"
	"sync/atomic"
	"syscall"
)

// TCP is a TCP connection of package net that remembers how its reads ended and
// who ended it first. TLS, which hides both, is laid over it. One goroutine at a
// time may read it.
type TCP struct {
	net.Conn
	err   error       // of the first read that failed; the reader's
	reset atomic.Bool // a read or a write has met the peer's RST, which the kernel reports once
	first Closer      // the closer's
}

// Read implements io.Reader.
func (t *TCP) Read(b []byte) (int, error) {
	n, err := t.Conn.Read(b)
	if err != nil && t.err == nil {
		t.err = err
	}
	t.met(err)
	return n, err
}

// Write implements io.Writer.
func (t *TCP) Write(b []byte) (int, error) {
	n, err := t.Conn.Write(b)
	t.met(err)
	return n, err
}

func (t *TCP) met(err error) {
	if err != nil && errors.Is(err, syscall.ECONNRESET) {
		t.reset.Store(true)
	}
}

// Close closes the connection. Over TLS the close_notify has been sent by then.
func (t *TCP) Close() error {
	t.first = FirstToClose(t.Conn)
	return t.Conn.Close()
}

// Meaning turns err, the error of a read of the TLS stream over t, into what the
// peer did: io.EOF for a FIN, ErrCloseNotify, or a *TLSError. Otherwise err is the
// error of t's own read, and is returned.
func (t *TCP) Meaning(err error) error { return meaning(err, t.err) }

// meaning is Meaning for a stream over a connection whose reads have failed with below,
// or have not failed if that is nil.
func meaning(err, below error) error {
	switch {
	case err == io.EOF && below != io.EOF:
		return ErrCloseNotify
	case err == io.ErrUnexpectedEOF && below == io.EOF:
		return io.EOF // the FIN came inside a TLS record
	case below == nil:
		return &TLSError{err}
	}
	return err
}
