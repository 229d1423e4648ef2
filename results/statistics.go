package results

import (
	"time"

	"gonum.org/v1/gonum/stat/distuv"
)

// SpanOf is in which of the Spans of a run an exchange is that was due at that
// offset; length is the run's.
func SpanOf(due, length time.Duration) int {
	if length <= 0 {
		return 0
	}
	return min(max(int(float64(due)/float64(length)*Spans), 0), Spans-1)
}

// Interval is the exact (Clopper-Pearson) confidence interval of a probability
// of which k in n trials came true: it holds the true value at least as often
// as confidence says, for example 0.95, however small k is. Without trials, or
// with a confidence outside (0, 1), nothing is known: 0 to 1. A k above n
// counts as n.
func Interval(k, n uint64, confidence float64) (lo, hi float64) {
	return EffectiveInterval(float64(k), float64(n), confidence)
}

// EffectiveInterval is Interval for trials that depend on each other: n is the
// number of independent trials that would tell as much, and k is n times the
// share that came true. Neither need be whole (Korn and Graubard, Survey
// Methodology 24, 1998).
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

// A run is held against several baselines by how much these differ among
// themselves: runs of the same setting differ by more than the chance within one
// of them. With so few, t distributions say how much more.

// Span counts, in a part of a run, the exchanges that could have been what is
// counted, and those that were.
type Span struct{ K, N uint64 }

// Spans is into how many parts of equal length a run is cut, to see whether what is
// counted comes in groups.
const Spans = 20
