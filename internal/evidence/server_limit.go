package evidence

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// soon is the longest time between a response and a close that the response causes. It
// is far above what a server needs for it and below any idle timeout in use.
const soon = 10 * time.Millisecond

// ended reports whether the last response ended the connection: it announced the close,
// or the server closed directly after it.
func (l life) ended() bool {
	return l.last.Closing || l.closed && l.idle <= soon+2*l.c.Slack
}

// limit looks for a number of responses after which connections end.
func (s *Server) limit(lives []life) {
	at := map[int]int{} // connections by the response that ended them
	ended := 0
	for i := range lives {
		l := &lives[i]
		s.Limit.MoreThan = max(s.Limit.MoreThan, l.responses)
		if l.ended() && l.c.Opened != NotSeen {
			at[l.place()]++
			ended++
		}
	}
	n, most := 0, 0
	for place, count := range at {
		if count > most || count == most && place > n {
			n, most = place, count
		}
	}
	if s.agedOut(lives) || n == 0 || n < s.Limit.MoreThan && !keptOpen(lives, n) || most*5 < ended*4 {
		markEnded(lives)
		return
	}
	s.setLimit(lives, n, most)
}

// place is the number of the response that ended l, from 1: the first that announced
// it, or the last.
func (l life) place() (n int) {
	for _, e := range l.c.Exchanges {
		if unasked(e) || e.Done == NotSeen {
			continue
		}
		if n++; e.Closing {
			return n
		}
	}
	return n
}

// keptOpen reports whether connections carried more responses after the n-th had
// announced the close, and none without that.
func keptOpen(lives []life, n int) bool {
	for _, l := range lives {
		if l.responses > n && l.place() > n {
			return false
		}
	}
	return true
}

// setLimit notes that the n-th response ends connections, as most of them showed.
func (s *Server) setLimit(lives []life, n, most int) {
	limit := Limit{Basis: Seen, Requests: n, Seen: most, MoreThan: s.Limit.MoreThan}
	announced, stayed := 0, 0
	for i := range lives {
		l := &lives[i]
		if l.place() != n || !l.ended() {
			continue
		}
		l.cause = byLimit
		if announces(l.c) {
			announced++
			if l.responses > n || l.idle > time.Second && l.idle > 20*soon {
				stayed++
			}
		}
	}
	limit.Announced, limit.KeepsOpen = announced*2 > most, stayed > 0
	limit.Why = fmt.Sprintf("%d of %d connections with %d responses ended there, and none carried more", most, countAt(lives, n), n)
	if most == 1 {
		limit.Basis = Inferred
		limit.Why = fmt.Sprintf("one connection ended after %d responses; a second one would prove it", n)
	}
	s.Limit = limit
}

// announces reports whether a response on c said Connection: close.
func announces(c *Connection) bool {
	return slices.ContainsFunc(c.Exchanges, func(e Exchange) bool { return e.Closing })
}

func countAt(lives []life, n int) (count int) {
	for _, l := range lives {
		if l.responses >= n {
			count++
		}
	}
	return count
}

// markEnded gives announced closes a cause other than the idle timer.
func markEnded(lives []life) {
	for i := range lives {
		if l := &lives[i]; l.last.Closing && l.cause == byTimer {
			l.cause = byLimit
		}
	}
}

// closedEach reports whether nearly every first response ended its connection.
func closedEach(lives []life) bool {
	ended, all := 0, 0
	for _, l := range lives {
		all++
		if l.ended() && l.responses == 1 {
			ended++
		}
	}
	return all > 0 && ended*10 >= all*9
}

// agedOut looks for a lifetime that responses announce: each response after it says
// Connection: close, and none before it.
func (s *Server) agedOut(lives []life) bool {
	var ages []time.Duration
	places := map[int]bool{}
	before := time.Duration(0) // the highest age of a connection at a response without it
	for _, l := range lives {
		if l.c.Opened == NotSeen {
			continue
		}
		for _, e := range l.c.Exchanges {
			switch {
			case unasked(e) || e.Done == NotSeen:
			case e.Closing:
				ages = append(ages, e.Done-l.c.Opened)
				places[l.place()] = true
			default:
				before = max(before, e.Done-l.c.Opened)
			}
		}
	}
	slices.Sort(ages)
	if len(ages) < 2 || len(places) < 2 || before == 0 || before > ages[0] {
		return false
	}
	s.Lifetime = Timer{
		Closes: len(ages), Min: ages[0], Max: ages[len(ages)-1], Median: ages[0], Low: before, High: ages[0], Confidence: 1,
		LongerThan: before, Basis: Inferred,
		Why: fmt.Sprintf("%d responses announced the close, all on connections older than any other at a response", len(ages)),
	}
	for i := range lives {
		if announces(lives[i].c) {
			lives[i].cause = byLifetime
		}
	}
	return true
}

// lifetime looks for closes at the same time since the connections were opened, however
// long these had been idle.
func (s *Server) lifetime(lives []life) {
	var timed []*life
	for i := range lives {
		if l := &lives[i]; l.timed() && l.since() >= 0 {
			timed = append(timed, l)
		}
	}
	slices.SortFunc(timed, func(a, b *life) int { return cmp.Compare(a.since(), b.since()) })
	group := densest(timed, func(l *life) time.Duration { return l.since() })
	if len(group) < max(3, len(timed)/4) {
		return
	}
	opened, idle := width(group, (*life).sinceOpen), width(group, (*life).idleTime)
	if idle < 5*opened || idle < 20*time.Millisecond {
		return
	}
	for _, l := range group {
		l.cause = byLifetime
	}
	spans := make([]span, 0, len(lives))
	for _, l := range lives {
		if l.closed && l.cause == byLifetime {
			spans = append(spans, span{age: l.since(), closed: true, slack: l.c.Slack, close: &l.c.Close, with: l.c})
		} else if end, _ := l.c.end(); l.c.Opened != NotSeen {
			spans = append(spans, span{age: end - l.c.Opened, slack: l.c.Slack})
		}
	}
	s.Lifetime = timerOf(spans)
	s.Lifetime.Basis = Inferred
	s.Lifetime.Why = fmt.Sprintf("%d connections were closed at the same age, within %s, after idle times that differ by %s", len(group), seconds(opened), seconds(idle))
}

func (l *life) sinceOpen() time.Duration { return l.since() }
func (l *life) idleTime() time.Duration  { return l.idle }

// densest returns the most members of a sorted list whose values differ by less than
// 2 % or 20 ms.
func densest(sorted []*life, value func(*life) time.Duration) []*life {
	var best []*life
	from := 0
	for to := range sorted {
		for value(sorted[to])-value(sorted[from]) > max(value(sorted[to])/50, 20*time.Millisecond+2*sorted[to].c.Slack) {
			from++
		}
		if to-from+1 > len(best) {
			best = sorted[from : to+1]
		}
	}
	return best
}

// width is how far the values of a group differ, without a tenth on each side.
func width(group []*life, value func(*life) time.Duration) time.Duration {
	spans := make([]span, len(group))
	for i, l := range group {
		spans[i].age = value(l)
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.age, b.age) })
	return inner(spans)
}
