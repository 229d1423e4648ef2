package dialers

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kabench/kabench/results"
)

// Stock performs exchanges over net/http's Transport as shipped: its pool, its
// limits, and its habit of re-sending a request that met a dead connection.
// Every time a request is put on a connection is counted in Exchange.Attempts.
//
// The Transport decides. A Stock sees what the Transport's hooks
// (net/http/httptrace) report, and what happens on the connections below it. It
// does not learn why a connection left the Transport's pool.
type Stock struct {
	// Tracer, if set before the first Do, is called for each change to a connection
	// that can be seen from outside the Transport, by several goroutines. It must
	// return at once, and not call the Stock.
	Tracer func(TraceEvent)
	// Ended, if set like Tracer and under the same conditions, is called once for each
	// connection, when it is closed.
	Ended func(*results.ConnectionEnd)

	transport *http.Transport
	requests  []*Request
	timeout   time.Duration
	epoch     time.Time
	conns     atomic.Uint64
	mu        sync.Mutex
	stats     Stats // guarded by mu
	openNow   int   // connections; guarded by mu
}

// NewStock returns a Stock over a Transport with the settings of
// http.DefaultTransport, except that no proxy is used. Of the dialer, TLS, Nagle,
// UserTimeout, Control, Sources and Resume apply (but sessions are kept for each host, as crypto/tls does); Timeout and KeepAlive too, if they are set.
// Exchange.Target is an index into requests; timeout is from due to done, 0 for
// none. Stamps are offsets from the epoch of Begin; without a Begin, from now.
func NewStock(dialer *Dialer, requests []*Request, timeout time.Duration) *Stock {
	s := &Stock{requests: requests, timeout: timeout, epoch: time.Now()}
	s.transport = http.DefaultTransport.(*http.Transport).Clone()
	s.transport.Proxy = nil
	s.transport.ForceAttemptHTTP2 = false
	s.transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{} // HTTP/1.1 only
	if dialer.TLS != nil {
		s.transport.TLSClientConfig = dialer.TLS.Clone()
	}
	if dialer.Resume {
		if s.transport.TLSClientConfig == nil {
			s.transport.TLSClientConfig = &tls.Config{}
		}
		s.transport.TLSClientConfig.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	nd := net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second, Control: dialer.control()} // as in http.DefaultTransport
	if dialer.Timeout > 0 {
		nd.Timeout = dialer.Timeout
	}
	if dialer.KeepAlive > 0 {
		nd.KeepAlive = dialer.KeepAlive
	}
	s.transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		return s.dial(ctx, dialer, nd, network, addr)
	}
	return s
}

// Begin sets the epoch, from which stamps count. Call it before the first Do.
func (s *Stock) Begin(epoch time.Time) { s.epoch = epoch }

// dial makes a connection for the Transport.
func (s *Stock) dial(ctx context.Context, dialer *Dialer, nd net.Dialer, network, addr string) (net.Conn, error) {
	begun := s.now()
	conn, err := dialer.dialFromSource(ctx, nd, network, addr)
	if err != nil {
		if op, ok := errors.AsType[*net.OpError](err); ok && op.Addr != nil && len(dialer.Sources) == 0 {
			if remote, unknown := netip.ParseAddrPort(op.Addr.String()); unknown == nil {
				err = withoutIPv6(err, remote)
			}
		}
		s.establishedThenEnded(err)
		s.trace(TraceEvent{State: ConnectFailed, Text: addr, Phase: results.PhaseConnect, Cause: CauseOf(err)})
		return nil, err
	}
	if tcp, ok := conn.(*net.TCPConn); ok && dialer.Nagle {
		tcp.SetNoDelay(false)
	}
	c := s.opened(conn)
	c.trace(TraceEvent{At: begun, State: Registered, Text: addr})
	c.trace(TraceEvent{State: Connected, Took: c.born - begun})
	return c, nil
}

// establishedThenEnded counts the connection of a connect that failed with err, if
// one was established: an RST before the handshake is over is ECONNREFUSED, one
// after it ECONNRESET, and one after a FIN EPIPE (tcp_reset in
// net/ipv4/tcp_input.c).
func (s *Stock) establishedThenEnded(err error) {
	reset, closed := errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE)
	if !reset && !closed {
		return
	}
	s.change(func(st *Stats) {
		st.Opened++
		st.MaxOpen = max(st.MaxOpen, s.openNow+1)
		if reset {
			st.ClosedReset++
		} else {
			st.ClosedByPeer++
		}
	})
}

func (s *Stock) now() time.Duration { return time.Since(s.epoch) }

// Stats returns the gauges and counts that can be seen from outside the
// Transport. Pending and Dialing are not among them.
func (s *Stock) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

// Fill sets run.Connections and run.Pool.
func (s *Stock) Fill(run *results.Run) { s.Stats().Fill(run) }

// Close closes the idle connections. The exchanges must be over.
func (s *Stock) Close() { s.transport.CloseIdleConnections() }

func (s *Stock) opened(conn net.Conn) *stockConn {
	c := &stockConn{Conn: conn, stock: s, id: s.conns.Add(1), born: s.now()}
	s.change(func(st *Stats) {
		st.Opened++
		s.openNow++
		st.MaxOpen = max(st.MaxOpen, s.openNow)
	})
	return c
}

func (s *Stock) change(by func(*Stats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	by(&s.stats)
	s.stats.PeakIdle = max(s.stats.PeakIdle, s.stats.Idle)
	s.stats.PeakLeased = max(s.stats.PeakLeased, s.stats.Leased)
}

// Do implements generator.Doer.
func (s *Stock) Do(ctx context.Context, e *results.Exchange) {
	run := ctx
	if s.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, s.epoch.Add(e.Due+s.timeout))
		defer cancel()
	}
	w := &witness{stock: s, e: e, req: s.requests[e.Target]}
	facts := w.perform(ctx)
	facts.Aborted = run.Err() != nil
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	e.Done = s.now()
	e.SeenPhase, e.SeenCause = Classify(facts)
	e.Phase, e.Cause = e.SeenPhase, e.SeenCause
	e.Err = errorBehind(e.Cause, facts)
	if e.Failed() && w.conn != nil && !w.seeking {
		e.Local = w.conn.LocalAddr().String()
	}
	w.traceEnd()
}

// trace calls the Tracer, if there is one. An event without a time is given the
// present one.
func (s *Stock) trace(e TraceEvent) {
	if s.Tracer == nil {
		return
	}
	if e.At == 0 {
		e.At = s.now()
	}
	s.Tracer(e)
}
