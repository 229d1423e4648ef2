package limit

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

const ms = time.Millisecond

// Each sample's limit is worked out by hand from the formulas of the source.
func TestNext(t *testing.T) {
	known := func(limit float64) State { // 100 ms have been seen for long
		return State{limit: limit, shortest: float64(100 * ms), jitter: 1, long: float64(100 * ms), warm: warmUp}
	}
	for _, c := range []struct {
		name   string
		rule   Limit
		from   float64
		sample Sample
		want   float64
	}{
		{"one more, as half of the limit is used", Limit{Algorithm: AIMD}, 20, Sample{RTT: ms, InFlight: 10}, 21},
		{"less than half is used", Limit{Algorithm: AIMD}, 20, Sample{RTT: ms, InFlight: 9}, 20},
		{"a failure: 100 x 0.9", Limit{Algorithm: AIMD}, 100, Sample{RTT: ms, InFlight: 100, Dropped: true}, 90},
		{"whole numbers: 55 x 0.9 = 49.5", Limit{Algorithm: AIMD}, 55, Sample{RTT: ms, Dropped: true}, 49},
		{"not below min: 21 x 0.9 = 18.9", Limit{Algorithm: AIMD}, 21, Sample{RTT: ms, Dropped: true}, 20},
		{"not above max", Limit{Algorithm: AIMD}, 200, Sample{RTT: ms, InFlight: 200}, 200},
		{"slower than 5 s is a failure", Limit{Algorithm: AIMD}, 100, Sample{RTT: 5001 * ms, InFlight: 100}, 90},
		{"5 s is not", Limit{Algorithm: AIMD}, 100, Sample{RTT: 5000 * ms, InFlight: 100}, 101},
		{"a backoff of one half", Limit{Algorithm: AIMD, Backoff: 0.5}, 100, Sample{RTT: ms, Dropped: true}, 50},

		{"no queue: + beta", Limit{Algorithm: Vegas}, 20, Sample{RTT: 100 * ms, InFlight: 20}, 26},
		{"a queue of 20 x (1 - 100/110), rounded up to 2: + 1", Limit{Algorithm: Vegas}, 20, Sample{RTT: 110 * ms, InFlight: 20}, 21},
		{"a queue of 4, between alpha and beta", Limit{Algorithm: Vegas}, 20, Sample{RTT: 125 * ms, InFlight: 20}, 20},
		{"a queue of 10: - 1", Limit{Algorithm: Vegas}, 20, Sample{RTT: 200 * ms, InFlight: 20}, 19},
		{"a failure: - 1", Limit{Algorithm: Vegas}, 20, Sample{RTT: 125 * ms, Dropped: true}, 19},
		{"less than half is used", Limit{Algorithm: Vegas}, 20, Sample{RTT: 200 * ms, InFlight: 9}, 20},
		{"at 100 a step is 2, and a queue of 3 is short", Limit{Algorithm: Vegas}, 100, Sample{RTT: 103 * ms, InFlight: 100}, 102},
		{"at 100 beta is 12", Limit{Algorithm: Vegas}, 100, Sample{RTT: 100 * ms, InFlight: 100}, 112},
		{"a shorter time is only noted", Limit{Algorithm: Vegas}, 20, Sample{RTT: 99 * ms, InFlight: 20}, 20},
		{"not below 1", Limit{Algorithm: Vegas}, 1, Sample{RTT: 125 * ms, Dropped: true}, 1},
		{"half smoothed: (20 + 26) / 2", Limit{Algorithm: Vegas, Smoothing: 0.5}, 20, Sample{RTT: 100 * ms, InFlight: 20}, 23},
		{"an alpha of 1: a queue of 2 is enough", Limit{Algorithm: Vegas, Alpha: 1}, 20, Sample{RTT: 110 * ms, InFlight: 20}, 20},

		{"gradient 1: 20 x 0.8 + 24 x 0.2", Limit{Algorithm: Gradient2}, 20, Sample{RTT: 100 * ms, InFlight: 20}, 20.8},
		// The average is 100 x 599/601 + 200 x 2/601 = 100.3328, the gradient 1.5 x that / 200.
		{"twice the time: gradient 0.7525", Limit{Algorithm: Gradient2}, 100, Sample{RTT: 200 * ms, InFlight: 100}, 95.84992},
		{"four times the time: gradient 0.5, not less", Limit{Algorithm: Gradient2}, 100, Sample{RTT: 400 * ms, InFlight: 100}, 90.8},
		{"without tolerance 0.5017", Limit{Algorithm: Gradient2, Tolerance: 1}, 100, Sample{RTT: 200 * ms, InFlight: 100}, 90.83328},
		{"a failure does not count", Limit{Algorithm: Gradient2}, 20, Sample{RTT: 100 * ms, InFlight: 20, Dropped: true}, 20.8},
		{"less than half is used", Limit{Algorithm: Gradient2}, 20, Sample{RTT: 100 * ms, InFlight: 9}, 20},
		{"not below min", Limit{Algorithm: Gradient2}, 20, Sample{RTT: 400 * ms, InFlight: 20}, 20},
		{"not above max", Limit{Algorithm: Gradient2}, 199.9, Sample{RTT: 100 * ms, InFlight: 199}, 200},
		{"a queue of 0.2 x 10", Limit{Algorithm: Gradient2, Queue: 10}, 20, Sample{RTT: 100 * ms, InFlight: 20}, 22},
	} {
		if got := c.rule.Resolved().Next(known(c.from), c.sample).limit; math.Abs(got-c.want) > 1e-4 {
			t.Errorf("%v, %s: %v, want %v", c.rule.Algorithm, c.name, got, c.want)
		}
	}
}

// After 10 samples the average of gradient2 becomes an exponential one, and comes down faster
// while it is more than twice the response time.
func TestAverageOfGradient2(t *testing.T) {
	l := Limit{Algorithm: Gradient2}.Resolved()
	s := l.Begin(1)
	for i := range 10 {
		s = l.Next(s, Sample{RTT: time.Duration(i+1) * ms})
	}
	if want := 5.5 * float64(ms); math.Abs(s.long-want) > 1 {
		t.Errorf("the mean of 1 to 10 ms is %v, want %v", s.long, want)
	}
	if s = l.Next(s, Sample{RTT: ms}); math.Abs(s.long-0.95*(5.5*599+1*2)/601*float64(ms)) > 1 {
		t.Errorf("after 1 ms it is %v", s.long)
	}
}

// Vegas forgets the shortest time after 30 samples per place, times 0.5 to 1.
func TestVegasProbes(t *testing.T) {
	l := Limit{Algorithm: Vegas, Max: 20}.Resolved()
	s := l.Next(l.Begin(7), Sample{RTT: 100 * ms, InFlight: 20})
	n := 1
	for ; s.shortest == float64(100*ms) && n < 1000; n++ {
		s = l.Next(s, Sample{RTT: 120 * ms, InFlight: 20}) // a queue of 4: the limit stays
	}
	if n < 300 || n > 600 || s.shortest != float64(120*ms) {
		t.Errorf("forgotten after %d samples, now %v", n, s.shortest)
	}
}

// A window counts as one sample if it has at least ten.
func TestWindow(t *testing.T) {
	l := Limit{Algorithm: AIMD, Window: time.Second}.Resolved()
	s := l.Begin(1)
	play := func(from time.Duration, n int, x Sample) {
		for i := range n {
			x.At = from + time.Duration(i)*ms
			s = l.Next(s, x)
		}
	}
	play(0, 500, Sample{RTT: ms, InFlight: 20}) // the first ends the window of none
	if s.Now() != 20 {
		t.Errorf("%d within the first window, want 20", s.Now())
	}
	play(1100*ms, 1, Sample{RTT: ms, InFlight: 20})
	if s.Now() != 21 {
		t.Errorf("%d after a window of successes, want 21", s.Now())
	}
	play(2200*ms, 5, Sample{RTT: ms, InFlight: 20})
	if s.Now() != 21 {
		t.Errorf("%d after a window of one, want 21", s.Now())
	}
	play(2300*ms, 20, Sample{RTT: 50 * time.Microsecond, InFlight: 20, Dropped: true})
	play(3500*ms, 12, Sample{RTT: ms, InFlight: 20})
	if s.Now() != 21 {
		t.Errorf("%d after failures of 50 us, which a window ignores, want 21", s.Now())
	}
	play(4000*ms, 1, Sample{RTT: ms, Dropped: true})
	play(5000*ms, 1, Sample{RTT: ms, InFlight: 20})
	if s.Now() != 20 {
		t.Errorf("%d after a window with one failure, want 21 x 0.9, and 20 at least", s.Now())
	}
}

// Whatever the samples are, the limit stays within its bounds, and the same samples give the
// same limits.
func TestWithinBounds(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		l := Limit{Algorithm: AIMD + Algorithm(rng.IntN(3))}
		if rng.IntN(2) == 0 {
			l.Min = 1 + rng.IntN(50)
			l.Max = l.Min + rng.IntN(2000)
			l.Initial = l.Min + rng.IntN(l.Max-l.Min+1)
		}
		if rng.IntN(3) == 0 {
			l.Window = time.Duration(rng.IntN(1000)) * ms
		}
		if err := l.Validate(); err != nil {
			t.Fatal(err)
		}
		l = l.Resolved()
		seed := rng.Uint64()
		a, b := l.Adapt(seed), l.Adapt(seed)
		var at time.Duration
		for range 500 {
			at += time.Duration(rng.Int64N(int64(100 * ms)))
			x := Sample{At: at, RTT: time.Duration(math.Exp(rng.Float64()*60) - 2), InFlight: rng.IntN(3000), Dropped: rng.IntN(5) == 0}
			now := a.Learn(x)
			if now < l.Min || now > l.Max || math.IsNaN(a.state.limit) || math.IsNaN(a.state.long) {
				t.Fatalf("%+v after %+v: %d, %+v", l, x, now, a.state)
			}
			if again := b.Learn(x); again != now {
				t.Fatalf("%d, and from the same samples %d", now, again)
			}
		}
		if seen := a.Seen(); seen.Lowest < l.Min || seen.Highest > l.Max || seen.Final != a.Now() {
			t.Errorf("%+v of %+v", seen, l)
		}
	}
}

// The climb of gradient2: 16 places of 100 ms each hold back all of the limit above 16. The
// response time grows with the limit, the average follows it, and so the gradient stays at
// 1 - queue ÷ limit, 0.8 or above, which lets the limit grow for ever. Vegas, which has seen the
// response time without a queue, settles where the
// queue is from alpha to beta.
func TestGradient2ClimbsUnderOverload(t *testing.T) {
	play := func(l Limit, n int) (s State, least float64) {
		if err := l.Validate(); err != nil {
			t.Fatal(err)
		}
		l = l.Resolved()
		s, least = l.Begin(1), 1.0
		for range n {
			inFlight := s.Now()
			s = l.Next(s, Sample{RTT: max(100*ms, time.Duration(inFlight)*100*ms/16), InFlight: inFlight})
			if s.gradient > 0 {
				least = min(least, s.gradient)
			}
		}
		return s, least
	}
	before := 0
	for _, c := range []struct{ samples, atLeast int }{{100, 30}, {600, 50}, {3600, 400}, {5000, 1000}} {
		s, least := play(Limit{Algorithm: Gradient2, Max: 1_000_000}, c.samples)
		if s.Now() < c.atLeast || s.Now() <= before || least < 0.8 {
			t.Errorf("after %d samples the limit is %d, and the least gradient was %.3f", c.samples, s.Now(), least)
		}
		before = s.Now()
	}
	if s, _ := play(Limit{Algorithm: Vegas, Initial: 16, Probe: most}, 5000); s.Now() < 16 || s.Now() > 16+7 {
		t.Errorf("vegas is at %d, want a queue of 3 to 6 above 16", s.Now())
	}
}

func TestComplaints(t *testing.T) {
	for want, l := range map[string]Limit{
		"algorithm: unknown(9) is none of fixed, aimd, vegas, gradient2":                           {Algorithm: 9},
		"max: has no effect, because algorithm is fixed; the fixed limit is load.max_in_flight":    {Max: 16},
		"queue: has no effect, because algorithm is vegas; set algorithm: gradient2 or remove it":  {Algorithm: Vegas, Queue: 4},
		"backoff: has no effect, because algorithm is gradient2; set algorithm: aimd or remove it": {Algorithm: Gradient2, Backoff: 0.9},
		"min: 30 is above max (20); lower it":                                                      {Algorithm: AIMD, Min: 30, Max: 20},
		"initial: 30 is not from min to max (1 to 20)":                                             {Algorithm: Vegas, Initial: 30, Max: 20},
		"backoff: 0.4 is not from 0.5 to below 1; set it, for example to 0.9":                      {Algorithm: AIMD, Backoff: 0.4},
		"smoothing: NaN is not above 0 and at most 1; set it, for example to 0.2":                  {Algorithm: Vegas, Smoothing: math.NaN()},
		"tolerance: 0.9 is not from 1 to 1000; set it, for example to 1.5":                         {Algorithm: Gradient2, Tolerance: 0.9},
		"window: -1s is negative (0 means that each exchange is a sample)":                         {Algorithm: AIMD, Window: -time.Second},
		"timeout: -1s is negative (0 means 5s)":                                                    {Algorithm: AIMD, Timeout: -time.Second},
		"probe: -1 is not from 1 to 1000000 (0 means the default)":                                 {Algorithm: Vegas, Probe: -1},
		"alpha: 7 is above beta (6); lower it":                                                     {Algorithm: Vegas, Alpha: 7, Beta: 6},
	} {
		if err := l.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %s", l, err, want)
		}
	}
	for _, l := range []Limit{{}, {Algorithm: AIMD, Max: 5}, {Algorithm: Gradient2, Initial: 4}, {Algorithm: Gradient2, Min: 500}, {Algorithm: Vegas, Initial: 3000}} {
		if err := l.Validate(); err != nil {
			t.Errorf("%+v: %v", l, err)
		}
	}
}
