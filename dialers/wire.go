package dialers

import (
	"errors"
	"io"
	"net"
)

// errCloseNotify is what a read says when the peer ended a TLS stream by its
// close_notify alert. crypto/tls says io.EOF for that and for a bare FIN alike.
var errCloseNotify = errors.New("the peer sent close_notify")

// wire is a TCP connection that remembers how its reading ended, below TLS.
// It is read by one goroutine at a time.
type wire struct {
	net.Conn
	eof bool // a read has returned io.EOF: the peer's FIN was seen
}

func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if err == io.EOF {
		w.eof = true
	}
	return n, err
}

// errHeadTooLarge ends the reading of a response whose head does not end.
var errHeadTooLarge = errors.New("the response's head is larger than 1 MiB")

// maxHead bounds the head of a response, interim (1xx) ones included.
const maxHead = 1 << 20

// input is what is read from a connection, TLS removed. It counts bytes, bounds
// the head, and keeps the error that ended the reading, because the parser
// above replaces it by its own.
type input struct {
	conn net.Conn // TLS, or the wire itself
	wire *wire
	read int64  // bytes so far
	room int64  // bytes that may still be read before errHeadTooLarge; negative: no bound
	each func() // called before each read; nil: nothing
	err  error  // of the first read that failed: the kernel reports a reset once and EOF ever after
}

func (in *input) Read(b []byte) (int, error) {
	if in.room == 0 {
		in.fail(errHeadTooLarge)
		return 0, errHeadTooLarge
	}
	if in.room > 0 && int64(len(b)) > in.room {
		b = b[:in.room]
	}
	if in.each != nil {
		in.each()
	}
	n, err := in.conn.Read(b)
	in.read += int64(n)
	if in.room > 0 {
		in.room -= int64(n)
	}
	switch {
	case err == io.EOF && !in.wire.eof:
		err = errCloseNotify
	case err == io.ErrUnexpectedEOF && in.wire.eof:
		err = io.EOF // the FIN came inside a TLS record
	}
	if err != nil {
		in.fail(err)
	}
	if err == errCloseNotify {
		err = io.EOF // what a parser expects at the end of a stream
	}
	return n, err
}

func (in *input) fail(err error) {
	if in.err == nil {
		in.err = err
	}
}
