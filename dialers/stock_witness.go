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
	"sync"
	"syscall"
	"time"

	"github.com/kabench/kabench/internal/transport"
	"github.com/kabench/kabench/results"
)

// witness follows one exchange through the Transport's hooks. Some are called
// from the Transport's own goroutines, and may come after the exchange.
type witness struct {
	stock         *Stock
	req           *Request
	mu            sync.Mutex // guards all below, and e's fields while the exchange lasts
	over          bool
	e             *results.Exchange
	seeking       bool          // the attempt waits for its connection
	step          results.Phase // the step of the dial under way for it
	conn          *stockConn    // the connection of the last attempt that got one
	tls           bool
	readBefore    int64 // bytes read on conn before this exchange
	writtenBefore int64 // bytes written on conn before this exchange
	facts         Facts
}

// note calls f unless the exchange is over.
func (w *witness) note(f func(now time.Duration)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		f(w.stock.now())
	}
}

// dialing calls f for a step of a dial, as note does, while the attempt waits for a
// connection. A dial that ends after the attempt got another connection is the
// pool's.
func (w *witness) dialing(f func(now time.Duration)) {
	w.note(func(now time.Duration) {
		if w.seeking {
			f(now)
		}
	})
}

func (w *witness) hooks() *httptrace.ClientTrace {
	e := w.e
	at := func(step results.Phase) {
		w.dialing(func(time.Duration) { w.step = step })
	}
	stamp := func(stamp *time.Duration, next results.Phase) {
		w.dialing(func(now time.Duration) { *stamp, w.step = now, next })
	}
	return &httptrace.ClientTrace{
		GetConn:  func(string) { w.note(func(time.Duration) { w.seeking, w.step = true, results.PhaseAcquire }) },
		DNSStart: func(httptrace.DNSStartInfo) { at(results.PhaseResolve) },
		DNSDone: func(i httptrace.DNSDoneInfo) {
			if i.Err == nil {
				stamp(&e.Resolved, results.PhaseConnect)
			}
		},
		ConnectStart: func(string, string) { at(results.PhaseConnect) },
		ConnectDone: func(_, _ string, err error) {
			if err == nil {
				stamp(&e.Connected, results.PhaseAcquire)
			}
		},
		TLSHandshakeStart: func() { at(results.PhaseTLS) },
		TLSHandshakeDone: func(state tls.ConnectionState, err error) {
			if err == nil {
				if state.DidResume {
					w.stock.change(func(st *Stats) { st.Resumed++ })
				}
				stamp(&e.Secured, results.PhaseAcquire)
			}
		},
		GotConn:      w.gotConn,
		WroteHeaders: func() { w.note(func(now time.Duration) { e.WroteHeaders, w.facts.HeadWritten = now, true }) },
		WroteRequest: func(i httptrace.WroteRequestInfo) {
			w.note(func(now time.Duration) {
				if w.facts.Written = i.Err == nil; w.facts.Written {
					e.Wrote = now
					w.trace(TraceEvent{At: now, State: RequestSent})
				}
			})
		},
		PutIdleConn:          w.idle,
		GotFirstResponseByte: func() { w.note(func(now time.Duration) { e.FirstByte = now }) },
	}
}

// gotConn begins an attempt, and forgets what was seen of the one before.
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
			e.BytesOut += w.conn.written.Load() - w.writtenBefore
		}
		w.writtenBefore = c.written.Load()
		e.Attempts++
		e.Leased, e.WroteHeaders, e.Wrote, e.FirstByte = now, results.Never, results.Never, results.Never
		e.Conn, e.Use = c.id, int(c.uses.Add(1))
		e.Idle, e.Age = i.IdleTime, now-c.born
		if !i.Reused {
			// Leased is when the dial was granted. The Transport does not say when.
			e.Leased, e.Idle, e.Age = e.Start, 0, 0
		} else {
			e.Resolved, e.Connected, e.Secured = results.Never, results.Never, results.Never
		}
		w.facts, w.conn, w.tls, w.seeking = Facts{}, c, isTLS, false
		w.readBefore = c.received()
		if !isTLS && e.Use == 1 {
			w.readBefore = 0 // bytes that the server sent unasked are taken for its response
		}
		if i.Reused {
			w.trace(TraceEvent{At: now, State: Acquired, Took: i.IdleTime})
		}
		w.trace(TraceEvent{At: now, State: Configured, Use: e.Use})
		c.turnTo(inUse)
	})
}

func (w *witness) perform(ctx context.Context) Facts {
	resp, err := w.stock.transport.RoundTrip(w.request(ctx))
	if err != nil {
		return w.failed(err)
	}
	w.note(func(now time.Duration) {
		w.e.GotHeaders, w.e.Status = now, resp.StatusCode
		w.facts.HeadRead, w.facts.Length = true, resp.ContentLength
		w.trace(TraceEvent{At: now, State: ResponseReceived, Status: resp.StatusCode, Took: max(now-w.e.Wrote, 0)})
	})
	// After a 101 the connection speaks another protocol (RFC 9110, section
	// 15.2.2): the response is its head. The Transport makes a body of the rest, and
	// reading that would not end with the context.
	if resp.StatusCode != http.StatusSwitchingProtocols {
		_, err = io.Copy(io.Discard, resp.Body)
	}
	resp.Body.Close()
	if err != nil {
		return w.failed(err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.facts.Complete = true
	w.e.Unbounded = unbounded(resp)
	w.addBytes()
	return w.facts
}

// request returns a copy of the request for the Transport, with w's hooks.
func (w *witness) request(ctx context.Context) *http.Request {
	hr := w.req.template.Clone(httptrace.WithClientTrace(ctx, w.hooks()))
	if w.req.id > 0 {
		hr.Header.Set(RequestID, IDOf(w.e.Seq))
	}
	if body := w.req.bytes[w.req.head:]; len(body) > 0 {
		hr.Body = io.NopCloser(bytes.NewReader(body))
		hr.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }
		hr.ContentLength = int64(len(body))
	}
	return hr
}

// unbounded reports whether only the end of the connection ended resp's body.
func unbounded(resp *http.Response) bool {
	switch {
	case resp.StatusCode == http.StatusSwitchingProtocols, resp.Body == http.NoBody, resp.Uncompressed:
		return false
	}
	return resp.ContentLength < 0 && len(resp.TransferEncoding) == 0
}

// failed returns the facts of an exchange that ended with err.
func (w *witness) failed(err error) Facts {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		w.addBytes()
	}
	if w.seeking {
		if w.step == results.PhaseAcquire {
			return Facts{Acquire: err}
		}
		return Facts{Dial: &DialError{w.step, err}}
	}
	if w.conn == nil {
		return Facts{Acquire: err}
	}
	w.correctWritten()
	f := &w.facts
	f.Read, f.Write = w.conn.endErrors()
	f.Parse = err
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		if f.Read == nil && f.Write == nil {
			f.Read = err // the Transport closed the connection because of it
		}
	case !ofConnection(err) && (w.received() > 0 || f.Read == nil && f.Write == nil):
		// The Transport could not parse what came, be it before the lease.
		f.Bytes, f.Read = max(w.received(), 1), nil
	case f.Read == nil && w.tls:
		f.Read = overTLS(err)
	}
	return *f
}

// ofConnection reports whether err says that the connection ended.
func ofConnection(err error) bool {
	_, errno := errors.AsType[syscall.Errno](err)
	_, op := errors.AsType[*net.OpError](err)
	return errno || op || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// overTLS returns what ended a connection on which no call to the kernel has failed;
// nil: it was not TLS.
func overTLS(err error) error {
	switch {
	case errors.Is(err, io.EOF):
		return transport.ErrCloseNotify
	case CauseOf(err) == results.CauseOther:
		return nil
	}
	return err
}

// received returns how many bytes came in this attempt; mu is held.
func (w *witness) received() int64 { return w.conn.received() - w.readBefore }

// addBytes adds up the bytes sent and received, and takes the connection out of
// use; mu is held.
func (w *witness) addBytes() {
	w.e.BytesIn += w.received()
	if !w.tls || w.e.FirstByte != results.Never { // over TLS bytes may be an alert
		w.facts.Bytes = w.received()
	}
	w.e.BytesOut += w.conn.written.Load() - w.writtenBefore
	w.conn.turnTo(unleased)
}

// correctWritten corrects what the hooks have reported: to them a request is
// written when it is in the Transport's buffer. Over TLS the bytes are more, by less
// than a record; mu is held.
func (w *witness) correctWritten() {
	out := w.conn.written.Load() - w.writtenBefore
	w.facts.HeadWritten = w.facts.HeadWritten && out >= int64(w.req.head)
	w.facts.Written = w.facts.Written && out >= int64(len(w.req.bytes)) && w.conn.sentWhole()
	if !w.facts.HeadWritten {
		w.e.WroteHeaders = results.Never
	}
	if !w.facts.Written {
		w.e.Wrote = results.Never
	}
}

// trace traces a change to the connection that w's exchange is on; mu is held.
func (w *witness) trace(e TraceEvent) {
	if w.conn != nil && w.stock.Tracer != nil {
		e.On, e.Seq = true, w.e.Seq
		w.conn.trace(e)
	}
}

// traceEnd traces how w's exchange ended; mu is held.
func (w *witness) traceEnd() {
	e := TraceEvent{At: w.e.Done, State: ResponseCompleted, Bytes: w.facts.Bytes}
	if !w.e.OK() {
		e.State, e.Phase, e.Cause = RequestFailed, w.e.Phase, w.e.Cause
		if w.e.Phase > results.PhaseBeforeResponse {
			e.State = ResponseIncomplete
		}
	}
	w.trace(e)
}

// idle traces that the Transport has put the connection among its idle ones, unless
// it refused to. For its caller the exchange may not be over yet.
func (w *witness) idle(refused error) {
	if w.stock.Tracer == nil || refused != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		w.conn.trace(TraceEvent{State: Idle})
	}
}
