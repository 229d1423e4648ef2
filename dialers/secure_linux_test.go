package dialers

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/transport"
	"github.com/kabench/kabench/results"
)

// cutting is a connection that, once it is armed, sends only the first left bytes.
type cutting struct {
	net.Conn
	left  int
	armed bool
}

func (h *cutting) Write(b []byte) (int, error) {
	if !h.armed {
		return h.Conn.Write(b)
	}
	n := min(h.left, len(b))
	h.left -= n
	if _, err := h.Conn.Write(b[:n]); err != nil {
		return 0, err
	}
	return len(b), nil
}

// secureServer serves each connection over TLS by a function, which gets the connection
// below too.
func secureServer(t *testing.T, config func(*tls.Config), serve func(secure *tls.Conn, below *cutting)) (url string, trusted *tls.Config) {
	t.Helper()
	certs := httptest.NewUnstartedServer(nil)
	certs.StartTLS()
	theirs := &tls.Config{Certificates: certs.TLS.Certificates}
	trusted = certs.Client().Transport.(*http.Transport).TLSClientConfig
	certs.Close()
	config(theirs)
	url = raw(t, func(conn net.Conn) {
		below := &cutting{Conn: conn}
		secure := tls.Server(below, theirs)
		serve(secure, below)
	})
	return "https" + strings.TrimPrefix(url, "http"), trusted
}

func asItIs(*tls.Config) {}

// ways are how a TLS connection is driven: by the loop, or by goroutines that wait, as
// where renegotiation is allowed. Both tell the same.
var ways = map[string]tls.RenegotiationSupport{"loop": tls.RenegotiateNever, "goroutines": tls.RenegotiateFreelyAsClient}

func isSecure(c *Client) bool {
	for _, p := range c.loop.tokens.places {
		if _, ok := p.listener.(*transport.Secure); ok {
			return true
		}
	}
	return false
}

// A response is cut inside a record at any byte: it ends by FIN or RST there, or stalls
// until the time is over.
func TestResponseEndsInsideARecord(t *testing.T) {
	const response = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
	const size = 5 + len(response) + 1 + 16
	for way, renegotiation := range ways {
		for name, end := range map[string]func(net.Conn){
			"fin":     func(net.Conn) {},
			"rst":     func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) },
			"timeout": func(c net.Conn) { io.Copy(io.Discard, c) },
		} {
			for _, at := range []int{1, 4, 5, 6, size / 2, size - 1} {
				t.Run(fmt.Sprintf("%s %s after %d", way, name, at), func(t *testing.T) {
					t.Parallel()
					url, trusted := secureServer(t, asItIs, func(secure *tls.Conn, below *cutting) {
						in := bufio.NewReader(secure)
						if _, err := http.ReadRequest(in); err != nil {
							return
						}
						io.WriteString(secure, response)
						if _, err := http.ReadRequest(in); err != nil {
							return
						}
						below.left, below.armed = at, true
						io.WriteString(secure, response)
						end(below.Conn)
					})
					trusted.Renegotiation = renegotiation
					policy := pool.Default()
					if name == "timeout" {
						policy.ResponseTimeout = 200 * time.Millisecond
					}
					c := newClient(t, policy, &Dialer{TLS: trusted}, long, request(t, "GET", url, nil))
					if e := c.do(t); !e.OK() {
						t.Fatalf("%s: %v", outcome(e), e.Err)
					}
					if isSecure(c) != (way == "loop") {
						t.Errorf("driven by the loop: %v", isSecure(c))
					}
					if e := c.do(t); outcome(e) != "before_response/"+name || !e.Reused() || e.BytesIn != 0 || e.Wrote == results.Never {
						t.Errorf("%s: %v; %d bytes in", outcome(e), e.Err, e.BytesIn)
					}
				})
			}
		}
	}
}

// A request is written when the kernel has taken its last byte, and not when TLS has
// sealed it.
func TestWrittenWhenTheKernelHasIt(t *testing.T) {
	read := make(chan struct{})
	body := make([]byte, 4<<20)
	url, trusted := secureServer(t, asItIs, func(secure *tls.Conn, _ *cutting) {
		if secure.Handshake() != nil {
			return
		}
		<-read
		req, err := http.ReadRequest(bufio.NewReader(secure))
		if err != nil {
			return
		}
		n, _ := io.Copy(io.Discard, req.Body)
		fmt.Fprintf(secure, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nRead: %d\r\n\r\n", n)
		io.Copy(io.Discard, secure)
	})
	small := func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, 8192) })
	}
	policy := pool.Default()
	policy.ResponseTimeout = long / 2 // it begins when the request is written
	c := newStepped(t, policy, &Dialer{TLS: trusted, Control: small}, long, request(t, "POST", url, body))
	e := c.start(0)
	c.until(t, func() bool { return e.BytesOut > 0 })
	for before := int64(0); before != e.BytesOut; { // until the sockets are full
		before = e.BytesOut
		for range 20 {
			c.Wait(c.now() + time.Millisecond)
		}
	}
	if e.Wrote != results.Never || e.WroteHeaders == results.Never || e.BytesOut >= int64(len(body)) || c.loop.responseTimers.first != nil {
		t.Errorf("nobody reads: head written at %v, all at %v, %d bytes", e.WroteHeaders, e.Wrote, e.BytesOut)
	}
	going := c.now()
	close(read)
	c.until(t, func() bool { return len(c.over) == 1 })
	if !e.OK() || e.Wrote < going || e.BytesOut <= int64(len(body)) {
		t.Errorf("%s: %v; all written at %v, the server read from %v on; %d bytes", outcome(e), e.Err, e.Wrote, going, e.BytesOut)
	}
}

// A server that resets the connection in the middle of an upload, and one that stops
// reading.
func TestUploadEndsOverTLS(t *testing.T) {
	for way, renegotiation := range ways {
		for name, end := range map[string]func(net.Conn){
			"rst":     func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) },
			"timeout": func(c net.Conn) { time.Sleep(time.Second) },
		} {
			t.Run(way+" "+name, func(t *testing.T) {
				t.Parallel()
				url, trusted := secureServer(t, asItIs, func(secure *tls.Conn, below *cutting) {
					io.ReadFull(secure, make([]byte, 100_000))
					end(below.Conn)
				})
				trusted.Renegotiation = renegotiation
				timeout := long
				if name == "timeout" {
					timeout = 500 * time.Millisecond
				}
				e := newClient(t, pool.Default(), &Dialer{TLS: trusted}, timeout, request(t, "POST", url, make([]byte, 24<<20))).do(t)
				if got := outcome(e); got != "write_body/"+name && !(name == "rst" && got == "write_body/pipe") {
					t.Errorf("%s: %v", got, e.Err)
				}
			})
		}
	}
}

// Where the Dialer's configuration keeps sessions, a later connection takes one up: the
// tickets, which come after the handshake, are read also if nothing else comes.
func TestSessionsAreResumed(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, liveness := range []pool.Liveness{pool.Events, pool.None} {
			var resumed atomic.Int32
			url, trusted := secureServer(t, func(c *tls.Config) { c.MaxVersion = version }, func(secure *tls.Conn, _ *cutting) {
				if _, err := http.ReadRequest(bufio.NewReader(secure)); err != nil {
					return
				}
				if secure.ConnectionState().DidResume {
					resumed.Add(1)
				}
				io.WriteString(secure, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				io.Copy(io.Discard, secure)
			})
			trusted.ClientSessionCache = tls.NewLRUClientSessionCache(10)
			policy := pool.Default()
			policy.MaxRequests, policy.Liveness = 1, liveness
			c := newClient(t, policy, &Dialer{TLS: trusted}, long, request(t, "GET", url, nil))
			for i := range 3 {
				if e := c.do(t); !e.OK() || e.Reused() || int(resumed.Load()) != i {
					t.Errorf("%s, liveness %v, connection %d: %s, %v; %d resumed", tls.VersionName(version), liveness, i, outcome(e), e.Err, resumed.Load())
				}
			}
		}
	}
}

// A close_notify right behind a response, in the same segment, or later without a FIN:
// the connection is not used again where idle connections are watched or probed.
func TestCloseNotifyBehindAResponse(t *testing.T) {
	for way, renegotiation := range ways {
		for liveness, want := range map[pool.Liveness]string{pool.Events: "done/", pool.Probe: "done/", pool.None: "before_response/close_notify"} {
			for _, later := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s %v later=%v", way, liveness, later), func(t *testing.T) {
					t.Parallel()
					seen := make(chan struct{})
					url, trusted := secureServer(t, asItIs, func(secure *tls.Conn, below *cutting) {
						if _, err := http.ReadRequest(bufio.NewReader(secure)); err != nil {
							return
						}
						io.WriteString(secure, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
						if later {
							<-seen
						}
						secure.CloseWrite()
						io.Copy(io.Discard, below.Conn)
					})
					trusted.Renegotiation = renegotiation
					policy := pool.Default()
					policy.Liveness = liveness
					c := newClient(t, policy, &Dialer{TLS: trusted}, long, request(t, "GET", url, nil))
					first := c.do(t)
					close(seen)
					if liveness == pool.Events || later { // it is noticed while the connection is idle
						eventually(t, func() bool { return c.Stats().Idle == 0 || c.Idles().AtPeerClose.Quantiles().Count > 0 })
					}
					if n := c.Idles().AtPeerClose.Quantiles().Count; later && n != 1 {
						t.Errorf("%d idle times at the peer's close, want 1", n)
					}
					if second := c.do(t); !first.OK() || outcome(second) != want && (later || liveness != pool.Probe) {
						t.Errorf("%s, then %s: %v", outcome(first), outcome(second), second.Err)
					}
				})
			}
		}
	}
}

// An alert while the connection is idle ends it, and says so to who meets it.
func TestAlertInsteadOfAResponse(t *testing.T) {
	for way, renegotiation := range ways {
		url, trusted := secureServer(t, func(c *tls.Config) { c.ClientAuth, c.MinVersion = tls.RequireAnyClientCert, tls.VersionTLS13 },
			func(secure *tls.Conn, _ *cutting) { secure.Handshake() }) // the client has no certificate, and in TLS 1.3 hears of it after its handshake
		trusted.Renegotiation = renegotiation
		e := newClient(t, pool.Default(), &Dialer{TLS: trusted}, long, request(t, "GET", url, nil)).do(t)
		var op *net.OpError
		if outcome(e) != "before_response/alert" || !errors.As(e.Err, &op) || op.Op != "remote error" {
			t.Errorf("%s: %s: %v", way, outcome(e), e.Err)
		}
	}
}
