package collectors

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

// Fresh connections that come every 3 s are a wave of that period, also if each wave takes a
// while; those that come evenly, at random or once are none.
func TestPeriodOfWaves(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	every := func(d, spread time.Duration, each int) (list []time.Duration) {
		for at := d; at < 12*time.Second; at += d {
			for range each {
				list = append(list, at+time.Duration(r.Float64()*float64(spread)))
			}
		}
		return list
	}
	random := func(n int) (list []time.Duration) {
		for range n {
			list = append(list, time.Duration(r.Float64()*float64(12*time.Second)))
		}
		return list
	}
	for name, test := range map[string]struct {
		fresh []time.Duration
		want  float64
	}{
		"waves":         {every(3*time.Second, 1, 20), 3},
		"wide waves":    {every(3*time.Second, 250*time.Millisecond, 20), 3},
		"with others":   {append(every(2*time.Second, 150*time.Millisecond, 20), random(30)...), 2},
		"evenly":        {every(100*time.Millisecond, 1, 2), 0},
		"at random":     {random(80), 0},
		"once":          {every(7*time.Second, 1, 20), 0},
		"none":          {nil, 0},
		"in the warmup": {[]time.Duration{0, 0, 0}, 0},
	} {
		var x Times
		for _, at := range test.fresh {
			x.Observe(&results.Exchange{Leased: at, Use: 1, Phase: results.PhaseDone, WarmUp: name == "in the warmup"})
		}
		var run results.Run
		x.Fill(&run, time.Second, 12*time.Second)
		if got := run.Times.FreshPeriod; got < test.want*0.9 || got > test.want*1.1 {
			t.Errorf("%s: a period of %v s, want %v", name, got, test.want)
		}
		if peak := run.Times.FreshPeak; name == "waves" && peak != 20 || name == "in the warmup" && peak != 0 {
			t.Errorf("%s: %d at once", name, peak)
		}
	}
}

// The first and the last failure are those of the requests that were due first and last, whenever
// they ended.
func TestTimesOfFailures(t *testing.T) {
	var x Times
	failed := func(due time.Duration, warmUp bool) *results.Exchange {
		return &results.Exchange{Due: due, WarmUp: warmUp, Phase: results.PhaseAcquire, Cause: results.CauseTimeout, Leased: results.Never}
	}
	x.Observe(failed(500*time.Millisecond, true))
	x.Observe(failed(4*time.Second, false))
	x.Observe(failed(2*time.Second, false))
	x.Observe(&results.Exchange{Due: time.Second, Phase: results.PhaseDone, Leased: time.Second, Use: 2})
	var run results.Run
	x.Fill(&run, time.Second, 10*time.Second)
	if want := (results.Times{FirstFailure: 2, LastFailure: 4}); *run.Times != want {
		t.Errorf("%+v, want %+v", *run.Times, want)
	}
}
