package compare

import (
	"math"
	"sort"

	"gonum.org/v1/gonum/stat/distuv"
)

// power is the probability with which a detectable difference is found.
const power = 0.8

// mostRepeats is the largest number of runs of each setting that advice may name.
const mostRepeats = 1000

// leastRuns is the smallest number of runs of each setting, at least least, that is
// enough; mostRepeats+1 if mostRepeats are not enough.
func leastRuns(least int, enough func(n float64) bool) int {
	return least + sort.Search(mostRepeats+1-least, func(i int) bool { return enough(float64(least + i)) })
}

// leastWith is the smallest value between lo and hi at which chance, which grows with
// it, reaches power; hi if none does.
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

// shares are equally likely estimates of a variance with df degrees of freedom, as
// shares of the true variance (Wilson and Hilferty's approximation of χ²).
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

// detectableT is the smallest shift that Student's test finds at alpha with
// probability power. The standard error is known only from these runs, and another
// experiment will estimate it again: the probability is averaged over both.
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

// chanceT is the probability that Student's test finds a shift, in standard errors,
// at alpha.
func chanceT(shift, df, alpha float64) float64 {
	critical := student(df, 1-alpha/2)
	sum, all := 0.0, shares(df)
	for _, y := range all {
		sum += distuv.UnitNormal.CDF(shift - critical*math.Sqrt(y))
	}
	return sum / float64(len(all))
}

// planned describes a future experiment: its rates, its numbers of exchanges, and how
// they vary.
type planned struct {
	rates
	na, nb   float64
	critical func(df float64) float64
}

// plan assumes that runs vary beyond their clusters only if chance alone would cause
// that rarely, in about one experiment of five.
func (r rates) plan(alpha float64) planned {
	if all := shares(r.df); len(all) > 1 && r.phi <= r.within*all[len(all)-2] {
		r.phi = r.within
	}
	return planned{rates: r, na: float64(r.a.n), nb: float64(r.b.n), critical: criticalT(alpha)}
}

// withRuns is the plan for n runs of each setting.
func (l planned) withRuns(n float64) planned {
	l.na *= n / (l.dfa + 1)
	l.nb *= n / (l.dfb + 1)
	l.dfa, l.dfb = n-1, n-1
	return l
}

// chance is the probability that rates.p is below alpha if the true rates are pa
// and pb and runs vary by phi. It uses the normal distribution, averaged over possible
// estimates of the variances.
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

// fromNone is the probability that the paired test finds a rate of pb if the other
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

// logOddsFromNone is the mean and variance of a block's difference in log odds to a
// run without failures, and the variance of rounding. clusters is the expected number of
// clusters of failures.
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

// varies is the variance of a rate of p, per exchange: that caused by clusters, and
// that caused by runs, which vary by a factor of p.
func (l planned) varies(p, phi float64) float64 {
	seen := counted{l.a.k + l.b.k, l.a.n + l.b.n}.rate()
	chance := l.within * p * (1 - p)
	if seen == 0 {
		return chance
	}
	return chance + max(phi-l.within, 0)*(1-seen)/seen*p*p
}

// detectable is the smallest rise above a's rate that is found at alpha with
// probability power; 0 if there is none. If a has no failures and the paired test is
// made, blocks says what that test would find.
func (r rates) detectable(alpha float64, blocks float64) float64 {
	l := r.plan(alpha)
	from := r.a.rate()
	all := []float64{1}
	if l.phi > l.within { // known only from these runs
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

// repeats is how many runs of each setting find the difference seen with probability
// power.
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
