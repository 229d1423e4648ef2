package doctor

import (
	"time"
)

// MeasureRate measures the highest rate that this machine sustains. try sends rate requests a
// second for RungLength, and reports whether they were started within RungLag.
func (f *Facts) MeasureRate(try func(rate int) (held bool, err error)) error {
	rate, err := climb(rungs, time.Now().Add(climbLimit), try)
	f.rate, f.rateErr = &rate, err
	return err
}

// rungs are the rates to try, in requests a second. A machine that does not sustain the first
// one cannot measure anything.
var rungs = []int{200, 1000, 4000, 8000, 16000, 32000, 64000}

const (
	climbLimit = 10 * time.Second
	// RungLength is how long each rate is tried.
	RungLength = time.Second
	// rungCost is how long a rung takes at most: the load, and what is before and after it.
	rungCost = RungLength + 400*time.Millisecond
)

// Ladder is the result of climb.
type Ladder struct {
	held   int // the highest rate that was held; 0: none
	failed int // the rate that was not; 0: all that were tried were held
}

// climb tries one rate after the other until one has failed twice, or until end. A rate is tried
// again after its first failure, because another program may have caused it.
func climb(rates []int, end time.Time, try func(rate int) (held bool, err error)) (Ladder, error) {
	var l Ladder
	for _, rate := range rates {
		for attempt := 0; ; attempt++ {
			if time.Until(end) < rungCost {
				return l, nil
			}
			held, err := try(rate)
			if err != nil {
				return l, err
			}
			if held {
				l.held, l.failed = rate, 0
				break
			}
			l.failed = rate
			if attempt > 0 {
				return l, nil
			}
		}
	}
	return l, nil
}

// RungLag is the highest 99th percentile of lag with which a rate counts as sustained.
const RungLag = 10 * time.Millisecond
