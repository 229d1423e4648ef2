package dialers

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/kabench/kabench/results"
)

// errCloseNotify is what a read says when the peer ended a TLS stream by its
// close_notify alert. crypto/tls says io.EOF for that and for a bare FIN alike.
var errCloseNotify = errors.New("the peer sent close_notify")

// errHeadTooLarge ends the reading of a response whose head does not end.
var errHeadTooLarge = errors.New("the response's head is larger than 1 MiB")

// maxHead bounds the head of a response, interim (1xx) ones included.
const maxHead = 1 << 20

// maxInterim bounds the interim (1xx) responses before a final one.
const maxInterim = 8

var errTooManyInterim = errors.New("more than 8 interim (1xx) responses before the final one")

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

// stream is a connection whose reads and writes wait, on goroutines. It is a
// transport. It reads ahead by what one read brings.
type stream struct {
	c     *Client
	conn  net.Conn // TLS, or the wire itself
	wire  *wire
	owner *Conn
	buf   []byte        // the reader's, until it is passed on as got
	goOn  chan struct{} // tells the reader that got is used up; closed by close

	// The loop's.
	got     []byte
	gotErr  error
	writing bool
	wrote   *written
	ahead   int // bytes written since something was read last
}

func (s *stream) local() netip.AddrPort {
	if tcp, ok := s.conn.LocalAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort()
	}
	return netip.AddrPort{}
}

// written is how a write came out.
type written struct {
	n   int
	err error
}

// streamBuffer is what one read may bring: a TLS record.
const streamBuffer = 16 << 10

func newStream(c *Client, conn net.Conn, w *wire) *stream {
	return &stream{c: c, conn: conn, wire: w, buf: make([]byte, streamBuffer), goOn: make(chan struct{}, 1)}
}

// begin starts to read for owner.
func (s *stream) begin(owner *Conn) {
	s.owner = owner
	s.c.running.Go(s.readAll)
}

func (s *stream) readAll() {
	for {
		n, err := s.conn.Read(s.buf)
		switch {
		case err == io.EOF && !s.wire.eof:
			err = errCloseNotify
		case err == io.ErrUnexpectedEOF && s.wire.eof:
			err = io.EOF // the FIN came inside a TLS record
		}
		s.c.post(func() {
			s.got, s.gotErr = s.buf[:n], err
			if !s.owner.closed {
				s.owner.readable(err != nil)
			}
		})
		if err != nil {
			return
		}
		if _, open := <-s.goOn; !open {
			return
		}
	}
}

func (s *stream) read(b []byte) (int, error) {
	switch {
	case len(s.got) > 0:
		s.ahead = 0
		n := copy(b, s.got)
		s.got = s.got[n:]
		if len(s.got) == 0 && s.gotErr == nil {
			s.goOn <- struct{}{}
		}
		return n, nil
	case s.gotErr != nil:
		return 0, s.gotErr
	}
	return 0, errAgain
}

func (s *stream) write(b []byte) (int, error) {
	if done := s.wrote; done != nil {
		s.wrote = nil
		return done.n, done.err
	}
	if !s.writing {
		s.ahead += len(b)
	}
	if s.ahead <= oneWrite && !s.writing {
		// An idle socket has room for it, so this does not wait; and its response
		// cannot come sooner than the word that it was written.
		s.conn.SetWriteDeadline(time.Now().Add(maxFirstWrite))
		defer s.conn.SetWriteDeadline(time.Time{})
		return s.conn.Write(b)
	}
	if !s.writing {
		s.writing = true
		s.c.running.Go(func() {
			n, err := s.conn.Write(b)
			s.c.post(func() {
				s.writing, s.wrote = false, &written{n, err}
				if !s.owner.closed {
					s.owner.writable()
				}
			})
		})
	}
	return 0, errAgain
}

// maxFirstWrite bounds a write that ought not to wait at all.
const maxFirstWrite = time.Second

func (s *stream) peek() (waiting bool, err error) {
	if len(s.got) > 0 || s.gotErr != nil {
		return len(s.got) > 0, s.gotErr
	}
	// What waits in the socket may be for TLS alone: session tickets and the like.
	_, err = peek(s.wire.Conn)
	return false, err
}

func (s *stream) info() (results.TCPInfo, bool) { return connInfo(s.wire.Conn) }

// close closes the connection. TLS says goodbye first, and that write may wait.
func (s *stream) close() {
	close(s.goOn)
	s.c.running.Go(func() { s.conn.Close() })
}
