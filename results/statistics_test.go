package results

import (
	"math"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat/distuv"
)

func TestIntervalKnown(t *testing.T) {
	for _, tt := range []struct {
		k, n   uint64
		lo, hi float64
	}{
		// Published values (R's binom.test); for k = 0 and k = n the closed form.
		{0, 100, 0, 1 - math.Pow(0.025, 0.01)},
		{100, 100, math.Pow(0.025, 0.01), 1},
		{1, 10, 0.002528579, 0.445016117},
		{5, 100, 0.016431879, 0.112834910},
		{50, 100, 0.398321132, 0.601678868},
	} {
		lo, hi := Interval(tt.k, tt.n, 0.95)
		if math.Abs(lo-tt.lo) > 1e-8 || math.Abs(hi-tt.hi) > 1e-8 {
			t.Errorf("%d of %d: %.9f to %.9f, want %.9f to %.9f", tt.k, tt.n, lo, hi, tt.lo, tt.hi)
		}
	}
}

// TestIntervalIsExact checks the definition where the numbers are large: at
// the upper end, k or fewer has the probability of the tail; at the lower end,
// k or more.
func TestIntervalIsExact(t *testing.T) {
	for _, n := range []uint64{24, 24_000, 10_000_000} {
		for _, k := range []uint64{1, n / 1000, n / 10, n / 2, n - 1} {
			if k == 0 {
				continue
			}
			lo, hi := Interval(k, n, 0.95)
			// P(X <= k | hi) and P(X >= k | lo), by the beta distribution.
			upper := 1 - distuv.Beta{Alpha: float64(k) + 1, Beta: float64(n - k)}.CDF(hi)
			lower := distuv.Beta{Alpha: float64(k), Beta: float64(n-k) + 1}.CDF(lo)
			if math.Abs(upper-0.025) > 1e-6 || math.Abs(lower-0.025) > 1e-6 {
				t.Errorf("%d of %d: tails of %v and %v, want 0.025", k, n, lower, upper)
			}
		}
	}
}

func TestIntervalOfNothing(t *testing.T) {
	for _, tt := range []struct {
		k, n       uint64
		confidence float64
	}{{0, 0, 0.95}, {3, 10, 0}, {3, 10, 1}, {3, 10, math.NaN()}, {3, 10, -1}} {
		if lo, hi := Interval(tt.k, tt.n, tt.confidence); lo != 0 || hi != 1 {
			t.Errorf("%+v: %v to %v, want 0 to 1", tt, lo, hi)
		}
	}
	if lo, hi := Interval(11, 10, 0.95); hi != 1 || lo < 0.6 {
		t.Errorf("11 of 10: %v to %v, want it as 10 of 10", lo, hi)
	}
}

// Effective trials need not be whole numbers (values of scipy's beta.ppf).
func TestEffectiveInterval(t *testing.T) {
	lo, hi := EffectiveInterval(3.4, 51.7, 0.95)
	if math.Abs(lo-0.015682228) > 1e-8 || math.Abs(hi-0.170914454) > 1e-8 {
		t.Errorf("3.4 of 51.7: %.9f to %.9f", lo, hi)
	}
	for _, none := range []float64{0, -1, math.NaN()} {
		if lo, hi := EffectiveInterval(none, none, 0.95); lo != 0 || hi != 1 {
			t.Errorf("%v of as many: %v to %v, want 0 to 1", none, lo, hi)
		}
	}
}

// A percentile among the durations that are longer than a histogram holds is a bound.
func TestPercentileAmongOverflow(t *testing.T) {
	long, mixed := Durations{}, Durations{}
	for range 374 {
		long.Add(349 * time.Second)
	}
	for i := range 100 {
		mixed.Add(time.Second)
		if i < 5 {
			mixed.Add(2 * HistogramMax)
		}
	}
	at := new(Durations)
	at.Add(HistogramMax)
	for _, tt := range []struct {
		of   *Durations
		want [4]string
	}{
		{&long, [4]string{"> 60.0 s", "> 60.0 s", "> 60.0 s", "> 60.0 s"}},
		{&mixed, [4]string{"1.00 s", "1.00 s", "> 60.0 s", "> 60.0 s"}},
		{at, [4]string{"60.0 s", "60.0 s", "60.0 s", "60.0 s"}},
		{&Durations{}, [4]string{"0", "0", "0", "0"}},
	} {
		q := tt.of.Quantiles()
		if got := [4]string{q.Format(50), q.Format(90), q.Format(99), q.Format(99.9)}; got != tt.want {
			t.Errorf("%+v: %q, want %q", q, got, tt.want)
		}
	}
}
