package forecast

import (
	"cmp"
	"fmt"
	"time"

	"github.com/kabench/kabench/results"
)

// covered reports whether the log of the load lasts as long as what is forecast, so that
// its own times are played.
func (f *facts) covered(o *Options) bool {
	return f.load.WarmUp+o.For <= f.load.Times.Length()
}

// traceSpans divides o.For where the arrivals come from a log. As long as the log lasts, its
// own times are played: again and again in a short forecast, and one part after the other in a
// long one. What is longer than the log is filled with blocks of it.
func (f *facts) traceSpans(o *Options) []span {
	t, covered := f.load.Times, f.covered(o)
	if o.For <= shortRun || f.load.Count > 0 || f.load.Limit.Adaptive() {
		rate := float64(t.Count()) / t.Length().Seconds()
		n := min(max(int(float64(cmp.Or(o.Requests, enough))/max(rate*o.For.Seconds(), 1)), fewRuns), mostRuns)
		if o.For > shortRun && f.load.Limit.Adaptive() {
			n = 1 // it may remember all that came before
		}
		list := make([]span, n)
		for i := range list {
			list[i] = span{seed: o.seed(i), warmUp: f.load.WarmUp, counts: o.For, own: true, lab: i == 0}
			if list[i].arrivals = t.Replay(o.seed(i), 0); !covered {
				list[i].arrivals = t.Resample(o.seed(i), 0)
			}
		}
		return list
	}
	warm := 2*f.memory() + 10*time.Second
	length := max(spanLength, 10*warm, o.For/mostSpans)
	day := time.Duration(float64(24*time.Hour) / f.load.Trace.Rate()) // of the log, at its speed
	var list []span
	for begin := f.load.WarmUp; begin < f.load.WarmUp+o.For; begin += length {
		s := span{seed: o.seed(len(list)), warmUp: warm, counts: min(f.load.WarmUp+o.For-begin, length)}
		if covered {
			s.warmUp = min(warm, begin)
			s.arrivals = t.Replay(o.Seed, begin-s.warmUp)
		} else {
			s.arrivals = t.Resample(s.seed, begin-warm+(warm+day-1)/day*day)
		}
		s.began = begin + warm - s.warmUp
		list = append(list, s)
	}
	return list
}

// traced describes the arrivals of a forecast that come from a log; nil if none do.
func (r *Result) traced() *results.Trace {
	load := r.facts.load
	load.Duration, load.Seed = r.For, r.Seed
	return load.Described()
}

// filled says how times longer than the log were filled; "" if none were.
func (r *Result) filled() string {
	f := r.facts
	if f.load.Times == nil || f.covered(&Options{For: r.For}) {
		return ""
	}
	return fmt.Sprintf("The log lasts %v: more than that was filled with blocks of up to half an hour of it, from the same time of day if it has a whole day", f.load.Times.Length().Round(time.Second))
}
