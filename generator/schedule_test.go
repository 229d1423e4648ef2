package generator

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	vegeta "github.com/tsenart/vegeta/v12/lib"
	"pgregory.net/rapid"
)

const ms = time.Millisecond

func dues(t testing.TB, l Load) []time.Duration {
	t.Helper()
	s, err := l.Schedule()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(s)
}

func TestScheduleTable(t *testing.T) {
	for _, tc := range []struct {
		name string
		load Load
		want []time.Duration
	}{
		{"constant", Load{Rate: 4, Duration: time.Second}, []time.Duration{0, 250 * ms, 500 * ms, 750 * ms}},
		{"constant by count", Load{Rate: 4, Count: 2}, []time.Duration{0, 250 * ms}},
		{"count leaves the warm-up out", Load{Rate: 4, WarmUp: 500 * ms, Count: 2}, []time.Duration{0, 250 * ms, 500 * ms, 750 * ms}},
		{"duration before count", Load{Rate: 4, Duration: 300 * ms, Count: 9}, []time.Duration{0, 250 * ms}},
		{"one an hour", Load{Rate: 1.0 / 3600, Count: 3}, []time.Duration{0, time.Hour, 2 * time.Hour}},
		{"burst", Load{Rate: 10, Duration: 800 * ms, Arrivals: Arrivals{Process: Burst, On: 200 * ms, Off: 300 * ms}},
			[]time.Duration{0, 100 * ms, 500 * ms, 600 * ms}},
		{"burst that ends between two", Load{Rate: 10, Count: 4, Arrivals: Arrivals{Process: Burst, On: 110 * ms, Off: 90 * ms}},
			[]time.Duration{0, 100 * ms, 200 * ms, 300 * ms}},
		{"uniform with equal gaps", Load{Count: 3, Arrivals: Arrivals{Process: Uniform, GapMin: 7, GapMax: 7}}, []time.Duration{0, 7, 14}},
		{"flat ramp", Load{Rate: 4, Duration: time.Second, Arrivals: Arrivals{Process: Ramp, To: 4}},
			[]time.Duration{0, 250 * ms, 500 * ms, 750 * ms}},
		// N(t) = 2t + t²: 1 at √2−1, 2 at √3−1.
		{"rising ramp", Load{Rate: 2, Duration: time.Second, Arrivals: Arrivals{Process: Ramp, To: 4}},
			[]time.Duration{0, 414213562, 732050808}},
		// N(t) = 4t − t²: 1 at 2−√3, 2 at 2−√2.
		{"falling ramp", Load{Rate: 4, Duration: time.Second, Arrivals: Arrivals{Process: Ramp, To: 2}},
			[]time.Duration{0, 267949192, 585786438}},
		// Constant until 1 s, then as above.
		{"rising ramp after a warm-up", Load{Rate: 2, WarmUp: time.Second, Duration: time.Second, Arrivals: Arrivals{Process: Ramp, To: 4}},
			[]time.Duration{0, 500 * ms, time.Second, 1414213562, 1732050808}},
		{"warm-up that ends between two", Load{Rate: 2, WarmUp: 1250 * ms, Duration: time.Second, Arrivals: Arrivals{Process: Ramp, To: 2}},
			[]time.Duration{0, 500 * ms, time.Second, 1500 * ms, 2 * time.Second}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tc.load.MaxInFlight = 1
			if diff := cmp.Diff(tc.want, dues(t, tc.load)); diff != "" {
				t.Errorf("due times (-want +got)\n%s", diff)
			}
		})
	}
}

// The millionth request of a rate that no gap in whole nanoseconds can express
// is due exactly when it should be.
func TestConstantDoesNotDrift(t *testing.T) {
	got := dues(t, Load{Rate: 3000, Count: 1_000_000, MaxInFlight: 1})
	for _, i := range []int{1, 2, 3, 2999, 3000, 999_999} {
		want := time.Duration(math.Round(float64(i) * 1e9 / 3000))
		if got[i] != want {
			t.Errorf("request %d is due at %v, want %v", i, got[i], want)
		}
	}
	if n := len(dues(t, Load{Rate: 400, Duration: time.Minute, MaxInFlight: 1})); n != 24000 {
		t.Errorf("400/s for a minute is %d requests, want 24000", n)
	}
}

func TestPoissonGaps(t *testing.T) {
	const n = 200_000
	got := dues(t, Load{Rate: 1000, Count: n, Seed: 7, MaxInFlight: 1, Arrivals: Arrivals{Process: Poisson}})
	var sum, squares, last float64
	for _, due := range got {
		gap := due.Seconds() - last
		last = due.Seconds()
		sum += gap
		squares += gap * gap
	}
	mean := sum / n
	variance := squares/n - mean*mean
	// Exponential with mean 1 ms: the variance is the mean squared. The bounds
	// are over six standard errors wide, and the seed is fixed.
	if mean < 0.985e-3 || mean > 1.015e-3 {
		t.Errorf("mean gap %g s, want 1e-3", mean)
	}
	if variance < 0.96e-6 || variance > 1.04e-6 {
		t.Errorf("variance of the gaps %g s², want 1e-6", variance)
	}
}

func TestSeeds(t *testing.T) {
	for _, a := range []Arrivals{
		{Process: Poisson},
		{Process: Burst, On: 50 * ms, Off: 10 * ms, OffMax: 90 * ms},
		{Process: Burst, On: 50 * ms, Off: 10 * ms, Within: Poisson},
		{Process: Uniform, GapMin: 1, GapMax: 10 * ms},
	} {
		l := Load{Rate: 500, Duration: time.Second, Seed: 1, MaxInFlight: 1, Arrivals: a}
		if a.Process == Uniform {
			l.Rate = 0
		}
		s, err := l.Schedule()
		if err != nil {
			t.Fatal(err)
		}
		first, second := slices.Collect(s), slices.Collect(s)
		if !slices.Equal(first, second) {
			t.Errorf("%v: walked twice, different due times", a.Process)
		}
		l.Seed = 2
		if slices.Equal(first, dues(t, l)) {
			t.Errorf("%v: two seeds, the same due times", a.Process)
		}
	}
}

// Whatever the load, due times never decrease, stay within the run, and are
// about as many as MeanRate says.
func TestScheduleProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := anyLoad(t)
		s, err := l.Schedule()
		if err != nil {
			t.Fatalf("%+v: %v", l, err)
		}
		last, n, counted := time.Duration(0), 0, uint64(0)
		for due := range s {
			if due < last {
				t.Fatalf("request %d is due at %v, the one before at %v", n, due, last)
			}
			if l.Duration > 0 && due >= l.WarmUp+l.Duration {
				t.Fatalf("request %d is due at %v, after the end", n, due)
			}
			if due >= l.WarmUp {
				counted++
			}
			last = due
			n++
		}
		if l.Count > 0 && counted > l.Count {
			t.Fatalf("%d counted requests, more than %d", counted, l.Count)
		}
		if mean := l.MeanRate(); !(mean > 0) || math.IsInf(mean, 0) {
			t.Fatalf("mean rate %v", mean)
		}
	})
}

func anyLoad(t *rapid.T) Load {
	rate := func(name string) Rate { return Rate(rapid.Float64Range(0.1, 5000).Draw(t, name)) }
	span := func(name string, from time.Duration) time.Duration {
		return time.Duration(rapid.Int64Range(int64(from), int64(2*time.Second)).Draw(t, name))
	}
	l := Load{
		Rate: rate("rate"), Duration: span("duration", 0), WarmUp: span("warm_up", 0),
		Count: rapid.Uint64Range(0, 2000).Draw(t, "count"), Seed: rapid.Uint64().Draw(t, "seed"), MaxInFlight: 1,
	}
	if l.Duration == 0 && l.Count == 0 {
		l.Count = 1
	}
	a := Arrivals{Process: Process(rapid.IntRange(int(Constant), int(Sine)).Draw(t, "process"))}
	switch a.Process {
	case Ramp:
		a.To = rate("to")
		l.Duration = max(l.Duration, 1)
	case Burst:
		a.On, a.Off = span("on", ms), span("off", 1)
		a.OffMax = a.Off + span("off_max", 0)
		a.Within = Process(rapid.IntRange(int(Constant), int(Poisson)).Draw(t, "within"))
		l.Rate = max(l.Rate, Rate(1.001/a.On.Seconds()))
	case Uniform:
		l.Rate = 0
		a.GapMin = span("gap_min", ms/10)
		a.GapMax = a.GapMin + span("gap_max", 0)
	case Sine:
		a.Amplitude = l.Rate * Rate(rapid.Float64Range(1e-6, maxSwing).Draw(t, "amplitude"))
		a.Period = time.Duration(1.001*minPerPeriod/float64(l.Rate)*1e9) + span("period", 0)
	}
	l.Arrivals = a
	return l
}

func TestMeanRate(t *testing.T) {
	for _, l := range []Load{
		{Rate: 400},
		{Rate: 400, Arrivals: Arrivals{Process: Poisson}},
		{Rate: 100, Arrivals: Arrivals{Process: Ramp, To: 500}},
		{Rate: 500, Arrivals: Arrivals{Process: Ramp, To: 100}},
		{Rate: 400, Arrivals: Arrivals{Process: Burst, On: 250 * ms, Off: 700 * ms, OffMax: 800 * ms}},
		{Rate: 10, Arrivals: Arrivals{Process: Burst, On: 110 * ms, Off: 90 * ms}}, // two in each burst
		{Rate: 400, Arrivals: Arrivals{Process: Burst, On: 250 * ms, Off: 950 * ms, Within: Poisson}},
		{Arrivals: Arrivals{Process: Uniform, GapMin: ms, GapMax: 9 * ms}},
		{Rate: 100, WarmUp: 300 * time.Second, Arrivals: Arrivals{Process: Ramp, To: 500}},
		{Rate: 100, Arrivals: Arrivals{Process: Sine, Amplitude: 90, Period: 10 * time.Second}},
	} {
		l.Duration, l.Seed, l.MaxInFlight = 200*time.Second, 3, 1
		got := float64(len(dues(t, l))) / (l.WarmUp + l.Duration).Seconds()
		if want := l.MeanRate(); math.Abs(got-want) > 0.03*want {
			t.Errorf("%v: %.2f requests/s due, MeanRate says %.2f", l.Arrivals, got, want)
		}
	}
}

// pace is a vegeta.Pacer made of a function.
type pace func(elapsed time.Duration, hits uint64) (time.Duration, bool)

func (p pace) Pace(elapsed time.Duration, hits uint64) (time.Duration, bool) { return p(elapsed, hits) }
func (p pace) Rate(time.Duration) float64                                    { return 0 }

func TestFromPacer(t *testing.T) {
	const max = math.MaxInt64
	for _, tc := range []struct {
		name  string
		pacer vegeta.Pacer
		want  []time.Duration // the first ones
	}{
		{"constant", vegeta.ConstantPacer{Freq: 4, Per: time.Second}, []time.Duration{250 * ms, 500 * ms, 750 * ms, time.Second}},
		{"constant without drift", vegeta.ConstantPacer{Freq: 3, Per: 10}, []time.Duration{3, 6, 10, 13}},
		{"a gap that rounds to 0", vegeta.ConstantPacer{Freq: 3, Per: 1}, []time.Duration{0, 0, 1, 1}},
		{"by pointer", &vegeta.ConstantPacer{Freq: 1, Per: 5}, []time.Duration{5, 10, 15, 20}},
		{"longer than time", vegeta.ConstantPacer{Freq: 1, Per: max}, []time.Duration{max}},
		{"fed the due time", pace(func(elapsed time.Duration, hits uint64) (time.Duration, bool) {
			return elapsed + 1, hits == 3
		}), []time.Duration{1, 3, 7}},
		{"behind", pace(func(_ time.Duration, hits uint64) (time.Duration, bool) {
			return -time.Second, hits == 2
		}), []time.Duration{0, 0}},
		{"past the end of time", pace(func(time.Duration, uint64) (time.Duration, bool) {
			return max, false
		}), []time.Duration{max}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := FromPacer(tc.pacer)
			if err != nil {
				t.Fatal(err)
			}
			var got []time.Duration
			for due := range s {
				if got = append(got, due); len(got) == 4 {
					break
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("due times (-want +got)\n%s", diff)
			}
		})
	}
}

func TestFromPacerEnds(t *testing.T) {
	still := pace(func(time.Duration, uint64) (time.Duration, bool) { return 0, false })
	s, err := FromPacer(still)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for range s {
		n++
	}
	if n != maxAtOnce {
		t.Errorf("a pacer that lets no time pass gave %d due times, want %d", n, maxAtOnce)
	}
	for _, p := range []vegeta.Pacer{nil, (*vegeta.ConstantPacer)(nil), vegeta.ConstantPacer{}, vegeta.ConstantPacer{Freq: -1, Per: 1}} {
		if _, err := FromPacer(p); err == nil {
			t.Errorf("%#v: no error", p)
		}
	}
}

// Request n of a sine is due where the integral of its rate is n, from the
// mildest to the steepest that is valid.
func TestSineKeepsToItsCurve(t *testing.T) {
	for _, rate := range []float64{0.05, 3, 100, 1e5} {
		for _, perPeriod := range []float64{minPerPeriod, 333, 10_000} {
			for _, swing := range []float64{1e-3, 0.5, maxSwing} {
				period := perPeriod / rate
				l := Load{Rate: Rate(rate), Count: uint64(2.5 * perPeriod), MaxInFlight: 1, Arrivals: Arrivals{
					Process: Sine, Amplitude: Rate(swing * rate), Period: time.Duration(math.Round(period * 1e9)),
				}}
				worst, n := 0.0, 0.0
				for _, due := range dues(t, l) {
					n++
					x := due.Seconds()
					soFar := rate*x + swing*rate*period/(2*math.Pi)*(1-math.Cos(2*math.Pi*x/period))
					worst = max(worst, math.Abs(soFar-n))
				}
				if worst > 0.1 || n != float64(l.Count) {
					t.Errorf("%v, rate %v: %v requests of %v, the worst is off by %v", l.Arrivals, l.Rate, n, l.Count, worst)
				}
			}
		}
	}
}

func BenchmarkSchedule(b *testing.B) {
	for _, l := range []Load{
		{Rate: 1000},
		{Rate: 1000, Arrivals: Arrivals{Process: Poisson}},
		{Rate: 1000, Duration: 1000 * time.Hour, Arrivals: Arrivals{Process: Ramp, To: 2000}},
		{Rate: 1000, Arrivals: Arrivals{Process: Burst, On: 250 * ms, Off: ms, OffMax: 9 * ms, Within: Poisson}},
		{Arrivals: Arrivals{Process: Uniform, GapMin: ms, GapMax: 9 * ms}},
		{Rate: 1000, Arrivals: Arrivals{Process: Sine, Amplitude: 500, Period: 10 * time.Second}},
	} {
		b.Run(fmt.Sprint(l.Arrivals.Process), func(b *testing.B) {
			l.Count, l.MaxInFlight = uint64(b.N), 1
			s, err := l.Schedule()
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range s {
			}
		})
	}
}
