package watch

import (
	"math"
	"time"
)

// PortForecast says when the local ports towards a target will be gone, if connections go on
// being opened and closed at the present rate.
type PortForecast struct {
	Left int // ports that a new connection can have now
	// Gone is the time from the last look until there is no port; negative: the use levels off
	// below that, or shrinks. Soonest and Latest are its bounds at 95 % confidence or more.
	Gone, Soonest, Latest time.Duration
}

// PortSample is the use of ports at one look.
type PortSample struct {
	At  time.Duration
	Use PortUse
}

const (
	never     = time.Duration(-1)
	newest    = 10  // seconds: the rate of closes is that of the last ones
	farthest  = 1e9 // seconds, 30 years: what comes later does not come
	normal975 = 1.959964
)

// ForecastPorts computes the forecast from samples of one local address and one target, oldest
// first; available is how many ports the kernel may choose from. It reports false if there
// are fewer than two samples, or if their times do not grow.
//
// The kernel frees each port that waits at a known time, and the ports that began to wait in
// the last 10 s say how many connections the service closes in a second; the number of those
// that do not wait grows or shrinks as it did between the samples. So a service that has just
// begun to close connections is not taken for one that will run out of ports: after 60 s, as
// many ports are freed as are closed.
func ForecastPorts(samples []PortSample, available int) (PortForecast, bool) {
	n := len(samples)
	if n < 2 || samples[n-1].At <= samples[0].At || available <= 0 {
		return PortForecast{}, false
	}
	last := samples[n-1].Use
	waiting, young := 0, 0
	for second, freed := range last.Freed {
		waiting += freed
		if second >= TimeWaitFor-newest {
			young += freed
		}
	}
	m := portModel{live: float64(last.Ports - waiting), free: float64(available)}
	if !last.Reuse {
		m.freed = last.Freed
	}
	closes, growth := [3]float64{}, growthOf(samples)
	if !last.Reuse { // the Poisson interval by the square root of the count, which is nearly normal
		root := math.Sqrt(float64(young) + 0.375)
		closes = [3]float64{
			(math.Pow(max(0, root-normal975/2), 2) - 0.375) / newest, float64(young) / newest, (math.Pow(root+normal975/2, 2) - 0.375) / newest,
		}
		closes[0] = max(0, closes[0])
	}
	f := PortForecast{Left: available - int(m.live)}
	if !last.Reuse {
		f.Left = available - last.Ports
	}
	f.Left = max(0, f.Left)
	f.Latest, f.Gone, f.Soonest = m.gone(closes[0], growth[0]), m.gone(closes[1], growth[1]), m.gone(closes[2], growth[2])
	return f, true
}

// growthOf is how many connections more there are in a second, not counting ports that wait:
// its lower bound, estimate and upper bound. The changes from look to look are taken as
// independent of each other.
func growthOf(samples []PortSample) [3]float64 {
	live := func(u PortUse) float64 {
		n := u.Ports
		for _, freed := range u.Freed {
			n -= freed
		}
		return float64(n)
	}
	first, last := samples[0], samples[len(samples)-1]
	took := (last.At - first.At).Seconds()
	rate := (live(last.Use) - live(first.Use)) / took
	steps := 0
	var squares float64 // of changes less the expected one, each by its time
	for i := 1; i < len(samples); i++ {
		t := (samples[i].At - samples[i-1].At).Seconds()
		if t <= 0 {
			continue
		}
		d := live(samples[i].Use) - live(samples[i-1].Use) - rate*t
		squares += d * d / t
		steps++
	}
	if steps < 2 {
		return [3]float64{rate, rate, rate} // no interval can be said
	}
	half := student975(steps-1) * math.Sqrt(squares/float64(steps-1)/took)
	return [3]float64{rate - half, rate, rate + half}
}

// student975 is the 97.5 % point of Student's distribution.
func student975(freedom int) float64 {
	table := [...]float64{12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228}
	if freedom <= len(table) {
		return table[freedom-1]
	}
	f := float64(freedom) // by its expansion, within 0.2 % from here on
	z := normal975
	return z + (z*z*z+z)/(4*f) + (5*math.Pow(z, 5)+16*z*z*z+3*z)/(96*f*f)
}

// portModel has the ports in use at the last look.
type portModel struct {
	live, free float64
	freed      [TimeWaitFor]int
}

// gone is the time until no port is free.
func (m portModel) gone(closes, growth float64) time.Duration {
	waiting := 0.0
	for _, n := range m.freed {
		waiting += float64(n)
	}
	used := m.live + waiting
	if used >= m.free {
		return 0
	}
	for second, n := range m.freed {
		next := used + closes + growth - float64(n)
		if next >= m.free {
			part := (m.free - used) / (next - used)
			return time.Duration((float64(second) + part) * float64(time.Second))
		}
		used = next
	}
	// From here on, as many are freed as are closed.
	if growth <= 0 {
		return never
	}
	s := TimeWaitFor + (m.free-used)/growth
	if s > farthest {
		return never
	}
	return time.Duration(s * float64(time.Second))
}
