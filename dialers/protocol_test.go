//go:build unix

package dialers

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/transport"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// handshakeFaults are what a server sends instead of its handshake. It then keeps
// the connection.
var handshakeFaults = map[string][]byte{
	"endless message":   append([]byte{22, 3, 3, 0, 4, 2, 0xff, 0xff, 0xff}, record(22, 1<<14)...),
	"flood of warnings": bytes.Repeat([]byte{21, 3, 3, 0, 2, 1, 90}, 40),
	"no hello":          append([]byte{22, 3, 3, 0, 4, 14, 0, 0, 0}, record(22, 4)...),
	"version":           {22, 3, 3, 0, 42, 2, 0, 0, 38, 3, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 0, 0, 0, 47, 0},
	"no TLS":            []byte("HTTP/1.1 400 Bad Request\r\n\r\n"),
}

// record is a TLS record of the given type, with size zero bytes in it.
func record(kind byte, size int) []byte {
	return append([]byte{kind, 3, 3, byte(size >> 8), byte(size)}, make([]byte, size)...)
}

// What is not TLS is malformed in the handshake, for our client and net/http.
func TestMalformedHandshake(t *testing.T) {
	for name, sent := range handshakeFaults {
		t.Run(name, func(t *testing.T) {
			url := raw(t, func(conn net.Conn) {
				conn.Read(make([]byte, 1<<14)) // the hello
				conn.Write(sent)
				io.Copy(io.Discard, conn)
			})
			r := request(t, "GET", "https"+strings.TrimPrefix(url, "http"), nil)
			dialer := &Dialer{TLS: &tls.Config{InsecureSkipVerify: true}}
			stock := NewStock(dialer, []*Request{r}, long)
			defer stock.Close()
			for who, e := range map[string]*results.Exchange{
				"client": newClient(t, pool.Default(), dialer, long, r).do(t), "stock": do(t.Context(), stock, stock.now),
			} {
				if outcome(e) != "tls/malformed" {
					t.Errorf("%s: %s: %v; want tls/malformed", who, outcome(e), e.Err)
				}
			}
		})
	}
}

// recordFaults are what a server sends in a connection that is made.
var recordFaults = map[string][]byte{
	"bad MAC":           record(23, 64),
	"record too large":  record(23, 0x7000),
	"flood of warnings": bytes.Repeat([]byte{21, 3, 3, 0, 2, 1, 90}, 40),
	"no record":         []byte("HTTP/1.1 200 OK\r\n\r\n"),
}

// What is not TLS is malformed in the phase in which it comes.
func TestMalformedRecords(t *testing.T) {
	https := httptest.NewTLSServer(http.NotFoundHandler()) // for its certificate
	defer https.Close()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for before, want := range map[string]string{
			"": "before_response/malformed", "HTTP/1.1 200 OK\r\n": "response_headers/malformed",
			"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello": "during_response/malformed",
		} {
			for name, sent := range recordFaults {
				t.Run(tls.VersionName(version)+" "+want+" "+name, func(t *testing.T) {
					config := &tls.Config{Certificates: https.TLS.Certificates, MinVersion: version, MaxVersion: version}
					url := raw(t, func(conn net.Conn) {
						secure := tls.Server(conn, config)
						if _, err := http.ReadRequest(bufio.NewReader(secure)); err != nil {
							return
						}
						io.WriteString(secure, before)
						conn.Write(sent)
						io.Copy(io.Discard, conn)
					})
					r := request(t, "GET", "https"+strings.TrimPrefix(url, "http"), nil)
					e := newClient(t, pool.Default(), &Dialer{TLS: &tls.Config{InsecureSkipVerify: true}}, long, r).do(t)
					if outcome(e) != want {
						t.Errorf("%s: %v; want %s", outcome(e), e.Err, want)
					}
				})
			}
		}
	}
}

// crypto/tls has errors without a type. They are complaints about the peer where
// nothing was wrong with the connection below.
func TestComplaintsWithoutAType(t *testing.T) {
	ignored := errors.New("tls: too many ignored records")
	for _, test := range []struct {
		err, below error
		want       results.Cause
	}{
		{ignored, nil, results.CauseMalformed},
		{&net.OpError{Op: "remote error", Err: errors.New("tls: internal error")}, nil, results.CauseAlert},
		{io.EOF, nil, results.CauseCloseNotify},
		{io.EOF, io.EOF, results.CauseFIN},
		{io.ErrUnexpectedEOF, io.EOF, results.CauseFIN},
		{opError("read", syscall.ENOMEM), opError("read", syscall.ENOMEM), results.CauseOther},
		{opError("read", syscall.ECONNRESET), opError("read", syscall.ECONNRESET), results.CauseRST},
	} {
		tcp := &transport.TCP{Conn: failing{err: test.below}}
		tcp.Read(nil)
		if got := CauseOf(tcp.Meaning(test.err)); got != test.want {
			t.Errorf("%v above %v: %v, want %v", test.err, test.below, got, test.want)
		}
	}
	if _, cause := dialCause(&DialError{results.PhaseTLS, opError("read", syscall.ENOMEM)}); cause != results.CauseOther {
		t.Errorf("the system's own error in a handshake: %v", cause)
	}
}

// failing is a connection whose reads end in err.
type failing struct {
	net.Conn
	err error
}

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// A port that speaks TLS answers plain HTTP with an alert, and may wait then: the
// first byte is no response's, and the text says what it is.
func TestPlainToTLS(t *testing.T) {
	for name, sent := range map[string]string{
		"an alert": "\x15\x03\x03\x00\x02\x02\x0a", "its first byte": "\x15", "a handshake": "\x16\x03\x01\x00\x05",
	} {
		url := raw(t, func(conn net.Conn) {
			io.WriteString(conn, sent)
			io.Copy(io.Discard, conn)
		})
		e := newClient(t, pool.Default(), &Dialer{}, long, request(t, "GET", url, nil)).do(t)
		if outcome(e) != "response_headers/malformed" || !strings.Contains(e.Err.Error(), "TLS") || !strings.Contains(e.Err.Error(), "https://") {
			t.Errorf("%s: %s: %v", name, outcome(e), e.Err)
		}
	}
	url := raw(t, func(conn net.Conn) {
		io.WriteString(conn, "SSH-2.0-OpenSSH_9.9\r\n")
		io.Copy(io.Discard, conn)
	})
	e := newClient(t, pool.Default(), &Dialer{}, long, request(t, "GET", url, nil)).do(t)
	if outcome(e) != "response_headers/malformed" || !strings.Contains(e.Err.Error(), "SSH-2.0-OpenSSH_9.9") || strings.Contains(e.Err.Error(), "TLS") {
		t.Errorf("%s: %v", outcome(e), e.Err)
	}
}

// The text beside a cause says what the cause says, and what else was seen.
func TestTextAndCauseAgree(t *testing.T) {
	pipe, reset := opError("write", syscall.EPIPE), opError("read", syscall.ECONNRESET)
	resetWrite := opError("write", syscall.ECONNRESET)
	for _, test := range []struct {
		name  string
		f     Facts
		cause results.Cause
		text  []string // in this order
	}{
		{"reset met by the reader", Facts{HeadWritten: true, Write: pipe, Read: reset}, results.CauseRST, []string{"connection reset by peer", "a write met: broken pipe"}},
		{"and in the response", Facts{HeadWritten: true, Bytes: 9, Write: pipe, Read: reset}, results.CauseRST, []string{"connection reset by peer", "a write met: broken pipe"}},
		{"reset met by the writer", Facts{HeadWritten: true, Write: resetWrite, Read: io.EOF}, results.CauseRST, []string{"connection reset by peer", "a read met: EOF"}},
		{"and in the response", Facts{HeadWritten: true, Bytes: 9, HeadRead: true, Length: 5, Write: resetWrite, Read: io.EOF}, results.CauseRST, []string{"connection reset by peer", "a read met: EOF"}},
		{"broken pipe", Facts{HeadWritten: true, Write: pipe, Read: io.EOF}, results.CausePipe, []string{"broken pipe", "a read met: EOF"}},
		{"malformed, while we wrote", Facts{HeadWritten: true, Bytes: 9, Write: pipe, Parse: errors.New("no HTTP")}, results.CauseMalformed, []string{"no HTTP", "a write met: broken pipe"}},
		{"cut, while we wrote", Facts{HeadWritten: true, Bytes: 9, HeadRead: true, Length: 50, Write: pipe, Read: io.EOF}, results.CauseTruncated, []string{"EOF", "a write met: broken pipe"}},
		{"one thing", Facts{HeadWritten: true, Write: resetWrite, Read: reset}, results.CauseRST, []string{"connection reset by peer"}},
	} {
		_, cause := Classify(test.f)
		text := errorBehind(cause, test.f).Error()
		if cause != test.cause {
			t.Errorf("%s: %v, want %v", test.name, cause, test.cause)
		}
		rest := text
		for _, part := range test.text {
			before, after, found := strings.Cut(rest, part)
			if rest = after; !found || strings.Contains(before, "met") {
				t.Errorf("%s: %q lacks %q, or has it in another place", test.name, text, part)
			}
		}
		if len(test.text) == 1 && strings.Contains(text, "met") {
			t.Errorf("%s: %q says it twice", test.name, text)
		}
	}
}

// A client that tells its caller no more than that the connection ended: the text
// says so, and what was seen.
func TestTextOfAHangup(t *testing.T) {
	server := serve(t, script.Server{Fault: script.ResetBeforeResponse, FaultOn: script.OnReused})
	policy := pool.Default()
	policy.ResendElse = pool.ElseHangup
	c := newClient(t, policy, &Dialer{}, long, request(t, "POST", server.URL(), nil))
	c.do(t)
	e := c.do(t)
	if outcome(e) != "before_response/fin" || !strings.Contains(e.Err.Error(), "seen: ") || !errors.Is(e.Err, syscall.ECONNRESET) {
		t.Errorf("%s: %v", outcome(e), e.Err)
	}
}
