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

// Law is the arrival process that a run's requests are to follow.
type Law struct {
	Process        string        // poisson, uniform or constant can be tested
	Rate           float64       // per second, of poisson and constant
	GapMin, GapMax time.Duration // of uniform
}

// The bounds of the test. At a million arrivals any law is refuted: a clock has
// ticks, a thread takes its time. A misfit is therefore one that chance does
// not explain and that is large as well.
const (
	// maxDistance is the distance between the distribution seen and the law's,
	// at its worst point, up to which the law is taken to hold: one value in
	// four on the wrong side. A timer that wakes by the millisecond comes to 0.2
	// at 500 requests a second.
	maxDistance = 0.25
	// maxChance is the probability of a distance under the law below which it
	// is not put down to chance.
	maxChance = 0.001
	// leastSpans is how many values are tested at least: below it a distance of
	// maxDistance can be chance.
	leastSpans = 64
)

// resolution is the spread, under the law, of the values that are tested, for
// runs that allow so much lag: a twenty-fifth of that, 2 ms with the default.
//
// At 30,000 requests a second the mean gap is 33 µs, and what a server makes of
// the load does not hang on gaps of 33 µs being drawn in that order: single
// gaps would only show that one request is sent after the other. Neither can it
// be as coarse as the lag that is allowed, or nothing would be tested that
// lag's own percentile does not say: a process that sleeps for 30 ms now and
// then and catches up keeps to a p99 of 50 ms, and its arrivals are bursts.
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
// The time between arrivals i·k and (i+1)·k is one value, a sum of k gaps,
// with k so large that its spread under the law reaches the resolution: at low
// rates single gaps. Mapped through the law's distribution function the values
// are uniform on [0, 1] if the law holds (for poisson: the sum of k gaps in
// units of the mean is Gamma(k) distributed, with k = 1 Exp(1)), and are
// counted in lawBins bins. The law is wholly given, rate included, so the
// distribution of Kolmogorov's statistic is the textbook's.
//
// What was dropped arrived when it was turned away, and what waited in the
// buffer when it was put there: left out, they would take the dense moments of
// the run with them, and a true Poisson process would be refuted for the drops'
// sake. So dropping is no misfit; it has its own accounts and verdict.
//
// Exchanges are seen when they are over, not in the order of their arrival. A
// ring keeps the last ringSize ends of spans for their neighbours; where one
// exchange takes longer than that, its two values are missing.
type arrivals struct {
	law  Law
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

func newArrivals(law Law, maxLag time.Duration) *arrivals {
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

func (l Law) equalGaps() bool {
	return l.Process == "constant" || l.Process == "uniform" && l.GapMin == l.GapMax
}

// span is the least number of gaps whose sum spreads over r: has a standard
// deviation of r, or, when the gaps are equal, is as long as r. It is 0 for a law
// that cannot be tested.
func (l Law) span(r time.Duration) uint64 {
	k := 0.0
	switch {
	case l.equalGaps():
		k = math.Ceil(r.Seconds() * l.Rate)
	case l.Process == "poisson":
		k = math.Ceil(math.Pow(r.Seconds()*l.Rate, 2)) // the deviation is √k / rate
	case l.Process == "uniform":
		k = math.Ceil(math.Pow(r.Seconds()/(l.GapMax-l.GapMin).Seconds(), 2) * 12)
		if k > 1 {
			k = max(k, 12) // see quantile
		}
	default:
		return 0
	}
	if !(k < 1<<53) {
		return 0
	}
	return uint64(max(k, 1))
}

// quantile is the law's distribution function of the sum of k gaps at d.
func (l Law) quantile(k uint64, d time.Duration) float64 {
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

// add takes in one exchange. Those of the warm-up are not in the figures and
// not in the test.
func (a *arrivals) add(e *results.Exchange) {
	if a.span == 0 || e.WarmUp || e.Seq%a.span != 0 {
		return
	}
	at := e.Done // dropped
	if e.Phase != results.PhaseSchedule {
		at = e.Start - e.Buffered
	}
	n := e.Seq/a.span + 1
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

// value takes in the time that span gaps took. Called with mu held.
func (a *arrivals) value(d time.Duration) {
	a.count++
	if a.off != nil {
		want := time.Duration(float64(a.span) / a.law.Rate * 1e9)
		record(a.off, (d - want).Abs())
		return
	}
	a.bins[min(int(a.law.quantile(a.span, d)*lawBins), lawBins-1)]++
}

// result judges what was seen; maxOff bounds how far equal gaps may be off, 0:
// however far.
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
