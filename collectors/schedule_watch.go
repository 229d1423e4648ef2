package collectors

import (
	"sync/atomic"
	"time"

	"github.com/kabench/kabench/results"
)

// maxSeconds is how many seconds of a run are looked at one by one: a day's.
const (
	chunk      = 256
	maxSeconds = results.MaxSeconds / chunk * chunk
)

// ScheduleWatch watches how well a run keeps to its schedule: second by second,
// and whether arrivals follow their law. It is a generator.Observer. Make one
// with NewScheduleWatch.
type ScheduleWatch struct {
	maxLag   time.Duration // 0: none is late
	arrivals *arrivals
	chunks   [maxSeconds / chunk]atomic.Pointer[[chunk]second] // allocated as the run reaches them
}

// second is the accounts of one second of the run, warm-up included.
type second struct {
	due, dropped, late atomic.Uint32 // due in it; late: by more than maxLag
	over, ok           atomic.Uint32 // ended in it, whenever they had started
	counted            atomic.Uint32 // of dropped: those in the run's counts, without the warm-up
}

// NewScheduleWatch watches arrivals that should follow law and be at most maxLag late.
func NewScheduleWatch(law ArrivalLaw, maxLag time.Duration) *ScheduleWatch {
	return &ScheduleWatch{maxLag: maxLag, arrivals: newArrivals(law, maxLag)}
}

// Observe counts e, which is over. It does not keep e.
func (p *ScheduleWatch) Observe(e *results.Exchange) {
	p.arrivals.add(e)
	if s := p.at(e.Due); s != nil {
		s.due.Add(1)
		switch {
		case e.Phase == results.PhaseSchedule:
			s.dropped.Add(1)
			if !e.WarmUp {
				s.counted.Add(1)
			}
		case p.maxLag > 0 && e.Lag() > p.maxLag:
			s.late.Add(1)
		}
	}
	if e.Phase == results.PhaseSchedule || e.Unfinished() {
		return
	}
	if s := p.at(e.Done); s != nil {
		s.over.Add(1)
		if e.OK() {
			s.ok.Add(1)
		}
	}
}

// at returns the second at an offset from the start; nil beyond maxSeconds.
func (p *ScheduleWatch) at(offset time.Duration) *second {
	if offset < 0 || offset >= maxSeconds*time.Second {
		return nil
	}
	n := int(offset / time.Second)
	c := p.chunks[n/chunk].Load()
	if c == nil {
		p.chunks[n/chunk].CompareAndSwap(nil, new([chunk]second))
		c = p.chunks[n/chunk].Load()
	}
	return &c[n%chunk]
}

// Seconds returns the seconds in which requests were due, until walked; saturated
// reports whether the machine was saturated in a given second.
func (p *ScheduleWatch) Seconds(walked time.Duration, saturated func(second int) bool) results.Seconds {
	var list results.Seconds
	for n := 0; n < maxSeconds && time.Duration(n)*time.Second < walked; n++ {
		s := p.at(time.Duration(n) * time.Second)
		list = append(list, results.Second{
			Due: uint64(s.due.Load()), Dropped: uint64(s.dropped.Load()), Late: uint64(s.late.Load()), Counted: uint64(s.counted.Load()),
			Over: uint64(s.over.Load()), OK: uint64(s.ok.Load()), Saturated: saturated(n),
		})
	}
	return list
}

// Fill sets run.Instrument.Arrivals and .Schedule, except Schedule.Overload. walked is how
// long requests were due; saturated reports whether the machine was saturated in a given
// second.
func (p *ScheduleWatch) Fill(run *results.Run, walked time.Duration, saturated func(second int) bool) {
	run.Instrument.Arrivals = p.arrivals.result(p.maxLag)
	run.Instrument.Schedule = p.Seconds(walked, saturated).Kept(walked)
}
