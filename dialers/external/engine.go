package external

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/dialers/external/process"
	"github.com/kabench/kabench/internal/poll"
	"github.com/kabench/kabench/results"
)

// EngineConfig is what an Engine is made of.
type EngineConfig struct {
	Driver   *Driver            // configured
	Requests []*dialers.Request // Exchange.Target chooses one
	Timeout  time.Duration      // of an exchange from due to done; 0: none
	// Grace is how long after its Timeout an exchange is given up that the driver did not
	// report; 0: 2 s. A client may notice its own timeout late, but not as late as that.
	Grace   time.Duration
	Witness Witness // nil: nobody looks
	// FirstID is added to the number of an exchange for its X-Request-Id, so that a
	// server and a Witness tell apart the runs of one moment.
	FirstID uint64
}

// Engine performs exchanges through a driver. It is a generator.Engine.
//
// Start writes the frame of a request on the caller's goroutine, which never waits: see
// writer. The driver's goroutine reads what the driver says; another one asks the
// Witness, judges and delivers, in the order in which exchanges are over.
type Engine struct {
	// Tracer, if set before Begin, is called for each change to a connection that the
	// Witness saw, when its exchange is over. It must return at once.
	Tracer func(dialers.TraceEvent)

	driver     *Driver
	requests   []*dialers.Request
	dispatches []dispatch
	bodies     []int64
	methods    []string
	timeout    time.Duration
	grace      time.Duration
	witness    Witness
	firstID    uint64
	poller     *poll.Poller
	room       []poll.Event

	epoch  time.Time
	ahead  time.Duration // of the driver's base before epoch
	over   func(*results.Exchange)
	stop   func() bool // ends the watch on Begin's context
	broken chan struct{}
	quit   chan struct{}
	work   sync.WaitGroup // the goroutines that judge and watch

	mu         sync.Mutex
	flights    map[uint64]*flight // guarded by mu: dispatched, and not over
	free       []*flight          // guarded by mu
	buf        []byte             // guarded by mu
	seqs       numbers            // guarded by mu
	dispatched uint64             // guarded by mu
	aborted    bool               // guarded by mu: Begin's context is done
	gone       string             // guarded by mu: why the driver has ended; "": it has not
	finished   []*flight          // guarded by mu: to be judged
	ready      sync.Cond          // finished has become longer, or closed
	closed     bool               // guarded by mu
	gaugesAt   map[string]float64 // guarded by mu: the last
	peaks      map[string]float64 // guarded by mu

	seen seen // what was seen of the driver
}

// flight is an exchange that was handed to the driver.
type flight struct {
	record *results.Exchange
	sent   time.Duration // from the driver's base: when its frame was written, or queued
	end    ending
	came   time.Duration // from the driver's base: when the end came
	answer answer        // of byAnswer
}

// ending is how an exchange ended.
type ending uint8

const (
	byAnswer  ending = iota // the driver said that it was over
	byAbort                 // the run was aborted
	bySilence               // its deadline and the grace passed
	byDeath                 // the driver has ended
)

// graceTime is EngineConfig.Grace where there is none.
const graceTime = 2 * time.Second

// NewEngine returns an Engine. The error says that the machine has no descriptor left.
func NewEngine(c EngineConfig) (*Engine, error) {
	poller, err := poll.New()
	if err != nil {
		return nil, err
	}
	e := &Engine{
		driver: c.Driver, requests: c.Requests, timeout: c.Timeout, grace: c.Grace, witness: c.Witness, firstID: c.FirstID,
		poller: poller, room: make([]poll.Event, poll.MaxEvents),
		broken: make(chan struct{}), quit: make(chan struct{}),
		flights: map[uint64]*flight{}, peaks: map[string]float64{},
	}
	if e.grace == 0 {
		e.grace = graceTime
	}
	e.ready.L = &e.mu
	e.seen.reader.client = c.Driver.hello.Driver
	e.seen.errors = map[string]*results.DriverError{}
	for _, r := range c.Requests {
		parts := r.Parts()
		d := newDispatch(parts)
		d.from = c.FirstID
		e.dispatches = append(e.dispatches, d)
		e.bodies = append(e.bodies, int64(parts.Body))
		e.methods = append(e.methods, parts.Method)
	}
	return e, nil
}

// Begin implements generator.Engine.
func (e *Engine) Begin(ctx context.Context, epoch time.Time, over func(*results.Exchange)) {
	e.epoch, e.over = epoch, over
	e.ahead = epoch.Sub(e.driver.base)
	e.work.Go(e.judgeAll)
	e.work.Go(e.watch)
	e.driver.receive(e)
	e.stop = context.AfterFunc(ctx, e.abort)
}

// sinceBase is the time on the clock that frames are stamped with.
func (e *Engine) sinceBase() time.Duration { return time.Since(e.driver.base) }

// Start implements generator.Engine.
func (e *Engine) Start(x *results.Exchange) {
	e.mu.Lock()
	defer e.mu.Unlock()
	f := e.newFlight(x)
	switch {
	case e.gone != "":
		e.end(f, byDeath)
		return
	case e.aborted:
		e.end(f, byAbort)
		return
	}
	e.flights[x.Seq] = f
	e.dispatched++
	e.seqs.set(x.Seq, numberSent)
	e.buf = e.dispatches[x.Target].appendTo(e.buf[:0], x.Seq)
	f.sent = e.sinceBase()
	if err := e.driver.process.In.Send(e.buf); err == process.ErrQueued {
		// Not here: ending a process may take longer than Start may.
		go e.driver.fail(FaultHangs, fmt.Sprintf("reads too slowly: %v", err))
	}
	// With any other error the pipe is closed: the reader learns why.
}

// newFlight returns a flight for x; mu is held.
func (e *Engine) newFlight(x *results.Exchange) *flight {
	if n := len(e.free); n > 0 {
		f := e.free[n-1]
		e.free = e.free[:n-1]
		*f = flight{record: x}
		return f
	}
	return &flight{record: x}
}

// end queues f to be judged; mu is held.
func (e *Engine) end(f *flight, how ending) {
	f.end, f.came = how, e.sinceBase()
	e.finished = append(e.finished, f)
	e.ready.Signal()
}

// endAll ends all flights; mu is held.
func (e *Engine) endAll(how ending) {
	for seq, f := range e.flights {
		delete(e.flights, seq)
		e.seqs.set(seq, numberGivenUp)
		e.end(f, how)
	}
}

func (e *Engine) abort() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.aborted = true
	e.endAll(byAbort)
}

// done implements receiver.
func (e *Engine) done(a *answer, came time.Duration) (asked bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	seq := *a.Seq
	f := e.flights[seq]
	if f != nil {
		delete(e.flights, seq)
		e.seqs.set(seq, numberAnswered)
		f.answer, f.came, f.end = *a, came, byAnswer
		e.finished = append(e.finished, f)
		e.ready.Signal()
		return true
	}
	switch e.seqs.of(seq) {
	case numberUnsent:
		if seq >= warmUpSeqs { // the warm-up's, given up; they are few, so they are no flood
			return false
		}
		e.driver.faults.add(FaultUnsent, fmt.Sprintf("done for number %d, which was not dispatched", seq))
	case numberAnswered:
		e.driver.faults.add(FaultTwice, fmt.Sprintf("done for number %d, which was over", seq))
	case numberGivenUp: // the answer to what was aborted, or was silent too long
		e.seqs.set(seq, numberAnswered)
		return true
	}
	return false
}

// gauges implements receiver.
func (e *Engine) gauges(values map[string]float64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gaugesAt = values
	for _, name := range []string{gaugeActive, gaugeIdle, gaugePending} { // not what else a driver may name without end
		e.peaks[name] = max(e.peaks[name], values[name])
	}
}

// ended implements receiver.
func (e *Engine) ended(why string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.gone == "" {
		e.gone = why
		close(e.broken)
	}
	e.endAll(byDeath)
}

// Broken is closed when the driver has ended, or was ended because of a fault: nothing
// more can be measured.
func (e *Engine) Broken() <-chan struct{} { return e.broken }

// How often watch looks, and how often it asks for the driver's time.
const (
	watchEvery = 50 * time.Millisecond
	pingEvery  = time.Second
)

// watch gives up what the driver does not report, and notices that it hangs.
func (e *Engine) watch() {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	pinged := time.Now()
	for {
		select {
		case <-e.quit:
			return
		case <-e.broken:
			return
		case <-ticker.C:
		}
		now := time.Now()
		if now.Sub(pinged) >= pingEvery {
			pinged = now
			e.driver.ping()
		}
		if stuck := e.driver.process.In.Stuck(now); stuck > e.driver.limits.read {
			e.driver.fail(FaultHangs, fmt.Sprintf("read nothing for %v", stuck.Round(time.Second)))
		}
		if mute := e.driver.unanswered(now); mute > e.driver.limits.clock {
			e.driver.fail(FaultHangs, fmt.Sprintf("did not respond to clock for %v", mute.Round(time.Second)))
		}
		e.expire(now.Sub(e.epoch))
	}
}

// expire gives up the flights whose deadline and grace have passed.
func (e *Engine) expire(now time.Duration) {
	if e.timeout <= 0 {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for seq, f := range e.flights {
		if late := max(f.record.Due, f.record.Start) + e.timeout + e.grace; now >= late {
			delete(e.flights, seq)
			e.seqs.set(seq, numberGivenUp)
			e.driver.faults.add(FaultSilent, fmt.Sprintf("nothing about number %d for %v", seq, (now-f.record.Start).Round(time.Millisecond)))
			e.end(f, bySilence)
		}
	}
}

// judgeAll judges and delivers exchanges until the Engine is closed.
func (e *Engine) judgeAll() {
	var batch []*flight
	for {
		e.mu.Lock()
		e.free = append(e.free, batch...)
		for len(e.finished) == 0 && !e.closed {
			e.ready.Wait()
		}
		batch, e.finished = e.finished, batch[:0]
		gone := e.gone
		e.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		for _, f := range batch {
			e.judge(f, gone)
			x := f.record
			f.record = nil
			e.over(x)
		}
	}
}

// Wait implements generator.Engine. Its clock is exact: see package poll.
func (e *Engine) Wait(until time.Duration) {
	d := poll.Forever
	if until >= 0 {
		d = max(until-time.Since(e.epoch), 0)
	}
	e.poller.Wait(e.room, d)
}

// Wake implements generator.Engine.
func (e *Engine) Wake() { e.poller.Wake() }

// Close releases what the Engine holds. It does not close the Driver. Every exchange
// must be over.
func (e *Engine) Close() {
	if e.stop != nil {
		e.stop()
		e.driver.receive(nil)
	}
	close(e.quit)
	e.mu.Lock()
	e.closed = true
	e.ready.Broadcast()
	e.mu.Unlock()
	e.work.Wait()
	e.poller.Close()
}
