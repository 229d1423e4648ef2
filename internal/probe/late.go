package probe

import (
	"slices"
	"time"
)

// enoughCloses is how many idle connections must have been closed before late requests
// are aimed by them.
const enoughCloses = 5

// lateAges returns the ages, counted from the response, at which n late requests are
// sent. Idle is how old connections were that the server has closed, at least one, and
// roundTrip the time to the server and back. A request that is sent at the age T - roundTrip
// arrives when the timer T fires. So most ages lie evenly between the earliest close less
// a round trip and the latest close. One in four lies well before or behind.
func lateAges(idle []time.Duration, roundTrip time.Duration, n int) []time.Duration {
	const (
		margin  = 2 * time.Millisecond
		before  = 60 * time.Millisecond
		behind  = 40 * time.Millisecond
		further = 400 * time.Millisecond
	)
	first, last := slices.Min(idle), slices.Max(idle)
	from, to := first-roundTrip-margin, last+margin
	ages := []time.Duration{from - before, to + behind, to + further}[:min(3, n/3)]
	inside := n - len(ages)
	for i := range inside {
		ages = append(ages, from+(to-from)*time.Duration(2*i+1)/time.Duration(2*inside))
	}
	for i := range ages {
		ages[i] = max(ages[i], 0)
	}
	slices.Sort(ages)
	return ages
}

// looksAt are the ages at which a kept connection is used again if the server has closed
// none so far: a middlebox may have forgotten it without a word. They lie behind the
// usual timers of such machines.
var looksAt = []time.Duration{
	31 * time.Second, 61 * time.Second, 121 * time.Second, 241 * time.Second, 301 * time.Second, 351 * time.Second, 601 * time.Second,
}
