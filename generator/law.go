package generator

import (
	"math"
	"time"

	"github.com/kabench/kabench/results"
)

// dispersionAt are the lengths of the windows whose counts are compared.
var dispersionAt = [...]time.Duration{10 * time.Millisecond, time.Second, time.Minute}

// shortGap is the part of the mean gap below which a gap belongs to a burst.
const shortGap = 10

// Describe says what the due times of the first length of s are like. It walks them once
// for the mean gap, and once more.
func Describe(s Schedule, length time.Duration) results.Trace {
	d := results.Trace{Seconds: length.Seconds()}
	for due := range s {
		if due >= length {
			break
		}
		d.Requests++
	}
	if d.Requests == 0 {
		return d
	}
	d.Rate = float64(d.Requests) / length.Seconds()
	var windows [len(dispersionAt)]window
	for i, w := range dispersionAt {
		windows[i] = window{length: w, whole: int64(length / w)}
	}
	short := time.Duration(float64(length) / float64(d.Requests) / shortGap)
	bursts := bursting{short: short, last: -1}
	for due := range s {
		if due >= length {
			break
		}
		for i := range windows {
			windows[i].add(due)
		}
		bursts.add(due)
	}
	bursts.flush()
	d.Dispersion10ms, d.Dispersion1s, d.Dispersion60s = windows[0].index(), windows[1].index(), windows[2].index()
	d.BurstMean, d.BurstLongest, d.BurstSeconds = bursts.mean(), bursts.most, bursts.lasted.Seconds()
	return d
}

// window counts the requests in windows of one length, side by side.
type window struct {
	length  time.Duration
	whole   int64 // how many lie within what is described
	at      int64 // the window being counted
	here    float64
	sum, sq float64
}

func (w *window) add(due time.Duration) {
	if k := int64(due / w.length); k != w.at {
		w.close()
		w.at = k
	}
	w.here++
}

func (w *window) close() {
	if w.at < w.whole {
		w.sum += w.here
		w.sq += w.here * w.here
	}
	w.here = 0
}

// fewWindows is the least number of windows whose variance says something.
const fewWindows = 10

// index is the index of dispersion: the variance of the counts over their mean. It is 1 for
// a Poisson process. nil: there are too few whole windows, or nothing is in them.
func (w *window) index() *float64 {
	w.close()
	if w.whole < fewWindows || w.sum == 0 {
		return nil
	}
	n := float64(w.whole)
	mean := w.sum / n
	index := (w.sq/n - mean*mean) / mean
	return &index
}

// bursting finds bursts: requests that follow one another within the short gap.
type bursting struct {
	short        time.Duration
	last, begun  time.Duration
	here         uint64
	bursts, many uint64 // of at least two requests; and the requests in them
	most         uint64
	lasted       time.Duration // of the burst with most requests
}

func (b *bursting) add(due time.Duration) {
	if b.last < 0 || due-b.last > b.short {
		b.flush()
		b.begun = due
	}
	b.here++
	b.last = due
}

func (b *bursting) flush() {
	if b.here > 1 {
		b.bursts++
		b.many += b.here
	}
	if b.here > b.most {
		b.most, b.lasted = b.here, b.last-b.begun
	}
	b.here = 0
}

func (b *bursting) mean() float64 {
	if b.bursts == 0 {
		return math.Min(1, float64(b.most))
	}
	return float64(b.many) / float64(b.bursts)
}

// Hours is the rate of the log's requests in each hour of the day, per second, at the speed
// of the log; nil if it has no dates, and none for an hour that the log does not reach.
func (t *Times) Hours() []results.HourRate {
	if !t.dated {
		return nil
	}
	const hour = int64(time.Hour)
	_, zone := t.begin.Zone()
	first := (t.begin.UnixNano() + int64(zone)*int64(time.Second)) % int64(day)
	var counts [24]uint64
	var covered [24]int64
	for at := int64(0); at < t.length; {
		h := (first + at) / hour % 24
		next := min(at+hour-(first+at)%hour, t.length)
		covered[h] += next - at
		at = next
	}
	t.stamps(0, func(at int64) bool {
		counts[(first+at)/hour%24]++
		return true
	})
	var list []results.HourRate
	for h, ns := range covered {
		if ns > 0 {
			list = append(list, results.HourRate{Hour: h, Rate: float64(counts[h]) / time.Duration(ns).Seconds()})
		}
	}
	return list
}

// Described is what is reported of the arrivals of a load with a trace; nil without one. It
// is about the part of the log that the load sends.
func (l Load) Described() *results.Trace {
	t := l.Times
	if !l.Trace.Set() || t == nil {
		return nil
	}
	length := t.Length()
	if l.Duration > 0 {
		length = min(length, l.WarmUp+l.Duration)
	}
	d := Describe(t.Replay(l.Seed, 0), length)
	d.Log, d.Speed, d.Resolution, d.Spread, d.Hours = t.Count(), t.speed, t.grain.Seconds(), t.Spread(), t.Hours()
	if begin, dated := t.Begin(); dated {
		d.Begin = begin.Format(time.RFC3339Nano)
	}
	return &d
}
