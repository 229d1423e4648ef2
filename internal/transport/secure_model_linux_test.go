package transport

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"syscall"
	"testing"
	"time"
)

// script says what a server sends, from bytes that a fuzzer chooses: records, how they are
// cut into writes, and how the stream ends.
type script struct {
	records []func(t testing.TB, s *sealing) []byte
	cuts    *rand.Rand
	end     byte // 0: FIN, 1: RST, 2: FIN inside the last record, 3: RST inside it
}

// maxScript is how many bytes of a script count: all that they stand for has room in the
// buffers of a socket that nobody reads.
const maxScript = 12

func readScript(b []byte) script {
	s := script{cuts: rand.New(rand.NewPCG(uint64(len(b)), 1))}
	sealed := func(kind byte, data []byte) func(testing.TB, *sealing) []byte {
		return func(_ testing.TB, s *sealing) []byte { return s.out.seal(kind, data) }
	}
	for _, c := range b[:min(len(b), maxScript)] {
		if c&15 == 15 {
			s.end = c >> 4 & 3
		}
	}
	// To send new keys may be the call that meets an RST, and which call does is chance.
	reset := s.end&1 == 1
	for i := 0; i < len(b) && i < maxScript; i++ {
		size := int(b[i]>>4) * int(b[i]>>4) * 20 // up to 4,500
		switch b[i] & 15 {
		case 0, 1, 2, 3, 4, 5:
			s.records = append(s.records, sealed(recordData, bytes.Repeat([]byte{'a' + b[i]>>4}, size)))
		case 6, 7:
			message := newKeys
			if b[i]&16 != 0 && !reset {
				message = newKeysAsked
			}
			s.records = append(s.records, func(t testing.TB, s *sealing) []byte {
				out := s.out.seal(recordHandshake, message)
				s.out = s.out.next(t)
				return out
			})
		case 8:
			s.records = append(s.records, sealed(recordAlert, []byte{1, 90})) // user_canceled, which is ignored
		case 9:
			s.records = append(s.records, sealed(recordAlert, closeNotify))
		case 10:
			s.records = append(s.records, sealed(recordAlert, internalError))
		case 11:
			s.records = append(s.records, sealed(recordHandshake, newKeys[:2])) // and whatever follows
		case 12:
			s.records = append(s.records, func(_ testing.TB, s *sealing) []byte {
				out := s.out.seal(recordData, []byte("spoilt"))
				out[len(out)-1] ^= 1
				return out
			})
		case 13:
			s.records = append(s.records, sealed(recordHandshake, []byte{4, 0, 0, 1, 0})) // a ticket that is none
		case 14:
			s.records = append(s.records, sealed(recordAlert, []byte{1, 0, 0}))
		}
	}
	return s
}

// play sends the script. Between two writes, pause is called with how many bytes were sent.
func (c script) play(t testing.TB, s *sealing, pause func(sent int)) {
	var all []byte
	for i, record := range c.records {
		b := record(t, s)
		if i == len(c.records)-1 && c.end >= 2 {
			b = b[:1+c.cuts.IntN(len(b)-1)]
		}
		all = append(all, b...)
	}
	info, _ := Info(s.TCPConn)
	before, sent := info.BytesAcked, 0
	for sent < len(all) {
		n := min(1+c.cuts.IntN(2000), len(all)-sent)
		if c.cuts.IntN(3) == 0 {
			n = min(1+c.cuts.IntN(8), n)
		}
		if _, err := s.Write(all[sent : sent+n]); err != nil {
			break // the client has closed
		}
		sent += n
		pause(sent)
	}
	if c.end == 1 || c.end == 3 {
		// An RST drops what has not left yet.
		for end := time.Now().Add(long); info.BytesAcked < before+int64(sent) && time.Now().Before(end); info, _ = Info(s.TCPConn) {
			time.Sleep(100 * time.Microsecond)
		}
		s.SetLinger(0)
		s.Close()
	} else {
		s.CloseWrite()
	}
}

// kind says how a stream ended, as dialers tell the ends apart.
func kind(err error) string {
	var alert *net.OpError
	var complaint *TLSError
	switch {
	case errors.Is(err, ErrCloseNotify):
		return "close_notify"
	case err == io.EOF:
		return "FIN"
	case errors.Is(err, syscall.ECONNRESET):
		return "RST"
	case errors.As(err, &alert) && alert.Op == "remote error":
		return "alert: " + err.Error()
	case errors.As(err, &complaint):
		return "complaint: " + err.Error()
	}
	return fmt.Sprint("other: ", err)
}

// oracle reads the stream as a Stream does: crypto/tls waits, on a goroutine, over a
// connection of package net.
func oracle(t testing.TB, ln *net.TCPListener, cert tls.Certificate, c script) (data []byte, end string) {
	t.Helper()
	ours, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	theirs, err := ln.AcceptTCP()
	if err != nil {
		t.Fatal(err)
	}
	defer theirs.Close()
	server := make(chan *sealing, 1)
	go func() {
		s, err := accept(t, theirs, cert, tls.VersionTLS13)
		if err != nil {
			t.Error(err)
		}
		server <- s
	}()
	tcp := &TCP{Conn: ours}
	conn := tls.Client(tcp, &tls.Config{InsecureSkipVerify: true})
	ours.SetDeadline(time.Now().Add(long))
	if err := conn.Handshake(); err != nil {
		t.Fatal(err)
	}
	s := <-server
	c.play(t, s, func(int) {})
	b := make([]byte, streamBuffer)
	for {
		n, err := conn.Read(b)
		data = append(data, b[:n]...)
		if err != nil {
			return data, kind(tcp.Meaning(err))
		}
	}
}

// compare plays a script to both, and says how they differ.
func compare(t testing.TB, ln *net.TCPListener, cert tls.Certificate, b []byte) {
	t.Helper()
	want, end := oracle(t, ln, cert, readScript(b))
	for _, slowly := range []bool{false, true} {
		l, server := shake(t, ln, cert, tls.VersionTLS13, []int{7, 5000, 1 << 16}[len(b)%3], Options{})
		l.lazy = len(b)%2 == 0 // then nothing is read before all has come
		before := l.received()
		readScript(b).play(t, server, func(sent int) {
			if slowly && l.err == nil {
				l.arrived(before, sent)
			}
		})
		if l.lazy {
			l.until("the end is announced, or something waits", func() bool { return l.ended || l.unread })
		}
		l.lazy, l.unread = false, true
		l.read()
		l.until("the end", func() bool { return l.err != nil })
		if got := kind(l.err); got != end || !bytes.Equal(l.got, want) {
			t.Fatalf("script %x, slowly %v: %d bytes, then %s; a reader that waits has %d, then %s", b, slowly, len(l.got), got, len(want), end)
		}
		l.wire.Close(CloserNone, l)
		server.Close()
	}
}

// The loop reads the same as a goroutine that waits, whatever the server sends and however
// it is cut, and tells the same ends apart.
func TestSecureReadsAsAGoroutineDoes(t *testing.T) {
	ln, cert := listening(t), certificate(t)
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 2))
		b := make([]byte, 1+rng.IntN(12))
		for i := range b {
			b[i] = byte(rng.Uint32())
			if i < len(b)-1 && rng.IntN(3) > 0 {
				b[i] &^= 8 // most go on
			}
		}
		compare(t, ln, cert, b)
	}
}

func FuzzSecure(f *testing.F) {
	f.Add([]byte{0x31, 0x19, 0x0f})
	f.Add([]byte{0x31, 0x16, 0xf1, 0x07, 0x1f})
	f.Add([]byte{0x11, 0x3f, 0x12})
	f.Add([]byte{0x0b, 0x1b, 0x22})
	f.Fuzz(func(t *testing.T, b []byte) { compare(t, listening(t), certificate(t), b) })
}
