package generator

import (
	"iter"
	"math"
	"math/rand/v2"
	"time"

	vegeta "github.com/tsenart/vegeta/v12/lib"
)

// Schedule is the due times of a run, as offsets from its start that never decrease. It
// does not look at a clock, and can be walked again.
type Schedule = iter.Seq[time.Duration]

// Schedule returns the due times that l asks for. The same l, seed included, gives the same
// due times. The error is Validate's.
func (l Load) Schedule() (Schedule, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	if l.Trace.Set() {
		s, err := l.replay()
		if err != nil {
			return nil, err
		}
		return l.Bound(s), nil
	}
	var s Schedule
	switch l.Arrivals.Process {
	case Poisson:
		s = poisson(float64(l.Rate), l.Seed)
	case Ramp:
		s = ramp(float64(l.Rate), float64(l.Arrivals.To), l.WarmUp.Seconds(), l.Duration.Seconds())
	case Burst:
		s = bursts(float64(l.Rate), l.Arrivals, l.Seed)
	case Uniform:
		s = uniform(l.Arrivals.GapMin, l.Arrivals.GapMax, l.Seed)
	case Sine:
		var err error
		if s, err = sine(l.Rate, l.Arrivals.Amplitude, l.Arrivals.Period); err != nil {
			return nil, err
		}
	default:
		s = constant(float64(l.Rate))
	}
	return l.Bound(s), nil
}

// Bound ends s where l ends: at WarmUp + Duration, or after Count requests due
// after the warm-up, whichever comes first.
func (l Load) Bound(s Schedule) Schedule {
	end := time.Duration(math.MaxInt64)
	if l.Duration > 0 {
		end = l.WarmUp + l.Duration
	}
	return func(yield func(time.Duration) bool) {
		counted := uint64(0)
		for due := range s {
			if due >= end || !yield(due) {
				return
			}
			if due >= l.WarmUp {
				if counted++; counted == l.Count {
					return
				}
			}
		}
	}
}

// offset returns ns as a duration; false if a duration cannot hold it.
func offset(ns float64) (time.Duration, bool) {
	if !(ns < math.MaxInt64) {
		return 0, false
	}
	return time.Duration(math.Round(ns)), true
}

// constant computes each due time from its number, so that rounding errors do not add up.
func constant(rate float64) Schedule {
	return func(yield func(time.Duration) bool) {
		for i := 0.0; ; i++ {
			due, ok := offset(i * 1e9 / rate)
			if !ok || !yield(due) {
				return
			}
		}
	}
}

func poisson(rate float64, seed uint64) Schedule {
	return func(yield func(time.Duration) bool) {
		rng := newRand(seed)
		for t := 0.0; ; {
			t += rng.ExpFloat64() * 1e9 / rate
			due, ok := offset(t)
			if !ok || !yield(due) {
				return
			}
		}
	}
}

// ramp stays at rate a for steady seconds and then goes to rate b in span seconds. At t
// seconds into the change, N(t) = at + (b−a)t²/2·span requests of it are due; request n is
// due where N(t) = n. The inverse is written so that no digits cancel when a and b are
// close.
func ramp(a, b, steady, span float64) Schedule {
	return func(yield func(time.Duration) bool) {
		for i := 0.0; ; i++ {
			t := i / a
			if n := i - a*steady; n > 0 {
				under := a*a + 2*n*(b-a)/span
				if under < 0 {
					return // a falling ramp would have reached rate 0
				}
				t = steady + 2*n/(a+math.Sqrt(under))
			}
			due, ok := offset(1e9 * t)
			if !ok || !yield(due) {
				return
			}
		}
	}
}

// sine starts at rate and swings by amplitude to either side of it.
func sine(rate, amplitude Rate, period time.Duration) (Schedule, error) {
	return FromPacer(vegeta.SinePacer{Period: period, Mean: pacerRate(rate), Amp: pacerRate(amplitude)})
}

// pacerRate is r as a whole number of requests per duration, to nine digits; the
// number fits an int of 32 bits.
func pacerRate(r Rate) vegeta.Rate {
	per := min(1e18, 1e18/float64(r)) // nanoseconds
	return vegeta.Rate{Freq: int(math.Round(float64(r) * per / 1e9)), Per: time.Duration(per)}
}

func bursts(rate float64, a Arrivals, seed uint64) Schedule {
	gap := 1e9 / rate
	spread := max(a.OffMax-a.Off, 0)
	return func(yield func(time.Duration) bool) {
		rng := newRand(seed)
		for begin := time.Duration(0); ; {
			t := 0.0
			if a.Within == Poisson {
				t = rng.ExpFloat64() * gap
			}
			for i := 1.0; ; i++ {
				in, ok := offset(t)
				if !ok || in >= a.On {
					break
				}
				if in > math.MaxInt64-begin || !yield(begin+in) {
					return
				}
				if a.Within == Poisson {
					t += rng.ExpFloat64() * gap
				} else {
					t = i * gap
				}
			}
			for _, step := range []time.Duration{a.On, a.Off, time.Duration(rng.Int64N(int64(spread) + 1))} {
				if step > math.MaxInt64-begin {
					return
				}
				begin += step
			}
		}
	}
}

func uniform(least, most time.Duration, seed uint64) Schedule {
	return func(yield func(time.Duration) bool) {
		rng := newRand(seed)
		for due := time.Duration(0); yield(due); {
			gap := least + time.Duration(rng.Int64N(int64(most-least)+1))
			if gap > math.MaxInt64-due {
				return
			}
			due += gap
		}
	}
}

func newRand(seed uint64) *rand.Rand {
	// The second word must only stay the same.
	return rand.New(rand.NewPCG(seed, 0x6b6162656e6368))
}
