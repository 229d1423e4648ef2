package results

import "gonum.org/v1/gonum/stat/distuv"

// Interval is the exact (Clopper-Pearson) confidence interval of a probability
// of which k in n trials came true: it holds the true value at least as often
// as confidence says, for example 0.95, however small k is. Without trials, or
// with a confidence outside (0, 1), nothing is known: 0 to 1. A k above n
// counts as n.
func Interval(k, n uint64, confidence float64) (lo, hi float64) {
	if n == 0 || !(confidence > 0 && confidence < 1) {
		return 0, 1
	}
	k = min(k, n)
	tail := (1 - confidence) / 2
	lo, hi = 0, 1
	if k > 0 {
		lo = distuv.Beta{Alpha: float64(k), Beta: float64(n-k) + 1}.Quantile(tail)
	}
	if k < n {
		hi = distuv.Beta{Alpha: float64(k) + 1, Beta: float64(n - k)}.Quantile(1 - tail)
	}
	return lo, hi
}
