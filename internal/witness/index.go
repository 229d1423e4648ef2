package witness

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
)

// maxAsked is how many attempts are remembered, the newest ones: 50 s of them at 5,000/s.
const maxAsked = 1 << 18

// attempt is a request on a connection.
type attempt struct {
	conn *conn
	segments.Request
	idle    time.Duration // of the connection when it began, or NotSeen
	trace   uint64        // under which it is in the index; 0: it is not
	claimed uint64        // over TLS: the number of the exchange that it was found to be, plus 1; 0: none
	verdict *verdict      // once the connection is over, or the failure was asked for
}

// index finds attempts by the trace of their request's id.
type index struct {
	most  int // attempts
	of    map[uint64][]*attempt
	order []*attempt
	next  int
	Gone  uint64 // attempts that made room for others
}

func (x *index) add(a *attempt) {
	a.trace = a.Trace
	x.of[a.trace] = append(x.of[a.trace], a)
	if len(x.order) < x.most {
		x.order = append(x.order, a)
		return
	}
	old := x.order[x.next]
	if list := x.of[old.trace]; len(list) > 1 {
		x.of[old.trace] = list[1:]
	} else {
		delete(x.of, old.trace)
	}
	x.order[x.next] = a
	x.next = (x.next + 1) % x.most
	x.Gone++
}

// idOf is the X-Request-Id of the exchange numbered seq; dialers.Request.Numbered writes
// the same.
func idOf(seq uint64) string { return fmt.Sprintf("%020d", seq) }

// request takes word of a request, as segments gives it.
func (w *Witness) request(c *evidence.Connection, r segments.Request) {
	one := w.conns.open[ends{c.Client, c.Server}]
	if one == nil {
		return
	}
	one.sealed = one.sealed || r.Sealed
	a := one.waiting(r.Nth)
	if a == nil {
		if r.Begun == evidence.NotSeen {
			one.answered(&r)
			return // a response to what was not seen
		}
		a = &attempt{conn: one, idle: idle(c, &r)}
		one.pending = append(one.pending, a)
		if r.Sealed {
			if len(one.recent) == maxSealed {
				one.recent = append(one.recent[:0], one.recent[1:]...)
			}
			one.recent = append(one.recent, a)
		}
		if one.ready == evidence.NotSeen {
			one.opened, one.ready = c.Opened, c.Ready
		}
	}
	a.Request = r
	if r.Trace != 0 && a.trace == 0 {
		w.asked.add(a)
	}
	if r.Answered {
		one.answered(&r)
		one.forget(a)
	}
}

// idle is how long the connection had been idle when a request began: since the response
// before it, or since the connection was ready.
func idle(c *evidence.Connection, r *segments.Request) time.Duration {
	since := r.Since
	if since == evidence.NotSeen && r.Nth == 1 {
		since = c.Ready
	}
	if since == evidence.NotSeen || since > r.Begun {
		return evidence.NotSeen
	}
	return r.Begun - since
}

func (c *conn) answered(r *segments.Request) {
	c.done = r.Done
	c.served++
}

func (c *conn) waiting(nth int) *attempt {
	for _, a := range c.pending {
		if a.Nth == nth {
			return a
		}
	}
	return nil
}

func (c *conn) forget(a *attempt) {
	for i, p := range c.pending {
		if p == a {
			c.pending = append(c.pending[:i], c.pending[i+1:]...)
			return
		}
	}
}

// update takes the facts about the attempt from a look at the connection.
func (a *attempt) update(s *segments.Sight) {
	for _, r := range s.Requests {
		if r.Nth == a.Nth {
			r.Trace, r.Since = a.Trace, a.Since
			a.Request = r
			return
		}
	}
}

// settled reports whether nothing that comes can change the facts about the attempt.
func (a *attempt) settled() bool {
	return a.verdict != nil || a.Answered && a.Exact && a.Whole
}
