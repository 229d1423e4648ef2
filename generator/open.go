package generator

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kabench/kabench/generator/limit"
	"github.com/kabench/kabench/results"
)

// An Observer sees every exchange once, when it is over; dropped ones too. It may be called
// from many goroutines. It must not keep e, and must be quick, because dropped exchanges
// are observed between two starts.
type Observer interface {
	Observe(e *results.Exchange)
}

// Open is an open loop: it starts each request when it is due, whatever the responses do.
// A request that is late is started at once and never skipped; its lag shows how late it
// was.
//
// Set the exported fields, then call Run once.
type Open struct {
	// Load bounds the loop by WarmUp, MaxInFlight (0: no cap) or Limit, and Buffer; its
	// other fields are in Schedule, or the Engine's to keep.
	Load     Load
	Schedule Schedule // such as Load.Schedule
	Engine   Engine
	Observer Observer
	Targets  int   // request n goes to target n mod Targets; below 1 is taken as 1
	Share    Share // the part of Schedule that this loop sends; the zero Share is all of it

	ctx       context.Context
	epoch     time.Time
	exchanges sync.Pool
	stopped   atomic.Bool  // stop is closed or ctx is done
	walking   atomic.Bool  // the schedule has not ended
	doing     atomic.Int64 // exchanges from the decision to start them until observed

	mu       sync.Mutex
	slots    int             // guarded by mu: how many there are
	adapts   *limit.Adaptive // guarded by mu: what slots follows; nil: they are fixed
	inFlight int             // guarded by mu: slots taken; more than slots after the limit has fallen
	waiting  []waiting       // guarded by mu: first come first; empty unless every slot is taken, or the run is to stop
	closed   bool            // guarded by mu: nothing that waits is started any more
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
// It returns the offset at which the walk ended: when it was stopped, or at the last due
// time, or a little later if it was late. The wait for the last responses is not in it. It
// is not below 0.
//
// After the end of the schedule, requests in the buffer are still started. When stop is
// closed, no more requests are started, those in the buffer are dropped, and those in
// flight are allowed to finish. When ctx is done, the Engine gives those up as well.
func (o *Open) Run(ctx context.Context, epoch time.Time, stop <-chan struct{}) time.Duration {
	o.ctx, o.epoch = ctx, epoch
	o.openSlots()
	o.walking.Store(true)
	o.Engine.Begin(ctx, epoch, o.finished)
	defer o.watch(ctx, stop)()
	for seq, due := range o.Share.Deal(o.Schedule) {
		now, reached := o.reach(due)
		if !reached {
			break
		}
		o.offer(seq, due, now)
	}
	walked := max(time.Since(epoch), 0)

	o.walking.Store(false)
	for o.doing.Load() > 0 && !o.stopped.Load() {
		o.Engine.Wait(Forever)
	}
	o.dropWaiting()
	for o.doing.Load() > 0 {
		o.Engine.Wait(Forever)
	}
	return walked
}

// watch notices that the run must stop, until the function it returns is called.
func (o *Open) watch(ctx context.Context, stop <-chan struct{}) func() {
	if closed(stop) || ctx.Err() != nil {
		o.stopped.Store(true) // so that not even the first is started
	}
	quit, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case <-stop:
		case <-ctx.Done():
		case <-quit:
			return
		}
		o.stopped.Store(true)
		o.Engine.Wake()
	}()
	return func() {
		close(quit)
		<-gone
	}
}

func closed(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}

// reach lets exchanges continue until due, at least once, and returns the time at that
// moment. It reports false if the run must end instead.
func (o *Open) reach(due time.Duration) (now time.Duration, reached bool) {
	for !o.stopped.Load() {
		o.Engine.Wait(due)
		if now = time.Since(o.epoch); now >= due {
			return now, !o.stopped.Load()
		}
	}
	return 0, false
}

// Live returns how many exchanges are in flight and how many wait in the
// buffer. It may be called at any time from any goroutine.
func (o *Open) Live() (inFlight, buffered int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.inFlight, len(o.waiting)
}

// Sending reports whether more requests will be started: the schedule has not ended or
// requests wait in the buffer, and the run was not stopped. It may be called at any time
// from any goroutine.
func (o *Open) Sending() bool {
	_, buffered := o.Live()
	return (o.walking.Load() || buffered > 0) && !o.stopped.Load()
}

// offer starts the request that is due now, lets it wait or drops it.
func (o *Open) offer(seq uint64, due, now time.Duration) {
	e, _ := o.exchanges.Get().(*results.Exchange)
	if e == nil {
		e = new(results.Exchange)
	}
	e.Reset(seq, due)
	e.Target = int(seq % uint64(max(o.Targets, 1)))
	e.WarmUp = due < o.Load.WarmUp
	switch o.admit(e, now) {
	case start:
		o.start(e, now)
	case drop:
		o.drop(e)
	case wait: // e belongs to the buffer now
	}
}

// start starts e, which holds a slot.
func (o *Open) start(e *results.Exchange, now time.Duration) {
	o.doing.Add(1)
	e.Start = max(now, e.Due+e.Buffered)
	o.Engine.Start(e)
}

type decision uint8

const (
	start decision = iota
	wait
	drop
)

// admit takes a slot for e, or a place in the buffer, or neither if both are full.
func (o *Open) admit(e *results.Exchange, now time.Duration) decision {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.inFlight < o.slots && len(o.waiting) == 0 { // those that wait come first
		o.inFlight++
		e.InFlight = o.inFlight
		return start
	}
	if len(o.waiting) < o.Load.Buffer {
		o.waiting = append(o.waiting, waiting{e, now})
		return wait
	}
	return drop
}

// release frees the slot of e, which is over, and passes a free slot to the first exchange in
// the buffer. It returns that one; nil if the buffer is empty or no slot is free.
func (o *Open) release(e *results.Exchange, now time.Duration) *results.Exchange {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.inFlight--
	if o.adapts != nil {
		o.learn(e)
	}
	return o.fill(now)
}

// fill gives a free slot to the first exchange in the buffer, and returns that one; nil if
// the buffer is empty or no slot is free. o.mu must be held.
func (o *Open) fill(now time.Duration) *results.Exchange {
	// ctx is checked too: the Engine may notice that it is done before watch does.
	if len(o.waiting) == 0 || o.inFlight >= o.slots || o.closed || o.stopped.Load() || o.ctx.Err() != nil {
		return nil
	}
	o.inFlight++
	first := o.waiting[0]
	o.waiting[0] = waiting{}
	o.waiting = o.waiting[1:]
	first.e.InFlight = o.inFlight
	first.e.Buffered = max(now-first.since, 1) // above 0, because 0 means that it did not wait
	return first.e
}

// finished is called by the Engine. It passes the slot on before e is observed, because
// recording must not delay the load.
func (o *Open) finished(e *results.Exchange) {
	now := time.Since(o.epoch)
	for next := o.release(e, now); next != nil; next = o.another(now) {
		o.start(next, now)
	}
	o.over(e)
	if o.doing.Add(-1) == 0 && !o.walking.Load() {
		o.Engine.Wake()
	}
}

// dropWaiting closes the buffer and drops the exchanges in it.
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
