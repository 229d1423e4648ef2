package compare

import (
	"math"

	"github.com/aclements/go-moremath/stats"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/kabench/kabench/results"
)

// power is how likely the difference called detectable would have been seen.
const power = 0.8

// fisher is the P value of Fisher's exact test that two rates are one: the
// smaller tail of the hypergeometric distribution, doubled, so that the two
// directions share the error equally.
func fisher(a, b counted) float64 {
	d := stats.HypergeometicDist{N: int(a.n + b.n), K: int(a.k + b.k), Draws: int(a.n)}
	low, high := d.Bounds()
	// The smaller tail begins on k's side of the mean.
	step, sum := 1.0, 0.0
	if float64(a.k) < d.Mean() {
		step = -1
	}
	for k := float64(a.k); k >= low && k <= high; k += step {
		p := d.PMF(k)
		sum += p
		if p < sum*1e-12 { // away from the mean terms only shrink, and faster and faster
			break
		}
	}
	return min(1, 2*sum)
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
// statistic: 1 is by chance, more is in groups. P is how likely as much is by
// chance. With fewer than two parts, or no events, nothing is known: 1, 1.
func dispersion(samples ...[]counted) (phi, p float64) {
	chi2, df := 0.0, 0.0
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
		return 1, 1
	}
	return chi2 / df, distuv.ChiSquared{K: df}.Survival(chi2)
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
