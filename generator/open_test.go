package generator

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/kabench/kabench/results"
)

// server is a Doer that takes a given time for each request.
type server struct {
	epoch time.Time
	takes func(seq uint64) time.Duration
}

func (s *server) Do(ctx context.Context, e *results.Exchange) {
	select {
	case <-time.After(s.takes(e.Seq)):
		e.Phase = results.PhaseDone
	case <-ctx.Done():
		e.Phase, e.Cause = results.PhaseBeforeResponse, results.CauseAborted
	}
	e.Done = time.Since(s.epoch)
}

// book is an Observer that keeps a copy of everything.
type book struct {
	mu   sync.Mutex
	seen map[uint64]results.Exchange
	more []uint64 // numbers seen more than once
}

func (b *book) Observe(e *results.Exchange) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen == nil {
		b.seen = make(map[uint64]results.Exchange)
	}
	if _, again := b.seen[e.Seq]; again {
		b.more = append(b.more, e.Seq)
	}
	b.seen[e.Seq] = *e
}

// counts are the accounts of the book, warm-up included.
func (b *book) counts(t *testing.T) results.Counts {
	t.Helper()
	if len(b.more) > 0 {
		t.Errorf("observed more than once: %v", b.more)
	}
	var c results.Counts
	for seq := range uint64(len(b.seen)) {
		e, ok := b.seen[seq]
		if !ok {
			t.Fatalf("request %d of %d was not observed", seq, len(b.seen))
		}
		c.Due++
		if e.Phase == results.PhaseSchedule {
			if e.Cause != results.CauseDropped || e.Start != results.Never || e.Done < e.Due {
				t.Errorf("request %d was not started: cause %v, start %v, due %v, done %v", seq, e.Cause, e.Start, e.Due, e.Done)
			}
			c.Dropped++
			continue
		}
		if e.Lag() < 0 {
			t.Errorf("request %d: lag %v", seq, e.Lag())
		}
		c.Started++
		if e.Buffered > 0 {
			c.Waited++
		}
		switch {
		case e.OK():
			c.OK++
		case e.Unfinished():
			c.Unfinished++
		default:
			c.Failed++
		}
	}
	if !c.Balance() {
		t.Errorf("accounts do not balance: %+v", c)
	}
	return c
}

// run has o run to its end in fake time, on the due times given.
func run(ctx context.Context, o *Open, stop <-chan struct{}, takes func(uint64) time.Duration, due ...time.Duration) *book {
	b, s := &book{}, &server{epoch: time.Now(), takes: takes}
	o.Schedule, o.Engine, o.Observer = slices.Values(due), &Each{Doer: s}, b
	o.Run(ctx, s.epoch, stop)
	return b
}

// Run returns how long requests were due, without what was waited for after that.
func TestOpenTellsHowLongRequestsWereDue(t *testing.T) {
	for _, tc := range []struct {
		name        string
		begun       time.Duration // after the epoch
		stop, abort time.Duration // 0: never
		due         []time.Duration
		want        time.Duration
	}{
		{"to the schedule's end", 0, 0, 0, every(10*ms, 5), 40 * ms},
		{"none", 0, 0, 0, nil, 0},
		{"stopped between two", 0, 25 * ms, 0, every(10*ms, 5), 25 * ms},
		{"stopped while it drains", 0, 500 * ms, 0, every(10*ms, 5), 40 * ms},
		{"aborted", 0, 0, 25 * ms, every(10*ms, 5), 25 * ms},
		{"late", 60 * ms, 0, 0, every(10*ms, 5), 60 * ms},
		{"stopped before the epoch", -time.Second, 300 * ms, 0, every(10*ms, 5), 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				epoch := time.Now().Add(-tc.begun)
				stop := make(chan struct{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				if tc.stop > 0 {
					time.AfterFunc(tc.stop, func() { close(stop) })
				}
				if tc.abort > 0 {
					time.AfterFunc(tc.abort, cancel)
				}
				o := &Open{Schedule: slices.Values(tc.due), Engine: &Each{Doer: &server{epoch: epoch, takes: always(time.Second)}}, Observer: &book{}}
				if got := o.Run(ctx, epoch, stop); got != tc.want {
					t.Errorf("%v, want %v", got, tc.want)
				}
			})
		})
	}
}

func always(d time.Duration) func(uint64) time.Duration {
	return func(uint64) time.Duration { return d }
}

func every(gap time.Duration, n int) []time.Duration {
	due := make([]time.Duration, n)
	for i := range due {
		due[i] = time.Duration(i) * gap
	}
	return due
}

// An answer that stalls for a second delays no later start, and response times
// are measured from the due time.
func TestOpenNoCoordinatedOmission(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stall := func(seq uint64) time.Duration {
			if seq == 10 {
				return time.Second
			}
			return 5 * ms
		}
		b := run(t.Context(), &Open{Targets: 3, Load: Load{WarmUp: 50 * ms}}, nil, stall, every(10*ms, 200)...)
		if c := b.counts(t); c.Due != 200 || c.OK != 200 {
			t.Errorf("counts %+v, want 200 ok", c)
		}
		for seq, e := range b.seen {
			if e.Start != e.Due || e.ResponseTime() != stall(seq) {
				t.Errorf("request %d: due %v, start %v, response time %v", seq, e.Due, e.Start, e.ResponseTime())
			}
			if e.Target != int(seq%3) || e.WarmUp != (seq < 5) {
				t.Errorf("request %d: target %d, warm-up %v", seq, e.Target, e.WarmUp)
			}
		}
	})
}

// A loop that was held up starts what it owes at once and skips nothing; the
// lag shows by how much.
func TestOpenCatchesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, s := &book{}, &server{epoch: time.Now(), takes: always(ms)}
		time.Sleep(25 * ms)
		o := &Open{Schedule: slices.Values(every(10*ms, 5)), Engine: &Each{Doer: s}, Observer: b}
		o.Run(t.Context(), s.epoch, nil)
		b.counts(t)
		for seq, want := range []time.Duration{25 * ms, 15 * ms, 5 * ms, 0, 0} {
			if e := b.seen[uint64(seq)]; e.Lag() != want {
				t.Errorf("request %d: lag %v, want %v", seq, e.Lag(), want)
			}
		}
	})
}

func TestOpenDropsAtTheCap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t.Context(), &Open{Load: Load{MaxInFlight: 2}}, nil, always(35*ms), every(10*ms, 8)...)
		// 0 and 1 hold both slots until 35 and 45; 4 and 5 take them until 75 and 85.
		if c := b.counts(t); c.Dropped != 4 || c.OK != 4 || c.Waited != 0 {
			t.Errorf("counts %+v, want 4 dropped and 4 ok", c)
		}
		for _, seq := range []uint64{2, 3, 6, 7} {
			if e := b.seen[seq]; e.Phase != results.PhaseSchedule || e.Done != e.Due {
				t.Errorf("request %d: phase %v, due %v, done %v; want it dropped when due", seq, e.Phase, e.Due, e.Done)
			}
		}
	})
}

func TestOpenBuffer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t.Context(), &Open{Load: Load{MaxInFlight: 1, Buffer: 2}}, nil, always(35*ms), every(10*ms, 6)...)
		// 0 runs until 35. 1 and 2 wait, 3 is dropped. 4 takes the place of 1,
		// which runs until 70; 5 is dropped. 2 runs until 105, then 4.
		c := b.counts(t)
		if c.OK != 4 || c.Waited != 3 || c.Dropped != 2 {
			t.Errorf("counts %+v, want 4 ok, 3 of them waited, 2 dropped", c)
		}
		for seq, want := range map[uint64]time.Duration{0: 0, 1: 25 * ms, 2: 50 * ms, 4: 65 * ms} {
			e := b.seen[seq]
			if e.Buffered != want || e.Start != e.Due+want || e.Lag() != 0 {
				t.Errorf("request %d: buffered %v (want %v), due %v, start %v, lag %v", seq, e.Buffered, want, e.Due, e.Start, e.Lag())
			}
		}
	})
}

// A request that becomes due at the very moment a slot frees has waited or has
// not, but its lag is never negative.
func TestOpenBufferAtTheSameInstant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := run(t.Context(), &Open{Load: Load{MaxInFlight: 1, Buffer: 9}}, nil, always(10*ms), every(10*ms, 50)...)
		if c := b.counts(t); c.OK != 50 {
			t.Errorf("counts %+v, want 50 ok", c)
		}
	})
}

func TestOpenLive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := &Open{Load: Load{MaxInFlight: 2, Buffer: 9}}
		go func() {
			time.Sleep(45 * ms)
			if inFlight, buffered := o.Live(); inFlight != 2 || buffered != 3 {
				t.Errorf("after 45 ms %d in flight and %d buffered, want 2 and 3", inFlight, buffered)
			}
		}()
		run(t.Context(), o, nil, always(100*ms), every(10*ms, 6)...)
		if inFlight, buffered := o.Live(); inFlight != 0 || buffered != 0 {
			t.Errorf("at the end %d in flight and %d buffered", inFlight, buffered)
		}
	})
}

// Stop starts nothing more, drops what waits, and lets what is in flight end.
func TestOpenStopDrains(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		time.AfterFunc(45*ms, func() { close(stop) })
		begin := time.Now()
		b := run(t.Context(), &Open{Load: Load{MaxInFlight: 2, Buffer: 2}}, stop, always(time.Second), every(10*ms, 100)...)
		if took := time.Since(begin); took != time.Second+10*ms {
			t.Errorf("ended after %v, want 1.01s: when the second request did", took)
		}
		// 0 and 1 in flight, 2 and 3 in the buffer, 4 dropped when due.
		if c := b.counts(t); c.Due != 5 || c.OK != 2 || c.Dropped != 3 {
			t.Errorf("counts %+v, want 5 due, 2 ok, 3 dropped", c)
		}
		for _, seq := range []uint64{2, 3} {
			if e := b.seen[seq]; e.Done != 45*ms {
				t.Errorf("request %d left the buffer at %v, want 45ms", seq, e.Done)
			}
		}
	})
}

// After the schedule's end, what waits is still started; a stop then drops it.
func TestOpenStopAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		time.AfterFunc(150*ms, func() { close(stop) })
		b := run(t.Context(), &Open{Load: Load{MaxInFlight: 1, Buffer: 9}}, stop, always(100*ms), every(10*ms, 4)...)
		if c := b.counts(t); c.OK != 2 || c.Waited != 1 || c.Dropped != 2 {
			t.Errorf("counts %+v, want 2 ok, 1 of them waited, 2 dropped", c)
		}
	})
}

func TestOpenStopInterruptsALongWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		time.AfterFunc(time.Second, func() { close(stop) })
		begin := time.Now()
		b := run(t.Context(), &Open{}, stop, always(ms), 0, time.Hour)
		if c := b.counts(t); c.Due != 1 || time.Since(begin) != time.Second {
			t.Errorf("counts %+v after %v, want 1 due after 1s", c, time.Since(begin))
		}
	})
}

// A run behind its schedule still sees a stop.
func TestOpenStopWhenBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		close(stop)
		if b := run(t.Context(), &Open{}, stop, always(ms), 0, 0, 0); len(b.seen) != 0 {
			t.Errorf("%d requests were due after the stop", len(b.seen))
		}
	})
}

func TestOpenAbort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(45*ms, cancel)
		begin := time.Now()
		b := run(ctx, &Open{Load: Load{MaxInFlight: 2, Buffer: 2}}, nil, always(time.Hour), every(10*ms, 100)...)
		if took := time.Since(begin); took != 45*ms {
			t.Errorf("ended after %v, want 45ms", took)
		}
		c := b.counts(t)
		if c.Due != 5 || c.Started != c.Unfinished || c.OK+c.Failed != 0 {
			t.Errorf("counts %+v, want 5 due and everything started unfinished", c)
		}
	})
}

// In real time and with many at once: exactly one observation each, none lost.
func TestOpenAccounts(t *testing.T) {
	for _, o := range []*Open{
		{Load: Load{MaxInFlight: 8}},
		{Load: Load{MaxInFlight: 8, Buffer: 16}},
		{},
	} {
		l := Load{Rate: 50_000, Count: 5000, MaxInFlight: 1, Arrivals: Arrivals{Process: Poisson}}
		var err error
		if o.Schedule, err = l.Schedule(); err != nil {
			t.Fatal(err)
		}
		b := &book{}
		epoch := time.Now()
		o.Engine, o.Observer = &Each{Doer: &server{epoch: epoch, takes: always(ms)}}, b
		o.Run(t.Context(), epoch, nil)
		if c := b.counts(t); c.Due != 5000 || c.OK != c.Started {
			t.Errorf("counts %+v, want 5000 due and all that started ok", c)
		}
	}
}

type instant struct{ epoch time.Time }

func (i instant) Do(_ context.Context, e *results.Exchange) {
	e.Phase, e.Done = results.PhaseDone, time.Since(i.epoch)
}

type blind struct{}

func (blind) Observe(*results.Exchange) {}

// What the loop itself costs per request.
func BenchmarkOpen(b *testing.B) {
	epoch := time.Now()
	o := &Open{Engine: &Each{Doer: instant{epoch}}, Observer: blind{}, Load: Load{MaxInFlight: 1000}, Schedule: func(yield func(time.Duration) bool) {
		for range b.N {
			if !yield(0) {
				return
			}
		}
	}}
	b.ReportAllocs()
	o.Run(b.Context(), epoch, nil)
}
