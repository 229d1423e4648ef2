package results

import (
	"math"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// HistogramMax is the longest time a histogram of NewHistogram holds. Longer
// ones are counted as overflow and clamped to it in the percentiles.
const HistogramMax = 60 * time.Second

// NewHistogram makes an empty histogram as every latency uses it: values in µs,
// from 1 µs to HistogramMax, with three significant digits.
func NewHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, HistogramMax.Microseconds(), 3)
}

// series collects one kind of duration. Its histogram is allocated with the
// first value, because most runs never see most phases. Count, min, max and
// mean are exact; only the percentiles come from the histogram.
type series struct {
	h        *hdrhistogram.Histogram
	count    uint64
	overflow uint64
	sum      float64 // ns; an int64 could overflow within a long run
	min, max time.Duration
}

// add records d n times. A negative d, which a stamp rounded to µs can
// produce, counts as 0.
func (s *series) add(d time.Duration, n uint64) {
	d = max(d, 0)
	if s.h == nil {
		s.h, s.min = NewHistogram(), d
	}
	s.count += n
	s.sum += float64(d) * float64(n)
	s.min, s.max = min(s.min, d), max(s.max, d)
	if d > HistogramMax {
		s.overflow += n
		d = HistogramMax
	}
	// The value is within the histogram's range, so this cannot fail.
	_ = s.h.RecordValues(Micros(d), int64(n))
}

func (s *series) merge(o *series) {
	if o.h == nil {
		return
	}
	if s.h == nil {
		s.h, s.min = NewHistogram(), o.min
	}
	s.h.Merge(o.h)
	s.count += o.count
	s.overflow += o.overflow
	s.sum += o.sum
	s.min, s.max = min(s.min, o.min), max(s.max, o.max)
}

func (s *series) quantiles() Quantiles {
	if s.h == nil {
		return Quantiles{}
	}
	// A histogram returns the upper edge of a bucket, which may be above the largest
	// value seen.
	at := func(percentile float64) float64 {
		d := time.Duration(s.h.ValueAtPercentile(percentile)) * time.Microsecond
		return min(max(d, s.min), s.max).Seconds()
	}
	mean := min(max(s.sum/float64(s.count)/float64(time.Second), s.min.Seconds()), s.max.Seconds())
	return Quantiles{
		Count: s.count, Min: s.min.Seconds(), Max: s.max.Seconds(), Mean: mean,
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Overflow: s.overflow,
	}
}

// Micros is d in µs, rounded to the nearest: if it rounded down, the sum of many
// short phases would be too small.
func Micros(d time.Duration) int64 {
	if d < 0 {
		return -Micros(max(-d, 0)) // the smallest Duration has no positive counterpart
	}
	if d > math.MaxInt64-time.Microsecond {
		return int64(d / time.Microsecond)
	}
	return int64((d + time.Microsecond/2) / time.Microsecond)
}

// above is how many of the durations were longer than d. A duration that the
// histogram cannot distinguish from d does not count as longer.
func (s *series) above(d time.Duration) (n uint64) {
	if s.h == nil || d >= s.max {
		return 0
	}
	limit := Micros(max(d, 0))
	for _, bar := range s.h.Distribution() {
		if bar.Count > 0 && bar.From > limit {
			n += uint64(bar.Count)
		}
	}
	return n
}

// Durations collects durations of one kind, in bounded memory. The zero Durations
// is empty; it is not safe for concurrent use.
type Durations struct{ s series }

// Add records d.
func (d *Durations) Add(one time.Duration) { d.s.add(one, 1) }

// Quantiles describe what was recorded.
func (d *Durations) Quantiles() Quantiles { return d.s.quantiles() }
