package transport

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// narrow returns a connection to the server over which little is on its way at a time.
func narrow(t *testing.T) (*looped, *sealing) {
	t.Helper()
	small := func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 4096) })
	}
	ln := listening(t)
	raw, err := ln.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) })
	return shake(t, ln, certificate(t), tls.VersionTLS13, 1<<16, Options{Control: small})
}

// A peer that does not read: a write says how much has left, and no more. If the peer asks
// for new keys meanwhile, they are sent behind the record that waits.
func TestWriteMeetsAFullSocket(t *testing.T) {
	l, server := narrow(t)
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
			t.Errorf("%d new keys, want 1", keys)
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
	if _, err := l.wire.Read(l.buf); err == ErrAgain { // no event says that there is more: the error has
		t.Error("after the write has met the peer's end, a read finds nothing")
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

// The addresses that crypto/tls gets are the socket's: it finds sessions by them.
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

// A peer that asks for new keys without end and reads none of them is not read either,
// until it reads.
func TestWhatWaitsIsBounded(t *testing.T) {
	l, server := narrow(t)
	for err := error(nil); err == nil; { // the socket is full
		_, err = l.wire.Write(make([]byte, OneWrite))
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
	for quiet, before := 0, int64(0); quiet < 50; quiet++ { // until nothing more comes
		if l.turn(time.Millisecond); l.received() != before {
			quiet, before = 0, l.received()
		}
	}
	if n, out := len(l.got), len(l.wire.records.out); n == asked || out > maxStuck+OneWrite {
		t.Fatalf("%d of %d read, %d bytes wait", n, asked, out)
	}
	go io.Copy(io.Discard, server)
	l.until("all is read", func() bool { return len(l.got) == asked })
	if err := <-sent; err != nil || l.err != nil {
		t.Error(err, l.err)
	}
}

// The room that a full socket gets may be used by a write before its event is handled.
// What was left in the buffers of TLS in the meantime is read all the same, although
// nothing is in the socket.
func TestRoomIsMetByAWrite(t *testing.T) {
	l, server := narrow(t)
	for err := error(nil); err == nil; { // the socket is full
		_, err = l.wire.Write(make([]byte, OneWrite))
	}
	sent := 0
	for !l.wire.records.stuck() {
		var b []byte
		for range 8 {
			b = append(b, server.out.seal(recordHandshake, newKeysAsked)...)
			server.out = server.out.next(t)
			b = append(b, server.out.seal(recordData, []byte("."))...)
			sent++
		}
		before := l.received()
		server.send(t, b)
		l.arrived(before, len(b))
	}
	if waiting, err := l.wire.sock.Peek(); len(l.got) >= sent || waiting || err != nil {
		t.Fatalf("%d of %d read; in the socket: %v, %v", len(l.got), sent, waiting, err)
	}
	go io.Copy(io.Discard, server)
	for end := time.Now().Add(long); ; { // no event is handled meanwhile
		if _, err := l.wire.Write([]byte("GET / ")); err == nil {
			break
		} else if err != ErrAgain || time.Now().After(end) {
			t.Fatal(err)
		}
	}
	l.until("all is read", func() bool { return len(l.got) == sent })
	if l.err != nil {
		t.Error(l.err)
	}
}

// Of many handshakes, no more compute at a time than there are turns, and those that wait
// for their peer keep none of the others waiting.
func TestHandshakesTakeTurns(t *testing.T) {
	ln, cert := listening(t), certificate(t)
	turns := make(Turns, 1)
	var computing, most atomic.Int32
	for range 3 { // these wait for a server that says nothing
		l, _ := connectedTo(t, ln, 1, Options{})
		l.wire.records.turns = turns
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- l.wire.Handshake(ctx) }()
		defer func() { cancel(); <-ended }()
	}
	var all []*looped
	ours, theirs := make(chan error, 5), make(chan error, 5)
	for range cap(ours) {
		l, conn := connectedTo(t, ln, 1, Options{})
		l.wire = NewSecure(l, l.wire.sock, &tls.Config{InsecureSkipVerify: true, VerifyConnection: func(tls.ConnectionState) error {
			most.Store(max(most.Load(), computing.Add(1)))
			runtime.Gosched()
			computing.Add(-1)
			return nil
		}}, turns)
		l.listener = l.wire
		all = append(all, l)
		go func() { ours <- l.wire.Handshake(t.Context()) }()
		go func() { _, err := accept(t, conn, cert, tls.VersionTLS13); theirs <- err }()
	}
	all[0].until("all handshakes", func() bool {
		for _, l := range all[1:] {
			l.turn(0)
		}
		return len(ours) == cap(ours) && len(theirs) == cap(theirs)
	})
	for range cap(ours) {
		if err := errors.Join(<-ours, <-theirs); err != nil {
			t.Error(err)
		}
	}
	if most.Load() != 1 || len(turns) != 0 {
		t.Errorf("%d at a time, %d turns taken in the end", most.Load(), len(turns))
	}
}
