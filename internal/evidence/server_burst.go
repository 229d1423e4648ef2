package evidence

import (
	"cmp"
	"slices"
	"time"
)

// together is the longest time between two closes of one burst: the processes of a
// server that reloads close their connections within about 100 ms of one another.
const together = 100 * time.Millisecond

// bursts finds moments in which many connections were closed, however long they had
// been idle. A server that looks at its timers only now and then closes many at a time
// too, but then each has been idle for about the timeout.
func (s *Server) bursts(lives []life) {
	var timed []*life
	for i := range lives {
		if l := &lives[i]; l.timed() {
			timed = append(timed, l)
		}
	}
	early := tooEarly(timed)
	slices.SortFunc(early, func(a, b *life) int { return cmp.Compare(a.c.Close.At, b.c.Close.At) })
	for from := 0; from < len(early); {
		to := from + 1
		for to < len(early) && early[to].c.Close.At-early[to-1].c.Close.At <= together {
			to++
		}
		if group := early[from:to]; isBurst(group) {
			s.Bursts = append(s.Bursts, burstOf(group))
		}
		from = to
	}
}

// tooEarly returns the closes that an idle timer does not explain: those before the
// time at which the timer closed most, or all if their times have no such middle and
// are too different for a timer that is looked at every few seconds.
func tooEarly(timed []*life) []*life {
	if len(timed) < 3 {
		return nil
	}
	slices.SortFunc(timed, func(a, b *life) int { return cmp.Compare(a.idle, b.idle) })
	dense := densest(timed, (*life).idleTime)
	first, last := timed[0].idle, timed[len(timed)-1].idle
	if len(dense) >= max(3, len(timed)/5) && !evenly(timed, dense) {
		limit := dense[0].idle - max(dense[0].idle/50, 2*soon)
		early, _ := slices.BinarySearchFunc(timed, limit, func(l *life, at time.Duration) int { return cmp.Compare(l.idle, at) })
		return slices.Clone(timed[:early])
	}
	if first*4 < last || last-first > 2500*time.Millisecond {
		return slices.Clone(timed)
	}
	return nil
}

// evenly reports whether the closes before the dense ones follow them as closely as
// one timer spreads them, so that they belong to the same timer.
func evenly(timed, dense []*life) bool {
	first := timed[0].idle
	return len(dense)*2 < len(timed) && first*4 >= dense[0].idle && dense[0].idle-first < 2500*time.Millisecond
}

// isBurst reports whether closes that came together had different idle times.
func isBurst(group []*life) bool {
	if len(group) < 3 {
		return false
	}
	idle := width(group, (*life).idleTime)
	return idle > group[len(group)-1].idle/10 && idle > 2*(group[len(group)-1].c.Close.At-group[0].c.Close.At)
}

// burstOf describes a burst, and notes it as the cause of its closes.
func burstOf(group []*life) Burst {
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
