package main

import (
	"math"
	"time"
)

// search looks for the highest rate a tool holds: it doubles the rate until a
// step fails (or halves it until one succeeds), then halves the gap between the
// two, as a ratio, until it is small. A step fails when it was not held twice in a
// row: once may have been the machine.
type search struct {
	held, failed float64 // highest rate that was held, lowest that was not; 0: none yet
	rate         float64 // of the next step
	again        bool    // the rate was not held once
	steps        int     // left
	min, max     float64 // rates that are tried
}

// closeEnough is the ratio of failed to held at which a search ends.
const closeEnough = 1.05

// next returns the rate to try; false when the search is over.
func (s *search) next() (float64, bool) {
	switch {
	case s.steps == 0, s.rate < s.min, s.rate > s.max,
		s.held > 0 && s.failed > 0 && s.failed/s.held <= closeEnough:
		return 0, false
	}
	return s.rate, true
}

// tell says how the step at the rate of next went.
func (s *search) tell(held bool) {
	s.steps--
	if s.again = !held && !s.again; s.again {
		return
	}
	if held {
		s.held = s.rate
	} else {
		s.failed = s.rate
	}
	switch {
	case s.failed == 0:
		s.rate *= 2
	case s.held == 0:
		s.rate /= 2
	default:
		s.rate = math.Round(math.Sqrt(s.held * s.failed))
	}
}

// What a step of the search must reach.
const (
	heldShare = 0.995 // of the offered rate
	heldLag   = 10e3  // 99th percentile of lag, µs
	settling  = 500 * time.Millisecond
)

// sustained judges a run at a rate by the arrivals (nanoseconds, in order) that
// came after the first half second: how the run began is not what it held.
func sustained(arrivals []int64, rate float64, length time.Duration) (achieved float64, lag lags, held bool) {
	if len(arrivals) == 0 {
		return 0, lags{}, false
	}
	whole := time.Duration(arrivals[len(arrivals)-1] - arrivals[0])
	arrivals = settled(arrivals)
	if len(arrivals) < 2 {
		return 0, lags{}, false
	}
	lag, _ = lateness(arrivals, rate)
	achieved = perSecond(int64(len(arrivals)), arrivals[0], arrivals[len(arrivals)-1])
	held = achieved >= heldShare*rate && lag.P99 <= heldLag && whole >= length*9/10
	return achieved, lag, held
}

// settled leaves out the arrivals of the first half second.
func settled(arrivals []int64) []int64 {
	for i, at := range arrivals {
		if time.Duration(at-arrivals[0]) >= settling {
			return arrivals[i:]
		}
	}
	return nil
}

// perSecond is the rate of n arrivals. first and last are the times of the first and
// the last one in nanoseconds; the rate is 0 if they do not define it.
func perSecond(n, first, last int64) float64 {
	if n < 2 || last <= first {
		return 0
	}
	return float64(n-1) / (float64(last-first) / 1e9)
}
