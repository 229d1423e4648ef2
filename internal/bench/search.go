package main

import (
	"math"
	"time"
)

// search looks for the highest rate that a tool sustains. It doubles the rate until a
// step fails, or halves it until a step succeeds. Then it halves the gap between the two
// rates, as a ratio, until the gap is small. A step fails if the tool misses the rate
// twice in a row, because the machine may cause a single miss.
type search struct {
	held, failed float64 // highest rate that succeeded, lowest that failed; 0: none yet
	rate         float64 // rate of the next step
	again        bool    // the tool has missed the rate once
	steps        int     // steps left
	min, max     float64 // limits of the rates
}

// closeEnough is the ratio of failed to held at which a search ends.
const closeEnough = 1.05

// next returns the rate to try; false: the search is over.
func (s *search) next() (float64, bool) {
	switch {
	case s.steps == 0, s.rate < s.min, s.rate > s.max,
		s.held > 0 && s.failed > 0 && s.failed/s.held <= closeEnough:
		return 0, false
	}
	return s.rate, true
}

// report records whether the tool sustained the rate of next.
func (s *search) report(held bool) {
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

// What a tool must reach in a step of the search.
const (
	heldShare = 0.995 // of the offered rate
	heldLag   = 10e3  // 99th percentile of lag, µs
	settling  = 500 * time.Millisecond
)

// sustained judges a run at a rate by its arrivals (nanoseconds, in order). It ignores
// the first half second, because the start of a run says nothing about its rate.
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

// settled returns the arrivals after the first half second.
func settled(arrivals []int64) []int64 {
	for i, at := range arrivals {
		if time.Duration(at-arrivals[0]) >= settling {
			return arrivals[i:]
		}
	}
	return nil
}

// perSecond returns the rate of n arrivals. first and last are the times of the first
// and last arrival in nanoseconds. 0: there are too few arrivals.
func perSecond(n, first, last int64) float64 {
	if n < 2 || last <= first {
		return 0
	}
	return float64(n-1) / (float64(last-first) / 1e9)
}
