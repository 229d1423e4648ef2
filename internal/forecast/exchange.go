package forecast

import (
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator/limit"
	"github.com/kabench/kabench/results"
)

// arrive starts a request that is due now, or lets it wait for a slot, or drops it.
func (w *world) arrive(due time.Duration, warmUp bool) {
	free := w.room() && len(w.buffer) == 0 // those that wait come first
	if !free && len(w.buffer) >= w.load.Buffer {
		w.count.dropped(due, warmUp)
		return
	}
	var x *request
	if n := len(w.free); n > 0 {
		x, w.free = w.free[n-1], w.free[:n-1]
	} else {
		x = &request{}
		x.Data = x
	}
	x.due, x.warmUp, x.tries, x.fresh, x.attempts, x.buffered = due, warmUp, 0, 0, 0, 0
	x.failed = nil
	x.Fresh, x.sent, x.twice = false, false, false
	if !free {
		w.buffer = append(w.buffer, x)
	} else {
		w.begin(x)
	}
	w.fill()
}

// room reports whether one more request may be in flight.
func (w *world) room() bool { return w.flying < w.slots }

// learn has an adaptive limit follow a request that is over.
func (w *world) learn(x *request, ok bool) {
	if w.adapts != nil {
		w.slots = w.adapts.Learn(limit.Sample{At: w.now, RTT: w.now - x.start, InFlight: x.inFlight, Dropped: !ok})
	}
}

func (w *world) begin(x *request) {
	w.flying++
	x.start, x.inFlight = w.now, w.flying
	x.shard = w.pools[0]
	if len(w.pools) > 1 {
		x.shard = w.pools[w.turn]
		w.turn = (w.turn + 1) % len(w.pools)
	}
	w.attempt(x)
}

// attempt asks the pool for a connection.
func (w *world) attempt(x *request) {
	x.turn++
	turn := x.turn
	x.granted, x.conn, x.dial = results.Never, nil, nil
	x.Safe = w.safe
	w.decided(x.shard, x.shard.core.Acquire(w.now, &x.Request))
	if x.turn == turn && w.load.Timeout > 0 { // it waits
		w.plan(ofLimits, event{at: x.due + w.load.Timeout, kind: expired, x: x, turn: turn})
	}
}

// decided carries out what a pool has decided.
func (w *world) decided(s *shard, list []pool.Decision) {
	if len(list) == 1 {
		w.carryOut(s, list[0])
	} else if len(list) > 1 {
		var few [4]pool.Decision // the slice is the pool's own, and further events use it again
		for _, d := range append(few[:0], list...) {
			w.carryOut(s, d)
		}
	}
	if w.timers {
		w.ask(s)
	}
}

func (w *world) carryOut(s *shard, d pool.Decision) {
	switch d.Kind {
	case pool.DoLease:
		w.lease(d.Request.Data.(*request), d.Conn.Data.(*connection))
	case pool.DoProbe:
		found := pool.Keep
		if c := d.Conn.Data.(*connection); w.seesEnd(c) {
			found = c.how()
		}
		w.decided(s, s.core.Probed(w.now, d.Conn, d.Request, found))
	case pool.DoDial:
		w.dial(s, d)
	case pool.DoRefuse:
		w.refused(d.Request.Data.(*request), d.Refusal)
	case pool.DoClose:
		w.closed(d.Conn.Data.(*connection))
	}
}

// seesEnd reports whether the server's FIN has reached the client.
func (w *world) seesEnd(c *connection) bool { return c.closes != never && c.closes+w.oneWay <= w.now }

// how is how a client finds that the server has closed c.
func (c *connection) how() pool.Reason {
	if c.rst {
		return pool.Reset
	}
	return pool.PeerClosed
}

// refused ends a request that got no connection.
func (w *world) refused(x *request, why pool.Refusal) {
	switch why {
	case pool.QueueFull:
		w.fail(x, results.PhaseAcquire, results.CauseQueueFull, 0, false)
	case pool.PendingTimeout:
		w.fail(x, results.PhaseAcquire, results.CauseTimeout, 0, false)
	case pool.Closed:
		w.fail(x, results.PhaseAcquire, results.CauseClosed, 0, false)
	default:
		phase := results.PhaseConnect
		if x.dial != nil && w.tls && w.now-x.dial.begun >= w.connect {
			phase = results.PhaseTLS
		}
		w.fail(x, phase, w.failed, 0, false)
	}
}

// dial begins the handshake that a pool has granted.
func (w *world) dial(s *shard, granted pool.Decision) {
	x := granted.Request.Data.(*request)
	d := &dialing{dial: granted.Dial, shard: s, x: x, begun: w.now}
	at := w.now + w.handshake
	if !w.ports.take(w.now) {
		d.cause, at = results.CausePortExhausted, w.now
	} else if limit := w.policy.ConnectTimeout; limit > 0 && limit < w.handshake {
		d.cause, at = results.CauseTimeout, w.now+limit
	}
	x.dial, x.granted = d, w.now
	w.plan(ofDials, event{at: at, kind: dialed, d: d})
}

func (w *world) dialed(d *dialing) {
	if d.over {
		return
	}
	d.over = true
	if d.cause != results.CauseNone {
		if d.cause != results.CausePortExhausted {
			w.ports.give()
		}
		w.failed = d.cause
		w.decided(d.shard, d.shard.core.DialFailed(w.now, d.dial))
		return
	}
	w.count.opened++
	w.server.opened++
	c := &connection{dialed: d, shard: d.shard, id: w.server.opened, closes: never, forgets: never, watchAt: never}
	entry, decisions := d.shard.core.Dialed(w.now, d.dial, c)
	c.entry = entry
	w.server.accepted(w, c)
	w.decided(d.shard, decisions)
}

// lease sends a request on a connection.
func (w *world) lease(x *request, c *connection) {
	c.turn++
	c.busy = true
	if c.inWindow {
		w.exposure.left(c)
	}
	if c.dialed != x.dial {
		x.granted = results.Never // another connection came first
	}
	x.conn, x.leased, x.idle = c, w.now, c.entry.IdleFor
	x.turn++
	x.attempts++
	w.server.receive(w, x, c)
	if c.end.after != pool.AfterUnsent {
		x.twice = x.twice || x.sent && !w.idempotent
		x.sent = true
	}
}

// deadline is when the client gives up on a response.
func (w *world) deadline(x *request) time.Duration {
	at := never
	if w.load.Timeout > 0 {
		at = x.due + w.load.Timeout
	}
	if w.policy.ResponseTimeout > 0 {
		at = min(at, x.leased+w.policy.ResponseTimeout)
	}
	return at
}

// answered ends a request whose response is complete.
func (w *world) answered(e event) {
	x, c := e.x, e.c
	if x.turn != e.turn {
		return // it was given up
	}
	c.busy = false
	c.uses++
	reason, hint := w.server.responded(w, c)
	w.count.ok(w, x, c.entry.Uses > 1)
	w.learn(x, true)
	w.over(x)
	turn := c.turn
	w.decided(c.shard, c.shard.core.Release(w.now, c.entry, reason, hint))
	if c.turn == turn && !c.gone {
		w.exposure.watch(w, c)
	}
}

// cut fails an attempt whose connection ended without a response.
func (w *world) cut(e event) {
	if e.x.turn != e.turn {
		return
	}
	e.c.lost = e.c.end.idle && w.script.AfterFIN == 0
	w.count.metClose(e.x, e.c)
	w.broken(e.x, e.c.end)
}

// broken fails an attempt on a connection.
func (w *world) broken(x *request, how ending) {
	c := x.conn
	c.busy = false
	reused := c.entry.Uses > 1
	x.turn++
	w.decided(c.shard, c.shard.core.Release(w.now, c.entry, pool.Broken, pool.NoHint))
	w.fail(x, how.phase, how.cause, how.after, reused)
}

// expired gives a request up, because its time is over.
func (w *world) expired(e event) {
	x := e.x
	if x.turn != e.turn {
		return
	}
	switch {
	case x.conn != nil:
		w.broken(x, ending{results.PhaseBeforeResponse, results.CauseTimeout, 0, false})
	case x.shard.core.Cancel(&x.Request):
		w.fail(x, results.PhaseAcquire, results.CauseTimeout, 0, false)
	case x.dial != nil && !x.dial.over:
		x.dial.cause = results.CauseTimeout
		w.dialed(x.dial)
	}
}

// fail ends an attempt; the request is sent again if a rule says so.
func (w *world) fail(x *request, phase results.Phase, cause results.Cause, after pool.After, reused bool) {
	rule, again := pool.ResendRule{}, false
	if after != 0 {
		rule, again = w.policy.ResendBy(pool.Attempt{
			Method: w.method, HasBody: w.hasBody, IdempotencyKey: w.hasKey, Reused: reused, After: after,
			Reset: cause == results.CauseRST, Before: x.tries, Fresh: x.fresh,
		})
	}
	if !again {
		if w.policy.ResendElse == pool.ElseHangup && after != 0 && reused && phase <= results.PhaseBeforeResponse {
			phase, cause = results.PhaseBeforeResponse, results.CauseFIN
		}
		w.count.failed(w, x, phase, cause, reused)
		w.learn(x, false)
		w.over(x)
		return
	}
	try := results.Try{Phase: phase, Cause: cause, Leased: x.leased, Done: w.now, Use: 1, Idle: x.idle}
	if reused {
		try.Use = 2
	}
	x.failed = append(x.failed, try)
	x.tries++
	if !reused {
		x.fresh++
	}
	x.Fresh = rule.Path == pool.PathFresh
	w.attempt(x)
}

// over makes a request's room free for another.
func (w *world) over(x *request) {
	x.turn++
	x.conn, x.dial = nil, nil
	w.flying--
	w.free = append(w.free, x)
}

// fill starts requests that wait for a slot.
func (w *world) fill() {
	for len(w.buffer) > 0 && w.room() {
		x := w.buffer[0]
		w.buffer = w.buffer[1:]
		x.buffered = w.now - x.due
		w.begin(x)
	}
}

// noticed lets the client see the server's close of a connection that is idle.
func (w *world) noticed(e event) {
	c := e.c
	if c.turn != e.turn || c.gone {
		return
	}
	if c.inWindow {
		w.exposure.left(c)
	}
	if w.policy.Liveness != pool.Events {
		return // a probe finds out, when the connection is next to be leased
	}
	w.count.closedIdle(w.now - c.finish - w.oneWay)
	w.decided(c.shard, c.shard.core.Died(w.now, c.entry, c.how()))
}

// closed notes who closed a connection first, and who keeps the TIME_WAIT socket.
func (w *world) closed(c *connection) {
	c.turn++
	c.gone = true
	if c.inWindow {
		w.exposure.left(c)
	}
	w.ports.closed(w, c)
}
