package segments

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// finish returns what was seen of the connection. until is the end of the observation.
func (l *life) finish(until time.Duration) evidence.Connection {
	if !l.looked {
		l.settle(true)
	}
	t, c := &l.talk, &l.c
	if t.responds && l.responseOver() {
		t.answered(t.current.Done)
	}
	l.farewell()
	c.TLS, c.Other = t.protocol == overTLS, t.other()
	t.trim()
	c.Exchanges, c.Requests, c.LongestIdle, c.Unasked = t.exchanges, t.count, t.longest, t.unasked
	if c.TLS && t.ready != evidence.NotSeen {
		c.Ready = t.ready
	}
	c.Until = until
	c.Missing = l.flows[client].missing + l.flows[server].missing
	c.Resent, c.ResentBack = l.flows[client].resent, l.flows[server].resent
	c.Near = l.near()
	c.Close = l.close()
	c.TimeWait, c.BothWait = l.timeWait()
	l.unanswered()
	return *c
}

// near says at which end the segments were seen: the other end's handshake takes a
// round trip, and its packets have passed routers.
func (l *life) near() evidence.Side {
	const clear = 50 * time.Microsecond
	if l.c.Client.Addr() == l.c.Server.Addr() || l.c.Client.Addr().IsLoopback() {
		return evidence.Nobody // both ends are here
	}
	trip, third := l.c.RoundTrip, l.third
	if l.c.SYNs == 1 && l.synAckAt != evidence.NotSeen && l.shaken {
		switch {
		case trip > 3*third && trip-third > clear:
			return evidence.ByClient
		case third > 3*trip && third-trip > clear:
			return evidence.ByServer
		}
	}
	c, s := untouched(l.flows[client].ttl), untouched(l.flows[server].ttl)
	switch {
	case c && !s && l.flows[server].ttl != 0:
		return evidence.ByClient
	case s && !c && l.flows[client].ttl != 0:
		return evidence.ByServer
	}
	return evidence.Nobody
}

// untouched reports whether a packet with this TTL has passed no router.
func untouched(ttl uint8) bool { return ttl == 64 || ttl == 128 || ttl == 255 }

// closing is an event that ends a connection.
type closing struct {
	mark
	side int
	how  evidence.Kind
}

// first returns the event by which a side began to close: a close_notify or the FIN.
func (l *life) first(side int) closing {
	alert, fin := l.talk.alerts[side], l.flows[side].fin
	if alert.seen && !(fin.seen && fin.order < alert.order) {
		return closing{alert, side, evidence.Notify}
	}
	return closing{fin, side, evidence.FIN}
}

// close says who closed the connection first.
func (l *life) close() evidence.Close {
	none := evidence.Close{At: evidence.NotSeen, FIN: evidence.NotSeen}
	if quiet, ok := l.silence(); ok {
		return quiet
	}
	a, b := l.first(client), l.first(server)
	if b.seen && (!a.seen || b.order < a.order) {
		a, b = b, a
	}
	if l.rst.seen && (!a.seen || l.rst.order < a.order) {
		return l.byReset()
	}
	if !a.seen {
		none.Why = "neither a FIN nor a RST was seen"
		return none
	}
	end := evidence.Close{Basis: evidence.Seen, By: sides[a.side], How: a.how, At: a.at, FIN: evidence.NotSeen}
	if fin := l.flows[a.side].fin; a.how == evidence.Notify && fin.seen {
		end.FIN = fin.at
	}
	switch {
	case a.how == evidence.Notify && a.guess:
		end.Why = fmt.Sprintf("the %s's last TLS record is as long as an encrypted alert", sides[a.side])
	case a.how == evidence.Notify:
		end.Why = fmt.Sprintf("the %s's last TLS record is an alert", sides[a.side])
	case a.guess:
		end.Basis = evidence.Inferred
		end.Why = fmt.Sprintf("the %s's FIN was not captured, but it was acknowledged", sides[a.side])
	default:
		end.Why = fmt.Sprintf("the %s's FIN is the first one", sides[a.side])
	}
	if a.how == evidence.Notify && a.guess {
		end.Basis = evidence.Inferred
	}
	if b.seen && b.acks && !b.guess && after(a.seq, b.ack) {
		l.crossing(&end, a, b)
	}
	return end
}

// crossing decides who closed first where neither end knew of the other's close: the
// far end's segment left half a round trip before it was seen.
func (l *life) crossing(end *evidence.Close, a, b closing) {
	end.Basis = evidence.Inferred
	end.Why = "both ends closed at the same time: neither FIN acknowledges the other"
	if l.c.Near == sides[a.side] && l.c.RoundTrip+l.third > 0 && b.at-(l.c.RoundTrip+l.third)/2 < a.at {
		end.By, end.How, end.At, end.FIN = sides[b.side], b.how, b.at, evidence.NotSeen
		end.Why += fmt.Sprintf("; the %s's was seen second, but left half a round trip earlier", sides[b.side])
	}
}

// silence reports whether the client's bytes were sent again and no ACK came back.
func (l *life) silence() (evidence.Close, bool) {
	f, peer := &l.flows[client], &l.flows[server]
	if f.tries < 2 && !l.silent || peer.acks && !after(f.next, peer.ack) || !f.known || l.first(server).seen {
		return evidence.Close{}, false
	}
	return evidence.Close{
		Basis: evidence.Seen, How: evidence.Silent, At: f.since, FIN: evidence.NotSeen,
		Why: fmt.Sprintf("the client sent its data again %d times, and no ACK came back", max(f.tries, f.resent)),
	}, true
}

// byReset is the close by a RST that came before any FIN.
func (l *life) byReset() evidence.Close {
	r := l.c.Resets[0]
	by, basis, why := r.Origin, r.Basis, "a RST is the first sign of a close; "+r.Why
	if by == evidence.Nobody {
		by, basis = r.From, evidence.Inferred
	}
	if !l.rst.acks && l.rstSide == server && basis == evidence.Seen {
		basis = evidence.Inferred // it answers a segment: when the server closed was not seen
	}
	return evidence.Close{Basis: basis, By: by, How: evidence.RST, At: l.rst.at, FIN: evidence.NotSeen, Why: why}
}

// reset takes a RST of a side.
func (l *life) reset(side int, s *Segment) {
	if !l.rst.seen {
		l.rst = mark{
			seen: true, order: l.order, at: s.At, seq: s.Seq, ack: s.Ack, acks: s.Flags&FlagACK != 0, number: s.Number,
		}
		l.rstSide = side
		if side == client && l.flows[client].tries >= 2 {
			l.silent = true
		}
	}
	if len(l.c.Resets) < 8 {
		r := evidence.Reset{At: s.At, Number: s.Number, From: sides[side]}
		r.Origin, r.Basis, r.Why = l.flows[side].origin(s, sides[side])
		l.c.Resets = append(l.c.Resets, r)
	}
	if s.Flags&FlagACK != 0 && l.c.SYNs > 0 && !l.flows[server].known && side == server {
		l.flows[client].tries = 0
	}
}

// origin says who made a RST that carries this side's addresses: its TTL and IP
// identification are compared with those of the side's other segments.
func (f *flow) origin(s *Segment, side evidence.Side) (evidence.Side, evidence.Basis, string) {
	switch {
	case f.ttl == 0 || s.TTL == 0:
		return evidence.Nobody, evidence.Unknown, fmt.Sprintf("no other segment of the %s was seen, with which its TTL could be compared", side)
	case s.TTL != f.ttl:
		return evidence.ByMiddle, evidence.Inferred, fmt.Sprintf("its TTL is %d, and the %s's other segments have %d", s.TTL, side, f.ttl)
	case f.hasID && s.HasID && s.ID != 0 && s.ID-f.id > 0 && s.ID-f.id <= 64:
		return side, evidence.Seen, fmt.Sprintf("its TTL and its IP identification continue the %s's other segments", side)
	}
	return side, evidence.Inferred, fmt.Sprintf("its TTL is that of the %s's other segments, %d", side, f.ttl)
}

// timeWait says which end keeps the ports: the one whose FIN was first, if both sent
// one and nobody reset the connection.
func (l *life) timeWait() (keeper evidence.Side, both bool) {
	a, b := l.flows[client].fin, l.flows[server].fin
	switch {
	case l.rst.seen || !a.seen || !b.seen:
		return evidence.Nobody, false
	case a.guess || b.guess || !a.acks || !b.acks:
		if a.order < b.order {
			return evidence.ByClient, false
		}
		return evidence.ByServer, false
	case after(a.seq, b.ack) && after(b.seq, a.ack):
		return evidence.ByClient, true
	case after(a.seq, b.ack): // the server's FIN does not acknowledge the client's
		return evidence.ByServer, false
	}
	return evidence.ByClient, false
}
