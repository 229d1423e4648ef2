//go:build unix

package dialers

import (
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/transport"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// A connection that the server closes while it is idle is noticed as the policy
// says, and not otherwise.
func TestIdleDeath(t *testing.T) {
	for _, test := range []struct {
		name    string
		change  func(*pool.Policy)
		gone    bool   // the pool notices by itself
		second  string // outcome of the next exchange
		reused  bool
		evicted pool.Reason
	}{
		{"events", func(p *pool.Policy) {}, true, "done/", false, pool.PeerClosed},
		{"events, reaped when met", func(p *pool.Policy) { p.Reap = pool.ReapAtLease }, false, "done/", false, pool.PeerClosed},
		{"probe", func(p *pool.Policy) { p.Liveness = pool.Probe }, false, "done/", false, pool.PeerClosed},
		{"probe looks too late", func(p *pool.Policy) { p.Liveness, p.ProbeAfter = pool.Probe, time.Hour }, false, "before_response/fin", true, pool.Broken},
		{"none", func(p *pool.Policy) { p.Liveness = pool.None }, false, "before_response/fin", true, pool.Broken},
	} {
		for _, secure := range []bool{false, true} {
			name := test.name
			if secure {
				name += " tls"
			}
			t.Run(name, func(t *testing.T) {
				server := serve(t, script.Server{IdleTimeout: 50 * time.Millisecond, TLS: secure})
				policy := pool.Default()
				test.change(&policy)
				var socket lastSocket
				c := newClient(t, policy, &Dialer{TLS: trust(server), Control: socket.control}, long, request(t, "GET", server.URL(), nil))
				if e := c.do(t); !e.OK() {
					t.Fatalf("%s: %v", outcome(e), e.Err)
				}
				eventually(t, func() bool { return server.Seen().ClosedIdle == 1 })
				if test.gone {
					eventually(t, func() bool { return c.Stats().Idle == 0 })
				} else {
					if policy.Liveness == pool.Events { // the reader has met the FIN and closed the socket
						eventually(t, func() bool { return endedByPeer(c, secure) })
					} else {
						eventually(t, socket.ended)
					}
					if s := c.Stats(); s.Idle != 1 {
						t.Fatalf("before the next exchange: %v, want the dead one still counted", s.Stats)
					}
				}
				want := test.second
				if secure && want == "before_response/fin" {
					want = "before_response/close_notify"
				}
				e := c.do(t)
				if outcome(e) != want || e.Reused() != test.reused {
					t.Errorf("got %s on a connection with reused=%v, want %s, %v", outcome(e), e.Reused(), want, test.reused)
				}
				if n := c.Stats().Evicted[test.evicted]; n != 1 {
					t.Errorf("evicted %v, want one as %v", c.Stats().Evicted, test.evicted)
				}
				eventually(t, func() bool { return endedByPeer(c, secure) })
			})
		}
	}
}

// endedByPeer reports whether the peer has ended a connection of c: by its FIN, or over
// TLS by its close_notify, after which either FIN may be the first.
func endedByPeer(c *Client, secure bool) bool {
	s := c.Stats()
	if secure {
		return s.NotifiedByPeer >= 1 && s.ClosedByUs+s.ClosedByPeer+s.ClosedUnknown >= 1
	}
	return s.ClosedByPeer >= 1 && s.NotifiedByPeer == 0
}

// lastSocket remembers the socket a Dialer made last, to look at it from outside
// the pool.
type lastSocket struct{ raw syscall.RawConn }

func (s *lastSocket) control(_, _ string, raw syscall.RawConn) error {
	s.raw = raw
	return nil
}

// ended reports whether the kernel has the peer's FIN, or the socket is closed. A
// close_notify that waits before the FIN is not enough.
func (s *lastSocket) ended() bool {
	if info, known := transport.Info(bareConn{raw: s.raw}); known {
		return !info.Established()
	}
	waiting, err := transport.Peek(bareConn{raw: s.raw})
	return waiting || err != nil
}

// bareConn is a connection that has only its descriptor.
type bareConn struct {
	net.Conn
	raw syscall.RawConn
}

func (c bareConn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }

func TestIdleTimeoutByTimerClosesFirst(t *testing.T) {
	server := serve(t, script.Server{})
	policy := pool.Default()
	policy.IdleTimeout, policy.Expiry = 50*time.Millisecond, pool.ExpireByTimer
	c := newClient(t, policy, &Dialer{}, long, request(t, "GET", server.URL(), nil))
	c.do(t)
	// On loopback all may be over before the kernel is asked who was first.
	eventually(t, func() bool { s := c.Stats(); return s.ClosedByUs+s.ClosedUnknown == 1 })
	eventually(t, func() bool { return server.Seen().ClientClosed == 1 })
	if s := c.Stats(); s.Evicted[pool.Expired] != 1 || s.Idle != 0 {
		t.Errorf("%v, evicted %v", s.Stats, s.Evicted)
	}
}

func TestServerSaysClose(t *testing.T) {
	for name, cfg := range map[string]script.Server{"announced": {SayClose: true}, "last of max_requests": {MaxRequests: 1}} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, cfg)
			c := newClient(t, pool.Default(), &Dialer{}, long, request(t, "GET", server.URL(), nil))
			for range 3 {
				if e := c.do(t); !e.OK() || e.Use != 1 {
					t.Fatalf("%s, use %d", outcome(e), e.Use)
				}
			}
			if n := c.Stats().Evicted[pool.ServerSaidClose]; n != 3 {
				t.Errorf("evicted %v", c.Stats().Evicted)
			}
		})
	}
	t.Run("because the request asked", func(t *testing.T) {
		server := serve(t, script.Server{})
		r, err := NewRequest("GET", server.URL(), http.Header{"Connection": {"close"}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		c := newClient(t, pool.Default(), &Dialer{}, long, r)
		c.do(t)
		if n := c.Stats().Evicted[pool.ServerSaidClose]; n != 1 {
			t.Errorf("evicted %v", c.Stats().Evicted)
		}
	})
}

// A queue of waiters over few connections: the cap holds at the server, nobody
// is lost, and the waiting is seen in the acquire phase.
func TestWaitersShareConnections(t *testing.T) {
	delay, err := script.ParseDelay("2ms")
	if err != nil {
		t.Fatal(err)
	}
	server := serve(t, script.Server{Delay: delay})
	policy := pool.Default()
	policy.MaxConns, policy.LeaseOrder = 3, pool.FIFO
	c := newClient(t, policy, &Dialer{}, long, request(t, "GET", server.URL(), nil))
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			if e := c.do(t); !e.OK() {
				t.Errorf("%s: %v", outcome(e), e.Err)
			}
		})
	}
	wg.Wait()
	s := c.Stats()
	if s.Opened != 3 || s.MaxOpen != 3 || len(server.Stories()) != 3 || s.PeakPending == 0 {
		t.Errorf("opened %d, at once %d, at the server %d, peak pending %d", s.Opened, s.MaxOpen, len(server.Stories()), s.PeakPending)
	}
}

// Connections die, expire and are dialed under many goroutines at once;
// whatever happens the accounts balance and nothing hangs.
func TestManyGoroutinesOverADyingPool(t *testing.T) {
	for _, liveness := range []pool.Liveness{pool.Events, pool.Probe, pool.None} {
		t.Run(liveness.String(), func(t *testing.T) {
			server := serve(t, script.Server{IdleTimeout: 2 * time.Millisecond, MaxRequests: 20, Unannounced: true})
			policy := pool.Default()
			policy.MaxConns, policy.Liveness = 8, liveness
			policy.IdleTimeout, policy.Expiry = 3*time.Millisecond, pool.ExpireByTimer|pool.ExpireAtLease
			c := newClient(t, policy, &Dialer{}, long, request(t, "GET", server.URL(), nil))
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					for i := range 100 {
						if e := c.do(t); !e.OK() && e.Phase != results.PhaseBeforeResponse && e.Phase != results.PhaseWriteHeaders {
							t.Errorf("%s: %v", outcome(e), e.Err)
						}
						if i%10 == 0 {
							time.Sleep(time.Duration(i%7) * time.Millisecond)
						}
					}
				})
			}
			wg.Wait()
			s := c.Stats()
			var evicted uint64
			for _, n := range s.Evicted {
				evicted += n
			}
			if s.Leased != 0 || s.Pending != 0 || s.Dialing != 0 || s.Opened != evicted+uint64(s.Idle) || s.MaxOpen > 8 {
				t.Errorf("%v, opened %d, evicted %d, at once %d", s.Stats, s.Opened, evicted, s.MaxOpen)
			}
		})
	}
}

// An answer to an upload that nobody wants: it is read, and the connection is
// not used again.
func TestEarlyAnswer(t *testing.T) {
	ln := listen(t)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		io.ReadFull(conn, make([]byte, 100))
		io.WriteString(conn, "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nno\n")
		io.Copy(io.Discard, conn)
	}()
	c := newClient(t, pool.Default(), &Dialer{}, long, request(t, "POST", "http://"+ln.Addr().String(), make([]byte, 32<<20)))
	e := c.do(t)
	if !e.OK() || e.Status != 413 {
		t.Errorf("%s, status %d: %v", outcome(e), e.Status, e.Err)
	}
	if s := c.Stats(); e.Wrote == results.Never && s.Idle != 0 {
		t.Errorf("a connection with half a request on it was kept: %v", s.Stats)
	}
}

func TestInterimResponses(t *testing.T) {
	for name, test := range map[string]struct {
		n    int
		want string
	}{"a few": {3, "done/"}, "endless": {1000, "response_headers/malformed"}} {
		t.Run(name, func(t *testing.T) {
			ln := listen(t)
			go func() {
				conn, err := ln.Accept()
				if err != nil {
					return
				}
				defer conn.Close()
				for range test.n {
					io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\n\r\n")
				}
				io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				io.Copy(io.Discard, conn)
			}()
			e := newClient(t, pool.Default(), &Dialer{}, long, request(t, "GET", "http://"+ln.Addr().String(), nil)).do(t)
			if outcome(e) != test.want {
				t.Errorf("%s: %v", outcome(e), e.Err)
			}
		})
	}
}
