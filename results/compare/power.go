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

// leastWith is the least value between lo and hi with which a chance that grows
// with it comes to power; hi when none does.
func leastWith(lo, hi float64, chance func(float64) float64) float64 {
	for range 30 {
		if mid := (lo + hi) / 2; chance(mid) < power {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}

// shares are equally likely values of a variance as it is estimated with df degrees
// of freedom, as shares of the true one (Wilson and Hilferty's approximation of χ²).
func shares(df float64) []float64 {
	if df == 0 || math.IsInf(df, 1) {
		return []float64{1}
	}
	const parts = 7
	list := make([]float64, parts)
	for i := range list {
		z := distuv.UnitNormal.Quantile((float64(i) + 0.5) / parts)
		list[i] = math.Pow(max(1-2/(9*df)+z*math.Sqrt(2/(9*df)), 0.02), 3)
	}
	return list
}

// detectableT is the least shift that Student's test most likely finds at alpha.
// The standard error is known from these runs only, and another experiment will
// estimate it anew: the chance is averaged over both.
func detectableT(se, df, alpha float64) float64 {
	critical := student(df, 1-alpha/2)
	all := shares(df)
	return se * leastWith(0, 20*critical, func(shift float64) float64 {
		sum := 0.0
		for _, x := range all {
			for _, y := range all {
				sum += distuv.UnitNormal.CDF(shift*math.Sqrt(x) - critical*math.Sqrt(y))
			}
		}
		return sum / float64(len(all)*len(all))
	})
}

// chanceT is the chance that Student's test finds so many standard errors at alpha.
func chanceT(shift, df, alpha float64) float64 {
	critical := student(df, 1-alpha/2)
	sum, all := 0.0, shares(df)
	for _, y := range all {
		sum += distuv.UnitNormal.CDF(shift - critical*math.Sqrt(y))
	}
	return sum / float64(len(all))
}

// planned are rates yet to be seen: of how many exchanges, and how they vary.
type planned struct {
	rates
	na, nb   float64
	critical func(df float64) float64
}

// plan takes runs to vary beyond their clusters only where chance alone would rarely
// make them do as much, in about one experiment of five.
func (r rates) plan(alpha float64) planned {
	if all := shares(r.df); len(all) > 1 && r.phi <= r.within*all[len(all)-2] {
		r.phi = r.within
	}
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
// and pb and runs vary by phi: normal, averaged over how the variances may be
// estimated.
func (l planned) chance(pa, pb, phi float64) float64 {
	floorA, floorB := leastVariance(pa, l.na, l.within), leastVariance(pb, l.nb, l.within)
	va, vb := l.varies(pa, phi)/l.na, l.varies(pb, phi)/l.nb
	off, sd := math.Abs(pb-pa)-l.within/2*(1/l.na+1/l.nb), math.Sqrt(va+vb)
	found := func(seen, df float64) float64 {
		return distuv.UnitNormal.CDF((off - l.critical(df)*math.Sqrt(max(seen, floorA+floorB))) / sd)
	}
	switch {
	case l.dfa == 0 && l.dfb == 0:
		return found(0, l.df)
	case l.dfa == 0 || l.dfb == 0:
		sum, all := 0.0, shares(l.dfa+l.dfb)
		for _, x := range all {
			sum += found((va+vb)*x, l.dfa+l.dfb)
		}
		return sum / float64(len(all))
	}
	sum, ofA, ofB := 0.0, shares(l.dfa), shares(l.dfb)
	for _, x := range ofA {
		for _, y := range ofB {
			sum += found(va*x+vb*y, welchFreedom(max(va*x, floorA), max(vb*y, floorB), l.dfa, l.dfb))
		}
	}
	return sum / float64(len(ofA)*len(ofB))
}

// fromNone is the chance that the paired test finds a rate of pb where the other
// setting has no failure in any block.
func (l planned) fromNone(pb, blocks float64) float64 {
	mean, sampled, rounding := l.logOddsFromNone(pb * l.nb / blocks / l.within)
	critical := l.critical(blocks - 1)
	sum, all := 0.0, shares(blocks-1)
	for _, x := range all {
		sum += distuv.UnitNormal.CDF((mean*math.Sqrt(blocks) - critical*math.Sqrt(max(sampled*x, rounding))) / math.Sqrt(sampled))
	}
	return sum / float64(len(all))
}

// logOddsFromNone are the mean and the variance of a block's difference in log odds
// to a run without failures, and the variance of rounding, where so many clusters of
// failures are expected.
func (l planned) logOddsFromNone(clusters float64) (mean, variance, rounding float64) {
	law := distuv.Poisson{Lambda: clusters}
	sd := math.Sqrt(clusters)
	squares := 0.0
	for k := math.Floor(max(clusters-6*sd, 0)); k <= clusters+6*sd+6; k++ {
		p, failures := law.Prob(k), k*l.within+0.5
		d := math.Log(failures / 0.5)
		mean += p * d
		squares += p * d * d
		rounding += p * (4 + 1/(failures*failures)) / 4
	}
	return mean, squares - mean*mean, rounding
}

// varies is the variance of a rate of p, per exchange: the clusters' chance, and what
// runs vary by beyond it, which is a factor of p.
func (l planned) varies(p, phi float64) float64 {
	seen := counted{l.a.k + l.b.k, l.a.n + l.b.n}.rate()
	chance := l.within * p * (1 - p)
	if seen == 0 {
		return chance
	}
	return chance + max(phi-l.within, 0)*(1-seen)/seen*p*p
}

// detectable is the least rise above a's rate that is most likely found at alpha;
// 0 when there is none. Of a setting without failures the number of blocks, if the
// paired test is made, says what that would find.
func (r rates) detectable(alpha float64, blocks float64) float64 {
	l := r.plan(alpha)
	from := r.a.rate()
	all := []float64{1}
	if l.phi > l.within { // known from these runs only
		all = shares(l.df)
	}
	chance := func(pb float64) float64 {
		sum := 0.0
		for _, x := range all {
			sum += l.chance(from, pb, l.phi/x)
		}
		if r.a.k == 0 && blocks >= leastBlocks {
			return max(sum/float64(len(all)), l.fromNone(pb, blocks))
		}
		return sum / float64(len(all))
	}
	if rate := leastWith(from, 1, chance); rate < 1 {
		return rate - from
	}
	return 0
}

// repeats is how many runs each would most likely find the difference seen.
func (r rates) repeats(alpha float64) int {
	l := r.plan(alpha)
	return leastRuns(2, func(n float64) bool { return l.withRuns(n).chance(r.a.rate(), r.b.rate(), l.phi) >= power })
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
