package transport

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Records that come in two parts, split at every byte: a record of data, new keys that ask
// for ours, a message of TLS in two records, data under the new keys, close_notify. The
// client sends new keys of its own, and writes under them.
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
				t.Fatalf("split at %d: the client sent %d %x, want new keys", at, kind, data)
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

// New keys, asked for while nobody reads: the owner hears of nothing to read.
func TestNewKeysWhileIdle(t *testing.T) {
	l, server := shake(t, listening(t), certificate(t), tls.VersionTLS13, 1<<16, Options{})
	l.lazy = true
	before := l.received()
	b := server.out.seal(recordHandshake, newKeysAsked)
	server.send(t, b)
	l.arrived(before, len(b))
	if kind, data := server.record(t); kind != recordHandshake || !bytes.Equal(data, newKeys) {
		t.Fatalf("the client sent %d %x", kind, data)
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
