package compare

import (
	"math"

	"gonum.org/v1/gonum/stat/distuv"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
)

// rates are two settings' counts, and how much their rates vary by chance.
type rates struct {
	a, b     counted
	within   float64 // dispersion of the events within the runs, at least 1
	phi      float64 // dispersion of the difference of the rates, at least within
	variance float64 // of that difference
	df       float64 // degrees of freedom of phi; infinite: phi is exact
	dfa, dfb float64 // runs of a and of b, minus 1
}

// ratesOf estimates the variance of each rate from its runs. The variance of their
// difference is at least the variance of independent clusters. If only one setting has
// several runs, the other's are assumed to vary alike. If neither has, only the spans
// within the runs are known.
func ratesOf(a, b sample, within, dfWithin float64) rates {
	r := rates{a: a.total(), b: b.total(), within: within, df: math.Inf(1)}
	na, nb := float64(r.a.n), float64(r.b.n)
	var va, vb float64
	va, r.dfa = rateVariance(a.counts)
	vb, r.dfb = rateVariance(b.counts)
	both := counted{r.a.k + r.b.k, r.a.n + r.b.n}
	chance := both.rate() * (1 - both.rate())
	floorA, floorB := leastVariance(r.a.rate(), na, within), leastVariance(r.b.rate(), nb, within)
	switch {
	case r.dfa == 0 && r.dfb == 0:
		if dfWithin > 0 {
			r.df = dfWithin
		}
	case r.dfa == 0:
		va, r.df = vb*nb/na, r.dfb
	case r.dfb == 0:
		vb, r.df = va*na/nb, r.dfa
	}
	r.phi, r.variance = within, max(va+vb, floorA+floorB)
	if chance > 0 {
		r.phi = max(within, (va+vb)/(chance*(1/na+1/nb)))
	}
	if r.dfa > 0 && r.dfb > 0 {
		r.df = welchFreedom(max(va, floorA), max(vb, floorB), r.dfa, r.dfb)
	}
	return r
}

// leastVariance is the variance of a rate p of n exchanges in independent clusters
// of cluster events. One more event and one more success keep it above 0 (Agresti and
// Caffo, The American Statistician 54, 2000).
func leastVariance(p, n, cluster float64) float64 {
	p = (p*n + 1) / (n + 2)
	return cluster * p * (1 - p) / n
}

// rateVariance estimates the variance of the rate of all runs together from how the
// runs vary, with its degrees of freedom (0 for one run): the variance of a ratio of
// totals (Cochran, Sampling Techniques, 3rd edition, section 6.3).
func rateVariance(runs []counted) (v, df float64) {
	t := total(runs)
	if len(runs) < 2 {
		return 0, 0
	}
	n := float64(len(runs))
	for _, c := range runs {
		off := float64(c.k) - t.rate()*float64(c.n)
		v += off * off
	}
	return v * n / (n - 1) / (float64(t.n) * float64(t.n)), n - 1
}

// welchFreedom is the degrees of freedom of the sum of two variances (Welch,
// Biometrika 34, 1947; Satterthwaite).
func welchFreedom(v1, v2, df1, df2 float64) float64 {
	if v1+v2 == 0 {
		return df1 + df2
	}
	return (v1 + v2) * (v1 + v2) / (v1*v1/df1 + v2*v2/df2)
}

// p is the P value for equal rates: their difference, reduced by half an event for
// continuity and divided by its standard error, in Student's t distribution. It is
// never below the P value of Fisher's exact test on counts thinned by the clusters.
func (r rates) p() float64 {
	off := math.Abs(r.b.rate()-r.a.rate()) - r.halfEvent()
	if off <= 0 {
		return 1
	}
	return max(2*studentTail(off/math.Sqrt(r.variance), r.df), fisher(r.a.thinned(r.within), r.b.thinned(r.within)))
}

// halfEvent is the weight of half an event, or half a cluster of events, in the
// difference of the rates (Yates's correction).
func (r rates) halfEvent() float64 {
	return r.within / 2 * (1/float64(r.a.n) + 1/float64(r.b.n))
}

// fisher is the P value of Fisher's exact test for equal rates: the smaller tail of
// the hypergeometric distribution, doubled, so that the two directions share the error
// equally.
func fisher(a, b counted) float64 {
	smaller := min(expect.FisherMore(a.k, a.n, b.k, b.n), expect.FisherMore(b.k, b.n, a.k, a.n))
	return min(1, 2*smaller)
}

// thinned divides c by phi: phi clustered events count as one (Rao and Scott,
// Biometrics 48, 1992).
func (c counted) thinned(phi float64) counted {
	if phi <= 1 {
		return c
	}
	n := max(uint64(float64(c.n)/phi), 1)
	return counted{min(uint64(math.Round(float64(c.k)/phi)), n), n}
}

// oddsRatio is b's odds against a's, with half an event added to each cell so
// that none is infinite (Haldane and Anscombe).
func oddsRatio(a, b counted) float64 { return math.Exp(logOdds(b) - logOdds(a)) }

func logOdds(c counted) float64 {
	return math.Log((float64(c.k) + 0.5) / (float64(c.n-c.k) + 0.5))
}

// difference is the interval of b's rate minus a's rate, combined from the intervals
// of the two rates (Newcombe's hybrid, Statistics in Medicine 17, 1998, method 10, with
// Korn and Graubard's intervals instead of Wilson's).
func (r rates) difference(confidence float64) (lo, hi float64) {
	of := func(c counted) (p, lo, hi float64) {
		n := effective(float64(c.n), r.phi, r.df, confidence)
		lo, hi = results.EffectiveInterval(c.rate()*n, n, confidence)
		return c.rate(), lo, hi
	}
	pa, la, ua := of(r.a)
	pb, lb, ub := of(r.b)
	d := pb - pa
	return max(d-math.Hypot(pb-lb, ua-pa), -1), min(d+math.Hypot(ub-pb, pa-la), 1)
}

// effective is the effective number of independent exchanges among n, if phi events
// count as one and phi has df degrees of freedom: n/φ·(z/t)² (Korn and Graubard 1998).
func effective(n, phi, df, confidence float64) float64 {
	z, t := student(math.Inf(1), (1+confidence)/2), df
	if df == 0 {
		return n / phi
	}
	t = student(df, (1+confidence)/2)
	return n / phi * (z / t) * (z / t)
}

// student is a quantile of Student's t distribution, or of the normal distribution
// if df is infinite.
func student(df, p float64) float64 {
	if math.IsInf(df, 1) {
		return distuv.UnitNormal.Quantile(p)
	}
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.Quantile(p)
}

// studentTail is the probability of a value above t.
func studentTail(t, df float64) float64 {
	if math.IsInf(df, 1) {
		return distuv.UnitNormal.Survival(t)
	}
	return distuv.StudentsT{Mu: 0, Sigma: 1, Nu: df}.Survival(t)
}
