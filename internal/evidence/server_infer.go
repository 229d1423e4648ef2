package evidence

import (
	"slices"
	"time"
)

// Infer says how a server treats its connections. All connections of the list must go
// to the same server; its address is that of the first.
func Infer(list []Connection) Server {
	var s Server
	s.count(list)
	lives := keptOf(list)
	s.busyBursts(lives)
	s.limit(lives)
	s.lifetime(lives)
	s.bursts(lives)
	s.afterResponses(lives)
	s.idle(lives)
	s.idleOfArrived(lives)
	s.Fresh = timerOf(spansOf(list, freshSpan))
	s.Half = timerOf(spansOf(list, halfSpan))
	s.UsedHalf = timerOf(spansOf(list, usedHalfSpan))
	s.closes(lives)
	s.late(list)
	s.forgets(list)
	s.hints(list)
	s.backends(lives)
	s.keeping(lives)
	return s
}

// count counts what needs no inference, and measures the round trip and the response
// time.
func (s *Server) count(list []Connection) {
	var trips, waits []time.Duration
	s.Connections, s.Statuses = len(list), map[int]int{}
	for i := range list {
		c := &list[i]
		if i == 0 && c.Server.IsValid() {
			s.Address = c.Server.String()
		}
		s.TLS = s.TLS || c.TLS
		if c.RoundTrip > 0 {
			trips = append(trips, c.RoundTrip)
		}
		s.Requests, s.Responses = s.Requests+c.missingTurns(), s.Responses+c.missingTurns()
		for n, e := range c.turns() {
			if e.Sent != NotSeen {
				s.Requests++
			}
			if n == 0 && c.Opened != NotSeen && e.Sent != NotSeen && e.First == NotSeen {
				s.unanswered(c)
			}
			if e.Status != 0 {
				s.Statuses[e.Status]++
			}
			if e.Done == NotSeen {
				continue
			}
			s.Responses++
			if e.Sent != NotSeen && e.First >= e.Sent {
				waits = append(waits, e.First-e.Sent)
			}
		}
	}
	s.RoundTrip, s.Response = timesOf(trips), timesOf(waits)
}

// unanswered notes that the first request on c got no response.
func (s *Server) unanswered(c *Connection) {
	s.Unanswered++
	if _, closed := c.end(); closed {
		s.AtOnce.count(c.Close.How)
	}
}

// cause is the rule that explains a close.
type cause uint8

const (
	byTimer cause = iota // or not explained
	byLimit
	byBurst
	byLifetime
	byResponse // directly after a response, without a limit that explains it
)

// kept is a connection that has carried a response, with how it ended.
type kept struct {
	c         *Connection
	responses int           // complete ones that the client asked for
	last      Exchange      // the last of them
	idle      time.Duration // from it to the close, to the next request, or to the end of the observation
	closed    bool          // the server, or the path, closed it while it was idle
	cause     cause
}

// keptOf describes the connections that carried a response.
func keptOf(list []Connection) []kept {
	all := make([]kept, 0, len(list))
	for i := range list {
		k := kept{c: &list[i], responses: list[i].missingTurns()}
		end, closed := k.c.end()
		for _, e := range k.c.turns() {
			if unasked(e) {
				continue
			}
			if !responded(e) { // the request after the last response
				if !closed || k.c.Close.At > e.Sent && !k.c.crossed() {
					end, closed = e.Sent, false
				}
				break
			}
			k.responses, k.last = k.responses+1, e
		}
		if k.responses == 0 || end == NotSeen {
			continue
		}
		if half := k.c.Half; half != NotSeen && half < end {
			end, closed = half, false
		}
		k.idle, k.closed = max(end-k.last.Done, 0), closed
		all = append(all, k)
	}
	return all
}

// turns returns the exchanges of c, and after them the requests without a response.
func (c *Connection) turns() []Exchange {
	turns := slices.Clip(c.Exchanges)
	for _, u := range c.Unanswered {
		if c.Half == NotSeen || u.Whole { // else it is the half head
			turns = append(turns, Exchange{Sent: u.Sent, First: u.First, Done: NotSeen})
		}
	}
	return turns
}

// missingTurns is how many exchanges in the middle are left out of c.Exchanges.
func (c *Connection) missingTurns() int { return max(c.Requests-len(c.Exchanges), 0) }

// leftOut reports whether exchanges between turn i and the one before are left out.
func (c *Connection) leftOut(i int) bool { return i == KeptFirst && c.missingTurns() > 0 }

// crossed reports whether the first request without a response was on the way when the
// server closed, so that the timer had run out.
func (c *Connection) crossed() bool {
	return len(c.Unanswered) > 0 && c.Unanswered[0].Met == Crossed && c.Unanswered[0].Basis == Seen
}

// waits reports whether e may still get its response: the observation ended soon after.
func (c *Connection) waits(e Exchange) bool {
	return e.First == NotSeen && c.Close.How == Open && c.Until-e.Sent < time.Second
}

// since returns how long the connection had been open when it was closed; -1: not seen.
func (l kept) since() time.Duration {
	if l.c.Opened == NotSeen {
		return -1
	}
	return l.c.Close.At - l.c.Opened
}

// timed reports whether the close is one that a timer has to explain.
func (l kept) timed() bool { return l.closed && l.cause == byTimer }

// span returns the time after the last response. A close that another rule explains
// only says that the idle timer was longer.
func (l kept) span() span {
	return span{age: l.idle, closed: l.timed(), late: l.c.Slack, early: l.c.responseSlack(), close: &l.c.Close, with: l.c}
}

// end is when c was closed, or seen for the last time. closed: somebody other than the
// client closed it.
func (c *Connection) end() (at time.Duration, closed bool) {
	if c.Close.How == Open || c.Close.How == Silent || c.Close.At == NotSeen {
		return c.Until, false
	}
	return c.Close.At, c.Close.By == ByServer || c.Close.By == ByMiddle
}

// responseSlack is how much later than on the wire the times of responses may have been
// taken.
func (c *Connection) responseSlack() time.Duration {
	if c.Stamped {
		return 0
	}
	return c.Slack
}

// unasked reports whether e is a 408 that no request asked for.
func unasked(e Exchange) bool { return e.Sent == NotSeen && e.Status == 408 }

// responded reports whether e has a complete response, other than the 408 with which a
// server closes a connection that it found idle.
func responded(e Exchange) bool { return e.Done != NotSeen && e.Status != 408 }

// unasked408 reports whether c ended with a 408: none was asked for, or the last
// request was answered so.
func unasked408(c *Connection) bool {
	n := len(c.Exchanges)
	return c.Unasked == 408 || n > 0 && c.Exchanges[n-1].Status == 408
}

// gaps returns the idle times of c between a response and the next request, of at least
// least, and the longest of the shorter ones. The server's timer is longer than each.
func (c *Connection) gaps(least time.Duration) (spans []span, longest time.Duration) {
	if c.missingTurns() > 0 {
		longest = c.LongestIdle
	}
	for i := 1; i < len(c.Exchanges); i++ {
		before, next := c.Exchanges[i-1], c.Exchanges[i]
		if before.Done == NotSeen || next.Sent < before.Done || !responded(next) || c.leftOut(i) {
			continue
		}
		if age := next.Sent - before.Done; age >= least {
			spans = append(spans, span{age: age, early: c.responseSlack()})
		} else {
			longest = max(longest, age)
		}
	}
	return spans, longest
}

// spansOf collects the spans that of finds in connections.
func spansOf(list []Connection, of func(*Connection) (span, bool)) (spans []span) {
	for i := range list {
		if s, ok := of(&list[i]); ok {
			spans = append(spans, s)
		}
	}
	return spans
}

// spanFrom is the time from start to the end of c.
func (c *Connection) spanFrom(start time.Duration) (span, bool) {
	end, closed := c.end()
	if start == NotSeen || end == NotSeen || end < start {
		return span{}, false
	}
	return span{age: end - start, closed: closed, late: c.Slack, early: c.Slack, close: &c.Close, with: c}, true
}

// used reports whether a request was sent on c, or a response received that was asked
// for.
func (c *Connection) used() bool {
	return slices.ContainsFunc(c.turns(), func(e Exchange) bool { return !unasked(e) })
}

func freshSpan(c *Connection) (span, bool) {
	if c.used() || c.Half != NotSeen {
		return span{}, false
	}
	if c.Ready == NotSeen {
		return c.spanFrom(c.Opened)
	}
	return c.spanFrom(c.Ready)
}

func halfSpan(c *Connection) (span, bool) {
	if c.used() {
		return span{}, false
	}
	return c.spanFrom(c.Half)
}

func usedHalfSpan(c *Connection) (span, bool) {
	if !c.used() {
		return span{}, false
	}
	return c.spanFrom(c.Half)
}

// idle finds the idle timers. Times that form groups follow from several timers: the
// shortest is Server.Idle.
func (s *Server) idle(lives []kept) {
	closes, open := idleSpans(lives)
	groups := grouped(closes)
	if len(groups) == 0 {
		s.Idle = timerOf(open)
		return
	}
	s.Idle = timerOf(append(groups[0], open...))
	s.Idle.doubt(groups[0])
	for _, g := range groups[1:] {
		s.Others = append(s.Others, timerOf(g))
	}
}

// idleSpans returns the idle times that the timer ended, and those that something else
// ended. Of the latter, those shorter than all of the former say no more about the timer
// than the longest of them, and there may be millions.
func idleSpans(lives []kept) (closes, open []span) {
	least, longest := farthest, time.Duration(0)
	for _, l := range lives {
		if one := l.span(); one.closed && !l.last.Closing {
			closes = append(closes, one)
			least = min(least, one.age-one.late)
		}
	}
	for _, l := range lives {
		spans, shorter := l.c.gaps(least - l.c.responseSlack())
		open, longest = append(open, spans...), max(longest, shorter)
		if one := l.span(); !one.closed && !l.last.Closing {
			open = append(open, one)
		}
	}
	if longest > 0 {
		open = append(open, span{age: longest})
	}
	return closes, open
}

// closes says how idle connections were closed, and how long after a close_notify the
// FIN came.
func (s *Server) closes(lives []kept) {
	var how Kinds
	var gaps []span
	for _, l := range lives {
		if !l.timed() {
			continue
		}
		c := l.c.Close
		how.count(c.How)
		switch {
		case c.How != Notify:
		case c.FIN < c.At: // it was not seen
			s.BareNotify++
			gaps = append(gaps, span{age: max(l.c.Until-c.At, 0)})
		default:
			gaps = append(gaps, span{age: c.FIN - c.At, closed: true, late: l.c.Slack, early: l.c.Slack})
		}
	}
	s.Close, s.Notify = how.Most(), timerOf(gaps)
}

// keeping sums up how connections are treated after a response.
func (s *Server) keeping(lives []kept) {
	switch each := closedEach(lives); {
	case s.Responses == 0 && s.Requests > 0:
		if closed := s.AtOnce.FIN + s.AtOnce.RST + s.AtOnce.Notify; 2*closed > s.Unanswered {
			s.Keeping = ClosesAtOnce
		}
	case each:
		s.Keeping = ClosesEach
	case s.Idle.Known():
		s.Keeping = KeepsUntilIdle
	case s.Idle.LongerThan > 0:
		s.Keeping = KeepsLonger
	}
}
