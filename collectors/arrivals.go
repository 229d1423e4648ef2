package collectors

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"

	"github.com/kabench/kabench/results"
)

// ArrivalLaw is the arrival process that the requests of a run should follow.
type ArrivalLaw struct {
	Process        string        // poisson, uniform or constant can be tested
	Rate           float64       // per second, of poisson and constant
	GapMin, GapMax time.Duration // of uniform
	// Of is the number of loops to which the arrivals are dealt in turn. This run is one of
	// them, and each of its gaps is a sum of Of gaps of the law. 0 and 1: it has them all.
	Of int
}

// of is Of, at least 1.
func (l ArrivalLaw) of() uint64 { return uint64(max(l.Of, 1)) }

// The bounds of the test. With a million arrivals every law is refuted, because clocks
// have ticks and threads wake late. A misfit must therefore be large, and not explained by
// chance.
const (
	// maxDistance is the largest distance between the distribution seen and the
	// law's, at the worst point, that is no misfit: one value in four on the wrong
	// side. A timer with a resolution of a millisecond reaches 0.2 at 500 requests a
	// second.
	maxDistance = 0.25
	// maxChance: a distance that the law itself produces with a smaller probability
	// is not chance.
	maxChance = 0.001
	// leastSpans is the smallest number of values that are tested: with fewer, a
	// distance of maxDistance can be chance.
	leastSpans = 64
)

// resolution is the time scale at which arrivals are tested: maxLag/25, which is 2 ms by
// default.
//
// A finer scale is pointless: at 30,000 requests a second the mean gap is 33 µs, single
// gaps only show that requests are sent one after the other, and servers do not notice. A
// scale as coarse as maxLag would miss stalls that the 99th percentile of lag allows, such
// as sleeping for 30 ms now and then and catching up in a burst.
func resolution(maxLag time.Duration) time.Duration {
	if maxLag <= 0 {
		maxLag = 50 * time.Millisecond // load.max_lag's default
	}
	return maxLag / 25
}

const (
	lawBins  = 1000 // of the quantile space, so that D is exact to 1/1000
	ringSize = 1 << 13
)

// arrivals tests when requests arrived against a law, in bounded memory.
//
// The time between arrivals i·k and (i+1)·k is one value, a sum of k gaps. k is the
// smallest number for which the spread of that sum under the law reaches the resolution;
// at low rates it is 1. Mapped through the law's distribution function, the values are
// uniform on [0, 1] if the law holds (for poisson, the sum of k gaps in units of the mean
// has the Gamma(k) distribution, which is Exp(1) for k = 1). They are counted in lawBins
// bins. In a run that got every n-th arrival, a gap is itself a sum of n gaps of the law,
// and a value of k·n. No parameter of the law is estimated from the values, so Kolmogorov's statistic
// has the textbook's distribution.
//
// A dropped request arrived when it was dropped, and a buffered request when it was put
// into the buffer. If they were left out, the dense moments of the run would be missing,
// and a true Poisson process would be refuted because of its drops. So a drop is not a
// misfit; drops have their own accounts and verdict.
//
// Exchanges are seen in the order in which they end, not in the order of their arrival. A
// ring keeps the last ringSize ends of spans until their neighbours are known. An exchange
// that lasts longer than that loses its two values.
type arrivals struct {
	law  ArrivalLaw
	span uint64 // k; 0: not tested

	mu    sync.Mutex
	ring  []spanEnd               // guarded by mu
	count uint64                  // guarded by mu
	bins  [lawBins]uint64         // guarded by mu; of a law of chance
	off   *hdrhistogram.Histogram // guarded by mu; of a constant law, else nil
}

// spanEnd is the arrival of exchange (n-1)·span; n 0: none.
type spanEnd struct {
	n  uint64
	at time.Duration
}

func newArrivals(law ArrivalLaw, maxLag time.Duration) *arrivals {
	if law.Process == "uniform" && law.GapMin == law.GapMax {
		law.Rate = 1 / law.GapMin.Seconds()
	}
	a := &arrivals{law: law, span: law.span(resolution(maxLag))}
	if a.span > 0 {
		a.ring = make([]spanEnd, ringSize)
		if law.equalGaps() {
			a.off = results.NewHistogram()
		}
	}
	return a
}

func (l ArrivalLaw) equalGaps() bool {
	return l.Process == "constant" || l.Process == "uniform" && l.GapMin == l.GapMax
}

// span is the smallest number of the run's own gaps whose sum has a standard deviation of
// at least r or, if the gaps are equal, is at least r long. It is 0 for a law that cannot
// be tested.
func (l ArrivalLaw) span(r time.Duration) uint64 {
	k, of := 0.0, float64(l.of())
	switch {
	case l.equalGaps():
		k = math.Ceil(r.Seconds() * l.Rate / of)
	case l.Process == "poisson":
		k = math.Ceil(math.Pow(r.Seconds()*l.Rate, 2) / of) // the deviation is √(k·of) / rate
	case l.Process == "uniform":
		k = math.Ceil(math.Pow(r.Seconds()/(l.GapMax-l.GapMin).Seconds(), 2) * 12 / of)
		if k > 1 || of > 1 {
			k = max(k, math.Ceil(12/of)) // see quantile
		}
	default:
		return 0
	}
	if !(k < 1<<53) {
		return 0
	}
	return uint64(max(k, 1))
}

// quantile is the law's distribution function of the sum of k gaps of the law at d.
func (l ArrivalLaw) quantile(k uint64, d time.Duration) float64 {
	n, s := float64(k), d.Seconds()
	switch {
	case s <= 0:
		return 0
	case l.Process == "poisson" && k == 1:
		return -math.Expm1(-s * l.Rate)
	case l.Process == "poisson":
		return mathext.GammaIncReg(n, s*l.Rate)
	}
	low, high := l.GapMin.Seconds(), l.GapMax.Seconds()
	if k == 1 {
		return min(max((s-low)/(high-low), 0), 1)
	}
	// A sum of 12 and more is normal to less than 0.002.
	return distuv.Normal{Mu: n * (low + high) / 2, Sigma: (high - low) * math.Sqrt(n/12)}.CDF(s)
}

// add counts one exchange, unless it belongs to the warm-up.
func (a *arrivals) add(e *results.Exchange) {
	own := e.Seq / a.law.of() // its number within this run
	if a.span == 0 || e.WarmUp || own%a.span != 0 {
		return
	}
	at := e.Done // dropped
	if e.Phase != results.PhaseSchedule {
		at = e.Start - e.Buffered
	}
	n := own/a.span + 1
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ring[n%ringSize] = spanEnd{n, at}
	if before := a.ring[(n-1)%ringSize]; n > 1 && before.n == n-1 {
		a.value(at - before.at)
	}
	if after := a.ring[(n+1)%ringSize]; after.n == n+1 {
		a.value(after.at - at)
	}
}

// value counts the time that span gaps of the run took. Called with mu held.
func (a *arrivals) value(d time.Duration) {
	a.count++
	gaps := a.span * a.law.of()
	if a.off != nil {
		want := time.Duration(float64(gaps) / a.law.Rate * 1e9)
		record(a.off, (d - want).Abs())
		return
	}
	a.bins[min(int(a.law.quantile(gaps, d)*lawBins), lawBins-1)]++
}

// result judges the arrivals seen. maxOff is how far equal gaps may be off; 0: no bound.
func (a *arrivals) result(maxOff time.Duration) results.Arrivals {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := results.Arrivals{Law: a.law.Process, Verdict: results.ArrivalsNotTested, Span: a.span, Count: a.count}
	switch {
	case a.span == 0:
		r.Why = "only poisson, constant and uniform arrivals are tested"
		return r
	case a.count < leastSpans:
		r.Why = fmt.Sprintf("%d values are too few; the test needs %d", a.count, leastSpans)
		return r
	}
	fits := true
	if a.off != nil {
		p99 := float64(a.off.ValueAtPercentile(99)) / 1e6
		r.OffP99 = &p99
		fits = maxOff <= 0 || p99 <= maxOff.Seconds()
	} else {
		d := distance(a.bins[:], a.count)
		p := kolmogorov(d, a.count)
		r.Distance, r.P = &d, &p
		fits = d <= maxDistance || p >= maxChance
	}
	if r.Verdict = results.ArrivalsMisfit; fits {
		r.Verdict = results.ArrivalsFit
	}
	return r
}

// distance is the greatest difference between the distribution of the n values
// counted in bins and the uniform one on [0, 1], at the bins' edges.
func distance(bins []uint64, n uint64) float64 {
	worst, below := 0.0, uint64(0)
	for i, k := range bins {
		below += k
		worst = max(worst, math.Abs(float64(below)/float64(n)-float64(i+1)/float64(len(bins))))
	}
	return worst
}

// kolmogorov is the probability that n values of the law itself are at least d
// away from it: the limit of Kolmogorov's distribution, with Stephens's
// correction for small n (Stephens 1970, JRSS B 32).
func kolmogorov(d float64, n uint64) float64 {
	root := math.Sqrt(float64(n))
	x := (root + 0.12 + 0.11/root) * d
	if x < 0.2 {
		return 1 // the series needs many terms, and is 1 to 12 digits
	}
	sum, sign := 0.0, 1.0
	for j := 1.0; j <= 100; j++ {
		term := math.Exp(-2 * j * j * x * x)
		sum += sign * term
		if term < 1e-16 {
			break
		}
		sign = -sign
	}
	return min(max(2*sum, 0), 1)
}
