package collectors

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/results"
)

// dueIn observes n exchanges due in one second of the run. dropped of them are dropped,
// late of them start 100 ms late, and each ends a moment after it started.
func dueIn(p *ScheduleWatch, second, n, dropped, late int) {
	for i := range n {
		due := time.Duration(second)*time.Second + time.Duration(i)*time.Second/time.Duration(n)/2
		e := ended(0, due, results.PhaseDone, results.CauseNone)
		switch {
		case i < dropped:
			e.Phase, e.Cause, e.Done = results.PhaseSchedule, results.CauseDropped, due
		case i < dropped+late:
			e.Start += 100 * time.Millisecond
			e.Done += 100 * time.Millisecond
		}
		p.Observe(e)
	}
}

func TestSecondsHeld(t *testing.T) {
	p := NewScheduleWatch(ArrivalLaw{Process: "constant", Rate: 100}, 50*time.Millisecond)
	dueIn(p, 0, 100, 0, 1)  // held: one in a hundred may be late
	dueIn(p, 1, 300, 0, 3)  // held, and the most
	dueIn(p, 2, 400, 0, 40) // late
	dueIn(p, 3, 500, 5, 0)  // dropped, for no fault of ours
	dueIn(p, 4, 500, 9, 30) // dropped and late
	dueIn(p, 5, 500, 7, 0)  // dropped with no core free
	// nothing in second 6
	dueIn(p, 7, 600, 0, 0) // not a whole second
	var run results.Run
	p.Fill(&run, 7500*time.Millisecond, func(n int) bool { return n == 5 })
	want := results.ScheduleKept{Seconds: 6, Held: 2, HeldRate: 300, Through: 491, DroppedLate: 9, DroppedSaturated: 7}
	if diff := cmp.Diff(want, run.Instrument.Schedule); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A backlog that grows is not a rate that was held, although nothing was late or
// dropped yet.
func TestAGrowingBacklogIsNotHeld(t *testing.T) {
	p := NewScheduleWatch(ArrivalLaw{}, 50*time.Millisecond)
	for i := range 1000 {
		e := ended(uint64(i), time.Duration(i)*time.Millisecond, results.PhaseDone, results.CauseNone)
		e.Done = e.Due * 4 // a quarter of them is over within the second
		p.Observe(e)
	}
	var run results.Run
	p.Fill(&run, time.Second, func(int) bool { return false })
	if got := run.Instrument.Schedule; got.Held != 1 || got.HeldRate != 250 {
		t.Errorf("%+v, want 250/s", got)
	}
}

func TestDropsOfTheWarmUpAreNotCounted(t *testing.T) {
	p := NewScheduleWatch(ArrivalLaw{}, time.Second)
	e := ended(0, 0, results.PhaseSchedule, results.CauseDropped)
	e.WarmUp = true
	p.Observe(e)
	var run results.Run
	p.Fill(&run, time.Second, func(int) bool { return true })
	if got := run.Instrument.Schedule; got.DroppedSaturated != 0 || got.Held != 0 || got.Seconds != 1 {
		t.Errorf("%+v", got)
	}
}

// Offsets outside the run's first day do no harm.
func TestSecondsFarAway(t *testing.T) {
	p := NewScheduleWatch(ArrivalLaw{}, time.Second)
	for _, due := range []time.Duration{-time.Hour, results.Never, maxSeconds * time.Second, 1 << 62} {
		p.Observe(ended(0, due, results.PhaseDone, results.CauseNone))
	}
	dueIn(p, maxSeconds-1, 10, 0, 0)
	var run results.Run
	p.Fill(&run, 1<<62, func(int) bool { return false })
	if got := run.Instrument.Schedule; got.Seconds != 1 {
		t.Errorf("%+v", got)
	}
}
