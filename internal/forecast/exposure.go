package forecast

import (
	"time"

	"github.com/kabench/kabench/dialers/pool"
)

// exposure integrates how likely a race is, instead of counting races. For Poisson
// arrivals the probability that the next request comes within dt does not depend on the
// past: it is rate × dt. A request that comes while the connection that it would get is in
// its window meets the server's close. So the expected number of races is the integral of
// the rate over that time, which varies far less than the number of races where those are
// rare.
type exposure struct {
	rate float64 // arrivals per nanosecond; 0: not known, so that nothing is integrated
	open int     // connections in their windows
	sum  float64 // expected races
}

func (e *exposure) begin(w *world) {
	if w.integrates() {
		e.rate = float64(w.load.Rate) / 1e9
	}
}

// watch follows a connection that has become idle and that the server is going to close.
// Its window begins where a request that leaves then arrives after the close, and ends when
// the client has noticed.
//
// A connection mostly has one event planned. If it was used in the meantime, the event comes
// too early and is planned again: that is rarer than planning one for each use. Where the
// server's time is random, the next close may come before the one that was planned for.
func (e *exposure) watch(w *world, c *connection) {
	if c.closes == never || w.policy.Liveness == pool.None {
		return
	}
	if at := e.opens(w, c); at < c.watchAt {
		c.watchAt = at
		w.plan(ofWindows, event{at: at, kind: window, c: c})
	}
}

// looks reports whether the pool probes connections for the requests of this load.
func (f *facts) looks() bool { return !(f.policy.ProbeUnsafeOnly && f.safe) }

// released is when the pool got c back, which is idle.
func (c *connection) released(w *world) time.Duration { return c.finish + w.oneWay }

// opens is when the window of c begins.
func (e *exposure) opens(w *world, c *connection) time.Duration { return c.closes - c.blind - w.oneWay }

func (e *exposure) opened(w *world, ev event) {
	c := ev.c
	if ev.at != c.watchAt {
		return // one that was planned later comes sooner
	}
	c.watchAt = never
	if c.gone || c.busy || c.closes == never {
		return // it is watched again when it is next idle
	}
	if at := e.opens(w, c); at > ev.at {
		c.watchAt = at
		w.plan(ofWindows, event{at: at, kind: window, c: c})
		return
	}
	seen := c.closes + w.oneWay
	switch {
	case w.policy.Liveness == pool.Events:
		seen += handling
	case !w.looks():
		seen = never
	default:
		seen = max(seen, c.released(w)+w.policy.ProbeAfter)
	}
	if e.rate > 0 {
		c.inWindow = true
		e.open++
	} else if w.policy.Liveness != pool.Events {
		return
	}
	if seen != never {
		w.plan(ofNotices, event{at: seen, kind: noticed, c: c, turn: c.turn})
	}
}

// left ends the window of c: it is leased, closed, or its end is noticed.
func (e *exposure) left(c *connection) {
	c.inWindow = false
	e.open--
}

// pass adds the time from now on.
func (e *exposure) pass(w *world, to time.Duration) {
	if !w.count.racing || to <= w.now || !w.room() {
		return
	}
	for next := range w.pools[0].core.Candidates(w.now, 0) {
		c := next.Data.(*connection)
		if w.policy.Liveness == pool.Probe && w.looks() && w.seesEnd(c) && w.now >= c.released(w)+w.policy.ProbeAfter {
			continue // the probe finds out, and the next one is tried
		}
		if c.inWindow {
			e.sum += float64(to-w.now) * e.rate
		}
		return
	}
}

// integrates reports whether races can be integrated: arrivals do not depend on the past,
// the next one gets the connection that is known now, and the window ends.
func (f *facts) integrates() bool {
	return f.poisson && max(f.policy.Shards, 1) == 1 && f.policy.Liveness != pool.None && (f.idle != nil || f.way != nil && !f.way.how.Silent())
}
