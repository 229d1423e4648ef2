//go:build unix

package dialers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// raw serves each connection by a function, for what the lab does not say.
func raw(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	ln := listen(t)
	var all sync.WaitGroup
	t.Cleanup(func() { ln.Close(); all.Wait() })
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(long))
				serve(conn)
			})
		}
	})
	return "http://" + ln.Addr().String()
}

// A request whose dial is slow takes the connection that comes free meanwhile,
// and the dial ends in the pool.
func TestLateBindingOverSockets(t *testing.T) {
	held := make(chan struct{})
	arrived := make(chan struct{}, 3)
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-held
	}))
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	stuck := make(chan struct{})
	var dials atomic.Int32
	slow := &Dialer{TLS: &tls.Config{RootCAs: roots, VerifyConnection: func(tls.ConnectionState) error { // on a goroutine, which may wait
		if dials.Add(1) > 1 {
			<-stuck
		}
		return nil
	}}}
	policy := pool.Default()
	policy.LateBind = true
	c := newClient(t, policy, slow, long, request(t, "GET", server.URL, nil))
	first, second := make(chan *results.Exchange), make(chan *results.Exchange)
	go func() { first <- c.do(t) }()
	<-arrived
	go func() { second <- c.do(t) }()
	eventually(t, func() bool { return c.Stats().Dialing == 1 })
	close(held)
	if e := <-first; !e.OK() {
		t.Fatalf("%s: %v", outcome(e), e.Err)
	}
	if e := <-second; !e.OK() || e.Use != 2 || e.Connected != results.Never {
		t.Errorf("%s on use %d, connected %v; want the connection that came free", outcome(e), e.Use, e.Connected)
	}
	close(stuck)
	eventually(t, func() bool { s := c.Stats(); return s.Dialing == 0 && s.Idle == 2 })
	if e := c.do(t); !e.OK() {
		t.Errorf("%s: %v", outcome(e), e.Err)
	}
}

// Many late-binding requests given up at random moments: nothing leaks, and the
// accounts balance.
func TestLateBindingGivenUp(t *testing.T) {
	server := serve(t, script.Server{})
	policy := pool.Default()
	policy.LateBind, policy.MaxConns, policy.MaxIdle = true, 4, 1
	c := newClient(t, policy, &Dialer{}, long, request(t, "GET", server.URL(), nil))
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%20)*100*time.Microsecond)
			defer cancel()
			do(ctx, c, c.now)
		})
	}
	all.Wait()
	eventually(t, func() bool {
		s := c.Stats()
		return s.Leased == 0 && s.Pending == 0 && s.Dialing == 0
	})
	if e := c.do(t); !e.OK() {
		t.Errorf("afterwards: %s: %v", outcome(e), e.Err)
	}
}

func TestShardsAreSeparatePools(t *testing.T) {
	server := serve(t, script.Server{})
	policy := pool.Default()
	policy.Shards, policy.MaxConns = 3, 1
	c := newClient(t, policy, &Dialer{}, long, request(t, "GET", server.URL(), nil))
	for range 9 { // one after the other: a single pool would need one connection
		if e := c.do(t); !e.OK() {
			t.Fatal(outcome(e))
		}
	}
	if s := c.Stats(); s.Opened != 3 || s.Idle != 3 {
		t.Errorf("opened %d, idle %d; want one for each shard", s.Opened, s.Idle)
	}
}

// A request is assigned to one shard, and stays there when it is sent again: a client
// that sends again does so through its own pool.
func TestAResendStaysInItsShard(t *testing.T) {
	server := serve(t, script.Server{Fault: script.CloseBeforeResponse, FaultOn: script.OnReused})
	policy := pool.Default()
	policy.Shards = 3
	policy.Resend = []pool.ResendRule{{On: pool.OnReused, After: pool.AfterEOF | pool.AfterRST, Methods: "all"}}
	c := newClient(t, policy, &Dialer{}, long, request(t, "GET", server.URL(), nil))
	for i := range 9 {
		e := c.do(t)
		if want := 1 + min(i/3, 1); !e.OK() || int(e.Attempts) != want { // a second attempt finds no connection in the shard
			t.Fatalf("request %d: %s after %d attempts; want ok after %d", i, outcome(e), e.Attempts, want)
		}
	}
}

func TestKeyByAddressTakesTheAddressesInTurn(t *testing.T) {
	var a addresses
	o := Origin{Host: "shop.test", Port: "80", TLS: true}
	if _, known := a.next(o); known {
		t.Error("a name that nobody has looked up is known")
	}
	a.learn(o, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:80"), netip.MustParseAddrPort("127.0.0.2:80")})
	for _, want := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.1"} {
		got, known := a.next(o)
		if !known || got.Host != want || got.serverName() != "shop.test" {
			t.Errorf("%+v, %v; want %s under its name", got, known, want)
		}
	}
	server := serve(t, script.Server{TLS: true})
	policy := pool.Default()
	policy.Key = pool.ByAddress
	c := newClient(t, policy, &Dialer{TLS: trust(server)}, long, request(t, "GET", server.URL(), nil))
	for range 2 {
		if e := c.do(t); !e.OK() {
			t.Fatalf("%s: %v", outcome(e), e.Err)
		}
	}
	if n := c.Stats().Opened; n != 1 {
		t.Errorf("opened %d, want 1", n)
	}
}

// A response that comes in drops, each sooner than response_timeout: a clock on
// the gaps lets it pass, one on the whole does not.
func TestResponseClock(t *testing.T) {
	const drops, gap = 8, 50 * time.Millisecond
	url := raw(t, func(conn net.Conn) {
		io.ReadFull(conn, make([]byte, 16))
		io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n")
		for range drops {
			time.Sleep(gap)
			conn.Write([]byte("x"))
		}
		io.Copy(io.Discard, conn)
	})
	for clock, want := range map[pool.Clock]string{pool.ClockTotal: "during_response/timeout", pool.ClockGap: "done/"} {
		for _, liveness := range []pool.Liveness{pool.Events, pool.None} {
			policy := pool.Default()
			policy.Liveness, policy.ResponseClock, policy.ResponseTimeout = liveness, clock, drops*gap/2
			if e := newClient(t, policy, &Dialer{}, long, request(t, "GET", url, nil)).do(t); outcome(e) != want {
				t.Errorf("clock %v, liveness %v: %s, want %s", clock, liveness, outcome(e), want)
			}
		}
	}
}

func TestKeepAliveHintIsHeeded(t *testing.T) {
	url := raw(t, func(conn net.Conn) {
		b := make([]byte, 4096)
		for {
			if _, err := conn.Read(b); err != nil {
				return
			}
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nKeep-Alive: timeout=1, max=5\r\n\r\n")
		}
	})
	policy := pool.Default()
	policy.ServerHint, policy.HintMargin = pool.HintMin, time.Second
	c := newClient(t, policy, &Dialer{}, long, request(t, "GET", url, nil))
	if e := c.do(t); !e.OK() {
		t.Fatal(outcome(e))
	}
	if n := c.Stats().Evicted[pool.Hinted]; n != 1 {
		t.Errorf("a promise of one second less a margin of one: evicted %v", c.Stats().Evicted)
	}
}

// Every try is in the exchange, with its own connection, and the whole is timed
// from the first.
func TestTriesAreRecorded(t *testing.T) {
	server := serve(t, script.Server{Fault: script.ResetBeforeResponse, FaultOn: script.OnReused})
	policy := pool.Default()
	policy.Resend = []pool.ResendRule{{On: pool.OnReused, After: pool.AfterRST, Methods: "all"}}
	c := newClient(t, policy, &Dialer{}, long, request(t, "POST", server.URL(), []byte("x")))
	c.do(t)
	e := c.do(t)
	if !e.OK() || e.Attempts != 2 || len(e.Tries) != 1 || !e.Twice || e.Use != 1 {
		t.Fatalf("%s after %d attempts, tries %+v, twice %v", outcome(e), e.Attempts, e.Tries, e.Twice)
	}
	if try := e.Tries[0]; try.Phase != results.PhaseBeforeResponse || try.Cause != results.CauseRST || try.Use != 2 || try.Conn == e.Conn || try.Done > e.Leased {
		t.Errorf("the try: %+v, then %+v", try, e)
	}
}

// A request that was sent once and for whose second attempt no connection was
// had was executed once at most.
func TestSentOnceIsNotTwice(t *testing.T) {
	ln := listen(t)
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		ln.Close() // nobody to connect to from now on
		io.ReadFull(conn, make([]byte, 16))
	}()
	policy := pool.Default()
	policy.Resend = []pool.ResendRule{{On: pool.OnAny, After: pool.AfterEOF | pool.AfterRST, Methods: "all", Max: 1}}
	e := newClient(t, policy, &Dialer{}, long, request(t, "POST", "http://"+ln.Addr().String(), nil)).do(t)
	if outcome(e) != "connect/refused" || len(e.Tries) != 1 || e.Twice {
		t.Errorf("%s after %d tries, twice %v", outcome(e), len(e.Tries), e.Twice)
	}
}

func TestResendElseHangup(t *testing.T) {
	server := serve(t, script.Server{Fault: script.ResetBeforeResponse, FaultOn: script.OnReused})
	policy := pool.Default()
	policy.ResendElse = pool.ElseHangup
	c := newClient(t, policy, &Dialer{}, long, request(t, "GET", server.URL(), nil))
	c.do(t)
	e := c.do(t)
	if outcome(e) != "before_response/fin" {
		t.Errorf("its caller saw %s, and it was hung up on", outcome(e))
	}
	if e.SeenPhase != results.PhaseBeforeResponse || e.SeenCause != results.CauseRST {
		t.Errorf("seen was %v/%v, want the reset that the caller is not shown", e.SeenPhase, e.SeenCause)
	}
}

// A fresh connection is dialed although idle ones are there.
func TestResendOnAFreshConnection(t *testing.T) {
	server := serve(t, script.Server{Fault: script.CloseBeforeResponse, FaultOn: script.OnReused})
	policy := pool.Default()
	policy.Resend = []pool.ResendRule{{On: pool.OnReused, After: pool.AfterEOF, Methods: "all", Path: pool.PathFresh}}
	c := newClient(t, policy, &Dialer{}, long, request(t, "GET", server.URL(), nil))
	for _, e := range together(c, 2) {
		if !e.OK() || e.Use != 1 {
			t.Fatalf("%s on use %d", outcome(e), e.Use)
		}
	}
	if e := c.do(t); !e.OK() || len(e.Tries) != 1 || e.Use != 1 {
		t.Errorf("%s on use %d after %d tries; want a fresh one although an idle one was left", outcome(e), e.Use, len(e.Tries))
	}
	if s := c.Stats(); s.Idle != 2 {
		t.Errorf("%v, want the one passed over and the fresh one", s.Stats)
	}
}

// together performs n exchanges that begin before any of them has a connection.
func together(c *Client, n int) []*results.Exchange {
	all := make([]*results.Exchange, n)
	var over sync.WaitGroup
	over.Add(n)
	begun := make(chan struct{})
	c.doLoop.begin(func() { c.Wait(-1) })
	c.loop.Post(func() {
		for i := range all {
			all[i] = &results.Exchange{}
			all[i].Reset(uint64(i), c.now())
			all[i].Start = all[i].Due
			c.begin(all[i], func(*results.Exchange) { over.Done() })
		}
		close(begun)
	})
	<-begun
	over.Wait()
	return all
}
