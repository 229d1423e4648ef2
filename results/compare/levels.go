package compare

import (
	"errors"
	"math"
	"slices"
	"sort"

	"github.com/aclements/go-moremath/stats"
	"golang.org/x/perf/benchmath"
	"gonum.org/v1/gonum/stat"
	"gonum.org/v1/gonum/stat/combin"
	"gonum.org/v1/gonum/stat/distuv"
)

// orderRuns is how many runs a median needs for an interval by order statistics
// at the confidence; 0: more than 50.
func orderRuns(confidence float64) int {
	for n := 2; n <= 50; n++ {
		if _, lo, hi := medianOf(seq(n), confidence); !math.IsInf(lo, 0) && !math.IsInf(hi, 0) {
			return n
		}
	}
	return 0
}

func seq(n int) []float64 {
	values := make([]float64, n)
	for i := range values {
		values[i] = float64(i)
	}
	return values
}

// medianOf is the median and its interval by order statistics, for any
// distribution; an end is infinite if there are too few values to bound it.
func medianOf(values []float64, confidence float64) (center, lo, hi float64) {
	s := benchmath.AssumeNothing.Summary(newSample(values), confidence)
	return s.Center, s.Lo, s.Hi
}

// meanOf is the mean and Student's interval. Scaled values are averaged as
// logarithms, which gives the geometric mean.
func meanOf(values []float64, scaled bool, confidence float64) (center, lo, hi float64) {
	s := benchmath.AssumeNormal.Summary(newSample(onScale(values, scaled)), confidence)
	return offScale(s.Center, scaled), offScale(s.Lo, scaled), offScale(s.Hi, scaled)
}

func newSample(values []float64) *benchmath.Sample {
	return benchmath.NewSample(slices.Clone(values), &benchmath.DefaultThresholds) // which sorts
}

// tick is the smallest time above 0, in seconds: latencies are kept in
// microseconds.
const tick = 1e-6

func onScale(values []float64, scaled bool) []float64 {
	if !scaled {
		return values
	}
	logs := make([]float64, len(values))
	for i, v := range values {
		logs[i] = math.Log(max(v, tick))
	}
	return logs
}

func offScale(v float64, scaled bool) float64 {
	if !scaled {
		return v
	}
	return math.Exp(v)
}

// leastP is the smallest P value that the U test can have with n1 and n2 values:
// when all values of one sample are above all values of the other.
func leastP(n1, n2 int) float64 {
	if n1 == 0 || n2 == 0 {
		return 1
	}
	return min(1, 2*math.Exp(-combin.LogGeneralizedBinomial(float64(n1+n2), float64(n1))))
}

// runsFor is how many runs of each setting the U test needs to reach alpha.
func runsFor(alpha float64) int {
	n := 1
	for leastP(n, n) > alpha && n < 1000 {
		n++
	}
	return n
}

// level is the result of a test of two samples over runs.
type level struct {
	p                  float64
	difference, lo, hi float64
	bounded            bool
	delta              float64 // Cliff's
	ratio              float64 // for scaled values: b's mean ÷ a's
	detectable         float64 // differences from this one on are found with probability power; 0: unknown
	effect             float64 // the shift seen, in standard deviations of the difference of two runs; 0: unknown
	v1, v2             float64 // variances of a run
}

// mannWhitney makes the U test, which assumes no distribution. The difference is
// Hodges and Lehmann's, the median of all differences between a value of b and a
// value of a; its interval contains the differences that the test does not reject.
func mannWhitney(a, b []float64, scaled bool, confidence, alpha float64) level {
	l := level{p: benchmath.AssumeNothing.Compare(newSample(a), newSample(b)).P, delta: cliff(a, b)}
	differences := make([]float64, 0, len(a)*len(b))
	for _, x := range a {
		for _, y := range b {
			differences = append(differences, y-x)
		}
	}
	slices.Sort(differences)
	n := len(differences)
	l.difference = (differences[(n-1)/2] + differences[n/2]) / 2
	// The interval goes from the k-th smallest to the k-th largest difference: the
	// test rejects a shift that leaves fewer than k pairs in the wrong order.
	k := refused(len(a), len(b), (1-confidence)/2)
	if k > 0 {
		l.lo, l.hi, l.bounded = differences[k-1], differences[n-k], true
	}
	// At the level that it really has, which with few runs is below alpha, the U test
	// needs about as many runs as Student's: its efficiency is 0.955 if values are
	// normal, and never below 0.864 (Hodges and Lehmann 1956).
	l.expect(a, b, scaled, attained(len(a), len(b), alpha), 0.955)
	return l
}

// expect fills in what the test is likely to find at alpha. asGood is its
// efficiency compared with Student's test. Times are assumed to vary by a factor, as
// in the test.
func (l *level) expect(a, b []float64, scaled bool, alpha, asGood float64) {
	x, y := onScale(a, scaled), onScale(b, scaled)
	if len(x) < 2 || len(y) < 2 {
		return
	}
	mx, vx := stat.MeanVariance(x, nil)
	my, vy := stat.MeanVariance(y, nil)
	if vx+vy == 0 {
		return
	}
	vx, vy = vx/asGood, vy/asGood
	l.v1, l.v2, l.effect = vx, vy, math.Abs(my-mx)/math.Sqrt(vx+vy)
	vx, vy = vx/float64(len(x)), vy/float64(len(y))
	l.detectable = detectableT(math.Sqrt(vx+vy), welchFreedom(vx, vy, float64(len(x)-1), float64(len(y)-1)), alpha)
	if scaled {
		l.detectable = math.Exp(mx) * math.Expm1(l.detectable)
	}
}

// repeats is how many runs of each setting find the shift seen with probability
// power; 0: unknown.
func (l level) repeats(alpha float64) int {
	if l.effect == 0 {
		return 0
	}
	return leastRuns(2, func(n float64) bool {
		return chanceT(l.effect*math.Sqrt(n), welchFreedom(l.v1, l.v2, n-1, n-1), alpha) >= power
	})
}

// exactU is the largest sample size for which the U distribution is computed.
const exactU = 50

// refused is the largest k for which U is k-1 or less with a probability of at
// most tail; 0: there is none.
func refused(n1, n2 int, tail float64) int {
	cdf := distributionOfU(n1, n2)
	return sort.Search(n1*n2/2, func(k int) bool { return cdf(float64(k)) > tail })
}

func distributionOfU(n1, n2 int) (cdf func(float64) float64) {
	if n1 > exactU || n2 > exactU {
		mean, sd := float64(n1*n2)/2, math.Sqrt(float64(n1*n2*(n1+n2+1))/12)
		normal := distuv.Normal{Mu: mean, Sigma: sd}
		return func(u float64) float64 { return normal.CDF(u + 0.5) }
	}
	return stats.UDist{N1: n1, N2: n2}.CDF
}

// attained is the level that the two-sided U test really has at alpha; alpha if no
// result would be significant.
func attained(n1, n2 int, alpha float64) float64 {
	k := refused(n1, n2, alpha/2)
	if k == 0 {
		return alpha
	}
	return min(2*distributionOfU(n1, n2)(float64(k-1)), alpha)
}

// cliff is Cliff's delta, -1 to 1: the probability that a value of b is above a
// value of a, minus the probability that it is below.
func cliff(a, b []float64) float64 {
	u, err := stats.MannWhitneyUTest(b, a, stats.LocationDiffers)
	if err != nil {
		return 0 // all values are the same
	}
	return 2*u.U/float64(len(a)*len(b)) - 1
}

var errNoSpread = errors.New("all runs of each setting have the same value")

// welch tests the means of few runs and assumes that values are normally
// distributed, or the logarithms of scaled values. It fails with errNoSpread if all
// runs of each setting have the same value.
func welch(a, b []float64, scaled bool, confidence, alpha float64) (level, error) {
	x, y := onScale(a, scaled), onScale(b, scaled)
	c := benchmath.AssumeNormal.Compare(newSample(x), newSample(y))
	if len(c.Warnings) > 0 {
		return level{}, errNoSpread
	}
	mx, vx := stat.MeanVariance(x, nil)
	my, vy := stat.MeanVariance(y, nil)
	vx, vy = vx/float64(len(x)), vy/float64(len(y))
	half := math.Sqrt(vx+vy) * student(welchFreedom(vx, vy, float64(len(x)-1), float64(len(y)-1)), (1+confidence)/2)
	d := my - mx
	l := level{p: c.P, difference: d, lo: d - half, hi: d + half, bounded: true, delta: cliff(a, b)}
	l.expect(a, b, scaled, alpha, 1)
	if scaled { // from factors to amounts, at a's level
		at := math.Exp(mx)
		l.ratio, l.difference, l.lo, l.hi = math.Exp(d), at*math.Expm1(d), at*math.Expm1(l.lo), at*math.Expm1(l.hi)
	}
	return l, nil
}
