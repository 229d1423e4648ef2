package compare

import (
	"math"
	"sort"

	"gonum.org/v1/gonum/stat/distuv"
)

// power is how likely a difference that is called detectable is found.
const power = 0.8

// mostRepeats is up to how many runs each an advice goes.
const mostRepeats = 1000

// leastRuns is the least number of runs each, from least on, that are enough;
// mostRepeats+1 when even so many are not.
func leastRuns(least int, enough func(n float64) bool) int {
	return least + sort.Search(mostRepeats+1-least, func(i int) bool { return enough(float64(least + i)) })
}

// detectableT is the least shift that Student's test most likely finds at alpha,
// with a standard error that these runs gave and others will give anew: so both
// quantiles are Student's.
func detectableT(se, df, alpha float64) float64 {
	return se * (student(df, 1-alpha/2) + student(df, power))
}

// planned are rates yet to be seen: how many exchanges there will be, and how
// they vary.
type planned struct {
	rates
	na, nb   float64
	critical func(df float64) float64
}

func (r rates) plan(alpha float64) planned {
	return planned{rates: r, na: float64(r.a.n), nb: float64(r.b.n), critical: criticalT(alpha)}
}

// withRuns is the plan for n runs each.
func (l planned) withRuns(n float64) planned {
	l.na *= n / (l.dfa + 1)
	l.nb *= n / (l.dfb + 1)
	l.dfa, l.dfb = n-1, n-1
	return l
}

// chance is the probability that rates.p is below alpha when the true rates are pa
// and pb: normal, averaged over how the variances may be estimated.
func (l planned) chance(pa, pb float64) float64 {
	both := (pa*l.na + pb*l.nb) / (l.na + l.nb)
	floor := l.within * both * (1 - both)
	va, vb := l.phi*pa*(1-pa)/l.na, l.phi*pb*(1-pb)/l.nb
	off := math.Abs(pb-pa) - l.within/2*(1/l.na+1/l.nb)
	found := func(seenA, seenB, df float64) float64 {
		return distuv.UnitNormal.CDF((off - l.critical(df)*math.Sqrt(seenA+seenB)) / math.Sqrt(va+vb))
	}
	if l.dfa == 0 && l.dfb == 0 {
		return found(floor/l.na, floor/l.nb, l.df)
	}
	sum, n := 0.0, 0.0
	for _, x := range spreads(l.dfa) {
		for _, y := range spreads(l.dfb) {
			seenA, seenB := va*x, vb*y
			df := l.dfa + l.dfb
			if l.dfa == 0 {
				seenA = seenB * l.nb / l.na
			} else if l.dfb == 0 {
				seenB = seenA * l.na / l.nb
			}
			seenA, seenB = max(seenA, floor/l.na), max(seenB, floor/l.nb)
			if l.dfa > 0 && l.dfb > 0 {
				df = welchFreedom(seenA, seenB, l.dfa, l.dfb)
			}
			sum, n = sum+found(seenA, seenB, df), n+1
		}
	}
	return sum / n
}

// spreads are equally likely ratios of an estimated variance to the true one.
func spreads(df float64) []float64 {
	if df == 0 {
		return []float64{1}
	}
	const parts = 8
	list := make([]float64, parts)
	for i := range list {
		// Wilson and Hilferty's approximation of the χ² distribution.
		z := distuv.UnitNormal.Quantile((float64(i) + 0.5) / parts)
		list[i] = math.Pow(max(1-2/(9*df)+z*math.Sqrt(2/(9*df)), 0), 3)
	}
	return list
}

// detectable is the least rise above a's rate that is most likely found at alpha;
// 0 when there is none.
func (r rates) detectable(alpha float64) float64 {
	l := r.plan(alpha)
	from := r.a.rate()
	lo, hi := from, 1.0
	if l.chance(from, hi) < power {
		return 0
	}
	for range 40 {
		if mid := (lo + hi) / 2; l.chance(from, mid) >= power {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi - from
}

// repeats is how many runs each would most likely find the difference seen.
func (r rates) repeats(alpha float64) int {
	l := r.plan(alpha)
	return leastRuns(2, func(n float64) bool { return l.withRuns(n).chance(r.a.rate(), r.b.rate()) >= power })
}

// criticalT is the two-sided critical value of Student's t at alpha by degrees of
// freedom, interpolated.
func criticalT(alpha float64) func(df float64) float64 {
	at := []float64{1, 1.25, 1.5, 2, 2.5, 3, 4, 6, 8, 12, 20, 50, math.Inf(1)}
	logs := make([]float64, len(at))
	for i, df := range at {
		logs[i] = math.Log(student(df, 1-alpha/2))
	}
	return func(df float64) float64 {
		i := min(max(sort.SearchFloat64s(at, df), 1), len(at)-1)
		x, x0, x1 := 1/max(df, 1), 1/at[i-1], 1/at[i]
		return math.Exp(logs[i-1] + (logs[i]-logs[i-1])*(x0-x)/(x0-x1))
	}
}
