package dialers

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

// task is an exchange under way. Its methods are called with Client.mu held.
type task struct {
	c     *Client
	e     *results.Exchange
	req   *Request
	bytes []byte // of it, as this exchange sends it
	over  func(*results.Exchange)

	place  int   // in Client.tasks
	due    timer // in byDue
	answer timer // in byAnswer
	word   timer // in byWord

	before  int    // attempts made and failed
	sent    bool   // the request's head left whole once: the server may have carried it out
	fresh   bool   // a re-send wants a new connection
	attempt uint64 // numbers attempts, of all exchanges this task has served

	// Of the attempt.
	stage   stage
	shard   *shard
	request pool.Request
	own     *dialing // the dial begun for it
	conn    *Conn
	facts   Facts
	written int  // bytes of the request
	writing bool // it is not written whole, and there was no error
	waits   bool // it is not to be, until the server has said that it may
	read    reading
	answers int             // that are still to come, the one that is being read included
	surplus bool            // bytes came behind the response
	atLease results.TCPInfo // if looked
	looked  bool
}

// stage is what an attempt is at.
type stage uint8

const (
	resolving  stage = iota // it waits for the addresses that a sub-pool each is for
	acquiring               // it waits for a connection
	exchanging              // it has one
)

// reading is how the reading of a response ended while the request was still
// being written.
type reading uint8

const (
	goesOn   reading = iota
	failed           // there will be no response; what is left of the request is written for what that may tell
	complete         // it is whole, and the connection goes on once the request is written
)

// newTask returns a task for a new exchange.
func (c *Client) newTask() *task {
	var t *task
	if n := len(c.free); n > 0 {
		t, c.free = c.free[n-1], c.free[:n-1]
	} else {
		t = &task{c: c}
		t.request.Data = t
		t.due.fire = func() { t.giveUp(context.DeadlineExceeded) }
		t.answer.fire = t.due.fire
		t.word.fire = t.goOn
	}
	t.before, t.sent, t.fresh = 0, false, false
	t.place = len(c.tasks)
	c.tasks = append(c.tasks, t)
	return t
}

// again makes one attempt, the first or another.
func (t *task) again() {
	c := t.c
	t.attempt++
	t.at(resolving)
	t.own, t.conn = nil, nil
	t.facts, t.written, t.writing, t.waits, t.read, t.surplus = Facts{}, 0, false, false, goesOn, false
	t.looked = false
	if c.policy.Key != pool.ByAddress {
		t.acquire(t.req.origin)
		return
	}
	if o, known := c.keys.next(t.req.origin); known {
		t.acquire(o)
		return
	}
	var deadline time.Time
	if c.timeout > 0 {
		deadline = c.epoch.Add(t.due.at)
	}
	ctx, cancel := c.until(deadline)
	attempt, origin := t.attempt, t.req.origin // t may be another exchange's when it is known
	c.running.Go(func() {
		defer cancel()
		addrs, err := c.dialer.resolve(ctx, origin)
		c.post(func() {
			if err == nil {
				c.keys.learn(origin, addrs)
			}
			if t.attempt != attempt || t.stage != resolving {
				return // given up
			}
			if err != nil {
				t.facts.Dial = &DialError{results.PhaseResolve, err}
				t.end()
				return
			}
			o, _ := c.keys.next(origin)
			t.acquire(o)
		})
	})
}

// at moves the attempt to its next stage.
func (t *task) at(next stage) {
	if t.stage == acquiring {
		t.c.waiting--
	}
	if next == acquiring {
		t.c.waiting++
	}
	t.stage = next
}

// acquire asks for a connection to o.
func (t *task) acquire(o Origin) {
	c := t.c
	t.shard = c.shards[c.turn%len(c.shards)]
	c.turn++
	n, known := t.shard.origins[o]
	if !known {
		n = t.shard.core.AddOrigin()
		t.shard.origins[o] = n
		t.shard.names = append(t.shard.names, o)
	}
	t.at(acquiring)
	t.request.Origin, t.request.Safe, t.request.Fresh = n, t.req.method == "GET", t.fresh
	c.decide(t.shard, t.shard.core.Acquire(c.at, &t.request), nil)
}

// leased stamps e with the connection it was given and writes the request.
func (t *task) leased(entry *pool.Conn) {
	conn, e := entry.Data.(*Conn), t.e
	if t.own != nil && conn.made == t.own {
		t.own.stamp(e)
	} else {
		e.Leased = t.c.at
		e.Age = e.Leased - entry.Created
	}
	e.Conn, e.Use, e.Idle = conn.id, entry.Uses, entry.IdleFor
	t.c.idles.leasedAfter(e.Idle)
	t.own, t.conn = nil, conn
	t.at(exchanging)
	t.lookAtLease()
	if t.c.Tracer != nil {
		t.traceLeased()
	}
	conn.begin(t)
}

// refused ends the attempt without a connection. The error is that of the dial
// that failed.
func (t *task) refused(why pool.Refusal, err error) {
	if why != pool.DialFailed {
		t.facts.Acquire = t.c.refused(why)
	} else {
		if t.own != nil {
			t.own.stamp(t.e)
		}
		t.facts.Dial = err
	}
	t.end()
}

// RefusedError is a request that got no connection from the pool.
type RefusedError struct {
	Refusal pool.Refusal
	Limit   string // the setting behind it, in words
}

func (e *RefusedError) Error() string {
	return map[pool.Refusal]string{
		pool.QueueFull:      "the pending queue has reached its maximum size of ",
		pool.PendingTimeout: "no connection came free within pending_timeout ",
		pool.Closed:         "the pool is closed",
	}[e.Refusal] + e.Limit
}

func (c *Client) refused(why pool.Refusal) error {
	switch why {
	case pool.QueueFull:
		return &RefusedError{why, fmt.Sprint(c.policy.PendingMax)}
	case pool.PendingTimeout:
		return &RefusedError{why, c.policy.PendingTimeout.String()}
	}
	return &RefusedError{Refusal: why}
}

// abort gives the exchange up because the run is being aborted.
func (t *task) abort() {
	t.facts.Aborted = true
	t.giveUp(context.Canceled)
}

// giveUp ends the exchange because its time is over, or the run.
func (t *task) giveUp(why error) {
	c := t.c
	c.byDue.remove(&t.due)
	switch t.stage {
	case resolving:
		t.facts.Dial = &DialError{results.PhaseResolve, why}
		t.end()
	case acquiring:
		if t.shard.core.Cancel(&t.request) {
			t.facts.Acquire = why
			t.end()
		} else if t.own != nil {
			t.own.giveUp(why)
		}
	case exchanging:
		t.facts.Read = os.ErrDeadlineExceeded
		if t.writing {
			t.facts.Write = os.ErrDeadlineExceeded
		}
		t.end()
	}
}

// end is the end of the attempt; the facts say how it came out.
func (t *task) end() {
	c, e := t.c, t.e
	c.byAnswer.remove(&t.answer)
	c.byWord.remove(&t.word)
	f, decided := &t.facts, len(c.todo)
	if conn := t.conn; conn != nil {
		f.HeadWritten = t.written >= t.req.head
		f.Written = t.written == len(t.bytes)
		reason, hint := conn.finish(t)
		c.decide(conn.shard, conn.shard.core.Release(c.at, conn.entry, reason, hint), nil)
	}
	e.Twice = e.Twice || t.sent && f.HeadWritten && !pool.Idempotent(t.req.method)
	t.sent = t.sent || f.HeadWritten
	e.Done = c.at
	e.Phase, e.Cause = Classify(*f)
	e.Err = errorBehind(e.Cause, *f)
	if c.Tracer != nil && t.conn != nil {
		t.traceEnd(c.todo[decided:])
	}
	if t.conn != nil && e.Failed() {
		// The socket is closed only when what was decided is carried out.
		if local := t.conn.wire.local(); local.IsValid() {
			e.Local = local.String()
		}
	}
	rule, resend := t.resend()
	if !resend {
		t.finish()
		return
	}
	e.Again()
	t.before++
	t.fresh = rule.Path == pool.PathFresh
	t.again()
}

// finish is the end of the exchange.
func (t *task) finish() {
	c, e := t.c, t.e
	c.byDue.remove(&t.due)
	// What the caller sees when a reused connection failed it before a response
	// and the policy tells no more than that.
	hangs := c.policy.ResendElse == pool.ElseHangup && e.Failed() && e.Cause != results.CauseTimeout
	if hangs && e.Reused() && e.Phase <= results.PhaseBeforeResponse {
		if e.Cause != results.CauseFIN && e.Err != nil {
			e.Err = &hangupError{e.Err}
		}
		e.Phase, e.Cause = results.PhaseBeforeResponse, results.CauseFIN
	}
	if t.conn != nil && e.Failed() {
		t.lookAtFailure()
	}
	c.finished = append(c.finished, finished{e, t.over})
	last := c.tasks[len(c.tasks)-1]
	c.tasks[t.place], last.place = last, t.place
	c.tasks[len(c.tasks)-1] = nil
	c.tasks = c.tasks[:len(c.tasks)-1]
	t.e, t.req, t.bytes, t.over, t.conn, t.own, t.facts = nil, nil, nil, nil, nil, nil, Facts{}
	t.attempt++
	t.at(resolving)
	c.free = append(c.free, t)
}

// resend is the rule by which the exchange, which has just failed, is attempted
// again.
func (t *task) resend() (pool.ResendRule, bool) {
	after := t.point()
	if after == 0 {
		return pool.ResendRule{}, false
	}
	return t.c.policy.ResendBy(pool.Attempt{
		Method: t.req.method, HasBody: len(t.bytes) > t.req.head, IdempotencyKey: t.req.hasKey,
		Reused: t.e.Reused(), After: after, Before: t.before,
	})
}

// point is how far an attempt had come when its connection failed it; 0 when it
// did not fail, or for a reason that no pool answers by sending again: no
// connection, a timeout, an answer that is not HTTP, the end of the run.
func (t *task) point() pool.After {
	e := t.e
	reset := e.Cause == results.CauseRST || e.Cause == results.CausePipe
	closed := e.Cause == results.CauseFIN || e.Cause == results.CauseCloseNotify || e.Cause == results.CauseTruncated
	switch {
	case !reset && !closed || e.Conn == 0:
		return 0
	case t.written == 0:
		return pool.AfterUnsent
	case e.Phase == results.PhaseDuringResponse:
		return pool.AfterBody
	case e.Phase == results.PhaseResponseHeaders:
		return pool.AfterPartial
	case reset:
		return pool.AfterRST
	}
	return pool.AfterEOF
}
