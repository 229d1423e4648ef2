package collectors

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/kabench/kabench/results"
)

// maxSeconds is how many seconds of a run are looked at one by one: a day.
const (
	chunk      = 256
	maxSeconds = 24 * 60 * 60 / chunk * chunk
)

// lateShare is the share of a second's requests that may be later than allowed
// in a second whose schedule was held, as lag's 99th percentile has it.
const lateShare = 0.01

// Punctuality watches how well a run keeps to its schedule: second by second,
// and whether arrivals follow their law. It is a generator.Observer. Make one
// with NewPunctuality.
type Punctuality struct {
	maxLag   time.Duration // 0: none is late
	arrivals *arrivals
	chunks   [maxSeconds / chunk]atomic.Pointer[[chunk]second] // allocated as the run reaches them
}

// second is the accounts of one second of the run, warm-up included.
type second struct {
	due, dropped, late atomic.Uint32 // due in it; late: by more than maxLag
	over, ok           atomic.Uint32 // over in it, started whenever
	counted            atomic.Uint32 // of dropped: those that are in the run's counts
}

// NewPunctuality watches arrivals by law, of which none may be later than maxLag.
func NewPunctuality(law Law, maxLag time.Duration) *Punctuality {
	return &Punctuality{maxLag: maxLag, arrivals: newArrivals(law, maxLag)}
}

// Observe takes in e, which is over. It does not keep e.
func (p *Punctuality) Observe(e *results.Exchange) {
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

// at is the second at an offset from the start; nil beyond the last looked at.
func (p *Punctuality) at(offset time.Duration) *second {
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

// Fill sets run.Instrument.Arrivals and .Schedule, whose fault an overload was
// apart. The schedule was walked for so long; saturated says whether the machine
// was, in the second of that number.
func (p *Punctuality) Fill(run *results.Run, walked time.Duration, saturated func(second int) bool) {
	run.Instrument.Arrivals = p.arrivals.result(p.maxLag)
	var s results.Punctuals
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
			continue // silence, or less than a second
		}
		s.Seconds++
		through = append(through, sec.ok.Load())
		if dropped == 0 && !behind {
			s.Held++
			// More due than over is a backlog that grows; more over than due is
			// one that shrinks.
			s.HeldRate = max(s.HeldRate, float64(min(due, sec.over.Load())))
		}
	}
	if len(through) > 0 {
		slices.Sort(through)
		s.Through = float64(through[len(through)/2])
	}
	run.Instrument.Schedule = s
}
