package dialers

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kabench/kabench/results"
)

// Stock performs exchanges over net/http's Transport as shipped: its pool, its
// limits, and its habit of re-sending a request that met a dead connection.
// Every time a request is put on a connection is counted in Exchange.Attempts.
//
// The Transport decides; what is seen of it is what its hooks
// (net/http/httptrace) and a connection below it tell. Why a connection left
// its pool is not among that.
type Stock struct {
	// Tracer, if set before the first Do, is told of the changes to connections
	// that can be seen from outside the Transport, by several goroutines. It must
	// return at once, and not call the Stock.
	Tracer func(TraceEvent)

	transport *http.Transport
	requests  []*Request
	timeout   time.Duration
	epoch     time.Time
	conns     atomic.Uint64
	mu        sync.Mutex
	stats     Stats // guarded by mu
	openNow   int   // connections; guarded by mu
}

// NewStock returns a Doer over a Transport with the settings of
// http.DefaultTransport, but for a proxy: none is used. Stamps are offsets from
// epoch. The dialer's TLS settings, Nagle and Sources apply; its timeout and
// period of TCP keep-alive too, if it has them.
func NewStock(dialer *Dialer, requests []*Request, timeout time.Duration, epoch time.Time) *Stock {
	s := &Stock{requests: requests, timeout: timeout, epoch: epoch}
	s.transport = http.DefaultTransport.(*http.Transport).Clone()
	s.transport.Proxy = nil
	s.transport.ForceAttemptHTTP2 = false
	s.transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{} // HTTP/1.1 only
	if dialer.TLS != nil {
		s.transport.TLSClientConfig = dialer.TLS.Clone()
	}
	nd := net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second} // as in http.DefaultTransport
	if dialer.Timeout > 0 {
		nd.Timeout = dialer.Timeout
	}
	if dialer.KeepAlive > 0 {
		nd.KeepAlive = dialer.KeepAlive
	}
	s.transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		begun := s.now()
		conn, err := dialer.dialFromSource(ctx, nd, network, addr)
		if err != nil {
			if op, ok := errors.AsType[*net.OpError](err); ok && op.Addr != nil && len(dialer.Sources) == 0 {
				if remote, unknown := netip.ParseAddrPort(op.Addr.String()); unknown == nil {
					err = homeless(err, remote)
				}
			}
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
	return s
}

func (s *Stock) now() time.Duration { return time.Since(s.epoch) }

// Stats returns the gauges and counts that can be seen from outside the
// Transport. Pending and Dialing are not among them.
func (s *Stock) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stats
}

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

// stockConn is a connection below the Transport. It counts what is read and
// keeps the error that ended the reading.
type stockConn struct {
	net.Conn
	stock    *Stock
	id       uint64
	born     time.Duration
	uses     atomic.Int64
	peerSeen atomic.Bool // by the tracer, that the peer has ended it
	once     sync.Once

	written atomic.Int64

	mu   sync.Mutex
	read int64
	end  error
	use  stockUse
}

// stockUse is whether an exchange is on a connection, for the gauges.
type stockUse uint8

const (
	unused stockUse = iota // dialed, and not leased yet
	inUse
	unleased
	ended
)

func (c *stockConn) Write(b []byte) (int, error) {
	c.written.Add(int64(len(b))) // before: the response may be read sooner than this goroutine goes on
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n - len(b)))
	return n, err
}

func (c *stockConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.tracePeer(err)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read += int64(n)
	if err != nil && c.end == nil && !errors.Is(err, net.ErrClosed) {
		c.end = err
	}
	return n, err
}

func (c *stockConn) seen() (read int64, end error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read, c.end
}

// turnTo notes a change of use. After ended there is none.
func (c *stockConn) turnTo(use stockUse) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.use == use || c.use == ended {
		return
	}
	was := c.use
	c.use = use
	c.stock.change(func(st *Stats) {
		for change, u := range map[int]stockUse{-1: was, 1: use} {
			switch u {
			case inUse:
				st.Leased += change
			case unleased:
				st.Idle += change
			}
		}
	})
}

func (c *stockConn) Close() error {
	c.once.Do(func() {
		_, end := c.seen()
		if end == nil {
			_, end = peek(c.Conn)
			c.tracePeer(end)
		}
		c.turnTo(ended)
		c.trace(TraceEvent{State: Unregistered})
		c.stock.change(func(st *Stats) {
			c.stock.openNow--
			switch cause := CauseOf(end); {
			case end != nil && cause == results.CauseFIN:
				st.ClosedByPeer++
			case end != nil && cause == results.CauseRST:
				st.ClosedReset++
			default:
				st.ClosedByUs++
			}
		})
	})
	return c.Conn.Close()
}

// Do performs e, as the Transport will have it.
func (s *Stock) Do(ctx context.Context, e *results.Exchange) {
	run := ctx
	if s.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, s.epoch.Add(e.Due+s.timeout))
		defer cancel()
	}
	w := &witness{stock: s, e: e}
	facts := w.perform(ctx, s.requests[e.Target])
	facts.Aborted = run.Err() != nil
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	e.Done = s.now()
	e.Phase, e.Cause = Classify(facts)
	e.Err = errorBehind(e.Cause, facts)
	w.traceEnd()
}

// witness follows one exchange through the Transport's hooks. Some are called
// from the Transport's own goroutines, and may come after the exchange.
type witness struct {
	stock *Stock
	mu    sync.Mutex // guards all below, and e's fields while the exchange lasts
	over  bool
	e     *results.Exchange
	step  results.Phase // of the dial under way
	conn  *stockConn
	tls   bool
	mark  int64 // bytes read on conn before this exchange
	wrote int64 // bytes written on conn before this exchange
	facts Facts
}

// note runs f unless the exchange is over.
func (w *witness) note(f func(now time.Duration)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		f(w.stock.now())
	}
}

func (w *witness) hooks() *httptrace.ClientTrace {
	e := w.e
	stamp := func(at *time.Duration, next results.Phase) {
		w.note(func(now time.Duration) { *at, w.step = now, next })
	}
	return &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { w.note(func(time.Duration) { w.step = results.PhaseResolve }) },
		DNSDone: func(i httptrace.DNSDoneInfo) {
			if i.Err == nil {
				stamp(&e.Resolved, results.PhaseConnect)
			}
		},
		ConnectStart: func(string, string) { w.note(func(time.Duration) { w.step = results.PhaseConnect }) },
		ConnectDone: func(_, _ string, err error) {
			if err == nil {
				stamp(&e.Connected, results.PhaseAcquire)
			}
		},
		TLSHandshakeStart: func() { w.note(func(time.Duration) { w.step = results.PhaseTLS }) },
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) {
			if err == nil {
				stamp(&e.Secured, results.PhaseAcquire)
			}
		},
		GotConn:      w.gotConn,
		WroteHeaders: func() { w.note(func(now time.Duration) { e.WroteHeaders, w.facts.HeadWritten = now, true }) },
		WroteRequest: func(i httptrace.WroteRequestInfo) {
			w.note(func(now time.Duration) {
				if w.facts.Write, w.facts.Written = i.Err, i.Err == nil; w.facts.Written {
					e.Wrote = now
					w.trace(TraceEvent{At: now, State: RequestSent})
				}
			})
		},
		PutIdleConn:          w.idle,
		GotFirstResponseByte: func() { w.note(func(now time.Duration) { e.FirstByte = now }) },
	}
}

// gotConn begins an attempt: what was seen of an earlier one is past.
func (w *witness) gotConn(i httptrace.GotConnInfo) {
	conn := i.Conn
	secure, isTLS := conn.(*tls.Conn)
	if isTLS {
		conn = secure.NetConn()
	}
	c, ok := conn.(*stockConn)
	if !ok {
		return
	}
	w.note(func(now time.Duration) {
		e := w.e
		if w.conn != nil {
			e.BytesOut += w.conn.written.Load() - w.wrote
		}
		w.wrote = c.written.Load()
		e.Attempts++
		e.Leased, e.WroteHeaders, e.Wrote, e.FirstByte = now, results.Never, results.Never, results.Never
		e.Conn, e.Use = c.id, int(c.uses.Add(1))
		e.Idle, e.Age = i.IdleTime, now-c.born
		if !i.Reused {
			// Leased is when the dial was granted, which the Transport does not tell.
			e.Leased, e.Idle, e.Age = e.Start, 0, 0
		} else {
			e.Resolved, e.Connected, e.Secured = results.Never, results.Never, results.Never
		}
		w.facts, w.conn, w.tls, w.step = Facts{}, c, isTLS, results.PhaseAcquire
		w.mark, _ = c.seen()
		if i.Reused {
			w.trace(TraceEvent{At: now, State: Acquired, Took: i.IdleTime})
		}
		w.trace(TraceEvent{At: now, State: Configured, Use: e.Use})
		c.turnTo(inUse)
	})
}

func (w *witness) perform(ctx context.Context, req *Request) Facts {
	ctx = httptrace.WithClientTrace(ctx, w.hooks())
	hr := req.template.Clone(ctx)
	if req.id > 0 {
		hr.Header.Set(requestID, idOf(w.e.Seq))
	}
	if body := req.bytes[req.head:]; len(body) > 0 {
		hr.Body = io.NopCloser(bytes.NewReader(body))
		hr.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		hr.ContentLength = int64(len(body))
	}
	resp, err := w.stock.transport.RoundTrip(hr)
	if err != nil {
		return w.failed(err)
	}
	w.note(func(now time.Duration) {
		w.e.GotHeaders, w.e.Status = now, resp.StatusCode
		w.facts.HeadRead, w.facts.Length = true, resp.ContentLength
		w.trace(TraceEvent{At: now, State: ResponseReceived, Status: resp.StatusCode, Took: max(now-w.e.Wrote, 0)})
	})
	_, err = io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if err != nil {
		return w.failed(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.facts.Complete = true
	w.e.Unbounded = resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 && resp.Body != http.NoBody && !resp.Uncompressed
	return w.sum()
}

// failed is the facts of an exchange that ended with err.
func (w *witness) failed(err error) Facts {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil {
		if w.step == results.PhaseSchedule || w.step == results.PhaseAcquire {
			return Facts{Acquire: err}
		}
		return Facts{Dial: &DialError{w.step, err}}
	}
	w.sum()
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		// An earlier attempt met a dead connection, and the next found nobody to
		// connect to.
		phase := results.PhaseConnect
		if _, dns := errors.AsType[*net.DNSError](err); dns {
			phase = results.PhaseResolve
		}
		return Facts{Dial: &DialError{phase, err}}
	}
	_, w.facts.Read = w.conn.seen()
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		w.facts.Read = err // the Transport closed the connection because of it
	case w.facts.Read == nil && w.tls && errors.Is(err, io.EOF):
		w.facts.Read = errCloseNotify
	}
	w.facts.Parse = err
	return w.facts
}

// sum takes the connection out of use and adds up what was read; mu is held.
func (w *witness) sum() Facts {
	read, _ := w.conn.seen()
	w.e.BytesIn += read - w.mark
	if w.e.FirstByte != results.Never { // over TLS bytes may be an alert
		w.facts.Bytes = read - w.mark
	}
	w.e.BytesOut += w.conn.written.Load() - w.wrote
	w.conn.turnTo(unleased)
	return w.facts
}
