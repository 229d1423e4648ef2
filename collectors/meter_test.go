package collectors

import (
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

// A Meter has every exchange that a Recorder counts, also while it is read.
func TestMeterHasWhatIsCounted(t *testing.T) {
	m, r := NewMeter(), NewRecorder()
	var work sync.WaitGroup
	for g := range uint64(4) {
		work.Go(func() {
			for i := range uint64(500) {
				var e results.Exchange
				e.Reset(g*500+i, 0)
				e.Start, e.Done = 0, time.Duration(i)*time.Microsecond
				e.Phase, e.WarmUp = results.PhaseDone, i%10 == 0
				if i%7 == 0 {
					e.Phase, e.Cause = results.PhaseBeforeResponse, results.CauseFIN
				}
				m.Observe(&e)
				r.Observe(&e)
				m.Timings()
			}
			m.Ended(time.Second)
		})
	}
	work.Wait()
	got, c := m.Timings(), r.Tally().Counts()
	if got.Exchanges() != c.OK+c.Failed || got.Failed.Count != c.Failed || got.Lag.Count != c.Started || got.Lives.Count != 4 || c.Failed == 0 {
		t.Errorf("%d exchanges, %d failed, %d started; %+v", got.Exchanges(), got.Failed.Count, got.Lag.Count, c)
	}
}

// What telemetry adds to each request.
func BenchmarkMeter(b *testing.B) {
	m := NewMeter()
	var e results.Exchange
	e.Reset(0, 0)
	e.Phase, e.Start, e.Done = results.PhaseDone, 20*time.Microsecond, 5*time.Millisecond
	for b.Loop() {
		e.Seq++
		m.Observe(&e)
	}
}

// What counting costs each request without telemetry, to compare with.
func BenchmarkRecorder(b *testing.B) {
	r := NewRecorder()
	var e results.Exchange
	e.Reset(0, 0)
	e.Phase, e.Start, e.Done = results.PhaseDone, 20*time.Microsecond, 5*time.Millisecond
	for b.Loop() {
		e.Seq++
		r.Observe(&e)
	}
}
