package evidence

import (
	"cmp"
	"iter"
	"slices"
	"time"
)

// grouped splits closes where their times have a gap that is much wider than the times
// on each side differ. A group has at least 3 closes and a tenth of all, so that a few
// late observations are none.
func grouped(closes []span) [][]span {
	if len(closes) == 0 {
		return nil
	}
	slices.SortFunc(closes, func(a, b span) int { return cmp.Compare(a.age, b.age) })
	least := max(3, len(closes)/10)
	for i := least; i <= len(closes)-least; i++ {
		below, above := closes[:i], closes[i:]
		wide := max(10*time.Millisecond, 3*inner(below), 3*inner(above))
		if closes[i].age-closes[i-1].age > wide && reach(above, -1)-reach(below, +1) > wide && !ticked(below, above) {
			return append(grouped(slices.Clone(below)), grouped(slices.Clone(above))...)
		}
	}
	return [][]span{closes}
}

// ticked reports whether closes above a gap came at the same moments as closes below it.
// Then the server looks at its timers only now and then, and the gap is one between the
// times at which the connections became idle.
func ticked(below, above []span) bool {
	at := make([]time.Duration, len(below))
	for i, s := range below {
		at[i] = s.close.At
	}
	slices.Sort(at)
	const near = 5 * time.Millisecond
	if per := (at[len(at)-1] - at[0]) / time.Duration(len(at)); per > 0 && per < 10*near && len(at) > 10 {
		return false // some closes come at the same moment by chance
	}
	same := 0
	for _, s := range above {
		if i, _ := slices.BinarySearch(at, s.close.At-near); i < len(at) && at[i] <= s.close.At+near {
			same++
		}
	}
	return same*2 > len(above)
}

// doubt says what else explains the closes of an idle timer.
func (t *Timer) doubt(closes []span) {
	if len(closes) < 2 {
		return
	}
	first, last := closes[0].close.At, closes[0].close.At
	least, most := farthest, time.Duration(0) // from opening to the last response
	for _, s := range closes {
		first, last = min(first, s.close.At), max(last, s.close.At)
		switch used := s.close.At - s.age - s.with.Opened; {
		case s.with.Opened == NotSeen:
			least = 0
			most = farthest
		case t.Low <= s.age && s.age <= t.High:
			least, most = min(least, used), max(most, used)
		}
	}
	switch {
	case last-first < 2*together && t.Max-t.Min > 10*together:
		t.Basis = Inferred
		t.Why = "all closes came at the same moment, although the connections had been idle for different times; a restart of the server explains them as well"
	case most-least < 20*time.Millisecond+2*(t.High-t.Low):
		t.Basis = Inferred
		t.Why = "all connections became idle directly after they were opened, so a lifetime of connections explains the closes as well"
	}
}

// reach is the end of a group of closes on the side of the gap, with the slack of the
// times: the largest below the gap (side +1), the smallest above it (side -1).
func reach(group []span, side time.Duration) time.Duration {
	end := time.Duration(-1)
	for _, s := range group {
		at := s.age - s.late
		if side > 0 {
			at = s.age + s.early
		}
		if end < 0 || (at-end)*side > 0 {
			end = at
		}
	}
	return end
}

// inner is the width of the middle of a sorted group: a tenth on each side is left out,
// so that single outliers do not count.
func inner(group []span) time.Duration {
	cut := (len(group) + 9) / 10
	if len(group) <= 2*cut {
		cut = 0
	}
	return group[len(group)-1-cut].age - group[cut].age
}

// together is the longest time between two closes of one burst: the processes of a
// server that reloads close their connections within about 100 ms of one another.
const together = 100 * time.Millisecond

// bursts finds moments in which many connections were closed, however long they had
// been idle. A server that looks at its timers only now and then closes many at a time
// too, but then each has been idle for about the timeout.
func (s *Server) bursts(lives []kept) {
	early, common := tooEarly(timedOf(lives))
	if !common && !uneven(early) {
		return
	}
	slices.SortFunc(early, func(a, b *kept) int { return cmp.Compare(a.c.Close.At, b.c.Close.At) })
	for group := range closedTogether(early) {
		if isBurst(group) {
			s.Bursts = append(s.Bursts, burstOf(group))
		}
	}
}

// busyBursts finds bursts under load, when each connection has just carried a response:
// at one moment the server closed most of the connections that were open, after different
// numbers of responses.
func (s *Server) busyBursts(lives []kept) {
	var ended []*kept
	var opened, over []time.Duration
	for i := range lives {
		l := &lives[i]
		opened = append(opened, max(l.c.Opened, l.c.Since))
		end, _ := l.c.end()
		over = append(over, end)
		if l.timed() && l.ended() && !l.last.Closing && l.responses > 2 {
			ended = append(ended, l)
		}
	}
	slices.Sort(opened)
	slices.Sort(over)
	slices.SortFunc(ended, func(a, b *kept) int { return cmp.Compare(a.c.Close.At, b.c.Close.At) })
	for group := range closedTogether(ended) {
		at := group[0].c.Close.At
		before, _ := slices.BinarySearch(opened, at)
		gone, _ := slices.BinarySearch(over, at)
		took, numbers := group[len(group)-1].c.Close.At-at, map[int]bool{}
		for _, l := range group {
			numbers[l.responses] = true
		}
		if len(group) >= 3 && len(numbers)*2 > len(group) && len(group)*2 >= before-gone && took <= 10*together {
			s.Bursts = append(s.Bursts, burstOf(group))
		}
	}
}

// closedTogether splits closes, which are in the order of time, at the pauses between them.
func closedTogether(list []*kept) iter.Seq[[]*kept] {
	return func(yield func([]*kept) bool) {
		for from := 0; from < len(list); {
			to := from + 1
			for to < len(list) && list[to].c.Close.At-list[to-1].c.Close.At <= together {
				to++
			}
			if !yield(list[from:to]) {
				return
			}
			from = to
		}
	}
}

// timedOf returns the closes that a timer has to explain.
func timedOf(lives []kept) (timed []*kept) {
	for i := range lives {
		if l := &lives[i]; l.timed() {
			timed = append(timed, l)
		}
	}
	return timed
}

// tooEarly returns the closes before the idle time at which most came, and whether they
// have such a time in common. Without it, all are returned.
func tooEarly(timed []*kept) (early []*kept, common bool) {
	timed = slices.Clone(timed)
	slices.SortFunc(timed, func(a, b *kept) int { return cmp.Compare(a.idle, b.idle) })
	dense := densest(timed, (*kept).idleTime)
	if len(dense) < max(3, len(timed)/5) || evenly(timed, dense) {
		return timed, false
	}
	limit := dense[0].idle - max(dense[0].idle/50, 2*soon)
	n, _ := slices.BinarySearchFunc(timed, limit, func(l *kept, at time.Duration) int { return cmp.Compare(l.idle, at) })
	return timed[:n], true
}

// uneven reports whether idle times, the shortest first, are too different for one timer
// that the server looks at every second or two.
func uneven(sorted []*kept) bool {
	if len(sorted) < 3 {
		return false
	}
	first, last := sorted[0].idle, sorted[len(sorted)-1].idle
	return first*4 < last || last-first > 2500*time.Millisecond
}

// evenly reports whether the closes before the dense ones follow them as closely as
// one timer spreads them, so that they belong to the same timer.
func evenly(timed, dense []*kept) bool {
	first := timed[0].idle
	return len(dense)*2 < len(timed) && first*4 >= dense[0].idle && dense[0].idle-first < 2500*time.Millisecond
}

// isBurst reports whether closes that came together had different idle times.
func isBurst(group []*kept) bool {
	if len(group) < 3 {
		return false
	}
	slowest := slices.MaxFunc(group, func(a, b *kept) int { return cmp.Compare(a.idle, b.idle) })
	took := group[len(group)-1].c.Close.At - group[0].c.Close.At
	return took <= 10*together && width(group, (*kept).idleTime) > max(slowest.idle*3/100, 5*time.Millisecond)
}

// burstOf describes a burst, and notes it as the cause of its closes.
func burstOf(group []*kept) Burst {
	b := Burst{
		At: group[0].c.Close.At, Until: group[len(group)-1].c.Close.At, Closes: len(group),
		IdleMin: group[0].idle, IdleMax: group[0].idle,
	}
	for _, l := range group {
		l.cause = byBurst
		b.IdleMin, b.IdleMax = min(b.IdleMin, l.idle), max(b.IdleMax, l.idle)
		b.How.count(l.c.Close.How)
	}
	return b
}
