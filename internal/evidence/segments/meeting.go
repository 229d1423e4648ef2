package segments

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// unanswered judges the requests that have no whole response.
func (l *life) unanswered() {
	t, c := &l.talk, &l.c
	if c.Other {
		return // what is a request there is not known
	}
	if t.requests.part == inRequestHead && len(t.pending) > 0 {
		c.Half = t.pending[len(t.pending)-1].sent
	}
	if l.rst.seen && l.rstSide == server && t.early != nil && len(t.pending) == 0 {
		l.overtaken()
	}
	if r := &l.rst; r.seen && l.rstSide == client && !r.acks && t.unread != nil && len(t.pending) == 0 && c.Close.By == evidence.ByClient {
		l.abandoned()
	}
	for i, q := range t.pending {
		if l.c.Close.How == evidence.Open && l.at < l.c.Until && i > 0 {
			break // the others wait for the first one
		}
		if !t.carries(&q) {
			continue
		}
		u := evidence.Unanswered{
			Line: q.line, Number: q.number, Nth: t.count + i + 1, Begun: q.begun, Sent: q.sent,
			Whole: q.whole, First: evidence.NotSeen, Idle: evidence.NotSeen, Reused: t.count > 0, Retries: l.flows[client].tries, Origin: q.origin,
		}
		if i == 0 {
			u.Idle = l.idleBefore(q.begun)
			if t.responds {
				u.First = t.current.First
			}
		}
		l.meet(&u, &q)
		t.guessed(&u, &q)
		c.Unanswered = append(c.Unanswered, u)
	}
	if len(t.pending) == 0 && t.missed && l.flows[client].missing > 0 && c.Close.By == evidence.ByServer {
		c.Unanswered = append(c.Unanswered, evidence.Unanswered{
			Basis: evidence.Inferred, Met: l.metUnseen(), Nth: t.count + 1, Begun: evidence.NotSeen, Sent: evidence.NotSeen, First: evidence.NotSeen, Idle: evidence.NotSeen,
			Reused: t.count > 0,
			Why:    fmt.Sprintf("%d bytes of the client after the last response were not captured, and no response followed them", l.flows[client].missing),
		})
	}
}

// overtaken takes back a response that began before its request was over, if the server
// then reset the connection: the client may not have read it.
func (l *life) overtaken() {
	t, c := &l.talk, &l.c
	q, n := t.early, len(c.Exchanges)
	if n == 0 {
		return
	}
	e := c.Exchanges[n-1]
	c.Exchanges, c.Requests = c.Exchanges[:n-1], c.Requests-1
	u := evidence.Unanswered{
		Basis: evidence.Inferred, Met: evidence.Arrived, Line: q.line, Number: q.number, Nth: t.count, Begun: q.begun, Sent: q.sent,
		First: e.First, Idle: evidence.NotSeen, Reused: t.count > 1, Origin: q.origin,
		Why: "the server responded and closed before the whole request had arrived, and a RST followed: the client may not have read the response",
	}
	if c.Close.At != evidence.NotSeen {
		u.Apart = c.Close.At - q.sent
	}
	c.Unanswered = append(c.Unanswered, u)
}

// abandoned takes back a response that began after the client's FIN, if a RST without an ACK
// answered it: nobody had the client's socket any more.
func (l *life) abandoned() {
	t, c := &l.talk, &l.c
	q, n := t.unread, len(c.Exchanges)
	if n == 0 {
		return
	}
	e := c.Exchanges[n-1]
	c.Exchanges, c.Requests = c.Exchanges[:n-1], c.Requests-1
	u := evidence.Unanswered{
		Basis: evidence.Seen, Met: evidence.Abandoned, Line: q.line, Number: q.number, Nth: t.count, Begun: q.begun, Sent: q.sent, Whole: q.whole,
		First: evidence.NotSeen, Idle: evidence.NotSeen, Reused: t.count > 1, Origin: q.origin,
	}
	if n > 1 && q.begun != evidence.NotSeen {
		u.Idle = q.begun - c.Exchanges[n-2].Done
	}
	if q.sent != evidence.NotSeen {
		u.Apart = c.Close.At - q.sent
	}
	u.Why = fmt.Sprintf("the client closed %v after it had sent the request; the response began %v later, and a RST refused it", rounded(u.Apart), rounded(e.First-c.Close.At))
	c.Unanswered = append(c.Unanswered, u)
}

// idleBefore is how long the connection had been idle when a request began.
func (l *life) idleBefore(at time.Duration) time.Duration {
	since := l.c.Ready
	if l.talk.doneAt != evidence.NotSeen {
		since = l.talk.doneAt
	}
	if since == evidence.NotSeen || since > at {
		return evidence.NotSeen
	}
	return at - since
}

// meet says how a request and the end of its connection met.
func (l *life) meet(u *evidence.Unanswered, q *request) {
	end := &l.c.Close
	if end.At != evidence.NotSeen && q.sent != evidence.NotSeen {
		u.Apart = end.At - q.sent
	}
	switch {
	case end.How == evidence.Open:
		u.Met, u.Basis, u.Why = evidence.Waiting, evidence.Seen, "the connection was still open at the end of the observation"
	case end.How == evidence.Silent:
		u.Met, u.Basis, u.Why = evidence.Lost, evidence.Seen, end.Why
	case end.By == evidence.ByClient && l.resetAnswers(q):
		u.Met, u.Basis = evidence.Forgotten, evidence.Inferred
		u.Why = "a RST answers the request, although the client closed first: the connection did not exist there any more; " + l.c.Resets[0].Why
	case end.By == evidence.ByClient:
		u.Met, u.Basis = evidence.Abandoned, end.Basis
		u.Why = fmt.Sprintf("the client closed %v after it had sent the request", rounded(u.Apart))
	case end.How == evidence.RST:
		l.meetReset(u, q)
	default:
		l.meetClose(u, q, l.first(server))
	}
}

// meetClose compares a request with the server's FIN or close_notify: the numbers that
// each acknowledges say what its sender knew.
func (l *life) meetClose(u *evidence.Unanswered, q *request, end closing) {
	switch {
	case end.acks && !end.guess0() && !after(q.to, end.ack):
		u.Met, u.Basis = evidence.Arrived, evidence.Seen
		u.Why = fmt.Sprintf("the server's close acknowledges the request: it had arrived %v before", rounded(end.at-q.sent))
	case end.acks && !end.guess0() && after(end.ack, q.from):
		u.Met, u.Basis = evidence.Arrived, evidence.Seen
		u.Why = "the server's close acknowledges a part of the request: the rest was on the way"
	case q.acks && !after(end.seq, q.ack):
		u.Met, u.Basis = evidence.Late, evidence.Seen
		u.Why = "the request acknowledges the server's close: it was written after the close had come"
	case q.acks && end.acks && !end.guess0():
		u.Met, u.Basis = evidence.Crossed, evidence.Seen
		u.Why = "the server's close does not acknowledge the request, and the request does not acknowledge the close"
	case q.acks && l.resetAnswers(q):
		u.Met, u.Basis = evidence.Crossed, evidence.Inferred
		u.Why = "the server's FIN was not captured; the request does not acknowledge it, and a RST answers the request"
	default:
		u.Met, u.Basis = evidence.Crossed, evidence.Inferred
		u.Why = "the server's FIN was not captured, so that it cannot be said whether the request had arrived before"
	}
}

// guess0 reports whether the segment of the event was not captured.
func (c closing) guess0() bool { return c.guess && c.how == evidence.FIN }

// meetReset compares a request with a RST that came without a FIN before.
func (l *life) meetReset(u *evidence.Unanswered, q *request) {
	r := &l.rst
	u.Basis = l.c.Close.Basis
	switch {
	case r.acks && !after(q.to, r.ack):
		u.Met, u.Why = evidence.Arrived, "the RST acknowledges the request: it had arrived"
	case r.acks && r.order < q.order:
		u.Met, u.Why = evidence.Late, "the RST was seen before the request"
		if l.c.Near == evidence.ByServer {
			u.Met, u.Why = evidence.Crossed, "the RST left the server before the request came, and does not acknowledge it"
		}
	case r.acks:
		u.Met, u.Why = evidence.Crossed, "the RST does not acknowledge the request"
	default:
		u.Met, u.Why = evidence.Forgotten, "the RST answers the request, and no FIN was seen before: the connection did not exist there any more"
	}
	u.Why += "; " + l.c.Resets[0].Why
}

// resetAnswers reports whether a RST without ACK carries the number that q
// acknowledged: so a host rejects a segment of a connection that it has closed.
func (l *life) resetAnswers(q *request) bool {
	return l.rst.seen && l.rstSide == server && !l.rst.acks && l.rst.seq == q.ack
}

// metUnseen guesses how a request that was not captured met the server's close.
func (l *life) metUnseen() evidence.Meeting {
	end := l.first(server)
	if end.acks && end.seen && !after(l.flows[client].next, end.ack) {
		return evidence.Arrived
	}
	return evidence.Crossed
}

// rounded returns a duration as people read it.
func rounded(d time.Duration) time.Duration {
	switch {
	case d >= time.Second:
		return d.Round(time.Millisecond)
	case d >= time.Millisecond:
		return d.Round(10 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}
