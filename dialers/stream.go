package dialers

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kabench/kabench/results"
)

// errCloseNotify is what a read says when the peer ended a TLS stream by its
// close_notify alert. crypto/tls says io.EOF for that and for a bare FIN alike.
var errCloseNotify = errors.New("the peer sent close_notify")

// wire is a TCP connection that remembers how its reading ended, and who ended
// it, below TLS. It is read by one goroutine at a time.
type wire struct {
	net.Conn
	err   error       // of the first read that failed; the reader's
	reset atomic.Bool // a read or a write has met the peer's RST: the kernel tells of it once
	first Closer      // the closer's
}

func (w *wire) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if err != nil && w.err == nil {
		w.err = err
	}
	w.met(err)
	return n, err
}

func (w *wire) Write(b []byte) (int, error) {
	n, err := w.Conn.Write(b)
	w.met(err)
	return n, err
}

func (w *wire) met(err error) {
	if err != nil && errors.Is(err, syscall.ECONNRESET) {
		w.reset.Store(true)
	}
}

// Close closes the connection, behind what TLS had to say.
func (w *wire) Close() error {
	w.first = shut(w.Conn)
	return w.Conn.Close()
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
	ended chan struct{} // closed when the reader is gone

	notified atomic.Bool // the reader has met the peer's close_notify

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
	return &stream{c: c, conn: conn, wire: w, buf: make([]byte, streamBuffer), goOn: make(chan struct{}, 1), ended: make(chan struct{})}
}

// begin starts to read for owner.
func (s *stream) begin(owner *Conn) {
	s.owner = owner
	s.c.running.Go(s.readAll)
}

func (s *stream) readAll() {
	defer close(s.ended)
	for {
		n, err := s.conn.Read(s.buf)
		if err != nil {
			err = s.meaning(err)
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

// meaning is err, of a read, as what it says of the peer.
func (s *stream) meaning(err error) error {
	switch below := s.wire.err; {
	case err == io.EOF && below != io.EOF:
		s.notified.Store(true)
		return errCloseNotify
	case err == io.ErrUnexpectedEOF && below == io.EOF:
		return io.EOF // the FIN came inside a TLS record
	case below == nil && CauseOf(err) == results.CauseOther:
		return &notTLSError{err}
	}
	return err
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
	// What waits in the socket may be for TLS alone, such as session tickets. Behind a
	// close_notify that the reader has not met yet, the FIN is in the socket's state.
	waiting, err = peek(s.wire.Conn)
	if waiting {
		if info, known := s.info(); known && info.State == "CLOSE_WAIT" {
			err = io.EOF
		}
	}
	return false, err
}

func (s *stream) info() (results.TCPInfo, bool) { return connInfo(s.wire.Conn) }

// close closes the connection. TLS says goodbye first, and that write may wait.
func (s *stream) close(owner *Conn) {
	close(s.goOn)
	s.c.running.Go(func() {
		by, secure := notified{}, s.conn != net.Conn(s.wire)
		before := s.notified.Load()
		err := s.conn.Close()
		<-s.ended
		first := s.wire.first
		if s.wire.reset.Load() {
			first = CloserReset
		}
		switch {
		case before:
			by.peer = 1
		case secure && err == nil:
			by.us = 1
		}
		s.c.post(func() { owner.goneSecure(first, by) })
	})
}
