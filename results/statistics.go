package results

import (
	"time"

	"gonum.org/v1/gonum/stat/distuv"
)

// SpanOf is the index of the span in which an exchange was due: due is its offset
// from the start of the run, and length is the length of the run.
func SpanOf(due, length time.Duration) int {
	if length <= 0 {
		return 0
	}
	return min(max(int(float64(due)/float64(length)*Spans), 0), Spans-1)
}

// Interval is the exact (Clopper-Pearson) confidence interval of the probability of
// an event that occurred in k of n trials. It contains the true value at least as
// often as confidence says, for example 0.95, even if k is small. Without trials, or
// with a confidence outside (0, 1), it is 0 to 1. A k above n counts as n.
func Interval(k, n uint64, confidence float64) (lo, hi float64) {
	return EffectiveInterval(float64(k), float64(n), confidence)
}

// EffectiveInterval is Interval for trials that depend on each other: n is the
// number of independent trials with the same information, and k is n times the share
// of trials in which the event occurred. k and n need not be whole numbers (Korn and
// Graubard, Survey Methodology 24, 1998).
func EffectiveInterval(k, n, confidence float64) (lo, hi float64) {
	if !(n > 0) || !(k >= 0) || !(confidence > 0 && confidence < 1) {
		return 0, 1
	}
	k = min(k, n)
	tail := (1 - confidence) / 2
	lo, hi = 0, 1
	if k > 0 {
		lo = distuv.Beta{Alpha: k, Beta: n - k + 1}.Quantile(tail)
	}
	if k < n {
		hi = distuv.Beta{Alpha: k + 1, Beta: n - k}.Quantile(1 - tail)
	}
	return lo, hi
}

// Span counts exchanges in a part of a run: N could have had the event that is
// counted, and K had it.
type Span struct{ K, N uint64 }

// Spans is the number of parts of equal length into which a run is cut, to see
// whether events are clustered.
const Spans = 20
