package main

import (
	"math"
	"slices"
	"time"
)

// lags describe how late requests reached the server, in microseconds.
type lags struct {
	P50 float64 `json:"p50_us"`
	P90 float64 `json:"p90_us"`
	P99 float64 `json:"p99_us"`
	Max float64 `json:"max_us"`
}

// lateness compares arrivals (nanoseconds, in order) with the ideal schedule of rate per
// second: arrival i is due at origin + i/rate. Only the tool knows its origin, so
// lateness uses the latest origin for which no request arrived too early: the minimum of
// arrival i − i/rate. A constant delay between tool and server therefore does not count.
// A request that was sent too early makes all others late, so a burst is no better than
// a pause. A request that was never sent makes the following ones late too, as it should.
//
// span is the time from the origin to the last arrival. rate must be above 0. Without
// arrivals all results are 0.
func lateness(arrivals []int64, rate float64) (lag lags, span time.Duration) {
	if len(arrivals) == 0 {
		return lags{}, 0
	}
	late := make([]float64, len(arrivals)) // ns
	for i, at := range arrivals {
		late[i] = float64(at-arrivals[0]) - float64(i)*1e9/rate
	}
	origin := slices.Min(late)
	for i := range late {
		late[i] = (late[i] - origin) / 1e3
	}
	span = time.Duration(float64(arrivals[len(arrivals)-1]-arrivals[0]) - origin)
	slices.Sort(late)
	return lags{quantile(late, 0.5), quantile(late, 0.9), quantile(late, 0.99), late[len(late)-1]}, span
}

// quantile returns the smallest value of sorted data that the share q of the data does
// not exceed (nearest rank).
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(q * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// spread is the median and range of the repeats of a measurement.
type spread struct{ median, min, max float64 }

// summarize returns the median of values and their range. For an even number of values,
// the median is the mean of the middle two. ok is false without values.
func summarize(values []float64) (s spread, ok bool) {
	if len(values) == 0 {
		return spread{}, false
	}
	v := slices.Sorted(slices.Values(values))
	mid := len(v) / 2
	median := v[mid]
	if len(v)%2 == 0 {
		median = (v[mid-1] + v[mid]) / 2
	}
	return spread{median, v[0], v[len(v)-1]}, true
}

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
