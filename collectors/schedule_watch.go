package collectors

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/kabench/kabench/results"
)

// maxSeconds is how many seconds of a run are looked at one by one: a day's.
const (
	chunk      = 256
	maxSeconds = 24 * 60 * 60 / chunk * chunk
)

// lateShare is the share of the requests of a second that may be later than allowed if
// the schedule of that second was kept: one in a hundred, as for the 99th percentile of
// lag.
const lateShare = 0.01

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

// Fill sets run.Instrument.Arrivals and .Schedule, except Schedule.Overload. walked is how
// long requests were due; saturated reports whether the machine was saturated in a given
// second.
func (p *ScheduleWatch) Fill(run *results.Run, walked time.Duration, saturated func(second int) bool) {
	run.Instrument.Arrivals = p.arrivals.result(p.maxLag)
	var s results.ScheduleKept
	var through []uint32
	for n := 0; n < maxSeconds && time.Duration(n)*time.Second < walked; n++ {
		sec := p.at(time.Duration(n) * time.Second)
		due, dropped, late := sec.due.Load(), sec.dropped.Load(), sec.late.Load()
		behind := float64(late) > lateShare*float64(due-dropped)
		if behind {
			s.DroppedLate += uint64(sec.counted.Load())
		}
		if saturated(n) {
			s.DroppedSaturated += uint64(sec.counted.Load())
		}
		if due == 0 || time.Duration(n+1)*time.Second > walked {
			continue // nothing was due, or the second is not a whole one
		}
		s.Seconds++
		through = append(through, sec.ok.Load())
		if dropped == 0 && !behind {
			s.Held++
			// If more were due than ended, a backlog grew; if more ended than were
			// due, a backlog shrank.
			s.HeldRate = max(s.HeldRate, float64(min(due, sec.over.Load())))
		}
	}
	if len(through) > 0 {
		slices.Sort(through)
		s.Through = float64(through[len(through)/2])
	}
	run.Instrument.Schedule = s
}
