package transport

import (
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/kabench/kabench/results"
)

// Stream is a connection whose reads and writes wait, on goroutines of its own.
// It is a Transport. It reads ahead by what one read brings.
type Stream struct {
	loop  Loop
	conn  net.Conn // TLS, or tcp itself
	tcp   *TCP
	owner Owner
	buf   []byte        // owned by the reader, and by the loop while it has got
	goOn  chan struct{} // lets the reader go on when got is used up; closed by Close
	ended chan struct{} // closed when the reader has returned

	notified atomic.Bool // the reader has met the peer's close_notify

	// Owned by the loop.
	got     []byte
	gotErr  error
	writing bool // a goroutine is
	wrote   *written
	ahead   int // bytes written since something was read last
	closed  bool
}

// Local implements Transport.
func (s *Stream) Local() netip.AddrPort {
	if tcp, ok := s.conn.LocalAddr().(*net.TCPAddr); ok {
		return tcp.AddrPort()
	}
	return netip.AddrPort{}
}

// written is the result of a write.
type written struct {
	n   int
	err error
}

// streamBuffer is what one read may bring: a TLS record.
const streamBuffer = 16 << 10

// NewStream returns a Stream over conn, which is TLS over tcp or tcp itself. Call
// Begin before anything is read.
func NewStream(loop Loop, conn net.Conn, tcp *TCP) *Stream {
	return &Stream{loop: loop, conn: conn, tcp: tcp, buf: make([]byte, streamBuffer), goOn: make(chan struct{}, 1), ended: make(chan struct{})}
}

// Begin starts to read for owner.
func (s *Stream) Begin(owner Owner) {
	s.owner = owner
	s.loop.Go(s.readAll)
}

func (s *Stream) readAll() {
	defer close(s.ended)
	for {
		n, err := s.conn.Read(s.buf)
		if err != nil {
			err = s.tcp.Meaning(err)
			s.notified.Store(err == ErrCloseNotify)
		}
		s.loop.Post(func() {
			s.got, s.gotErr = s.buf[:n], err
			if !s.closed {
				s.owner.Readable(err != nil)
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

// Read implements Transport.
func (s *Stream) Read(b []byte) (int, error) {
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
	return 0, ErrAgain
}

// More implements Transport.
func (s *Stream) More() bool { return false }

// Write implements Transport.
func (s *Stream) Write(b []byte) (int, error) {
	if done := s.wrote; done != nil {
		s.wrote = nil
		return done.n, done.err
	}
	if !s.writing {
		s.ahead += len(b)
	}
	if s.ahead <= OneWrite && !s.writing {
		// An idle socket has room for it, so this does not wait. Written here, it is
		// stamped before its response can come.
		s.conn.SetWriteDeadline(time.Now().Add(maxFirstWrite))
		defer s.conn.SetWriteDeadline(time.Time{})
		return s.conn.Write(b)
	}
	if !s.writing {
		s.writing = true
		s.loop.Go(func() {
			n, err := s.conn.Write(b)
			s.loop.Post(func() {
				s.writing, s.wrote = false, &written{n, err}
				if !s.closed {
					s.owner.Writable()
				}
			})
		})
	}
	return 0, ErrAgain
}

// maxFirstWrite bounds a write that should not wait at all.
const maxFirstWrite = time.Second

// Peek implements Transport.
func (s *Stream) Peek() (waiting bool, err error) {
	if len(s.got) > 0 || s.gotErr != nil {
		return len(s.got) > 0, s.gotErr
	}
	// Bytes in the socket may be for TLS alone, such as session tickets. They may also be
	// a close_notify that the reader has not met yet: then the socket's state shows the
	// FIN behind it.
	waiting, err = Peek(s.tcp.Conn)
	if waiting {
		if info, known := s.Info(); known && info.State == "CLOSE_WAIT" {
			err = io.EOF
		}
	}
	return false, err
}

// Info implements Transport.
func (s *Stream) Info() (results.TCPInfo, bool) { return Info(s.tcp.Conn) }

// Close implements Transport. TLS sends its close_notify first, and that write
// may wait.
func (s *Stream) Close(_ Closer, owner Owner) {
	s.closed = true
	close(s.goOn)
	s.loop.Go(func() {
		before := s.notified.Load()
		err := s.conn.Close()
		<-s.ended
		first := s.tcp.first
		if s.tcp.reset.Load() {
			first = CloserReset
		}
		notified, secure := NotNotified, s.conn != net.Conn(s.tcp)
		switch {
		case before:
			notified = NotifiedByPeer
		case secure && err == nil:
			notified = NotifiedByUs
		}
		s.loop.Post(func() { owner.Closed(first, notified) })
	})
}
