package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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
			l.t.Fatalf("it did not happen: %s; %q, %v", what, l.got, l.err)
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
	l.wire = NewSecure(l, sock, &tls.Config{InsecureSkipVerify: true, DynamicRecordSizingDisabled: true})
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

// Records that come in two parts, split at every byte: a record of data, new keys that ask
// for ours, a message of TLS in two records, data under the new keys, close_notify. The
// client replies with new keys of its own, and writes under them.
func TestRecordsSplitAnywhere(t *testing.T) {
	ln, cert := listening(t), certificate(t)
	for _, bufSize := range []int{1, 1 << 16} {
		for at, whole := 1, 2; at < whole; at++ {
			l, server := shake(t, ln, cert, tls.VersionTLS13, bufSize, Options{})
			b := server.out.seal(recordData, []byte("HTTP/1.1 200 OK"))
			b = append(b, server.out.seal(recordHandshake, newKeysAsked)...)
			server.out = server.out.next(t)
			b = append(b, server.out.seal(recordHandshake, newKeys[:3])...)
			b = append(b, server.out.seal(recordHandshake, newKeys[3:])...)
			server.out = server.out.next(t)
			b = append(b, server.out.seal(recordData, []byte(" and more"))...)
			b = append(b, server.out.seal(recordAlert, closeNotify)...)
			whole = len(b)
			before := l.received()
			server.send(t, b[:at])
			l.arrived(before, at)
			if l.err != nil || l.unread {
				t.Fatalf("after %d of %d bytes: %v, unread %v", at, whole, l.err, l.unread)
			}
			server.send(t, b[at:])
			l.until("the end of the stream", func() bool { return l.err != nil })
			if string(l.got) != "HTTP/1.1 200 OK and more" || l.err != ErrCloseNotify {
				t.Fatalf("split at %d of %d: %q, %v", at, whole, l.got, l.err)
			}
			if kind, data := server.record(t); kind != recordHandshake || !bytes.Equal(data, newKeys) {
				t.Fatalf("split at %d: the client replied with %d %x, want new keys", at, kind, data)
			}
			server.in = server.in.next(t)
			if n, err := l.wire.Write([]byte("GET / ")); n != 6 || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
			if kind, data := server.record(t); kind != recordData || string(data) != "GET / " {
				t.Fatalf("the client wrote %d %q", kind, data)
			}
			l.wire.Close(CloserNone, l)
			if kind, data := server.record(t); kind != recordAlert || !bytes.Equal(data, closeNotify) || l.notify != NotifiedByPeer || l.first != CloserUs {
				t.Fatalf("the client's end: %d %x; notified %v, closed by %v", kind, data, l.notify, l.first)
			}
			server.Close()
			if bufSize == 1 {
				at += 6 // each split is tested with the large buffer
			}
		}
	}
}

// A record that is larger than what is read at once, and many in one segment.
func TestRecordsLargeAndMany(t *testing.T) {
	ln, cert := listening(t), certificate(t)
	l, server := shake(t, ln, cert, tls.VersionTLS13, 1000, Options{})
	large := bytes.Repeat([]byte("kabench "), 2048)
	server.send(t, server.out.seal(recordData, large))
	l.until("the large record", func() bool { return len(l.got) >= len(large) })
	var b, want []byte
	for i := range 500 {
		b = append(b, server.out.seal(recordData, fmt.Appendf(nil, "%d,", i))...)
		want = fmt.Appendf(want, "%d,", i)
	}
	server.send(t, b)
	l.until("many records", func() bool { return len(l.got) >= len(large)+len(want) })
	if !bytes.Equal(l.got, append(large, want...)) || l.err != nil || l.unread {
		t.Errorf("%d bytes, want %d; %v, unread %v", len(l.got), len(large)+len(want), l.err, l.unread)
	}
}

// How a stream can end after a record, or inside of one, and what is noticed of that by an
// owner who reads, and by one who does not.
func TestSecureEnds(t *testing.T) {
	alert := (*net.OpError)(nil)
	tlsError := (*TLSError)(nil)
	fin := func(s *sealing) { s.CloseWrite() }
	reset := func(s *sealing) { s.SetLinger(0); s.Close() }
	nothing := func(*sealing) {}
	for name, test := range map[string]struct {
		send  func(*half) []byte
		then  func(*sealing)
		err   func(error) bool
		first Closer
	}{
		"close_notify":              {func(h *half) []byte { return h.seal(recordAlert, closeNotify) }, nothing, is(ErrCloseNotify), CloserUs},
		"close_notify, then FIN":    {func(h *half) []byte { return h.seal(recordAlert, closeNotify) }, fin, is(ErrCloseNotify), CloserPeer},
		"FIN":                       {nil, fin, is(io.EOF), CloserPeer},
		"RST":                       {nil, reset, is(syscall.ECONNRESET), CloserReset},
		"FIN inside a record":       {func(h *half) []byte { return h.seal(recordData, []byte("xyz"))[:20] }, fin, is(io.EOF), CloserPeer},
		"FIN inside a header":       {func(h *half) []byte { return h.seal(recordData, []byte("xyz"))[:3] }, fin, is(io.EOF), CloserPeer},
		"RST inside a record":       {func(h *half) []byte { return h.seal(recordData, []byte("xyz"))[:20] }, reset, is(syscall.ECONNRESET), CloserReset},
		"alert":                     {func(h *half) []byte { return h.seal(recordAlert, internalError) }, nothing, func(err error) bool { return errors.As(err, &alert) && alert.Op == "remote error" }, CloserUs},
		"a record that is not ours": {func(h *half) []byte { h.seq++; return h.seal(recordData, []byte("xyz")) }, nothing, func(err error) bool { return errors.As(err, &tlsError) }, CloserUs},
		"no record":                 {func(*half) []byte { return []byte("HTTP/1.1 400 Bad Request\r\n\r\n") }, nothing, func(err error) bool { return errors.As(err, &tlsError) }, CloserUs},
	} {
		for _, lazy := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s lazy=%v", name, lazy), func(t *testing.T) {
				l, server := shake(t, listening(t), certificate(t), tls.VersionTLS13, 1<<16, Options{})
				before, n := l.received(), 0
				if test.send != nil {
					b := test.send(server.out)
					n = len(b)
					server.send(t, b)
				}
				if l.lazy = lazy; !lazy || n > 0 && name != "FIN inside a record" {
					l.arrived(before, n) // else all comes at once
				}
				test.then(server)
				if lazy { // what ends the stream is announced, and still there when it is read
					l.until("the end is announced", func() bool { return l.ended })
					waiting, err := l.wire.Peek()
					if waiting || !test.err(err) {
						t.Errorf("a look says %v, %v", waiting, err)
					}
					l.read()
				}
				l.until("the end", func() bool { return l.err != nil })
				if !test.err(l.err) || len(l.got) > 0 {
					t.Errorf("%q, %v", l.got, l.err)
				}
				l.until("the FIN has come", func() bool {
					info, _ := l.wire.Info()
					return test.first == CloserUs || info.State != "ESTABLISHED"
				})
				l.wire.Close(CloserNone, l)
				if l.first != test.first {
					t.Errorf("closed first by %v, want %v", l.first, test.first)
				}
				notify := NotifiedByUs
				switch {
				case test.err(ErrCloseNotify):
					notify = NotifiedByPeer
				case test.first == CloserReset:
					notify = NotNotified
				}
				if l.notify != notify {
					t.Errorf("close_notify by %v, want %v", l.notify, notify)
				}
			})
		}
	}
}

func is(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }

// TLS 1.2 has a message that asks for another handshake. crypto/tls refuses that with an
// alert, and ends the stream.
func TestRenegotiationIsRefused(t *testing.T) {
	l, server := shake(t, listening(t), certificate(t), tls.VersionTLS12, 1<<16, Options{})
	server.send(t, append(server.out.seal(recordData, []byte("before")), server.out.seal(recordHandshake, helloRequest)...))
	l.until("the end", func() bool { return l.err != nil })
	var tlsError *TLSError
	if string(l.got) != "before" || !errors.As(l.err, &tlsError) || !strings.Contains(l.err.Error(), "no renegotiation") {
		t.Errorf("%q, %v", l.got, l.err)
	}
	server.SetReadDeadline(time.Now().Add(long))
	head := make([]byte, 5)
	if _, err := io.ReadFull(server, head); err != nil || head[0] != recordAlert {
		t.Errorf("the client sent %x, %v; want an alert", head, err)
	}
}

// New keys and their reply while nobody reads: the owner hears of nothing to read.
func TestNewKeysWhileIdle(t *testing.T) {
	l, server := shake(t, listening(t), certificate(t), tls.VersionTLS13, 1<<16, Options{})
	l.lazy = true
	before := l.received()
	b := server.out.seal(recordHandshake, newKeysAsked)
	server.send(t, b)
	l.arrived(before, len(b))
	if kind, data := server.record(t); kind != recordHandshake || !bytes.Equal(data, newKeys) {
		t.Fatalf("the client replied with %d %x", kind, data)
	}
	if waiting, err := l.wire.Peek(); waiting || err != nil || l.ended {
		t.Errorf("a look says %v, %v; ended %v", waiting, err, l.ended)
	}
}

// Data that nobody wants yet stays in order with what follows it, behind one record that
// is read ahead.
func TestReadAheadKeepsTheOrder(t *testing.T) {
	l, server := shake(t, listening(t), certificate(t), tls.VersionTLS13, 7, Options{})
	l.lazy = true
	var want []byte
	for i := range 50 {
		before := l.received()
		part := fmt.Appendf(nil, "<%d>", i)
		b := server.out.seal(recordData, part)
		server.send(t, b)
		l.arrived(before, len(b))
		want = append(want, part...)
	}
	if waiting, err := l.wire.Peek(); !waiting || err != nil {
		t.Errorf("a look says %v, %v", waiting, err)
	}
	server.send(t, server.out.seal(recordAlert, closeNotify))
	server.Close()
	l.lazy = false
	l.read()
	l.until("the end", func() bool { return l.err != nil })
	if !bytes.Equal(l.got, want) || l.err != ErrCloseNotify {
		t.Errorf("%q, %v", l.got, l.err)
	}
}

// A peer that does not read: a write says how much has left, and no more. What asks for
// replies meanwhile is answered behind the record that waits, and when too many replies
// wait nothing is read until the peer reads.
func TestWriteMeetsAFullSocket(t *testing.T) {
	small := func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 4096) })
	}
	ln := listening(t)
	raw, err := ln.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
	l, server := shake(t, ln, certificate(t), tls.VersionTLS13, 1<<16, Options{Control: small})
	body := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	written := 0
	var last error
	write := func() {
		for last = nil; last == nil && written < len(body); {
			var n int
			if n, last = l.wire.Write(body[written:]); n > OneWrite || n > 0 && last != nil {
				t.Fatalf("%d, %v", n, last)
			}
			written += n
		}
	}
	write()
	if last != ErrAgain || written > 256<<10 {
		t.Fatalf("%d bytes left, then %v", written, last)
	}
	if info, _ := l.wire.Info(); info.Unacked == 0 {
		t.Errorf("the kernel has nothing to send: %+v", info)
	}
	asked := server.out.seal(recordHandshake, newKeysAsked)
	server.out = server.out.next(t)
	before := l.received()
	server.send(t, asked)
	l.arrived(before, len(asked))
	if n, err := l.wire.Write(body[written:]); n != 0 || err != ErrAgain {
		t.Fatalf("%d, %v; nobody has read", n, err)
	}
	got := make(chan []byte)
	go func() {
		var all []byte
		keys := 0
		for len(all) < len(body) {
			kind, data := server.record(t)
			if kind == recordHandshake {
				keys++
				server.in = server.in.next(t)
				continue
			}
			all = append(all, data...)
		}
		if keys != 1 {
			t.Errorf("%d replies with new keys, want 1", keys)
		}
		got <- all
	}()
	for end := time.Now().Add(long); written < len(body) && time.Now().Before(end); {
		if l.turn(time.Millisecond); l.room {
			l.room = false
			write()
		}
	}
	if all := <-got; !bytes.Equal(all, body) {
		t.Errorf("the server read %d bytes, want %d", len(all), len(body))
	}
}

// Our close does not wait for a peer that does not read, and claims no close_notify then.
func TestCloseBehindAFullSocket(t *testing.T) {
	l, _ := shake(t, listening(t), certificate(t), tls.VersionTLS13, 1<<16, Options{})
	for err := error(nil); err == nil; {
		_, err = l.wire.Write(make([]byte, OneWrite))
	}
	l.wire.Close(CloserNone, l)
	if !l.gone || l.notify != NotNotified {
		t.Errorf("closed %v, close_notify by %v", l.gone, l.notify)
	}
}

// The peer resets the connection in the middle of a request.
func TestWriteMeetsAReset(t *testing.T) {
	l, server := shake(t, listening(t), certificate(t), tls.VersionTLS13, 1<<16, Options{})
	l.lazy = true
	server.SetLinger(0)
	server.Close()
	l.until("the reset has come", func() bool { return l.ended })
	l.wire.Close(CloserNone, l)
	if l.first != CloserReset {
		t.Errorf("closed first by %v", l.first)
	}
	l, server = shake(t, listening(t), certificate(t), tls.VersionTLS13, 1<<16, Options{})
	server.SetLinger(0)
	server.Close()
	for end := time.Now().Add(long); time.Now().Before(end); { // no event is handled meanwhile
		if info, _ := l.wire.Info(); info.State == "CLOSE" {
			break
		}
	}
	n, err := l.wire.Write([]byte("GET / "))
	if again, errAgain := l.wire.Write([]byte("GET / ")); n != 0 || !errors.Is(err, syscall.ECONNRESET) || again != 0 || !errors.Is(errAgain, syscall.ECONNRESET) {
		t.Errorf("%d, %v, and again %d, %v", n, err, again, errAgain)
	}
	l.wire.Close(CloserNone, l)
	if l.first != CloserReset || l.notify != NotNotified {
		t.Errorf("closed first by %v, close_notify by %v", l.first, l.notify)
	}
}

// A handshake is given up when its context is done, whatever it waits for.
func TestHandshakeIsGivenUp(t *testing.T) {
	l, server := connectedTo(t, listening(t), 1, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.wire.Handshake(ctx) }()
	hello := make([]byte, 1)
	if _, err := io.ReadFull(server, hello); err != nil || hello[0] != recordHandshake {
		t.Fatalf("%x, %v", hello, err)
	}
	cancel()
	l.until("the handshake ends", func() bool { return len(ended) == 1 })
	if err := <-ended; err != context.Canceled {
		t.Errorf("%v", err)
	}
	l.gone = true
	l.wire.sock.Drop()
}

// The addresses that crypto/tls is told are the socket's: it finds sessions by them.
func TestSecureAddresses(t *testing.T) {
	ln := listening(t)
	l, server := shake(t, ln, certificate(t), tls.VersionTLS13, 1, Options{})
	if got := l.wire.tls.RemoteAddr().String(); got != ln.Addr().String() {
		t.Errorf("remote %s, want %s", got, ln.Addr())
	}
	local := netip.MustParseAddrPort(server.RemoteAddr().String())
	if l.wire.Local() != local || l.wire.tls.LocalAddr().String() != local.String() {
		t.Errorf("local %v and %v, want %v", l.wire.Local(), l.wire.tls.LocalAddr(), local)
	}
	if err := errors.Join(l.wire.tls.SetDeadline(time.Now()), l.wire.tls.SetReadDeadline(time.Now())); err != nil || !os.IsTimeout(errNotYet) {
		t.Error(err)
	}
}

// A peer that asks for replies without end and reads none of them is not read either,
// until it reads.
func TestRepliesAreBounded(t *testing.T) {
	l, server := shake(t, listening(t), certificate(t), tls.VersionTLS13, 1<<16, Options{})
	written := 0
	for err := error(nil); err == nil; { // the socket is full
		var n int
		n, err = l.wire.Write(make([]byte, OneWrite))
		written += n
	}
	const asked = 10_000
	sent := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < asked && err == nil; i++ {
			b := server.out.seal(recordHandshake, newKeysAsked)
			server.out = server.out.next(t)
			_, err = server.Write(append(b, server.out.seal(recordData, []byte("."))...))
		}
		sent <- err
	}()
	l.until("reading ends", func() bool { return l.wire.records.stuck() })
	for range 100 { // events that come now change nothing
		l.turn(time.Millisecond)
	}
	if n, out := len(l.got), len(l.wire.records.out); n == asked || out > 2*maxStuck {
		t.Fatalf("%d of %d read, %d bytes of replies wait", n, asked, out)
	}
	go io.Copy(io.Discard, server)
	l.until("all is read", func() bool { return len(l.got) == asked })
	if err := <-sent; err != nil || l.err != nil {
		t.Error(err, l.err)
	}
}
