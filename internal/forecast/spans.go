package forecast

import (
	"cmp"
	"fmt"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/profiles/script"
)

// span is a part of a forecast that is played by itself: with a pool that is empty at first,
// a warm-up in which nothing counts, and a seed of its own. So spans can be played at the
// same time, and their differences show how much chance there is.
type span struct {
	seed   uint64
	began  time.Duration // of the whole forecast, when it begins
	warmUp time.Duration
	counts time.Duration
	own    bool // it has the profile's own warm-up
	lab    bool // the server draws what kabench's own server draws
	// arrivals, if set, are taken from a log.
	arrivals generator.Schedule
}

const (
	spanLength = time.Hour
	// mostSpans bounds the spans of a long forecast, because each has a counter.
	mostSpans = 400
	// shortRun is the longest forecast that is played as whole runs, again and again.
	shortRun = time.Hour
	// fewRuns and mostRuns are how many such runs there are. Unless the options say
	// otherwise, they have enough requests together.
	fewRuns, mostRuns, enough = 20, 400, 4_000_000
)

// lasts decides how long the traffic is.
func (f *facts) lasts(o *Options) error {
	switch {
	case o.For < 0:
		return fmt.Errorf("the time %v is negative", o.For)
	case o.For > 0:
		f.load.Count = 0
		return nil
	case f.load.Count == 0:
		if o.For = f.load.Duration; o.For == 0 && f.load.Times != nil {
			o.For = max(f.load.Times.Length()-f.load.WarmUp, 1)
		}
		return nil
	}
	load := f.load
	load.Seed = o.Seed
	schedule, err := load.Schedule()
	if err != nil {
		return err
	}
	for due := range schedule {
		o.For = max(due-load.WarmUp, 1) // the last request's
	}
	return nil
}

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
			list[i] = span{seed: o.seed(i), warmUp: f.load.WarmUp, counts: o.For, own: true, lab: i == 0}
		}
		return list
	}
	warm := 2*f.memory() + 10*time.Second
	length := max(spanLength, 10*warm, o.For/mostSpans)
	if cycle := f.cycle(); cycle > 0 {
		length, warm = max(length, 20*cycle), max(warm, 2*cycle)
	}
	if period := f.period(); period > 0 {
		length = (length + period - 1) / period * period
		warm = (warm + period - 1) / period * period
	}
	var list []span
	for at := time.Duration(0); at < o.For; at += length {
		list = append(list, span{seed: o.seed(len(list)), began: at, warmUp: warm, counts: min(o.For-at, length)})
	}
	return list
}

// divisible reports whether a part of the load is like every other, and nothing is remembered
// for longer than a warm-up should take. An adaptive limit may remember all that came before.
func (f *facts) divisible() bool {
	return !f.load.Limit.Adaptive() && f.load.Arrivals.Process != generator.Ramp && f.load.Count == 0 && f.memory() <= longMemory
}

// longMemory is the longest memory for which a forecast is divided.
const longMemory = 6 * time.Hour

// period is after what time the load begins again; 0: it has no period.
func (f *facts) period() time.Duration {
	switch a := f.load.Arrivals; a.Process {
	case generator.Sine:
		return a.Period
	case generator.Burst:
		if a.OffMax <= a.Off {
			return a.On + a.Off
		}
	case generator.Constant:
		if f.load.Rate < 1 {
			return time.Duration(1e9/float64(f.load.Rate) + 0.5)
		}
	}
	return 0
}

// cycle is the longest gap of a load whose gaps are random, but not of any length; 0: it has
// none. Where a span begins with a request, its beginning has to be forgotten.
func (f *facts) cycle() time.Duration {
	switch a := f.load.Arrivals; a.Process {
	case generator.Burst:
		return a.On + max(a.Off, a.OffMax)
	case generator.Uniform:
		return a.GapMax
	}
	return 0
}

// memory is how long something is remembered by the pool, the server or a kernel.
func (f *facts) memory() time.Duration {
	most := f.idleMost
	if own := f.policy.IdleTimeout; own > 0 && f.policy.Expiry&(pool.ExpireByTimer|pool.ExpireBySweep) != 0 {
		own += f.policy.SweepEvery
		if most == 0 || own < most {
			most = own // what expires only when it is leased may stay for as long as the server keeps it
		}
	}
	return max(most, f.policy.MaxLifetime, timeWait)
}

// play plays one span. It calls beat, if that is not nil, now and then with the time in the
// span, and ends with its error.
func (f *facts) play(s span, beat func(at time.Duration) error) (*counter, error) {
	load := f.load
	load.Seed, load.WarmUp = s.seed, s.warmUp
	if load.Count == 0 {
		load.Duration = s.counts
	}
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
	w.began = s.began
	if s.lab {
		w.delays, w.lates = script.Delays.Random(), script.LateTimers.Random()
	}
	return n, w.run(schedule, s, beat)
}
