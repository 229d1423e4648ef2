package collectors

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/kabench/kabench/results"
)

// ended is an exchange due at due that came out as told: 1 ms of lag, 10 ms of
// service.
func ended(seq uint64, due time.Duration, phase results.Phase, cause results.Cause) *results.Exchange {
	e := new(results.Exchange)
	e.Reset(seq, due)
	e.Phase, e.Cause = phase, cause
	e.Done = due
	if phase == results.PhaseSchedule {
		return e
	}
	e.Start = due + time.Millisecond
	e.Leased = e.Start
	e.Done = e.Start + 10*time.Millisecond
	e.Attempts, e.Conn, e.Use = 1, 1, 2
	switch {
	case phase == results.PhaseDone:
		e.Status = 200
		e.WroteHeaders, e.Wrote = e.Start, e.Start
		e.FirstByte, e.GotHeaders = e.Done, e.Done
	case cause != results.CauseAborted:
		e.Err = errors.New("it failed")
	}
	return e
}

// variety is one exchange of each way to come out, by turns.
func variety(seq uint64) *results.Exchange {
	due := time.Duration(seq) * time.Millisecond
	switch seq % 5 {
	case 0:
		return ended(seq, due, results.PhaseSchedule, results.CauseDropped)
	case 1:
		return ended(seq, due, results.PhaseBeforeResponse, results.CauseFIN)
	case 2:
		return ended(seq, due, results.PhaseBeforeResponse, results.CauseAborted)
	case 3:
		e := ended(seq, due, results.PhaseDone, results.CauseNone)
		e.WarmUp = true
		return e
	default:
		return ended(seq, due, results.PhaseDone, results.CauseNone)
	}
}

func TestAccountsBalanceUnderConcurrentObserve(t *testing.T) {
	const workers, each = 8, 1000
	r := NewRecorder()
	var observed sync.WaitGroup
	for w := range uint64(workers) {
		observed.Go(func() {
			for i := range uint64(each) {
				r.Observe(variety(w*each + i))
			}
		})
	}
	// Meanwhile it is read from, as by a sampler, a progress line and the log.
	stop, read := make(chan struct{}), make(chan struct{})
	var seen Intervals
	var counts [3]int64
	add := func() {
		seen = r.Interval()
		for i, h := range []*hdrhistogram.Histogram{seen.Response, seen.Service, seen.Lag} {
			counts[i] += h.TotalCount()
		}
	}
	go func() {
		defer close(read)
		for {
			select {
			case <-stop:
				return
			default:
				add()
				if c := r.Totals(); c.Started > c.Due || c.OK+c.Failed > c.Started {
					t.Errorf("totals do not add up: %+v", c)
				}
				var run results.Run
				if r.Fill(&run, time.Second); !run.Counts.Balance() {
					t.Errorf("counts do not balance: %+v", run.Counts)
				}
			}
		}
	}()
	observed.Wait()
	close(stop)
	<-read
	add()

	const n, fifth = workers * each, workers * each / 5
	totals := Totals{Due: n, Started: n - fifth, OK: 2 * fifth, Failed: fifth}
	totals.Phases[results.PhaseBeforeResponse] = fifth
	if got := r.Totals(); got != totals {
		t.Errorf("totals %+v, want %+v", got, totals)
	}
	var run results.Run
	r.Fill(&run, 2*time.Second)
	want := results.Counts{
		Due: n - fifth, Started: n - 2*fifth, Dropped: fifth, OK: fifth, Failed: fifth, Unfinished: fifth, WarmUp: fifth,
	}
	if run.Counts != want || !run.Counts.Balance() {
		t.Errorf("counts %+v, want %+v", run.Counts, want)
	}
	if got := run.Rate.Offered; got != float64(n-fifth)/2 {
		t.Errorf("offered %v/s over 2 s", got)
	}
	if got := run.Latency[results.LatencyResponse].Count; got != fifth {
		t.Errorf("%d response times, want %d", got, fifth)
	}
	if want := [3]int64{2 * fifth, 2 * fifth, n - fifth}; counts != want {
		t.Errorf("the intervals hold %v response, service and lag times, want %v", counts, want)
	}
}

func TestIntervalHoldsWhatEndedSinceTheLast(t *testing.T) {
	r := NewRecorder()
	check := func(when string, response, service, lag int64) {
		t.Helper()
		i := r.Interval()
		got := [3]int64{i.Response.TotalCount(), i.Service.TotalCount(), i.Lag.TotalCount()}
		if want := [3]int64{response, service, lag}; got != want {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	check("at first", 0, 0, 0)
	for seq := range uint64(5) {
		r.Observe(variety(seq))
	}
	check("ok, warm-up, failed, unfinished, dropped", 2, 2, 4)
	check("nothing since", 0, 0, 0)
	check("nothing still", 0, 0, 0)

	r.Observe(ended(1, time.Second, results.PhaseDone, results.CauseNone))
	i := r.Interval()
	for name, tc := range map[string]struct {
		h    *hdrhistogram.Histogram
		want int64
	}{"response": {i.Response, 11_000}, "service": {i.Service, 10_000}, "lag": {i.Lag, 1000}} {
		if got := tc.h.ValueAtPercentile(50); !tc.h.ValuesAreEquivalent(got, tc.want) {
			t.Errorf("%s is %d µs, want %d", name, got, tc.want)
		}
	}
}

func TestTimesOutsideAHistogramsRangeAreHeldAtItsEnds(t *testing.T) {
	r := NewRecorder()
	e := ended(1, 0, results.PhaseDone, results.CauseNone)
	e.Done = 10 * time.Minute
	r.Observe(e)
	e = ended(2, time.Second, results.PhaseDone, results.CauseNone)
	e.Start = e.Due - time.Nanosecond // stamps are taken by two clocks' readings
	r.Observe(e)
	i := r.Interval()
	if got := i.Response.Max(); !i.Response.ValuesAreEquivalent(got, results.HistogramMax.Microseconds()) {
		t.Errorf("the longest is %d µs, want %v", got, results.HistogramMax)
	}
	if n, low := i.Lag.TotalCount(), i.Lag.Min(); n != 2 || low != 0 {
		t.Errorf("%d lags from %d µs on, want 2 from 0", n, low)
	}
	var run results.Run
	r.Fill(&run, time.Second)
	if q := run.Latency[results.LatencyResponse]; q.Overflow != 1 || q.Max != 600 {
		t.Errorf("overflow %d and max %v s, want 1 and 600", q.Overflow, q.Max)
	}
}

func TestObserveKeepsNothing(t *testing.T) {
	r := NewRecorder()
	var all []*results.Exchange
	for seq := range uint64(1000) {
		e := variety(seq)
		e.WarmUp = seq%10 == 3
		all = append(all, e)
		r.Observe(e) // the histograms in use are allocated
	}
	next := 0
	if n := testing.AllocsPerRun(len(all), func() {
		r.Observe(all[next%len(all)])
		next++
	}); n != 0 {
		t.Errorf("%v allocations an exchange", n)
	}
}

func BenchmarkObserve(b *testing.B) {
	r := NewRecorder()
	e := ended(0, 0, results.PhaseDone, results.CauseNone)
	b.ReportAllocs()
	for b.Loop() {
		e.Seq++
		r.Observe(e)
	}
}

func BenchmarkObserveParallel(b *testing.B) {
	r := NewRecorder()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		e := ended(0, 0, results.PhaseDone, results.CauseNone)
		for pb.Next() {
			e.Seq++
			r.Observe(e)
		}
	})
}

func BenchmarkInterval(b *testing.B) {
	r := NewRecorder()
	b.ReportAllocs()
	for b.Loop() {
		r.Interval()
	}
}
