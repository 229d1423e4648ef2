package kabench

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/internal/live"
	"github.com/kabench/kabench/internal/sandbox"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// child makes the run that its parent has ordered.
type child struct {
	mu  sync.Mutex
	out io.Writer // guarded by mu

	lines  *bufio.Reader
	stop   chan struct{}
	halt   func() // closes stop
	cancel context.CancelFunc
	feed   *live.Feed // nil: the parent shows no page
}

// runChild makes the run that is ordered on in and reports it on out. It returns the
// exit code of the process, which says only whether it could report.
func runChild(in io.Reader, out io.Writer) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c := &child{out: out, lines: bufio.NewReader(in), stop: make(chan struct{}), cancel: cancel}
	c.halt = sync.OnceFunc(func() { close(c.stop) })
	c.catchSignals()
	o, err := c.readOrder()
	if err != nil {
		fmt.Fprintf(os.Stderr, "kabench %s: only kabench itself starts this, for profiles with a network (%v)\n", inSandbox, err)
		return 2
	}
	if o.Live {
		c.feed = live.NewFeed()
	}
	go c.obey()
	if err := c.send(c.run(ctx, o)); err != nil {
		fmt.Fprintf(os.Stderr, "kabench %s: %v\n", inSandbox, err)
		return 2
	}
	return 0
}

// catchSignals handles the signals that the parent's process group was sent: the first
// stops the run, the second gives it up, and a third kills this process.
func (c *child) catchSignals() {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, StopSignals()...)
	go func() {
		<-signals
		c.halt()
		<-signals
		signal.Stop(signals)
		c.cancel()
	}()
}

func (c *child) readOrder() (o order, err error) {
	first, err := c.lines.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(bytes.TrimSpace(first), &o)
	}
	return o, err
}

func (c *child) send(m message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return json.NewEncoder(c.out).Encode(m)
}

// obey does what the lines after the order say.
func (c *child) obey() {
	for {
		line, err := c.lines.ReadString('\n')
		switch {
		case err != nil:
			return
		case line == sayStop+"\n":
			c.halt()
		case line == sayAbort+"\n":
			c.halt()
			c.cancel()
		case line == sayPage+"\n" && c.feed != nil:
			data, _ := c.feed.Data()
			c.send(message{Page: data}) // an error: the parent has ended
		}
	}
}

// run makes the run and returns the last message.
func (c *child) run(ctx context.Context, o order) message {
	m := message{Over: true}
	p, err := profiles.Load("", []byte(o.Profile), nil)
	if err == nil && !sandbox.Inside() {
		err = errors.New("not in a network namespace of its own")
	}
	if err == nil && p.Network == nil {
		err = sandbox.LoopbackUp()
	}
	if err == nil {
		p.Expect, p.Warnings, p.Given = o.Expect, o.Warnings, o.Given
		m.Run, err = c.runTraced(ctx, p, o)
	}
	if err != nil {
		_, m.Input = errors.AsType[*InputError](err)
		m.Refused, _ = errors.AsType[*external.RefusedError](err)
		m.Interrupted = errors.Is(err, ErrInterrupted)
		m.Error = err.Error()
	}
	if c.feed != nil && m.Run != nil {
		m.Page, _ = c.feed.Data()
	}
	return m
}

func (c *child) runTraced(ctx context.Context, p *profiles.Profile, o order) (*results.Run, error) {
	opts := Options{
		Out: o.Out, Version: o.Version, Command: o.Command, Incident: o.Incident, Baseline: o.Baseline, Stop: c.stop,
		Progress:  func(now Progress) { c.send(message{Progress: &now}) },
		Preparing: func(what string) { c.send(message{Preparing: what}) },
	}
	if c.feed != nil {
		opts.Live = c.feed
	}
	if o.Standing {
		opts.Standing = func(s Standing) { c.send(message{Standing: &s}) } // an error: the parent has ended
	}
	if o.Failure {
		failed := &follower{}
		opts.Failure = failed.Observe
		defer c.passOn(failed)()
	}
	if !o.Trace {
		return Run(ctx, p, opts)
	}
	trace := newTraceRelay(c.send)
	opts.Trace = trace.add
	run, err := Run(ctx, p, opts)
	if lost := trace.done(); lost > 0 {
		fmt.Fprintf(os.Stderr, "kabench: the last %d lines of the trace are missing: they came faster than they could be passed on; lower load.rate\n", lost)
	}
	return run, err
}

// failurePeriod is how often failures are passed on: with maxFollowed at a time, 10,000 per
// second.
const failurePeriod = 200 * time.Millisecond

// passOn sends the lines that f keeps, until the function that it returns is called.
func (c *child) passOn(f *follower) (stop func()) {
	quit := make(chan struct{})
	var passing sync.WaitGroup
	passing.Go(func() {
		tick := time.NewTicker(failurePeriod)
		defer tick.Stop()
		for more := true; more; {
			select {
			case <-tick.C:
			case <-quit:
				more = false
			}
			if lines, _ := f.take(); len(lines) > 0 {
				c.send(message{Failed: lines}) // an error: the parent has ended
			}
		}
	})
	return func() {
		close(quit)
		passing.Wait()
	}
}

const (
	tracePeriod  = 20 * time.Millisecond
	traceWaiting = 1 << 16 // events, as many as a collectors.Tracer buffers
)

// traceRelay sends a trace to the parent in batches, so that connections do not wait for
// a pipe. If it cannot keep up, the rest of the trace is missing, and done reports how
// much.
type traceRelay struct {
	send func(message) error
	quit chan struct{}
	over chan struct{}
	mu   sync.Mutex
	kept []dialers.TraceEvent // guarded by mu
	lost uint64               // guarded by mu
}

func newTraceRelay(send func(message) error) *traceRelay {
	t := &traceRelay{send: send, quit: make(chan struct{}), over: make(chan struct{})}
	go func() {
		defer close(t.over)
		tick := time.NewTicker(tracePeriod)
		defer tick.Stop()
		for more := true; more; {
			select {
			case <-tick.C:
			case <-t.quit:
				more = false
			}
			t.mu.Lock()
			batch := t.kept
			t.kept = nil
			t.mu.Unlock()
			if len(batch) > 0 {
				send(message{Trace: batch}) // an error: the parent has ended
			}
		}
	}()
	return t
}

func (t *traceRelay) add(e dialers.TraceEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.kept) >= traceWaiting || t.lost > 0 { // after a gap the lives of connections would be wrong
		t.lost++
		return
	}
	t.kept = append(t.kept, e)
}

// done sends the rest and returns how many events are missing.
func (t *traceRelay) done() (lost uint64) {
	close(t.quit)
	<-t.over
	return t.lost
}
