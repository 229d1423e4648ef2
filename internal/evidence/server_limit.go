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
func (l kept) ended() bool {
	return l.last.Closing || l.closed && l.cause != byBurst && l.idle <= soon+2*l.c.Slack
}

// limit looks for a number of responses after which connections end: those that come
// so far end there, and none carries more. A limit that is announced and not kept is
// found by its announcements.
func (s *Server) limit(lives []kept) {
	at := map[int]int{} // connections by the response that ended them
	n, most := 0, 0
	for _, l := range lives {
		s.Limit.MoreThan = max(s.Limit.MoreThan, l.responses)
		if l.c.Opened == NotSeen || !l.ended() {
			continue
		}
		place := l.place()
		if at[place]++; at[place] > most || at[place] == most && place > n {
			n, most = place, at[place]
		}
	}
	if at[s.Limit.MoreThan] > 0 {
		n, most = s.Limit.MoreThan, at[s.Limit.MoreThan]
	}
	reached, second := came(lives, n)
	alone := most == 1 && n < 2*second && !announced(lives, n)
	if s.agedOut(lives) || most == 0 || most*5 < reached*4 || alone || n < s.Limit.MoreThan && !keptOpen(lives, n) {
		markAnnounced(lives)
		return
	}
	s.setLimit(lives, n, reached)
}

// came returns how many connections carried n responses, and the most responses on a
// connection with fewer.
func came(lives []kept, n int) (reached, second int) {
	for _, l := range lives {
		if l.responses >= n {
			reached++
		} else {
			second = max(second, l.responses)
		}
	}
	return reached, second
}

// announced reports whether the n-th response on some connection said Connection:
// close.
func announced(lives []kept, n int) bool {
	return slices.ContainsFunc(lives, func(l kept) bool { return l.place() == n && announces(l.c) })
}

// place is the number of the response that ended l, from 1: the first that announced
// it, or the last.
func (l kept) place() (n int) {
	for i, e := range l.c.Exchanges {
		if l.c.leftOut(i) {
			n += l.c.missingTurns()
		}
		if !responded(e) {
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
func keptOpen(lives []kept, n int) bool {
	for _, l := range lives {
		if l.responses > n && l.place() > n {
			return false
		}
	}
	return true
}

// setLimit notes that the n-th response ends connections; reached of them came so far.
func (s *Server) setLimit(lives []kept, n, reached int) {
	limit := Limit{Basis: Seen, Requests: n, MoreThan: s.Limit.MoreThan}
	said := 0
	for i := range lives {
		l := &lives[i]
		if l.place() != n || !l.ended() {
			continue
		}
		l.cause = byLimit
		limit.Seen++
		if announces(l.c) {
			said++
			limit.KeepsOpen = limit.KeepsOpen || l.responses > n || l.idle > time.Second
		}
	}
	limit.Announced = said*2 > limit.Seen
	limit.Why = fmt.Sprintf("%d of %d connections with %d responses ended there, and none carried more", limit.Seen, reached, n)
	if limit.KeepsOpen {
		limit.Why = fmt.Sprintf("response %d announced the close on %d connections", n, limit.Seen)
	}
	if limit.Seen == 1 {
		limit.Basis = Inferred
		limit.Why = fmt.Sprintf("one connection ended after %d responses; another connection has to show that this was no accident", n)
	}
	s.Limit = limit
}

// announces reports whether a response on c said Connection: close.
func announces(c *Connection) bool {
	return slices.ContainsFunc(c.Exchanges, func(e Exchange) bool { return e.Closing })
}

// markAnnounced gives announced closes a cause other than the idle timer.
func markAnnounced(lives []kept) {
	for i := range lives {
		if l := &lives[i]; l.last.Closing && l.cause == byTimer {
			l.cause = byLimit
		}
	}
}

// afterResponses counts closes directly after a response that nothing else explains. An
// idle timer does not.
func (s *Server) afterResponses(lives []kept) {
	for i := range lives {
		if l := &lives[i]; l.timed() && l.ended() {
			l.cause = byResponse
			s.AfterResponse++
		}
	}
}

// closedEach reports whether nearly every first response ended its connection.
func closedEach(lives []kept) bool {
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
func (s *Server) agedOut(lives []kept) bool {
	var ages []time.Duration
	places := map[int]bool{}
	before := time.Duration(0) // the highest age of a connection at a response without it
	for _, l := range lives {
		if l.c.Opened == NotSeen {
			continue
		}
		for _, e := range l.c.Exchanges {
			switch {
			case !responded(e):
			case e.Closing:
				ages = append(ages, e.Done-l.c.Opened)
				places[l.place()] = true
			default:
				before = max(before, e.Done-l.c.Opened)
			}
		}
	}
	slices.Sort(ages)
	if len(ages) < 2 || mayBeLimit(lives, places) || before == 0 || before > ages[0] {
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
// long these had been idle. Hardly any connection may have lived longer.
func (s *Server) lifetime(lives []kept) {
	group := densest(bySince(unexplained(lives)), (*kept).sinceOpen)
	if len(group) < 3 {
		return
	}
	opened, idle, clock := width(group, (*kept).sinceOpen), width(group, (*kept).idleTime), width(group, (*kept).closedAt)
	if idle < 5*opened || idle < 20*time.Millisecond || clock < 3*opened {
		return
	}
	if group = explained(lives, group); group == nil {
		return
	}
	for _, l := range group {
		l.cause = byLifetime
	}
	s.Lifetime = timerOf(lifeSpans(lives))
	s.Lifetime.Basis = Inferred
	s.Lifetime.Why = fmt.Sprintf("%d connections were closed at the same age, within %s, after idle times that differ by %s", len(group), seconds(opened), seconds(idle))
}

// explained returns the closes that a lifetime explains if it explains those of group: all
// timed ones, or else the group. It returns nil if more than a few connections lived longer.
// A server counts from its accept, and a busy one accepts late.
func explained(lives []kept, group []*kept) []*kept {
	const near = 20 * time.Millisecond
	least, most := group[0].since()-near, group[len(group)-1].since()+near
	fit, older := 0, 0
	for _, l := range lives {
		end, _ := l.c.end()
		switch age := end - l.c.Opened; {
		case l.c.Opened == NotSeen:
		case age > most:
			older++
		case l.timed() && age >= least:
			fit++
		}
	}
	timed := bySince(timedOf(lives))
	switch {
	case older*10 > fit:
		return nil
	case len(timed) > 0 && timed[0].since() >= least:
		return timed
	}
	return group
}

// mayBeLimit reports whether a limit of requests explains responses that announced the close:
// all were at the same place, and no connection got that far without it.
func mayBeLimit(lives []kept, places map[int]bool) bool {
	if len(places) > 1 {
		return false
	}
	return !slices.ContainsFunc(lives, func(l kept) bool { return places[l.place()] && !announces(l.c) })
}

// livesUntil reports whether the lifetime ends idle connections, and not only those with a
// response.
func (s Server) livesUntil() bool { return s.Lifetime.Known() && s.Lifetime.How != Kinds{} }

// unexplained returns the closes that the idle timer does not explain, or all if they
// have no idle time in common.
func unexplained(lives []kept) []*kept {
	timed := timedOf(lives)
	early, common := tooEarly(timed)
	if !common {
		return timed
	}
	return early
}

// bySince sorts closes by the age of the connection, and leaves out where it is unknown.
func bySince(list []*kept) []*kept {
	list = slices.DeleteFunc(slices.Clone(list), func(l *kept) bool { return l.since() < 0 })
	slices.SortFunc(list, func(a, b *kept) int { return cmp.Compare(a.since(), b.since()) })
	return list
}

// lifeSpans returns how long connections were open, until a lifetime ended them or
// something else did.
func lifeSpans(lives []kept) (spans []span) {
	for _, l := range lives {
		end, _ := l.c.end()
		switch {
		case l.c.Opened == NotSeen:
		case l.closed && l.cause == byLifetime:
			spans = append(spans, span{age: l.since(), closed: true, late: l.c.Slack, early: l.c.Slack, close: &l.c.Close, with: l.c})
		default:
			spans = append(spans, span{age: end - l.c.Opened})
		}
	}
	return spans
}

func (l *kept) closedAt() time.Duration  { return l.c.Close.At }
func (l *kept) sinceOpen() time.Duration { return l.since() }
func (l *kept) idleTime() time.Duration  { return l.idle }

// densest returns the most members of a sorted list whose values differ by less than
// 2 % or 20 ms.
func densest(sorted []*kept, value func(*kept) time.Duration) []*kept {
	var best []*kept
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
func width(group []*kept, value func(*kept) time.Duration) time.Duration {
	spans := make([]span, len(group))
	for i, l := range group {
		spans[i].age = value(l)
	}
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.age, b.age) })
	return inner(spans)
}
