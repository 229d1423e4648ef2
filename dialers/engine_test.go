//go:build unix

package dialers

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/poll"
	"github.com/kabench/kabench/internal/transport"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// Stamps count from the epoch that Begin is given, and from no other.
func TestBeginGivesTheEpoch(t *testing.T) {
	server := serve(t, script.Server{})
	c := newClient(t, pool.Default(), &Dialer{}, long, request(t, "GET", server.URL(), nil))
	epoch := time.Now().Add(-time.Hour)
	s := &stepped{Client: c}
	c.Begin(t.Context(), epoch, func(e *results.Exchange) { s.over = append(s.over, e) })
	e := &results.Exchange{}
	e.Reset(0, time.Since(epoch))
	e.Start = e.Due
	s.Start(e)
	s.until(t, func() bool { return len(s.over) == 1 })
	if !e.OK() || e.ResponseTime() < 0 || e.Done > time.Since(epoch) {
		t.Errorf("%s, due at %v and done at %v", outcome(e), e.Due, e.Done)
	}
}

// An exchange that is given up while its name is looked up leaves the look-up
// behind, which learns the addresses for those that come later.
func TestGivenUpWhileAddressesAreLookedUp(t *testing.T) {
	server := serve(t, script.Server{})
	answer := make(chan struct{})
	policy := pool.Default()
	policy.Key = pool.ByAddress
	c := newStepped(t, policy, &Dialer{Resolver: slowNames(t, answer)}, long,
		request(t, "GET", named(server.URL()), nil), request(t, "GET", server.URL(), nil))
	e := c.start(0)
	c.first((*exchange).abort)
	if len(c.over) != 1 || outcome(e) != "resolve/aborted" {
		t.Fatalf("%d over, %s", len(c.over), outcome(e))
	}
	close(answer)
	eventually(t, func() bool { return c.loop.inbox.len() == 1 })
	other := &results.Exchange{} // it has the task of the one before
	other.Reset(1, c.now())
	other.Target = 1
	other.Start = other.Due
	c.Start(other)
	c.until(t, func() bool { return len(c.over) == 2 })
	if !other.OK() {
		t.Errorf("%s: %v", outcome(other), other.Err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, known := c.pools.addresses.next(c.requests[0].origin); !known {
		t.Error("nobody learned what the name stands for")
	}
}

// The time of an exchange is over, or it is aborted, when a goroutine has just
// done its part of the dial, and nobody has seen that yet.
func TestGivenUpWhenTheDialIsJustDone(t *testing.T) {
	for name, cfg := range map[string]script.Server{"name": {Fault: script.Silent}, "tls": {TLS: true, Fault: script.Silent}} {
		if name == "name" && !poll.Sockets {
			continue // there all of the dial is done on the goroutine, as with TLS
		}
		for cause, giveUp := range map[results.Cause]func(*exchange){
			results.CauseTimeout: func(t *exchange) { t.giveUp(context.DeadlineExceeded) },
			results.CauseAborted: (*exchange).abort,
		} {
			t.Run(name+" "+cause.String(), func(t *testing.T) {
				server := serve(t, cfg)
				answer := make(chan struct{})
				close(answer)
				url := server.URL()
				if name == "name" {
					url = named(url)
				}
				d := &Dialer{TLS: trust(server), Resolver: slowNames(t, answer)}
				trusted, goOn := make(chan struct{}), make(chan struct{})
				if name == "tls" {
					d.TLS.VerifyConnection = func(tls.ConnectionState) error { close(trusted); <-goOn; return nil } // the last that the handshake waits for
				}
				c := newStepped(t, pool.Default(), d, long, request(t, "GET", url, nil))
				e := c.start(0)
				if name == "tls" && poll.Sockets { // the loop tells the handshake what has come
					c.until(t, func() bool { return isClosed(trusted) })
				}
				close(goOn)
				eventually(t, func() bool { return c.loop.inbox.len() == 1 })
				c.first(giveUp)
				c.Wait(c.now())
				c.Wait(c.now() + time.Millisecond)
				if len(c.over) != 1 || e.Cause != cause || e.Attempts != 0 {
					t.Errorf("%d over, %s after %d attempts, want the cause %v", len(c.over), outcome(e), e.Attempts, cause)
				}
				if s := c.Stats(); s.Leased != 0 || s.Dialing != 0 {
					t.Errorf("%v", s.Stats)
				}
				if len(c.over) == 0 { // so that the Client can be closed
					c.first((*exchange).abort)
				}
			})
		}
	}
}

func isClosed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// A name is looked up for nobody any more when the Client is closed.
func TestCloseWhileANameIsLookedUp(t *testing.T) {
	server := serve(t, script.Server{})
	answer := make(chan struct{})
	close(answer)
	policy := pool.Default()
	policy.LateBind = true
	c := newStepped(t, policy, &Dialer{Resolver: slowNames(t, answer)}, long, request(t, "GET", named(server.URL()), nil))
	c.start(0)
	eventually(t, func() bool { return c.loop.inbox.len() == 1 })
	c.first((*exchange).abort)
	c.Close()
	if s := c.Stats(); s.Dialing != 0 || s.Idle != 0 || len(c.dials) != 0 {
		t.Errorf("after Close: %v, %d dials under way", s.Stats, len(c.dials))
	}
}

// What is aborted makes no room for what is aborted next.
func TestAbortDialsNoMore(t *testing.T) {
	server := serve(t, script.Server{Fault: script.Silent})
	policy := pool.Default()
	policy.MaxConns = 2
	var dials atomic.Int32
	dialer := &Dialer{Control: func(string, string, syscall.RawConn) error { dials.Add(1); return nil }}
	c := newStepped(t, policy, dialer, long, request(t, "GET", server.URL(), nil))
	for seq := range uint64(20) {
		c.start(seq)
	}
	c.until(t, func() bool { return c.Stats().Leased == 2 })
	c.aborting.Store(true)
	c.until(t, func() bool { return len(c.over) == 20 })
	if n := dials.Load(); n != 2 {
		t.Errorf("%d dials, want the 2 from before", n)
	}
	for _, e := range c.over {
		if !e.Unfinished() {
			t.Errorf("%s", outcome(e))
		}
	}
}

// The peer has ended its side while the connection was idle and nobody looked.
// One who then holds a body back for its word sees that, and sends none.
func TestExpectOnAStaleConnection(t *testing.T) {
	ended := make(chan struct{})
	url := raw(t, func(conn net.Conn) {
		conn.Read(make([]byte, 4096))
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		conn.(*net.TCPConn).CloseWrite()
		close(ended)
		io.Copy(io.Discard, conn)
	})
	r, err := NewRequest("POST", url, http.Header{"Expect": {"100-continue"}}, make([]byte, 1000))
	if err != nil {
		t.Fatal(err)
	}
	policy := pool.Default()
	policy.Liveness = pool.None
	c := newStepped(t, policy, &Dialer{}, long, request(t, "GET", url, nil), r)
	if e := c.start(0); true {
		c.until(t, func() bool { return len(c.over) == 1 })
		if !e.OK() {
			t.Fatalf("%s: %v", outcome(e), e.Err)
		}
	}
	<-ended
	e := &results.Exchange{}
	e.Reset(1, c.now())
	e.Start, e.Target = e.Due, 1
	c.until(t, func() bool { // the loop has been told
		c.mu.Lock()
		defer c.mu.Unlock()
		conn := c.loop.tokens.places[0].listener.(*connection)
		return conn.ended
	})
	c.Start(e)
	c.until(t, func() bool { return len(c.over) == 2 })
	if e.BytesOut != int64(r.head) || outcome(e) != "write_body/fin" {
		t.Errorf("%s, %d bytes written, the head is %d", outcome(e), e.BytesOut, r.head)
	}
}

// The 100 that comes when the body has left already is no part of the response.
func TestLateContinueIsNotTheResponse(t *testing.T) {
	var mu sync.Mutex
	var answered time.Time
	url := raw(t, func(conn net.Conn) {
		req := make([]byte, 1<<16)
		for got := 0; !strings.Contains(string(req[:got]), "\r\n\r\nbody"); {
			n, err := conn.Read(req[got:])
			if err != nil {
				return
			}
			got += n
		}
		io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
		time.Sleep(20 * time.Millisecond) // for the client to read that alone; if it does not, the test shows less
		mu.Lock()
		answered = time.Now()
		mu.Unlock()
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		io.Copy(io.Discard, conn)
	})
	r, err := NewRequest("POST", url, http.Header{"Expect": {"100-continue"}}, []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	c := newClient(t, pool.Default(), &Dialer{}, long, r)
	e := c.do(t)
	mu.Lock()
	defer mu.Unlock()
	if !e.OK() || c.epoch.Add(e.FirstByte).Before(answered) {
		t.Errorf("%s; the first byte of the response is stamped %v before it was sent", outcome(e), answered.Sub(c.epoch.Add(e.FirstByte)))
	}
}

// The client knows who ended the connection also where only the error of a write
// says so.
func TestResetThatAWriteMeets(t *testing.T) {
	for _, liveness := range []pool.Liveness{pool.Events, pool.Probe, pool.None} {
		for _, secure := range []bool{false, true} {
			server := serve(t, script.Server{Fault: script.ResetWhileReading, TLS: secure})
			policy := pool.Default()
			policy.Liveness = liveness
			c := newClient(t, policy, &Dialer{TLS: trust(server)}, long, request(t, "POST", server.URL(), make([]byte, 8<<20)))
			e := c.do(t)
			eventually(t, func() bool { s := c.Stats(); return s.ClosedByUs+s.ClosedByPeer+s.ClosedReset+s.ClosedUnknown == 1 })
			if s := c.Stats(); s.ClosedReset != 1 {
				t.Errorf("%v, tls %v: %s; closed by us %d, by the peer %d, reset %d; want one reset", liveness, secure, outcome(e), s.ClosedByUs, s.ClosedByPeer, s.ClosedReset)
			}
		}
	}
}

// Plain and TLS connections come from sources in the same way, addresses spelt
// as IPv6 that are IPv4 included.
func TestSourcesOfLiterals(t *testing.T) {
	if !poll.Sockets {
		t.Skip("sources are for Linux only")
	}
	for _, secure := range []bool{false, true} {
		server := serve(t, script.Server{TLS: secure})
		other := &Dialer{TLS: trust(server), Sources: []netip.Addr{netip.IPv6Loopback()}}
		if e := newClient(t, pool.Default(), other, long, request(t, "GET", server.URL(), nil)).do(t); outcome(e) != "resolve/nxdomain" {
			t.Errorf("tls %v, no source of the family: %s: %v", secure, outcome(e), e.Err)
		}
		mapped := strings.Replace(server.URL(), "127.0.0.1", "[::ffff:127.0.0.1]", 1)
		from := &Dialer{TLS: trust(server), Sources: []netip.Addr{netip.MustParseAddr("127.0.0.1")}}
		if secure {
			from.TLS.ServerName = "127.0.0.1"
		}
		if e := newClient(t, pool.Default(), from, long, request(t, "GET", mapped, nil)).do(t); !e.OK() {
			t.Errorf("tls %v, an IPv4 address spelt as IPv6: %s: %v", secure, outcome(e), e.Err)
		}
	}
}

// A dial whose time is over at its second address ends for that reason, over TLS
// as without.
func TestDialTimeoutAtTheSecondAddress(t *testing.T) {
	refused := netip.MustParseAddrPort(strings.TrimPrefix(refusing(t), "http://"))
	open := netip.MustParseAddrPort(listen(t).Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	d := &Dialer{Control: func(_, address string, _ syscall.RawConn) error {
		if address == open.String() {
			<-ctx.Done()
		}
		return nil
	}}
	conn, err := d.connect(ctx, []netip.AddrPort{refused, open})
	if err == nil {
		conn.Close()
	}
	if cause := CauseOf(err); cause != results.CauseTimeout {
		t.Errorf("%v: %v", cause, err)
	}
}

// mute is a transport whose writes are given up.
type mute struct{ transport.Transport }

func (mute) Write([]byte) (int, error) { return 0, os.ErrDeadlineExceeded }

// There is no answer to wait for when a write was given up, as over TLS after a
// second, also where nothing else ends the exchange.
func TestWriteGivenUp(t *testing.T) {
	if !poll.Sockets {
		t.Skip("the connection is found by its slot")
	}
	server := serve(t, script.Server{})
	c := newStepped(t, pool.Default(), &Dialer{}, 0, request(t, "GET", server.URL(), nil))
	c.start(0)
	c.until(t, func() bool { return len(c.over) == 1 })
	conn := c.loop.tokens.places[0].listener.(*connection)
	conn.wire = mute{conn.wire}
	e := c.start(1)
	c.deliver()
	if len(c.over) != 2 || outcome(e) != "write_headers/timeout" {
		t.Errorf("%d over, %s", len(c.over), outcome(e))
		c.first((*exchange).abort)
	}
}
