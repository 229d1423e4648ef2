package collectors

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

// arriving are n exchanges whose gaps gap draws, in seconds, each observed when
// it is over: service later, so not in order.
func arriving(n int, gap func(*rand.Rand) float64, rng *rand.Rand) []*results.Exchange {
	list := make([]*results.Exchange, n)
	at := 0.0
	for i := range list {
		at += gap(rng)
		e := ended(uint64(i), time.Duration(at*1e9), results.PhaseDone, results.CauseNone)
		e.Start = e.Due
		list[i] = e
	}
	for i := 0; i+1 < n; i += 2 { // as two workers finish
		list[i], list[i+1] = list[i+1], list[i]
	}
	return list
}

func verdictOf(law ArrivalLaw, maxLag time.Duration, list []*results.Exchange) results.Arrivals {
	a := newArrivals(law, maxLag)
	for _, e := range list {
		a.add(e)
	}
	return a.result(maxLag)
}

func exponential(rate float64) func(*rand.Rand) float64 {
	return func(r *rand.Rand) float64 { return r.ExpFloat64() / rate }
}

func TestArrivalsAreHeldToTheirLaw(t *testing.T) {
	const lag = 50 * time.Millisecond
	equal := func(rate float64) func(*rand.Rand) float64 {
		return func(*rand.Rand) float64 { return 1 / rate }
	}
	between := func(low, high float64) func(*rand.Rand) float64 {
		return func(r *rand.Rand) float64 { return low + (high-low)*r.Float64() }
	}
	for _, tc := range []struct {
		name string
		law  ArrivalLaw
		n    int
		gap  func(*rand.Rand) float64
		want string
		span uint64
	}{
		{"poisson at 100/s", ArrivalLaw{Process: "poisson", Rate: 100}, 3000, exponential(100), results.ArrivalsFit, 1},
		{"poisson at 10,000/s", ArrivalLaw{Process: "poisson", Rate: 10000}, 100_000, exponential(10000), results.ArrivalsFit, 400},
		{"at another rate", ArrivalLaw{Process: "poisson", Rate: 100}, 3000, exponential(40), results.ArrivalsMisfit, 1},
		{"3 % slower at a high rate", ArrivalLaw{Process: "poisson", Rate: 10000}, 200_000, exponential(9700), results.ArrivalsMisfit, 400},
		{"equal gaps for poisson", ArrivalLaw{Process: "poisson", Rate: 100}, 3000, equal(100), results.ArrivalsMisfit, 1},
		{"equal gaps for poisson, fast", ArrivalLaw{Process: "poisson", Rate: 10000}, 100_000, equal(10000), results.ArrivalsMisfit, 400},
		{"too few", ArrivalLaw{Process: "poisson", Rate: 100}, leastSpans - 1, exponential(100), results.ArrivalsNotTested, 1},
		{"uniform", ArrivalLaw{Process: "uniform", GapMin: 8 * time.Millisecond, GapMax: 20 * time.Millisecond}, 3000, between(.008, .020), results.ArrivalsFit, 1},
		{"uniform, narrow", ArrivalLaw{Process: "uniform", GapMin: time.Millisecond, GapMax: 3 * time.Millisecond}, 3000, between(.001, .003), results.ArrivalsFit, 12},
		{"poisson for uniform", ArrivalLaw{Process: "uniform", GapMin: 8 * time.Millisecond, GapMax: 20 * time.Millisecond}, 3000, exponential(1 / .014), results.ArrivalsMisfit, 1},
		{"uniform of one length", ArrivalLaw{Process: "uniform", GapMin: 14 * time.Millisecond, GapMax: 14 * time.Millisecond}, 300, equal(1 / .014), results.ArrivalsFit, 1},
		{"constant", ArrivalLaw{Process: "constant", Rate: 3000}, 3000, equal(3000), results.ArrivalsFit, 6},
		{"poisson for constant, slow", ArrivalLaw{Process: "constant", Rate: 10}, 3000, exponential(10), results.ArrivalsMisfit, 1},
		{"a law that is not tested", ArrivalLaw{Process: "ramp", Rate: 10}, 300, exponential(10), results.ArrivalsNotTested, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := verdictOf(tc.law, lag, arriving(tc.n, tc.gap, rand.New(rand.NewPCG(1, 2))))
			if got.Verdict != tc.want || got.Span != tc.span || (got.Why != "") != (tc.want == results.ArrivalsNotTested) {
				t.Errorf("%+v, want %s with spans of %d", got, tc.want, tc.span)
			}
			if tested := got.Verdict != results.ArrivalsNotTested; tested {
				if most := uint64(tc.n-1) / tc.span; got.Count > most || got.Count+2 < most {
					t.Errorf("%d values of %d", got.Count, most)
				}
				if (got.Distance == nil) == (got.OffP99 == nil) || (got.P == nil) != (got.Distance == nil) {
					t.Errorf("figures are missing: %+v", got)
				}
			}
		})
	}
}

// One of several loops to which the arrivals are dealt in turn has every n-th of them: its
// gaps are sums of n gaps of the law.
func TestArrivalsOfAShareAreHeldToTheLawOfTheWhole(t *testing.T) {
	equal := func(*rand.Rand) float64 { return 1.0 / 3000 }
	between := func(r *rand.Rand) float64 { return .001 + .002*r.Float64() }
	uniform := ArrivalLaw{Process: "uniform", GapMin: time.Millisecond, GapMax: 3 * time.Millisecond}
	for _, tc := range []struct {
		name string
		law  ArrivalLaw
		gap  func(*rand.Rand) float64
		n    int
		of   int
		want string
		span uint64
	}{
		{"poisson, slow", ArrivalLaw{Process: "poisson", Rate: 100}, exponential(100), 12_000, 4, results.ArrivalsFit, 1},
		{"poisson, fast", ArrivalLaw{Process: "poisson", Rate: 10000}, exponential(10000), 400_000, 4, results.ArrivalsFit, 100},
		{"poisson, many loops", ArrivalLaw{Process: "poisson", Rate: 10000}, exponential(10000), 400_000, 1000, results.ArrivalsFit, 1},
		{"poisson, 3 % slower", ArrivalLaw{Process: "poisson", Rate: 10000}, exponential(9700), 800_000, 4, results.ArrivalsMisfit, 100},
		{"equal gaps for poisson", ArrivalLaw{Process: "poisson", Rate: 100}, func(*rand.Rand) float64 { return .01 }, 12_000, 4, results.ArrivalsMisfit, 1},
		{"constant", ArrivalLaw{Process: "constant", Rate: 3000}, equal, 3000, 4, results.ArrivalsFit, 2},
		{"poisson for constant, slow", ArrivalLaw{Process: "constant", Rate: 10}, exponential(10), 3000, 4, results.ArrivalsMisfit, 1},
		{"uniform", uniform, between, 60_000, 4, results.ArrivalsFit, 3},
		{"uniform, more loops than gaps in a value", uniform, between, 60_000, 20, results.ArrivalsFit, 1},
		{"poisson for uniform", uniform, exponential(500), 60_000, 4, results.ArrivalsMisfit, 3},
		{"a law that is not tested", ArrivalLaw{Process: "ramp", Rate: 10}, exponential(10), 3000, 4, results.ArrivalsNotTested, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.law.Of = tc.of
			all := arriving(tc.n, tc.gap, rand.New(rand.NewPCG(1, 2)))
			for index := range min(tc.of, 4) {
				var own []*results.Exchange
				for _, e := range all {
					if e.Seq%uint64(tc.of) == uint64(index) {
						own = append(own, e)
					}
				}
				got := verdictOf(tc.law, 50*time.Millisecond, own)
				if got.Verdict != tc.want || got.Span != tc.span {
					t.Errorf("loop %d: %+v, want %s with spans of %d", index, got, tc.want, tc.span)
				}
				if most := uint64(len(own)-1) / max(tc.span, 1); tc.span > 0 && (got.Count > most || got.Count+2 < most) {
					t.Errorf("loop %d: %d values of %d", index, got.Count, most)
				}
			}
		})
	}
}

// A thread that sleeps through 40 ms again and again, and catches up, keeps to
// a 99th percentile of lag of 50 ms; its arrivals are bursts.
func TestStallsWithinTheLagAreAMisfit(t *testing.T) {
	list := arriving(20_000, exponential(1000), rand.New(rand.NewPCG(1, 2)))
	for _, e := range list {
		e.Start = e.Due.Truncate(40*time.Millisecond) + 40*time.Millisecond
	}
	law := ArrivalLaw{Process: "poisson", Rate: 1000}
	if got := verdictOf(law, 50*time.Millisecond, list); got.Verdict != results.ArrivalsMisfit {
		t.Errorf("%+v", got)
	}
	// One that allows a lag of seconds has allowed this.
	if got := verdictOf(law, 5*time.Second, list); got.Verdict == results.ArrivalsMisfit {
		t.Errorf("with max_lag 5s: %+v", got)
	}
}

// What was dropped arrived when it was turned away, and what waited when it was
// put in the buffer: neither bends the law, however dense the moments in which
// that happened.
func TestDropsAndBufferAreNoMisfit(t *testing.T) {
	list := arriving(20_000, exponential(300), rand.New(rand.NewPCG(3, 4)))
	rng := rand.New(rand.NewPCG(5, 6))
	for _, e := range list {
		switch rng.IntN(3) {
		case 0:
			e.Phase, e.Cause, e.Start, e.Done = results.PhaseSchedule, results.CauseDropped, results.Never, e.Due
		case 1:
			e.Buffered = time.Second
			e.Start += e.Buffered
		}
	}
	if got := verdictOf(ArrivalLaw{Process: "poisson", Rate: 300}, 50*time.Millisecond, list); got.Verdict != results.ArrivalsFit || got.Count < 19_990 {
		t.Errorf("%+v", got)
	}
}

func TestWarmUpIsNotTested(t *testing.T) {
	list := arriving(400, exponential(1), rand.New(rand.NewPCG(3, 4))) // a hundred times too slow
	for _, e := range list {
		e.WarmUp = true
	}
	if got := verdictOf(ArrivalLaw{Process: "poisson", Rate: 100}, time.Second, list); got.Count != 0 {
		t.Errorf("%+v", got)
	}
}

// The law's own values are refuted about as often as the significance says.
func TestKolmogorovHoldsItsLevel(t *testing.T) {
	rng := rand.New(rand.NewPCG(7, 8))
	const tries, n = 4000, 100
	refuted := 0
	for range tries {
		var bins [lawBins]uint64
		for range n {
			bins[rng.IntN(lawBins)]++
		}
		if kolmogorov(distance(bins[:], n), n) < 0.05 {
			refuted++
		}
	}
	if refuted < tries*3/100 || refuted > tries*7/100 {
		t.Errorf("%d of %d refuted at 5 %%", refuted, tries)
	}
	for d, want := range map[float64]float64{0.13403: 0.05, 0.16081: 0.01, 0: 1, 1: 0} { // Smirnov's table, n = 100
		if got := kolmogorov(d, 100); math.Abs(got-want) > 0.002 {
			t.Errorf("p of %v is %v, want %v", d, got, want)
		}
	}
}

func BenchmarkArrivals(b *testing.B) {
	a := newArrivals(ArrivalLaw{Process: "poisson", Rate: 400}, 50*time.Millisecond)
	e := ended(0, 0, results.PhaseDone, results.CauseNone)
	b.ReportAllocs()
	for b.Loop() {
		e.Seq++
		e.Start += 2500 * time.Microsecond
		a.add(e)
	}
}
