package watch

import (
	"net/netip"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
)

// Segment takes the headers of a segment.
func (w *Watch) Segment(s *segments.Segment) {
	w.wire = true
	w.pass(s.At)
	w.Sum.Segments++
	w.lives.Add(s)
}

// captured takes a connection that the packets show to be over. What the socket of the
// same connection showed completes it: its times before the watch began.
func (w *Watch) captured(sight *segments.Sight) {
	c := sight.Connection
	key := ends(c.Client, c.Server)
	if since, ok := w.told[key]; ok {
		delete(w.told, key)
		if since == c.Since {
			return
		}
	}
	for _, f := range []Flow{{c.Client, c.Server}, {c.Server, c.Client}} {
		if l := w.open[f]; l != nil && !w.ending && c.Close.How == evidence.Open && overlap(l, &c) {
			return // only its packets are no longer followed
		}
	}
	l := w.lifeOf(&c)
	if l == nil {
		if c.SYNs == 0 && c.Requests == 0 && len(c.Unanswered) == 0 && c.Close.How == evidence.Open {
			return // the last segments of an earlier connection
		}
		c.Exchanges = slices.Clone(c.Exchanges)
		w.unsure(func() bool { return w.strange(&c) })
		return
	}
	w.seen(&c)
	w.complete(&c, l)
	w.tell(&c)
}

// strange takes a connection that only packets have shown; false: it is not the service's, as
// far as that is known.
func (w *Watch) strange(c *evidence.Connection) bool {
	accepted, ok := w.belongs(Flow{c.Client, c.Server})
	if !ok || accepted {
		if accepted, ok = w.belongs(Flow{c.Server, c.Client}); ok && !accepted {
			if !c.Guessed {
				return false
			}
			segments.Turn(c) // its client is the server that the service uses
		}
	}
	if ok {
		w.seen(c)
		w.Sum.Connections++
		w.tell(c)
	}
	return ok
}

// sighting is when a connection began that was reported with its packets, and when that was.
type sighting struct{ since, reported time.Duration }

// near is how far apart the kernel's events and the packets date the beginning of a connection
// at most.
const near = 20 * time.Millisecond

// seen notes that a connection is reported with its packets.
func (w *Watch) seen(c *evidence.Connection) {
	if c.SYNs > 0 && len(w.sights) < maxEnded {
		w.sights[ends(c.Client, c.Server)] = sighting{c.Since, w.now}
	}
}

// counted reports whether a connection that began then was reported with its packets. They are
// over at once when another connection of the same ports follows; its events come a second later.
func (w *Watch) counted(f Flow, since time.Duration) bool {
	s, ok := w.sights[ends(f.Local, f.Remote)]
	return ok && since > s.since-near && since < s.since+near
}

// forget forgets old sightings, once a second: their events have come.
func (w *Watch) forget() {
	if w.now-w.forgot < time.Second {
		return
	}
	w.forgot = w.now
	for f, s := range w.sights {
		if w.now-s.reported > 2*wait {
			delete(w.sights, f)
		}
	}
}

// lifeOf takes the life of the same connection out of those that have ended, or that are
// open when the watch ends.
func (w *Watch) lifeOf(c *evidence.Connection) *life {
	for _, f := range []Flow{{c.Client, c.Server}, {c.Server, c.Client}} {
		if l := w.at[f]; l != nil && overlap(l, c) {
			l.taken = true
			delete(w.at, f)
			return l
		}
		if l := w.open[f]; l != nil && overlap(l, c) {
			delete(w.open, f)
			delete(w.cookies, l.cookie)
			l.over = c.Until
			if c.Close.How == evidence.Open {
				w.Sum.Open++
				l.over = notSeen
			}
			return l
		}
	}
	return nil
}

// ends names a connection by its ends, whichever is which.
func ends(a, b netip.AddrPort) Flow {
	if a.Compare(b) < 0 {
		return Flow{a, b}
	}
	return Flow{b, a}
}

// overlap reports whether a life and a connection of the same ports were at one time.
func overlap(l *life, c *evidence.Connection) bool {
	const apart = 2 * time.Second
	over := l.over
	if over == notSeen {
		over = c.Until
	}
	return c.Since <= over+apart && l.since <= c.Until+apart
}

// complete adds to a connection that packets show what they do not: which end opened it,
// when it carried data before the first packet, and how it ended if no packet says so.
func (w *Watch) complete(c *evidence.Connection, l *life) {
	if c.Client != l.client() { // the ends were guessed, and wrong
		segments.Turn(c)
	}
	c.Guessed = false
	if l.opened != notSeen && c.Opened == notSeen {
		c.Opened = l.opened
	}
	if c.RoundTrip == 0 {
		c.RoundTrip = l.roundTrip
	}
	if c.Requests == 0 && len(l.exchanges) > 0 {
		w.addExchanges(c, l)
	}
	// What the kernel's events say is exact, and complete.
	if l.end.how != evidence.Open && l.end.basis == evidence.Seen && c.Close.Basis != evidence.Seen && c.Close.How != evidence.Silent && c.Close.How != evidence.RST {
		by, at := l.side(l.end.by), l.end.at
		if c.Close.How != evidence.Open {
			at = c.Close.At
		} else {
			c.Slack = max(c.Slack, tick+l.end.slack)
		}
		c.Close = evidence.Close{Basis: evidence.Seen, By: by, How: l.end.how, At: at, FIN: notSeen, Why: l.end.why}
	}
	c.Since = min(c.Since, l.since)
}

// addExchanges adds the exchanges before the first packet.
func (w *Watch) addExchanges(c *evidence.Connection, l *life) {
	var list []evidence.Exchange
	for _, e := range l.exchanges {
		if e.Done <= c.Since+tick {
			list = append(list, e)
		}
	}
	if len(list) == 0 {
		return
	}
	c.Exchanges, c.Requests, c.LongestIdle = list, max(l.requests-len(l.exchanges)+len(list), len(list)), l.longest
	c.Slack, c.Ready = max(c.Slack, tick), notSeen
	for i := range c.Unanswered {
		u := &c.Unanswered[i]
		u.Nth += c.Requests
		u.Reused = true
		if i == 0 && u.Idle == notSeen && u.Begun != notSeen {
			u.Idle = max(u.Begun-list[len(list)-1].Done, 0)
		}
	}
}
