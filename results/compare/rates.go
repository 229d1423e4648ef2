package compare

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/kabench/kabench/results"
)

// power is how likely the difference called detectable would have been seen.
const power = 0.8

// fisher is the P value of Fisher's exact test that two rates are one: the
// smaller tail of the hypergeometric distribution, doubled, so that the two
// directions share the error equally.
func fisher(a, b counted) float64 {
	smaller := min(results.FisherMore(a.k, a.n, b.k, b.n), results.FisherMore(b.k, b.n, a.k, a.n))
	return min(1, 2*smaller)
}

// oddsRatio is b's odds against a's, with half an event added to each cell so
// that none is infinite (Haldane and Anscombe).
func oddsRatio(a, b counted) float64 {
	odds := func(c counted) float64 { return (float64(c.k) + 0.5) / (float64(c.n-c.k) + 0.5) }
	return odds(b) / odds(a)
}

// rateDifference is the interval of b's rate less a's, put together from the
// exact intervals of the two (Newcombe's hybrid, Statistics in Medicine 17,
// 1998, method 10, with Clopper and Pearson's in the place of Wilson's).
func rateDifference(a, b counted, confidence float64) (lo, hi float64) {
	pa, pb := a.rate(), b.rate()
	la, ua := results.Interval(a.k, a.n, confidence)
	lb, ub := results.Interval(b.k, b.n, confidence)
	d := pb - pa
	return max(d-math.Hypot(pb-lb, ua-pa), -1), min(d+math.Hypot(ub-pb, pa-la), 1)
}

func (c counted) rate() float64 { return float64(c.k) / float64(max(c.n, 1)) }

// detectableRate is the least rise above a's rate that fisher would find in b's
// number of exchanges with a P below alpha, most likely; 0 when there is none.
func detectableRate(a, b counted, alpha float64) float64 {
	from := uint64(math.Ceil(a.rate() * float64(b.n)))
	lo, hi := from, b.n // fisher finds no rise at lo, and one at hi
	if fisher(a, counted{hi, b.n}) >= alpha {
		return 0
	}
	for hi-lo > 1 {
		if mid := lo + (hi-lo)/2; fisher(a, counted{mid, b.n}) < alpha {
			hi = mid
		} else {
			lo = mid
		}
	}
	// The rate at which hi or more events come about with that power: the
	// distribution of the order statistic, as in Clopper and Pearson's interval.
	rate := distuv.Beta{Alpha: float64(hi), Beta: float64(b.n-hi) + 1}.Quantile(power)
	return max(rate-a.rate(), 0)
}

// groupedAlpha is the level at which runs that differ more among themselves than
// chance allows are taken to do so. It is lenient: to miss that failures come in
// groups makes false findings, to see it where it is not costs only power.
const groupedAlpha = 0.1

// dispersion is how much parts that ought to share one rate differ, by Pearson's
// statistic over its degrees of freedom: 1 is by chance, more is in groups. With
// fewer than two parts, or no events, nothing is known: 1, and no freedom.
func dispersion(samples ...[]counted) (phi, df float64) {
	chi2 := 0.0
	for _, parts := range samples {
		t := sample{counts: parts}.total()
		rate := t.rate()
		if len(parts) < 2 || t.k == 0 || t.k == t.n {
			continue
		}
		for _, c := range parts {
			expected := rate * float64(c.n)
			chi2 += (float64(c.k) - expected) * (float64(c.k) - expected) / (expected * (1 - rate))
		}
		df += float64(len(parts) - 1)
	}
	if df == 0 {
		return 1, 0
	}
	return chi2 / df, df
}

// chiSquared is how likely chance alone makes a statistic as large; 1 without
// freedom.
func chiSquared(df, value float64) float64 {
	if df == 0 {
		return 1
	}
	return distuv.ChiSquared{K: df}.Survival(value)
}

// thinned is c as if it were of fewer exchanges: an event in phi of them is worth
// one (Rao and Scott, Biometrics 48, 1992).
func (c counted) thinned(phi float64) counted {
	if phi <= 1 {
		return c
	}
	n := max(uint64(float64(c.n)/phi), 1)
	return counted{min(uint64(math.Round(float64(c.k)/phi)), n), n}
}
