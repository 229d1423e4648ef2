package aim

import (
	"math"
	"time"
)

// sweep is a server that does not keep a timer for each connection. It looks at all of
// them now and then, and closes those that have been idle for too long, all at once. So
// its closes are spread over the time between two looks. Some servers look more often
// while they have requests to serve, as Tomcat's poller does, by up to busier times.
type sweep struct {
	w       *world
	timeout time.Duration // after which a connection may be closed
	every   time.Duration // between two looks, without requests
	under   time.Duration // likewise, with requests
	next    time.Duration // when the server looks next
	last    time.Duration // when a request came
	waiting []*idler
}

// idler is a connection on which the server waits for a request.
type idler struct {
	c    *connection
	turn int
	over time.Duration // when it has been idle for too long
}

// busier is how many times as often a server looks at its timers under load.
const busier = 5

// swept is the shortest spread of the closes that is taken for a server with a sweep: no
// machine is late by so much all the time.
const swept = 100 * time.Millisecond

// sweeps reports whether the closes are spread as those of a server with a sweep: not
// only late ones are far from the others.
func (s Spread) sweeps() bool {
	if s.Seen < few || s.Width() < swept {
		return false
	}
	from, to := s.densest()
	return to-from >= swept/2
}

// newSweep returns the sweep of w's server; nil if it has none.
func newSweep(w *world) *sweep {
	if !w.server.Idle.sweeps() {
		return nil
	}
	every := max(w.idle.at(1)-w.idle.at(0), swept)
	return sweepOf(w, w.idle.at(0), every, time.Duration(float64(every)*math.Pow(busier, -w.rng.Float64())))
}

func sweepOf(w *world, timeout, every, under time.Duration) *sweep {
	s := &sweep{w: w, timeout: timeout, every: every, under: under, next: time.Duration(w.rng.Float64() * float64(every))}
	s.plan()
	return s
}

func (s *sweep) plan() {
	at := s.next
	s.w.plan(at, func() {
		if s.next == at { // otherwise a request has brought it forward
			s.look()
		}
	})
}

// look closes what has been idle for too long.
func (s *sweep) look() {
	w, kept := s.w, s.waiting[:0]
	for _, i := range s.waiting {
		switch {
		case i.c.turn != i.turn: // it is used again, or gone
		case i.over > w.now:
			kept = append(kept, i)
		default:
			i.c.closes, i.c.fin = w.now, w.across(w.now)
			w.notice(i.c)
		}
	}
	s.waiting = kept
	every := s.every
	if w.now-s.last < s.under {
		every = s.under
	}
	s.next = w.now + every
	s.plan()
}

// waits notes that the server has sent a response on c at done.
func (s *sweep) waits(c *connection, done time.Duration) {
	s.waiting = append(s.waiting, &idler{c, c.turn, done + s.timeout})
	c.over = done + s.timeout
}

// arrives notes that a request reaches the server then on c. If the server looks before,
// the request is lost.
func (s *sweep) arrives(c *connection, then time.Duration) {
	s.last = then
	if soon := then + s.under; soon < s.next {
		s.next = soon
		s.plan()
	}
	if c.closes == 0 && c.served && c.over <= s.next && s.next <= then {
		c.closes, c.fin = s.next, s.w.across(s.next)
	}
}
