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
