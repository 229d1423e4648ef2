package evidence

import (
	"fmt"
	"time"
)

// finish returns what was seen of the connection. until is the end of the observation.
func (l *life) finish(until time.Duration) Connection {
	l.settle(true)
	t, c := &l.talk, &l.c
	if t.responds && (!t.response.inside || t.response.parser.End() == nil) {
		t.answered(t.current.Done)
	}
	c.TLS = t.protocol == overTLS
	c.Exchanges, c.Requests, c.LongestIdle, c.Unasked = t.kept(), t.count, t.longest, t.unasked
	if c.TLS && t.ready != NotSeen {
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
func (l *life) near() Side {
	const clear = 50 * time.Microsecond
	trip, third := l.c.RoundTrip, l.third
	if l.c.SYNs == 1 && l.synAckAt != NotSeen && l.shaken {
		switch {
		case trip > 3*third && trip-third > clear:
			return ByClient
		case third > 3*trip && third-trip > clear:
			return ByServer
		}
	}
	c, s := untouched(l.flows[client].ttl), untouched(l.flows[server].ttl)
	switch {
	case c && !s && l.flows[server].ttl != 0:
		return ByClient
	case s && !c && l.flows[client].ttl != 0:
		return ByServer
	}
	return Nobody
}

// untouched reports whether a packet with this TTL has passed no router.
func untouched(ttl uint8) bool { return ttl == 64 || ttl == 128 || ttl == 255 }

// closing is an event that ends a connection.
type closing struct {
	mark
	side int
	how  Kind
}

// first returns the event by which a side began to close: a close_notify or the FIN.
func (l *life) first(side int) closing {
	alert, fin := l.talk.alerts[side], l.flows[side].fin
	if alert.seen && !(fin.seen && fin.order < alert.order) {
		return closing{alert, side, Notify}
	}
	return closing{fin, side, FIN}
}

// close says who closed the connection first.
func (l *life) close() Close {
	none := Close{At: NotSeen, FIN: NotSeen}
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
	end := Close{Basis: Seen, By: sides[a.side], How: a.how, At: a.at, FIN: NotSeen}
	if fin := l.flows[a.side].fin; a.how == Notify && fin.seen {
		end.FIN = fin.at
	}
	switch {
	case a.how == Notify && a.guess:
		end.Why = fmt.Sprintf("the %s's last TLS record is as long as an encrypted alert", nameOf(sides[a.side]))
	case a.how == Notify:
		end.Why = fmt.Sprintf("the %s's last TLS record is an alert", nameOf(sides[a.side]))
	case a.guess:
		end.Basis = Inferred
		end.Why = fmt.Sprintf("the %s's FIN was not captured, but it was acknowledged", nameOf(sides[a.side]))
	default:
		end.Why = fmt.Sprintf("the %s's FIN is the first one", nameOf(sides[a.side]))
	}
	if a.how == Notify && a.guess {
		end.Basis = Inferred
	}
	if b.seen && b.acks && !b.guess && after(a.seq, b.ack) {
		l.crossing(&end, a, b)
	}
	return end
}

// crossing decides who closed first where neither end knew of the other's close: the
// far end's segment left half a round trip before it was seen.
func (l *life) crossing(end *Close, a, b closing) {
	end.Basis = Inferred
	end.Why = "both ends closed at the same time: neither FIN acknowledges the other"
	if l.c.Near == sides[a.side] && l.c.RoundTrip+l.third > 0 && b.at-(l.c.RoundTrip+l.third)/2 < a.at {
		end.By, end.How, end.At, end.FIN = sides[b.side], b.how, b.at, NotSeen
		end.Why += fmt.Sprintf("; the %s's was seen second, but left half a round trip earlier", nameOf(sides[b.side]))
	}
}

func nameOf(s Side) string {
	switch s {
	case ByClient:
		return "client"
	case ByServer:
		return "server"
	case ByMiddle:
		return "middle"
	}
	return "nobody"
}

// silence reports whether the client's bytes were sent again and no ACK came back.
func (l *life) silence() (Close, bool) {
	f, peer := &l.flows[client], &l.flows[server]
	if f.tries < 2 && !l.silent || peer.acks && !after(f.next, peer.ack) || !f.known || l.first(server).seen {
		return Close{}, false
	}
	return Close{
		Basis: Seen, How: Silent, At: f.since, FIN: NotSeen,
		Why: fmt.Sprintf("the client sent its data again %d times, and no ACK came back", max(f.tries, f.resent)),
	}, true
}

// byReset is the close by a RST that came before any FIN.
func (l *life) byReset() Close {
	r := l.c.Resets[0]
	by, basis, why := r.Origin, r.Basis, "a RST is the first sign of a close; "+r.Why
	if by == Nobody {
		by, basis = r.From, Inferred
	}
	if !l.rst.acks && l.rstSide == server && basis == Seen {
		basis = Inferred // it answers a segment: when the server closed was not seen
	}
	return Close{Basis: basis, By: by, How: RST, At: l.rst.at, FIN: NotSeen, Why: why}
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
		r := Reset{At: s.At, Number: s.Number, From: sides[side]}
		r.Origin, r.Basis, r.Why = l.flows[side].origin(s, sides[side])
		l.c.Resets = append(l.c.Resets, r)
	}
	if s.Flags&FlagACK != 0 && l.c.SYNs > 0 && !l.flows[server].known && side == server {
		l.flows[client].tries = 0
	}
}

// origin says who made a RST that carries this side's addresses: its TTL and IP
// identification are compared with those of the side's other segments.
func (f *flow) origin(s *Segment, side Side) (Side, Basis, string) {
	switch {
	case f.ttl == 0 || s.TTL == 0:
		return Nobody, Unknown, fmt.Sprintf("no other segment of the %s was seen, with which its TTL could be compared", nameOf(side))
	case s.TTL != f.ttl:
		return ByMiddle, Inferred, fmt.Sprintf("its TTL is %d, and the %s's other segments have %d", s.TTL, nameOf(side), f.ttl)
	case f.hasID && s.HasID && s.ID != 0 && s.ID-f.id > 0 && s.ID-f.id <= 64:
		return side, Seen, fmt.Sprintf("its TTL and its IP identification continue the %s's other segments", nameOf(side))
	}
	return side, Inferred, fmt.Sprintf("its TTL is that of the %s's other segments, %d", nameOf(side), f.ttl)
}

// timeWait says which end keeps the ports: the one whose FIN was first, if both sent
// one and nobody reset the connection.
func (l *life) timeWait() (keeper Side, both bool) {
	a, b := l.flows[client].fin, l.flows[server].fin
	switch {
	case l.rst.seen || !a.seen || !b.seen:
		return Nobody, false
	case a.guess || b.guess || !a.acks || !b.acks:
		if a.order < b.order {
			return ByClient, false
		}
		return ByServer, false
	case after(a.seq, b.ack) && after(b.seq, a.ack):
		return ByClient, true
	case after(a.seq, b.ack): // the server's FIN does not acknowledge the client's
		return ByServer, false
	}
	return ByClient, false
}
