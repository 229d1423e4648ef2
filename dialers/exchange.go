package dialers

import (
	"context"
	"errors"
	"io"
	"os"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/transport"
	"github.com/kabench/kabench/results"
)

// This file is the path of one request, in the order of events. Each step is a
// method of exchange; most wait for an event, which calls the next.
//
//	step      methods                          stamps and notes             may end as phase / cause
//	resolve   begin, resolve                                                resolve / nxdomain, dns, timeout
//	acquire   acquire, refused                                              acquire / queue_full, timeout, closed
//	dial      dial (then dialing.go)           Leased, Resolved, Connected, resolve, connect, tls / refused, unreachable,
//	                                           Secured                      timeout, port_exhausted, fd_exhausted, alert, …
//	leased    leased                           Leased, Conn, Use, Idle, Age
//	send      send, awaitContinue, sendBody    WroteHeaders, Wrote          write_headers, write_body / rst, pipe, timeout
//	await     requestWritten                                                before_response / fin, rst, close_notify, timeout
//	receive   received (feed in attempt.go),   FirstByte, GotHeaders,       response_headers, during_response / fin, rst,
//	          responseComplete, streamEnded    Status                       truncated, malformed, timeout
//	classify  end, connectionFate              Done; Seen-, Phase, Cause
//	resend    end, which calls resolve again   Tries, Twice
//	done      done                             Local, AtLease, AtFailure

// exchange is an exchange under way, recorded in record. Client.mu guards its methods.
type exchange struct {
	client *Client
	record *results.Exchange
	req    *Request
	over   func(*results.Exchange)

	place         int   // in Client.exchanges.underWay
	timer         timer // in exchangeTimers
	responseTimer timer // in responseTimers
	continueTimer timer // in continueTimers

	failed      int    // attempts that failed
	failedFresh int    // of these, on fresh connections
	sent        bool   // a whole head has left once: the server may have carried the request out
	fresh       bool   // it wants a new connection
	attemptID   uint64 // numbers attempts, over all exchanges that this one is used for

	shard   *shard
	request pool.Request
	attempt
}

func newExchange(c *Client) *exchange {
	x := &exchange{client: c}
	x.request.Data = x
	x.timer.fire = func() { x.giveUp(context.DeadlineExceeded) }
	x.responseTimer.fire, x.continueTimer.fire = x.responseLate, x.sendBody
	return x
}

// begin starts the exchange that e records.
func (x *exchange) begin(e *results.Exchange, over func(*results.Exchange)) {
	c := x.client
	x.record, x.req, x.over = e, c.requests[e.Target], over
	x.out = outgoing{req: x.req, bytes: x.req.sent(e.Seq)}
	x.failed, x.failedFresh, x.sent, x.fresh = 0, 0, false, false
	c.budget.Earn()
	if c.timeout > 0 {
		c.loop.exchangeTimers.add(&x.timer, e.Due+c.timeout)
	}
	x.resolve()
}

// resolve begins an attempt, the first or another: it finds the sub-pool that the
// request belongs to. Where each address has one, the name is looked up once.
func (x *exchange) resolve() {
	c := x.client
	x.setStage(resolving)
	x.attempt.reset()
	x.attemptID++
	if c.policy.Key != pool.ByAddress {
		x.acquire(x.req.origin)
		return
	}
	id := x.attemptID // x may be used for another exchange when the addresses are known
	c.pools.addresses.lookUp(c, x.req.origin, x.timer.at, func(o Origin, err error) {
		switch {
		case x.attemptID != id || x.stage != resolving: // it was given up
		case err != nil:
			x.facts.Dial = &DialError{results.PhaseResolve, err}
			x.end()
		default:
			x.acquire(o)
		}
	})
}

func (x *exchange) setStage(next stage) {
	if x.stage == acquiring {
		x.client.exchanges.waiting--
	}
	if next == acquiring {
		x.client.exchanges.waiting++
	}
	x.stage = next
}

// acquire asks the pool for a connection to o. The pool leases one, has one
// dialed, or refuses, at once or later.
func (x *exchange) acquire(o Origin) {
	c := x.client
	if x.failed == 0 { // what is sent again stays in its pool
		x.shard = c.pools.next()
	}
	x.setStage(acquiring)
	x.request.Origin, x.request.Safe, x.request.Fresh = x.shard.number(o), x.req.method == "GET", x.fresh
	c.decide(x.shard, x.shard.core.Acquire(c.stamp, &x.request), nil)
}

// dial makes the connection that the pool has granted. If another connection
// serves the exchange first, or has served it already, the dial goes on alone.
func (x *exchange) dial(s *shard, granted *pool.Dial) {
	c := x.client
	d := newDialing(c, s, granted)
	if x.stage == acquiring && x.own == nil {
		x.own, x.record.Leased = d, d.leased
		if lateBind := c.policy.LateBind && !x.fresh; !lateBind && c.timeout > 0 {
			d.deadline = x.timer.at
		}
	}
	d.start()
}

// refused ends the attempt without a connection. err is the error of the dial
// that failed.
func (x *exchange) refused(why pool.Refusal, err error) {
	if why != pool.DialFailed {
		x.facts.Acquire = refusedError(why, &x.client.policy)
	} else {
		x.facts.Dial = err
		if x.own != nil {
			x.own.stamp(x.record)
		}
	}
	x.end()
}

// leased takes the connection that the pool has leased, and sends the request.
func (x *exchange) leased(entry *pool.Conn) {
	conn, c, e := entry.Data.(*connection), x.client, x.record
	if x.own != nil && conn.dialed == x.own {
		x.own.stamp(e)
	} else {
		e.Leased = c.stamp
		e.Age = e.Leased - entry.Created
	}
	e.Conn, e.Use, e.Idle = conn.id, entry.Uses, entry.IdleFor
	c.idles.add(e.Idle)
	x.own, x.conn = nil, conn
	x.setStage(exchanging)
	c.evidence.askAtLease(x)
	conn.exchange = x
	x.in.begin(x.req)
	x.out.begin()
	e.Attempts++
	if c.Tracer != nil {
		traceLeased(x)
	}
	x.send()
}

// send writes as much of the request as the connection takes. It is called again
// when that takes more.
func (x *exchange) send() {
	for b := x.out.next(); len(b) > 0; b = x.out.next() {
		n, err := x.conn.wire.Write(b)
		if n > 0 {
			x.out.advance(n, x.record, x.client.clock())
		}
		if err == transport.ErrAgain {
			return
		}
		if err != nil {
			x.facts.Write = err
			x.conn.notePeerEnd(err) // the kernel reports a reset once
			break
		}
	}
	if x.out.awaitingContinue && x.facts.Write == nil {
		x.awaitContinue()
	} else {
		x.requestWritten()
	}
}

// awaitContinue holds the body back until the server asks for it, responds, or
// says nothing for continueTimeout.
func (x *exchange) awaitContinue() {
	c := x.client
	if !c.loop.continueTimers.holds(&x.continueTimer) {
		c.loop.continueTimers.add(&x.continueTimer, c.stamp+continueTimeout)
	}
	if x.conn.unread { // from before the lease: no event announces it again
		x.conn.receive()
	}
}

// sendBody sends the body that was held back.
func (x *exchange) sendBody() {
	x.out.awaitingContinue = false
	x.client.loop.continueTimers.remove(&x.continueTimer)
	x.send()
}

// requestWritten begins to await the response: the request is written whole, or
// the rest of it cannot be written.
func (x *exchange) requestWritten() {
	c, f, conn := x.client, &x.facts, x.conn
	x.out.writing = false
	if c.Tracer != nil && f.Write == nil {
		conn.trace(TraceEvent{At: x.record.Wrote, State: RequestSent, Bytes: int64(x.out.written)})
	}
	// After a write that timed out, the peer may never respond.
	gaveUp := f.Write != nil && (c.policy.OnWriteError == pool.StopAtWriteError || errors.Is(f.Write, os.ErrDeadlineExceeded))
	switch {
	case x.reading != stillReading || gaveUp:
		x.end()
		return
	case f.Write != nil:
		conn.unread = true // a response, or the peer's end, may be the reason
	case c.policy.ResponseTimeout > 0:
		c.loop.responseTimers.add(&x.responseTimer, c.stamp+c.policy.ResponseTimeout)
	}
	if conn.unread {
		conn.receive()
	}
}

// received takes bytes of the response, or of the 100 Continue before it.
func (x *exchange) received(b []byte) {
	c, e, f := x.client, x.record, &x.facts
	now, timers, headRead := c.clock(), &c.loop.responseTimers, f.HeadRead
	if c.policy.ResponseClock == pool.ClockGap && timers.holds(&x.responseTimer) {
		timers.remove(&x.responseTimer)
		timers.add(&x.responseTimer, now+c.policy.ResponseTimeout)
	}
	continued, err := x.in.feed(b, now, e, f)
	if c.Tracer != nil && f.HeadRead && !headRead {
		x.conn.trace(TraceEvent{At: now, State: ResponseReceived, Status: e.Status, Took: max(now-e.Wrote, 0)})
	}
	switch {
	case err == nil && f.HeadRead && !headRead && x.leaks():
		x.leave()
	case err == errNoMoreResponses:
		f.Read = io.EOF
		x.end()
	case err != nil:
		f.Parse = err
		x.end()
	case x.in.Done:
		f.Complete = true
		x.responseComplete()
	case continued && !x.in.HeadRead && x.out.awaitingContinue:
		x.sendBody()
	}
}

// responseComplete ends the attempt, or waits until the request is written if the
// connection can then be kept.
func (x *exchange) responseComplete() {
	conn, closes := x.conn, x.endsConnection()
	if x.out.awaitingContinue { // the server does not want the body
		x.end()
		return
	}
	if conn.unread && x.client.watchesIdle && !closes {
		// Something has come right behind the response. It is read before the
		// connection is given back, because it may be the connection's end.
		b, err := conn.read()
		x.in.surplus = x.in.surplus || len(b) > 0
		if err != transport.ErrAgain {
			conn.notePeerEnd(err)
		}
	}
	if x.out.writing && !x.in.surplus && !closes && conn.peerEnd == pool.Keep {
		x.reading = readComplete
		return
	}
	x.end() // if the request is not written whole, the rest of it is of no use
}

// streamEnded follows when the stream ends before the response is whole. That may
// be the end of the response.
func (x *exchange) streamEnded(err error) {
	f := &x.facts
	x.client.clock()
	switch {
	case (err == io.EOF || err == transport.ErrCloseNotify) && x.in.endsWithStream():
		f.Complete, x.record.Unbounded = true, true
	case x.out.writing && !x.out.awaitingContinue && f.Bytes == 0:
		f.Read, x.reading = err, readFailed
		return
	default:
		f.Read = err
	}
	x.end()
}

// end ends the attempt: it gives the connection back, classifies what was seen,
// and begins another attempt if a resend rule says so.
func (x *exchange) end() {
	c, e, f, conn := x.client, x.record, &x.facts, x.conn
	c.loop.responseTimers.remove(&x.responseTimer)
	c.loop.continueTimers.remove(&x.continueTimer)
	before := len(c.decisions)
	if conn != nil {
		f.HeadWritten, f.Written, f.StatusRead = x.out.headWritten(), x.out.whole(), x.in.StatusLine
		x.release()
	}
	e.Twice = e.Twice || x.sent && f.HeadWritten && !pool.Idempotent(x.req.method)
	x.sent = x.sent || f.HeadWritten
	e.Done = c.stamp
	e.SeenPhase, e.SeenCause = Classify(*f)
	e.Err = errorBehind(e.SeenCause, *f)
	if conn != nil {
		conn.end.failed = e.SeenPhase != results.PhaseDone
	}
	point, reset := failurePoint(e, x.out.written, f.StatusRead, x.late)
	rule, resend := c.policy.ResendBy(pool.Attempt{
		Method: x.req.method, HasBody: len(x.out.bytes) > x.req.head, IdempotencyKey: x.req.hasKey,
		Reused: e.Reused(), After: point, Reset: reset, Before: x.failed, Fresh: x.failedFresh,
	})
	resend = resend && c.budget.Spend()
	e.Phase, e.Cause, e.Err = shown(e, !resend && c.policy.ResendElse == pool.ElseHangup)
	if c.Tracer != nil && conn != nil {
		traceEnd(x, c.decisions[before:])
	}
	if !resend {
		x.done()
		return
	}
	if !e.Reused() {
		x.failedFresh++
	}
	e.Again()
	x.failed, x.fresh = x.failed+1, rule.Path == pool.PathFresh
	x.resolve()
}

// done ends the exchange.
func (x *exchange) done() {
	c, e := x.client, x.record
	c.loop.exchangeTimers.remove(&x.timer)
	if x.conn != nil && e.Failed() {
		// The socket is closed only when the pool's decision is carried out.
		if local := x.conn.wire.Local(); local.IsValid() {
			e.Local = local.String()
		}
		c.evidence.askAtFailure(x)
	}
	c.finish(x)
	x.setStage(resolving)
	x.record, x.req, x.over, x.out = nil, nil, nil, outgoing{}
	x.attempt.reset() // keep nothing alive
	x.attemptID++
}

// abort gives the exchange up because the run is being aborted.
func (x *exchange) abort() {
	x.facts.Aborted = true
	x.giveUp(context.Canceled)
}

// giveUp ends the exchange at whatever step it is, because its time is over or
// the run is being aborted.
func (x *exchange) giveUp(why error) {
	f := &x.facts
	x.client.loop.exchangeTimers.remove(&x.timer)
	switch {
	case x.stage == resolving:
		f.Dial = &DialError{results.PhaseResolve, why}
	case x.stage == exchanging:
		f.Read = os.ErrDeadlineExceeded
		if x.out.writing {
			f.Write = os.ErrDeadlineExceeded
		}
	case x.shard.core.Cancel(&x.request):
		f.Acquire = why
	case x.own != nil: // its dial fails, and the pool refuses it for that
		x.own.giveUp(why)
		return
	default: // the pool's decision is on its way
		return
	}
	x.end()
}
