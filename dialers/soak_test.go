//go:build unix

package dialers

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

// rude serves connections in ways that a seed chooses: well, slowly, in pieces,
// in part, not at all, and it ends them at any point, by FIN or RST.
type rude struct {
	ln   net.Listener
	tls  *tls.Config // nil: plain
	all  sync.WaitGroup
	stop chan struct{}
}

func newRude(t *testing.T, secure bool, seed uint64) (*rude, *Dialer) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r, d := &rude{ln: ln, stop: make(chan struct{})}, &Dialer{}
	if secure {
		certs := httptest.NewUnstartedServer(nil)
		certs.StartTLS()
		r.tls = &tls.Config{Certificates: certs.TLS.Certificates}
		d.TLS = certs.Client().Transport.(*http.Transport).TLSClientConfig
		certs.Close()
	}
	r.all.Go(func() {
		for n := uint64(0); ; n++ {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			r.all.Go(func() { r.serve(conn.(*net.TCPConn), rand.New(rand.NewPCG(seed, n))) })
		}
	})
	return r, d
}

func (r *rude) close() {
	r.ln.Close()
	close(r.stop)
	r.all.Wait()
}

// pause waits for up to most, or until r is closed.
func (r *rude) pause(rng *rand.Rand, most time.Duration) {
	select {
	case <-time.After(upTo(rng, most)):
	case <-r.stop:
	}
}

// upTo is a time below d.
func upTo(rng *rand.Rand, d time.Duration) time.Duration { return time.Duration(rng.Int64N(int64(d))) }

func (r *rude) serve(tcp *net.TCPConn, rng *rand.Rand) {
	defer tcp.Close()
	quit := make(chan struct{})
	defer close(quit)
	r.all.Go(func() {
		select {
		case <-r.stop:
			tcp.Close()
		case <-quit:
		}
	})
	if rng.IntN(40) == 0 {
		tcp.SetLinger(rng.IntN(2) - 1) // -1 is FIN
		return
	}
	var conn net.Conn = tcp
	if r.tls != nil {
		r.pause(rng, time.Millisecond)
		conn = tls.Server(tcp, r.tls)
	}
	in := bufio.NewReader(conn)
	for r.answer(tcp, conn, in, rng) {
	}
}

// answer takes a request, and reports whether the connection goes on.
func (r *rude) answer(tcp *net.TCPConn, conn net.Conn, in *bufio.Reader, rng *rand.Rand) bool {
	req, err := http.ReadRequest(in)
	if err != nil {
		return false
	}
	if req.Header.Get("Expect") != "" && rng.IntN(4) > 0 {
		io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
	}
	if rng.IntN(6) > 0 { // else the answer comes before the body is read
		for rng.IntN(3) == 0 {
			r.pause(rng, time.Millisecond)
			io.CopyN(io.Discard, req.Body, rng.Int64N(100_000))
		}
		io.Copy(io.Discard, req.Body)
	}
	if rng.IntN(3) == 0 {
		r.pause(rng, 5*time.Millisecond)
	}
	size := rng.IntN(3000)
	response := fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", size, make([]byte, size))
	last := false
	switch rng.IntN(10) {
	case 0:
		response = fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", size+1, make([]byte, size+1))
	case 1:
		response, last = fmt.Sprintf("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", size, make([]byte, size)), true
	case 2:
		response = "HTTP/1.1 103 Early Hints\r\n\r\n" + response
	case 3:
		response, last = "HTTP/1.1 200 OK\r\n\r\nup to the end", true
	}
	fault := rng.IntN(8)
	switch fault {
	case 0: // part of it
		response, last = response[:rng.IntN(len(response)+1)], true
	case 1: // more than that
		response += "HTTP/1.1 408 Request Timeout\r\n\r\n"
	case 2: // nothing for a long time
		if rng.IntN(3) == 0 {
			io.Copy(io.Discard, in)
			return false
		}
	}
	for len(response) > 0 {
		n := len(response)
		if rng.IntN(3) == 0 {
			n = 1 + rng.IntN(n)
		}
		if _, err := io.WriteString(conn, response[:n]); err != nil {
			return false
		}
		if response = response[n:]; response != "" {
			r.pause(rng, time.Millisecond)
		}
	}
	if !last && rng.IntN(6) > 0 {
		return true
	}
	if rng.IntN(2) == 0 {
		r.pause(rng, 3*time.Millisecond) // it dies while idle, or in the next exchange
	}
	switch rng.IntN(4) {
	case 0:
		tcp.SetLinger(0) // RST
	case 1:
		tcp.CloseWrite()
		r.pause(rng, 3*time.Millisecond)
	case 2:
		conn.Close() // over TLS with close_notify
	}
	return false
}

// soakPolicy is a policy that a seed chooses.
func soakPolicy(rng *rand.Rand, liveness pool.Liveness) pool.Policy {
	p := pool.Default()
	p.Liveness = liveness
	maybe := func() bool { return rng.IntN(2) == 0 }
	if maybe() {
		p.MaxConns = 1 + rng.IntN(8)
	}
	if maybe() {
		p.PendingMax = 1 + rng.IntN(40)
	}
	if maybe() {
		p.PendingTimeout = time.Millisecond + upTo(rng, 50*time.Millisecond)
	}
	if maybe() {
		p.IdleTimeout, p.Expiry = time.Millisecond+upTo(rng, 5*time.Millisecond), pool.ExpireByTimer|pool.ExpireAtLease
	}
	if maybe() {
		p.ResponseTimeout = time.Millisecond + upTo(rng, 20*time.Millisecond)
		if maybe() {
			p.ResponseClock = pool.ClockGap
		}
	}
	if maybe() {
		p.Resend = []pool.ResendRule{{On: pool.OnAny, After: pool.AfterUnsent | pool.AfterEOF | pool.AfterRST | pool.AfterPartial | pool.AfterBody, Methods: "all", Max: 1 + rng.IntN(3)}}
	}
	if maybe() {
		p.MaxIdle = rng.IntN(3)
	}
	if maybe() && liveness == pool.Events {
		p.Reap = pool.ReapAtLease
	}
	if maybe() && liveness != pool.Events {
		p.OnWriteError = pool.StopAtWriteError
	}
	if maybe() {
		p.DialFail = pool.FailAllPending
	}
	if maybe() {
		p.Key = pool.ByAddress
	}
	p.LateBind, p.Shards = maybe(), 1+rng.IntN(2)
	return p
}

// descriptors is how many this process has open; 0 where the system does not say.
func descriptors() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}

// Whatever a server does, and whenever a run is aborted, each exchange is over
// once, the accounts balance, and nothing is left.
func TestSoak(t *testing.T) {
	rounds, exchanges := 4, 150
	if testing.Short() {
		rounds = 1
	}
	if more := os.Getenv("KABENCH_SOAK"); more != "" { // how many rounds
		if _, err := fmt.Sscan(more, &rounds); err != nil {
			t.Fatal(err)
		}
	}
	first := uint64(1)
	for _, secure := range []bool{false, true} {
		for _, liveness := range []pool.Liveness{pool.Events, pool.Probe, pool.None} {
			for seed := first; seed < first+uint64(rounds); seed++ {
				t.Run(fmt.Sprintf("tls=%v %v %d", secure, liveness, seed), func(t *testing.T) { soak(t, secure, liveness, seed, exchanges) })
			}
		}
	}
}

func soak(t *testing.T, secure bool, liveness pool.Liveness, seed uint64, exchanges int) {
	answer := make(chan struct{})
	close(answer)
	names := slowNames(t, answer)
	runtime.GC() // what earlier tests left is closed by now or not at all
	before := descriptors()
	server, dialer := newRude(t, secure, seed)
	scheme := map[bool]string{false: "http://", true: "https://"}[secure]
	url := scheme + server.ln.Addr().String()
	if seed%2 == 0 {
		dialer.Resolver = names
		url = strings.Replace(url, "127.0.0.1", "example.com", 1) // for whom its certificate is too
	}
	big, err := NewRequest("POST", url, http.Header{"Expect": {"100-continue"}}, make([]byte, 30_000))
	if err != nil {
		t.Fatal(err)
	}
	requests := []*Request{
		request(t, "GET", url, nil), request(t, "POST", url, []byte("x")), request(t, "PUT", url, make([]byte, 300_000)), big,
		request(t, "GET", url, nil).Numbered(),
	}
	rng := rand.New(rand.NewPCG(seed, 1<<32))
	unit := time.Millisecond
	if secure {
		unit *= 8 // handshakes take their time
	}
	policy := soakPolicy(rng, liveness)
	if err := policy.Validate(); err != nil {
		t.Fatal(err)
	}
	if rng.IntN(2) == 0 {
		dialer.Timeout = unit + upTo(rng, 20*unit)
	}
	c, err := NewClient(Config{Policy: policy, Dialer: dialer, Requests: requests, Timeout: unit + upTo(rng, 40*unit)})
	if err != nil {
		t.Fatal(err)
	}
	traced := map[uint64]int{} // open connections, by the tracer's word
	if rng.IntN(2) == 0 {
		c.Tracer = func(e TraceEvent) {
			switch e.State {
			case Connected:
				traced[e.Conn]++
			case Unregistered:
				traced[e.Conn]--
			}
		}
	}
	ctx, abort := context.WithCancel(t.Context())
	defer abort()
	seen, ended := map[uint64]int{}, map[string]int{}
	var again func(seq uint64)
	next := uint64(exchanges)
	c.Begin(ctx, c.epoch, func(e *results.Exchange) {
		seen[e.Seq]++
		ended[outcome(e)]++
		checkStamps(t, e)
		if rng.IntN(8) == 0 && ctx.Err() == nil { // as from a buffer
			next++
			again(next)
		}
	})
	started := 0
	again = func(seq uint64) {
		e := &results.Exchange{}
		e.Reset(seq, max(c.now(), 0))
		e.Start, e.Target = e.Due, rng.IntN(len(requests))
		started++
		c.Start(e)
	}
	aborts := -1
	if rng.IntN(2) == 0 {
		aborts = rng.IntN(exchanges)
	}
	for n := range exchanges {
		if n == aborts {
			abort()
		}
		again(uint64(n))
		for due := c.now() + upTo(rng, 600*time.Microsecond); c.now() < due; {
			c.Wait(due)
		}
	}
	// All have a timeout, so they end; a hang is the test's own time limit's.
	for over := 0; over < started; over = len(seen) {
		c.Wait(c.now() + 10*time.Millisecond)
	}
	c.Close()
	server.close()
	for seq, n := range seen {
		if n != 1 {
			t.Errorf("exchange %d was over %d times", seq, n)
		}
	}
	t.Logf("%d exchanges over %s: %v", started, url, ended)
	s := c.Stats()
	var evicted uint64
	for _, n := range s.Evicted {
		evicted += n
	}
	if s.Leased != 0 || s.Idle != 0 || s.Dialing != 0 || s.Pending != 0 {
		t.Errorf("left in the pool: %v", s.Stats)
	}
	if closed := s.ClosedByUs + s.ClosedByPeer + s.ClosedReset + s.ClosedUnknown; s.Opened != evicted || s.Opened != closed {
		t.Errorf("%d opened, %d evicted, %d closed", s.Opened, evicted, closed)
	}
	for conn, n := range traced {
		if n != 0 {
			t.Errorf("the trace of connection %d has %d ends too few", conn, n)
		}
	}
	if c.exchanges.waiting != 0 || len(c.exchanges.underWay) != 0 || len(c.dials) != 0 || len(c.decisions) != 0 {
		t.Errorf("%d wait, %d tasks, %d dials, %d decisions left", c.exchanges.waiting, len(c.exchanges.underWay), len(c.dials), len(c.decisions))
	}
	for name, l := range map[string]*timers{"due": &c.loop.exchangeTimers, "answer": &c.loop.responseTimers, "word": &c.loop.continueTimers, "dial": &c.loop.dialTimers} {
		if l.first != nil || l.last != nil {
			t.Errorf("a timer is left: %s", name)
		}
	}
	if free := len(c.loop.tokens.free); free != len(c.loop.tokens.places) {
		t.Errorf("%d of %d slots are free", free, len(c.loop.tokens.places))
	}
	if before > 0 {
		eventually(t, func() bool { return descriptors() <= before })
	}
}

// checkStamps checks that e is over, and that what it went through was in order.
func checkStamps(t *testing.T, e *results.Exchange) {
	t.Helper()
	if e.Done == results.Never || e.OK() != (e.Cause == results.CauseNone) || e.Phase == results.PhaseSchedule || e.Cause == results.CauseOther {
		t.Errorf("exchange %d: %s, done at %v: %v", e.Seq, outcome(e), e.Done, e.Err)
	}
	last := time.Duration(0)
	for i, at := range []time.Duration{e.Due, e.Start, e.Leased, e.Resolved, e.Connected, e.Secured, e.WroteHeaders, e.FirstByte, e.GotHeaders, e.Done} {
		if at == results.Never {
			continue
		}
		if at < last && !(i == 7) { // an answer may come before the head is written, as far as a socket that is closed tells
			t.Errorf("exchange %d, %s: stamp %d is %v, after %v: %+v", e.Seq, outcome(e), i, at, last, e)
		}
		last = max(last, at)
	}
	if e.Wrote != results.Never && (e.Wrote < e.WroteHeaders || e.Wrote > e.Done) {
		t.Errorf("exchange %d: written at %v, the head at %v, done at %v", e.Seq, e.Wrote, e.WroteHeaders, e.Done)
	}
	if (e.Attempts > 0) != (e.BytesOut > 0 || e.Conn > 0 || len(e.Tries) > 0) {
		t.Errorf("exchange %d: %d attempts, %d bytes, connection %d", e.Seq, e.Attempts, e.BytesOut, e.Conn)
	}
}
