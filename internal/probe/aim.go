package probe

import (
	"slices"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// known returns what has been found so far.
func (s *site) known() *Known {
	k := &Known{}
	for _, c := range s.conns {
		switch {
		case !c.carried() || c.plan.Role == UsedHalf:
		case c.plan.Role == Late && c.sent > 1 && !c.closed(): // see looksAt: it began to wait long after the others
		case c.closed() || c.state == idle && c.sent >= c.plan.Requests || c.state == idle && c.plan.Role == Late:
			k.add(&c.seen)
		}
	}
	return k
}

// lates returns the connections whose late request is still to be sent, the oldest first.
func (s *site) lates() (list []*conn) {
	for _, c := range s.conns {
		if c.plan.Role == Late && c.sent == 1 && c.carried() && c.state == idle && !c.last().Closing {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b *conn) int { return int(a.last().Done - b.last().Done) })
	return list
}

// aim sets when the late requests are sent: by the closes so far or, without any, at the
// ages of looksAt.
func (s *site) aim() {
	list := s.lates()
	k := s.known()
	switch {
	case len(list) == 0, s.ending != "":
	case k.timer():
		ages := spread(lateAges(k.Idle, s.roundTrip(), max(s.planned(Late), 1)))
		for _, c := range list {
			c.next = c.last().Done + ages[s.index(c)%len(ages)]
		}
	case len(k.Idle) > 0:
		for _, c := range list {
			c.next = never // soon more is known
		}
	case s.lost > 0:
		for _, c := range list[:min(len(list), max(enoughLost-s.lost, 0))] {
			c.next = s.now()
		}
	default:
		s.lookAgain(list)
	}
}

// enoughLost is how many requests must have met silence or an RST before the probe believes
// that a machine in the path forgets kept connections.
const enoughLost = 3

// lookAgain has one of list sent on at each age of looksAt, the oldest one first.
func (s *site) lookAgain(list []*conn) {
	used := s.planned(Late) - len(list)
	for i, c := range list {
		c.next = never
		if at := used + i; at < len(looksAt) {
			c.next = c.last().Done + looksAt[at]
		}
	}
}

// index is the place of c among the connections for late requests.
func (s *site) index(c *conn) (i int) {
	for _, other := range s.conns {
		if other == c {
			return i
		}
		if other.plan.Role == Late {
			i++
		}
	}
	return i
}

// planned counts the connections of a role in the plan.
func (s *site) planned(r Role) (n int) {
	for _, o := range s.plan.Openings {
		if o.Role == r {
			n++
		}
	}
	return n
}

// spread orders ages so that neighbours are not beside each other, the first one
// excepted: if only some of them are used, they still lie over the whole range.
func spread(ages []time.Duration) []time.Duration {
	var list []time.Duration
	for step := range 3 {
		for i := step; i < len(ages); i += 3 {
			list = append(list, ages[i])
		}
	}
	return list
}

// roundTrip is the median time to the server and back.
func (s *site) roundTrip() time.Duration {
	var trips []time.Duration
	for _, c := range s.conns {
		if c.seen.RoundTrip > 0 {
			trips = append(trips, c.seen.RoundTrip)
		}
	}
	if len(trips) == 0 {
		return 0
	}
	slices.Sort(trips)
	return trips[len(trips)/2]
}

// finished reports whether what can be known is known, or the time is over.
func (s *site) finished() bool {
	k, now := s.known(), s.now()
	switch {
	case s.every(func(c *conn) bool { return c.state == done || c.state == closing }):
		return true
	case k.keepsNone():
		s.ending = "the server keeps no connection"
		return true
	case s.lost >= enoughLost:
		s.ending = "kept connections were forgotten on the way"
		return true
	case s.o.WaitAll || s.counting():
	case k.timer() && now > s.from+atMost(k.Median()):
		return true
	case now > s.from+s.lastOpening() && k.Waiting == 0 && s.every(func(c *conn) bool { return c.settled() }):
		return true
	}
	return s.limitReached(k, now)
}

// counting reports whether a connection for the limit of requests has more to send.
func (s *site) counting() bool {
	return slices.ContainsFunc(s.conns, func(c *conn) bool { return c.plan.Role == Many && (c.state == pausing || c.state == asking) })
}

// settled reports whether c tells nothing more about the idle timeout.
func (c *conn) settled() bool {
	switch c.plan.Role {
	case Fresh, Half, UsedHalf:
		return c.state != planned && c.state != dialing
	case Late:
		if c.state == idle && c.sent > 1 {
			return true
		}
	}
	return c.state == done || c.state == closing || c.state == idle && c.closed() && c.next == never
}

// limitReached ends a probe that has taken its time. If no idle connection was closed,
// some of them are used once more before, to see whether they are alive.
func (s *site) limitReached(k *Known, now time.Duration) bool {
	limit := s.from + s.o.Limit
	if now < limit {
		return false
	}
	if s.ending == "" {
		s.ending = "the time is over"
		for i, c := range s.lates() {
			if c.next = never; i < enoughLost && !k.timer() {
				c.next = now
			}
		}
	}
	return !slices.ContainsFunc(s.conns, func(c *conn) bool { return c.state == asking || c.plan.Role == Late && c.next <= now }) || now > limit+s.o.Timeout
}

func (s *site) every(is func(*conn) bool) bool {
	return !slices.ContainsFunc(s.conns, func(c *conn) bool { return !is(c) })
}

// lastOpening is when the last connection is opened, since the first response.
func (s *site) lastOpening() (at time.Duration) {
	for _, o := range s.plan.Openings {
		at = max(at, o.At)
	}
	return at
}

// left is how long the probe goes on, as far as is known; it ends sooner than the limit if
// the server closes idle connections.
func (s *site) left(k *Known) time.Duration {
	end := s.from + s.o.Limit
	if len(k.Idle) > 0 && !s.o.WaitAll {
		end = min(end, max(s.from+s.lastOpening()+k.Idle[len(k.Idle)-1], s.lastDue()))
	}
	return max(end-s.now(), 0)
}

// lastDue is the latest time at which something is to be done.
func (s *site) lastDue() (at time.Duration) {
	for _, c := range s.conns {
		if c.next != never && c.state != asking { // a response comes sooner than it has to
			at = max(at, c.next)
		}
	}
	return at
}

// observations returns what was seen of each connection that was opened.
func (s *site) observations() (list []evidence.Connection) {
	for _, c := range s.conns {
		if c.seen.Ready == evidence.NotSeen || s.blurred(c) {
			continue
		}
		c.seen.Slack = s.slack(c)
		list = append(list, c.seen)
	}
	return list
}

// blurred reports whether c was closed about when its response was read, by a process that
// had noticed nothing for some time. The kernel stamps what is read in one go with the time of
// the last segment, the FIN included: how long c had been idle is not known.
func (s *site) blurred(c *conn) bool {
	idle, closed := idleAtClose(&c.seen)
	return closed && idle <= soon && s.canary.slack(c.readAt) > soon
}

// slack is how far the times of c may be from those on the wire.
func (s *site) slack(c *conn) time.Duration {
	if c.endedAt.IsZero() {
		return usualSlack
	}
	late := s.canary.slack(c.endedAt)
	if c.endedTick != unknownSlack {
		late = min(late, c.endedTick)
	}
	if c.unstamped {
		late = max(late, s.canary.slack(c.readAt))
	}
	return late
}
