package watch

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// waits are the ports that wait when a service closes this many connections a second for a time.
func waits(rate, seconds int) (freed [TimeWaitFor]int) {
	for i := max(0, TimeWaitFor-seconds); i < TimeWaitFor; i++ {
		freed[i] = rate
	}
	return freed
}

func use(live, rate, seconds int) PortUse {
	freed := waits(rate, seconds)
	n := live
	for _, k := range freed {
		n += k
	}
	return PortUse{Ports: n, Freed: freed}
}

func TestForecastPorts(t *testing.T) {
	const s = time.Second
	samples := func(uses ...PortUse) (list []PortSample) {
		for i, u := range uses {
			list = append(list, PortSample{time.Duration(i) * s, u})
		}
		return list
	}
	reused := use(100, 500, 60)
	reused.Reuse = true
	for _, tc := range []struct {
		name      string
		samples   []PortSample
		available int
		left      int
		gone      time.Duration
	}{
		{"a steady service, whose closes are freed after 60 s", samples(use(10, 100, 60), use(10, 100, 60), use(10, 100, 60)), 28232, 28232 - 6010, never},
		{"one that has just begun, and levels off below the range", samples(use(10, 100, 11), use(10, 100, 12)), 28232, 28232 - 1210, never},
		{"one that has just begun, and will have none before it levels off", samples(use(0, 1000, 11), use(0, 1000, 12)), 28232, 16232, 16232 * time.Millisecond},
		{"a leak of 2 a second and nothing that waits", samples(use(100, 0, 0), use(102, 0, 0), use(104, 0, 0)), 1000, 896, 448 * s},
		{"a leak beside steady closes", samples(use(100, 10, 60), use(101, 10, 60)), 801, 100, 100 * s},
		{"one that shrinks", samples(use(104, 0, 0), use(102, 0, 0)), 1000, 898, never},
		{"none left", samples(use(1000, 0, 0), use(1000, 0, 0)), 1000, 0, 0},
		{"ports that wait are used again", samples(reused, reused), 28232, 28132, never},
	} {
		t.Run(tc.name, func(t *testing.T) {
			f, ok := ForecastPorts(tc.samples, tc.available)
			if !ok || f.Left != tc.left || (f.Gone < 0) != (tc.gone < 0) || math.Abs(float64(f.Gone-tc.gone)) > float64(10*time.Millisecond) {
				t.Errorf("%+v, want %d left and gone after %v", f, tc.left, tc.gone)
			}
		})
	}
	for _, few := range [][]PortSample{nil, samples(use(1, 0, 0)), {{s, use(1, 0, 0)}, {s, use(2, 0, 0)}}} {
		if f, ok := ForecastPorts(few, 1000); ok {
			t.Errorf("a forecast of %+v: %+v", few, f)
		}
	}
	if _, ok := ForecastPorts(samples(use(1, 0, 0), use(1, 0, 0)), 0); ok {
		t.Error("a forecast without a range")
	}
}

// TestForecastPortsInterval: the interval has the true time in 95 % of random services or more,
// whose closes and growth are random.
func TestForecastPortsInterval(t *testing.T) {
	const worlds, available = 2000, 28232
	r := rand.New(rand.NewPCG(1, 2))
	held, bounded := 0, 0
	for range worlds {
		closes, growth := 20+r.Float64()*300, 0.5+r.Float64()*20
		var freed [TimeWaitFor]int
		live := 200.0
		var list []PortSample
		for second := range 30 {
			live += float64(poisson(r, growth+5) - poisson(r, 5))
			u := PortUse{Ports: int(live), Freed: freed}
			if second == 29 {
				for i := range u.Freed { // the closes of the last minute
					u.Freed[i] = poisson(r, closes)
				}
				for _, n := range u.Freed {
					u.Ports += n
				}
			}
			list = append(list, PortSample{time.Duration(second) * time.Second, u})
		}
		f, ok := ForecastPorts(list, available)
		if !ok {
			t.Fatal("no forecast")
		}
		m := portModel{live: live, free: available, freed: list[29].Use.Freed}
		truth := m.gone(closes, growth)
		if f.Soonest >= 0 && f.Soonest <= truth && (f.Latest < 0 || truth <= f.Latest) {
			held++
		}
		if f.Latest >= 0 {
			bounded++
		}
	}
	if held < worlds*95/100 || bounded < worlds/2 {
		t.Errorf("the interval holds in %d of %d worlds, and has an end in %d", held, worlds, bounded)
	}
	t.Logf("holds in %d, has an end in %d of %d", held, bounded, worlds)
}

// poisson draws by Knuth's method, in parts so that the exponential does not underflow.
func poisson(r *rand.Rand, mean float64) int {
	n := 0
	for mean > 0 {
		part := min(mean, 30)
		mean -= part
		for p := r.Float64(); p > math.Exp(-part); p *= r.Float64() {
			n++
		}
	}
	return n
}
