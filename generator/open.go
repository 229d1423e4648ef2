package generator

import (
	"context"
	"sync"
	"time"

	"github.com/kabench/kabench/results"
)

// A Doer performs one exchange and stamps it as it goes. It returns when the
// exchange is over, however it ended, with Phase, Cause and Done set. When ctx
// is done it gives up and ends the exchange as CauseAborted.
type Doer interface {
	Do(ctx context.Context, e *results.Exchange)
}

// An Observer sees every exchange once, when it is over: dropped ones too. It
// may be called from many goroutines, must be quick, because what is dropped
// is observed between two starts, and must not keep e.
type Observer interface {
	Observe(e *results.Exchange)
}

// Open is an open loop: each request is started when it is due, whatever the
// answers do. A late start is made at once and never skipped; the exchange's
// lag shows it.
//
// Set the exported fields, then call Run once.
type Open struct {
	Schedule Schedule
	Doer     Doer
	Observer Observer
	Targets  int           // request n goes to target n mod Targets; below 1 is taken as 1
	WarmUp   time.Duration // what is due before it is marked as warm-up

	MaxInFlight int // at the cap what is due waits in the buffer or is dropped; 0: no cap
	Buffer      int // how many may wait for a slot

	epoch     time.Time
	exchanges sync.Pool
	doing     sync.WaitGroup // exchanges from the decision to start them until observed

	mu       sync.Mutex
	inFlight int       // guarded by mu: slots taken
	waiting  []waiting // guarded by mu: first come first; empty unless every slot is taken
	closed   bool      // guarded by mu: nothing that waits is started any more
}

// waiting is an exchange in the bounded buffer.
type waiting struct {
	e     *results.Exchange
	since time.Duration
}

// Run walks the schedule until it ends, stop is closed or ctx is done, and
// returns when every exchange is over and observed. Stamps are offsets from
// epoch, which must hold a monotonic reading.
//
// It returns the offset at which the walk was over: of the stop, or of the last
// due time, or a little later when that could not be kept to. What was waited
// for after that is not in it, nor is a gap after the last due time, of which a
// schedule says nothing. It is not below 0.
//
// After the schedule's end what waits in the buffer is still started. Closing
// stop starts nothing more, drops what waits and lets what is in flight
// finish; ctx, which the Doers are given, makes them give up too.
func (o *Open) Run(ctx context.Context, epoch time.Time, stop <-chan struct{}) time.Duration {
	o.epoch = epoch
	timer := time.NewTimer(0)
	defer timer.Stop()
	seq := uint64(0)
	for due := range o.Schedule {
		if !waitUntil(ctx, stop, timer, epoch.Add(due)) {
			break
		}
		o.offer(ctx, seq, due)
		seq++
	}
	walked := max(time.Since(epoch), 0)

	over := make(chan struct{})
	go func() {
		o.doing.Wait()
		close(over)
	}()
	select {
	case <-over:
	case <-stop:
	case <-ctx.Done():
	}
	o.dropWaiting()
	<-over
	return walked
}

// Live returns how many exchanges are in flight and how many wait in the
// buffer. It may be called at any time from any goroutine.
func (o *Open) Live() (inFlight, buffered int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.inFlight, len(o.waiting)
}

// waitUntil returns true at the given time, at once when it has passed, and
// false when the run is to end instead.
func waitUntil(ctx context.Context, stop <-chan struct{}, timer *time.Timer, at time.Time) bool {
	wait := time.Until(at)
	if wait <= 0 {
		select {
		case <-stop:
			return false
		case <-ctx.Done():
			return false
		default:
			return true
		}
	}
	timer.Reset(wait)
	select {
	case <-stop:
		return false
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// offer starts the request that is due now, lets it wait or drops it.
func (o *Open) offer(ctx context.Context, seq uint64, due time.Duration) {
	e, _ := o.exchanges.Get().(*results.Exchange)
	if e == nil {
		e = new(results.Exchange)
	}
	e.Reset(seq, due)
	e.Target = int(seq % uint64(max(o.Targets, 1)))
	e.WarmUp = due < o.WarmUp
	switch o.admit(e) {
	case start:
		o.doing.Go(func() { o.perform(ctx, e) })
	case drop:
		o.drop(e)
	case wait: // e belongs to the buffer now
	}
}

type decision uint8

const (
	start decision = iota
	wait
	drop
)

// admit takes a slot for e, or a place in the buffer.
func (o *Open) admit(e *results.Exchange) decision {
	now := time.Since(o.epoch)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.MaxInFlight <= 0 || o.inFlight < o.MaxInFlight {
		o.inFlight++
		return start
	}
	if len(o.waiting) < o.Buffer {
		o.waiting = append(o.waiting, waiting{e, now})
		return wait
	}
	return drop
}

// release hands the slot of a finished exchange to the first that waits, which
// is returned, or gives it back.
func (o *Open) release() *results.Exchange {
	now := time.Since(o.epoch)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || len(o.waiting) == 0 {
		o.inFlight--
		return nil
	}
	first := o.waiting[0]
	o.waiting[0] = waiting{}
	o.waiting = o.waiting[1:]
	first.e.Buffered = max(now-first.since, 1) // above 0, because that is how one that waited is told
	return first.e
}

// perform has e done in the slot it holds. The slot is passed on before e is
// observed: recording must not hold back the load.
func (o *Open) perform(ctx context.Context, e *results.Exchange) {
	e.Start = max(time.Since(o.epoch), e.Due+e.Buffered)
	o.Doer.Do(ctx, e)
	if next := o.release(); next != nil {
		o.doing.Go(func() { o.perform(ctx, next) })
	}
	o.over(e)
}

// dropWaiting closes the buffer and drops what is in it.
func (o *Open) dropWaiting() {
	o.mu.Lock()
	o.closed = true
	left := o.waiting
	o.waiting = nil
	o.mu.Unlock()
	for _, w := range left {
		o.drop(w.e)
	}
}

func (o *Open) drop(e *results.Exchange) {
	e.Phase, e.Cause = results.PhaseSchedule, results.CauseDropped
	e.Done = time.Since(o.epoch)
	o.over(e)
}

// over shows e to the observer and takes it back for another request.
func (o *Open) over(e *results.Exchange) {
	o.Observer.Observe(e)
	o.exchanges.Put(e)
}
