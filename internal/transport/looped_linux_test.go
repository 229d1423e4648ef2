package transport

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/poll"
)

// long is a time that only a hang can reach.
const long = time.Minute

// looped is a Loop over a real Poller that watches one socket, and the owner of a Secure.
// It reads as a connection of dialers does: when an event says so, until there is no more.
type looped struct {
	t        testing.TB
	poller   *poll.Poller
	events   []poll.Event
	posted   chan func()
	listener Listener
	forgot   bool

	wire   *Secure
	lazy   bool // it reads nothing until told
	unread bool
	ended  bool // Readable said so
	buf    []byte
	got    []byte
	err    error
	room   bool // Writable was called
	first  Closer
	notify CloseNotify
	gone   bool // Closed was called
}

func (l *looped) Go(f func())   { go f() }
func (l *looped) Post(f func()) { l.posted <- f; l.poller.Wake() }
func (l *looped) Forget(uint64) { l.forgot = true }
func (l *looped) Watch(fd int, to Listener) (uint64, error) {
	l.listener = to
	return 1, l.poller.Add(fd, 1)
}

func (l *looped) Readable(ended bool) {
	l.unread, l.ended = true, l.ended || ended
	if !l.lazy {
		l.read()
	}
}

// read reads as dialers does.
func (l *looped) read() {
	for l.unread && l.err == nil {
		n, err := l.wire.Read(l.buf)
		if err == ErrAgain || err == nil && n < len(l.buf) && !l.ended && !l.wire.More() {
			l.unread = false
		}
		l.got = append(l.got, l.buf[:n]...)
		if err != ErrAgain {
			l.err = err
		}
	}
}

func (l *looped) Writable()                      { l.room = true }
func (l *looped) Closed(c Closer, n CloseNotify) { l.first, l.notify, l.gone = c, n, true }

// turn handles what has happened, and waits for up to d for it.
func (l *looped) turn(d time.Duration) {
	for range l.poller.Wait(l.events, d) {
		if !l.forgot {
			l.listener.Event(l.events[0])
		}
	}
	for {
		select {
		case f := <-l.posted:
			f()
		default:
			return
		}
	}
}

// until handles what happens until cond.
func (l *looped) until(what string, cond func() bool) {
	l.t.Helper()
	for end := time.Now().Add(long); !cond(); l.turn(time.Millisecond) {
		if time.Now().After(end) {
			l.t.Fatalf("it did not happen: %s; %d bytes were read, then %v", what, len(l.got), l.err)
		}
	}
}

// arrived waits until the kernel has n bytes more than before for the client, and handles
// that.
func (l *looped) arrived(before int64, n int) {
	l.t.Helper()
	l.until(fmt.Sprintf("%d bytes arrive", n), func() bool { return l.received() >= before+int64(n) })
	l.turn(0)
}

func (l *looped) received() int64 {
	info, _ := l.wire.Info()
	return info.BytesReceived
}

// connectedTo connects a looped to ln, and returns it with the server's side of the
// connection; neither has sent anything.
func connectedTo(t testing.TB, ln *net.TCPListener, bufSize int, o Options) (*looped, *net.TCPConn) {
	t.Helper()
	poller, err := poll.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(poller.Close)
	l := &looped{t: t, poller: poller, events: make([]poll.Event, poll.MaxEvents), posted: make(chan func(), 100), buf: make([]byte, bufSize)}
	connected := false
	sock, err := Connect(l, listenerFunc(func(e poll.Event) { connected = connected || e.Writable }), ln.Addr().(*net.TCPAddr).AddrPort(), o)
	if err != nil {
		t.Fatal(err)
	}
	server, err := ln.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	l.until("the connect", func() bool { return connected })
	if err := sock.Connected(); err != nil {
		t.Fatal(err)
	}
	l.wire = NewSecure(l, sock, &tls.Config{InsecureSkipVerify: true, DynamicRecordSizingDisabled: true}, NewTurns())
	l.listener = l.wire
	t.Cleanup(func() {
		if !l.gone {
			l.wire.Close(CloserNone, l)
		}
	})
	return l, server
}

type listenerFunc func(poll.Event)

func (f listenerFunc) Event(e poll.Event) { f(e) }

func listening(t testing.TB) *net.TCPListener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln.(*net.TCPListener)
}

// shake performs the handshake of both sides.
func shake(t testing.TB, ln *net.TCPListener, cert tls.Certificate, version uint16, bufSize int, o Options) (*looped, *sealing) {
	t.Helper()
	l, conn := connectedTo(t, ln, bufSize, o)
	ours := make(chan error, 1)
	go func() {
		err := l.wire.Handshake(t.Context())
		l.poller.Wake()
		ours <- err
	}()
	theirs := make(chan error, 1)
	var server *sealing
	go func() {
		var err error
		server, err = accept(t, conn, cert, version)
		theirs <- err
	}()
	l.until("the handshake", func() bool { return len(ours) == 1 && len(theirs) == 1 })
	if err := errors.Join(<-ours, <-theirs); err != nil {
		t.Fatal(err)
	}
	l.wire.Begin(l)
	l.wire.CatchUp()
	if l.err != nil || len(l.got) > 0 {
		t.Fatalf("right after the handshake: %q, %v", l.got, l.err)
	}
	return l, server
}

// send writes records to the client.
func (s *sealing) send(t testing.TB, b []byte) {
	t.Helper()
	if _, err := s.Write(b); err != nil {
		t.Fatal(err)
	}
}

// record reads one record of TLS 1.3 from the client.
func (s *sealing) record(t testing.TB) (kind byte, data []byte) {
	t.Helper()
	s.SetReadDeadline(time.Now().Add(long))
	head := make([]byte, 5)
	if _, err := io.ReadFull(s, head); err != nil {
		t.Fatalf("no record of the client: %v", err)
	}
	rest := make([]byte, int(head[3])<<8|int(head[4]))
	if _, err := io.ReadFull(s, rest); err != nil {
		t.Fatal(err)
	}
	return s.in.open(t, append(head, rest...))
}
