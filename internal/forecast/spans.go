package forecast

import (
	"cmp"
	"time"

	"github.com/kabench/kabench/generator"
)

// span is a part of a forecast that is played by itself: with a pool that is empty at first,
// a warm-up in which nothing counts, and a seed of its own. So spans can be played at the
// same time, and their differences show how much chance there is.
type span struct {
	seed   uint64
	warmUp time.Duration
	counts time.Duration
	own    bool // it has the profile's own warm-up
	// arrivals, if set, are taken from a log.
	arrivals generator.Schedule
}

const (
	spanLength = time.Hour
	// shortRun is the longest forecast that is played as whole runs, again and again.
	shortRun = time.Hour
	// fewRuns and mostRuns are how many such runs there are. Unless the options say
	// otherwise, they have enough requests together.
	fewRuns, mostRuns, enough = 20, 400, 4_000_000
)

// spansOf divides o.For. A short forecast is played as whole runs that begin as the
// profile's run does. A long one is played in spans that begin with a warm pool: twice as
// long as anything that the pool or the server remembers.
func (f *facts) spansOf(o *Options) []span {
	if f.load.Times != nil {
		return f.traceSpans(o)
	}
	if o.For <= shortRun || !f.divisible() {
		requests := f.load.MeanRate() * o.For.Seconds()
		n := 1
		if f.divisible() || o.For <= shortRun {
			n = min(max(int(float64(cmp.Or(o.Requests, enough))/max(requests, 1)), fewRuns), mostRuns)
		}
		list := make([]span, n)
		for i := range list {
			list[i] = span{seed: o.seed(i), warmUp: f.load.WarmUp, counts: o.For, own: true}
		}
		return list
	}
	warm := 2*f.memory() + 10*time.Second
	length := max(spanLength, 10*warm)
	if period := f.period(); period > 0 {
		length = (length + period - 1) / period * period
		warm = (warm + period - 1) / period * period
	}
	var list []span
	for left := o.For; left > 0; left -= length {
		list = append(list, span{seed: o.seed(len(list)), warmUp: warm, counts: min(left, length)})
	}
	return list
}

// divisible reports whether a part of the load is like every other. An adaptive limit may
// remember all that came before.
func (f *facts) divisible() bool {
	return !f.load.Limit.Adaptive() && f.load.Arrivals.Process != generator.Ramp && f.load.Count == 0
}

// period is after what time the load begins again; 0: it has no period.
func (f *facts) period() time.Duration {
	if f.load.Arrivals.Process == generator.Sine {
		return f.load.Arrivals.Period
	}
	return 0
}

// memory is how long something is remembered by the pool, the server or a kernel.
func (f *facts) memory() time.Duration {
	most := max(f.script.IdleTimeout+f.script.IdleLate.A+f.script.IdleLate.B, f.policy.SweepEvery, f.policy.MaxLifetime, f.policy.HintCap)
	if f.policy.Expiry != 0 && f.policy.IdleTimeout > 0 && f.policy.IdleTimeout < most {
		most = max(f.policy.IdleTimeout, f.policy.MaxLifetime)
	}
	return min(max(most, timeWait), 6*time.Hour)
}

// play plays one span.
func (f *facts) play(s span) (*counter, error) {
	load := f.load
	load.Seed, load.WarmUp, load.Duration = s.seed, s.warmUp, s.counts
	schedule := s.arrivals
	if schedule != nil {
		schedule = load.Bound(schedule)
	} else {
		var err error
		if schedule, err = load.Schedule(); err != nil {
			return nil, err
		}
	}
	n := newCounter(f.status)
	w := newWorld(f, s.seed, n)
	w.run(schedule, s.warmUp, s.warmUp+s.counts)
	return n, nil
}
