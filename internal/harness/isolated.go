package harness

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
	"github.com/kabench/kabench/internal/live"
	"github.com/kabench/kabench/internal/sandbox"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// A profile with a network runs in a child of this process, in a namespace of
// its own: what one run leaves in TIME_WAIT, and the settings it makes, end with
// it. Each run of a reproduction is such a child, and not the reproduction as a
// whole, so that the runs that are compared begin alike. This process keeps the
// flags, the output and the signals; the child is told what to run on its
// standard input and tells of progress and of the outcome on its output.

// InSandbox is the first argument of the program when it is to be that child:
// it must then call [Child] and exit.
const InSandbox = "in-sandbox"

// order is the first line that a child reads. The lines after it say "stop" and
// "abort", as closing Options.Stop and cancelling the context do, or "page".
type order struct {
	Profile string `json:"profile"` // YAML, without what it expects
	// Expect may, of a remedy, name the incident's run, which no profile can that
	// is read by itself.
	Expect   map[string]string `json:"expect"`
	Incident *results.Run      `json:"incident,omitempty"`
	Baseline *Baseline         `json:"baseline,omitempty"`
	Live     bool              `json:"live,omitempty"` // there may be questions for the page
	Out      string            `json:"out"`
	Version  string            `json:"version"`
	Trace    bool              `json:"trace,omitempty"`    // it is to tell of the lives of connections
	Warnings []string          `json:"warnings,omitempty"` // of the profile, which its text no longer causes
}

const (
	sayStop  = "stop"
	sayAbort = "abort"
	sayPage  = "page" // asks for the data of the page as it is now
)

// message is a line that a child writes.
type message struct {
	Progress *Progress            `json:"progress,omitempty"`
	Trace    []dialers.TraceEvent `json:"trace,omitempty"`
	// Page is the data of the page that shows the run, as live.Feed makes it; with
	// Over the last of it.
	Page  json.RawMessage `json:"page,omitempty"`
	Over  bool            `json:"over,omitempty"`
	Run   *results.Run    `json:"run,omitempty"`
	Error string          `json:"error,omitempty"`
	// What kind of error it is.
	Input       bool `json:"input,omitempty"`
	Interrupted bool `json:"interrupted,omitempty"`
}

// patience is how long a child that was told to give up has for it.
const patience = 20 * time.Second

// runInSandbox is Run of a profile with a network, in a child.
func runInSandbox(ctx context.Context, p *profiles.Profile, opts Options) (*results.Run, error) {
	if err := sandbox.Available(); err != nil {
		return nil, inputErrorf("%s needs a private network, and %w", p.Name, err)
	}
	bare := p.Clone()
	bare.Expect = nil
	text, err := profiles.Marshal(bare)
	if err != nil {
		return nil, err
	}
	first, err := json.Marshal(order{string(text), p.Expect, opts.Incident, opts.Baseline, opts.Live != nil, opts.Out, opts.Version, opts.Trace != nil, p.Warnings})
	if err != nil {
		return nil, err
	}
	// Pipes of the system: the child's end closes them, whatever ends it.
	orders, toChild, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	fromChild, out, err := os.Pipe()
	if err != nil {
		orders.Close()
		toChild.Close()
		return nil, err
	}
	defer fromChild.Close()
	limited, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ended := make(chan struct{})
	go func() {
		defer toChild.Close()
		if _, err := toChild.Write(append(first, '\n')); err != nil {
			return // it has ended: that is said elsewhere
		}
		if opts.Live != nil {
			opts.Live.From(func() { fmt.Fprintln(toChild, sayPage) }) // an error: it has ended
		}
		relay(ctx, opts.Stop, ended, toChild, cancel)
	}()
	var code int
	go func() {
		defer close(ended)
		code, err = sandbox.Reexec(limited, []string{os.Args[0], InSandbox}, sandbox.Stdio{In: orders, Out: out, Err: os.Stderr})
		orders.Close()
		out.Close()
	}()
	last := listen(fromChild, opts)
	io.Copy(io.Discard, fromChild)
	<-ended
	switch {
	case err != nil:
		return nil, inputErrorf("%s needs a private network: %w", p.Name, err)
	case !last.Over && (ctx.Err() != nil || closed(opts.Stop)):
		return nil, ErrInterrupted
	case !last.Over:
		return nil, fmt.Errorf("the run's process ended (code %d) without telling of its run", code)
	case last.Interrupted:
		return last.Run, ErrInterrupted
	case last.Input:
		return last.Run, &InputError{errors.New(last.Error)}
	case last.Error != "":
		return last.Run, errors.New(last.Error)
	}
	return last.Run, nil
}

// relay passes on to a child that its run is to stop, and to be given up; one
// that does not end then is ended.
func relay(ctx context.Context, stop, ended <-chan struct{}, to io.Writer, kill func()) {
	select {
	case <-ended:
		return
	case <-stop:
		fmt.Fprintln(to, sayStop) // an error: it has ended
	case <-ctx.Done():
	}
	select {
	case <-ended:
		return
	case <-ctx.Done():
		fmt.Fprintln(to, sayAbort)
	}
	select {
	case <-ended:
	case <-time.After(patience):
		kill()
	}
}

// listen reads a child's messages to the last; the zero message when it did not
// come to that.
func listen(r io.Reader, opts Options) message {
	decoder := json.NewDecoder(r)
	for {
		var m message
		switch err := decoder.Decode(&m); {
		case err != nil:
			return message{}
		case m.Page != nil && opts.Live != nil:
			opts.Live.Put(m.Page, m.Over)
		}
		switch {
		case m.Over:
			return m
		case m.Progress != nil && opts.Progress != nil:
			opts.Progress(*m.Progress)
		}
		for _, e := range m.Trace {
			opts.Trace(e)
		}
	}
}

const (
	tracePeriod  = 20 * time.Millisecond
	traceWaiting = 1 << 16 // events, as many as a collectors.Tracer has waiting
)

// traceRelay hands on a trace a batch at a time: connections do not wait for a
// pipe. When it cannot keep up the rest of the run's trace is missing, and done
// says so.
type traceRelay struct {
	tell func(message) error
	quit chan struct{}
	over chan struct{}
	mu   sync.Mutex
	kept []dialers.TraceEvent // guarded by mu
	lost uint64               // guarded by mu
}

func newTraceRelay(tell func(message) error) *traceRelay {
	t := &traceRelay{tell: tell, quit: make(chan struct{}), over: make(chan struct{})}
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
				tell(message{Trace: batch}) // an error: nobody listens any more
			}
		}
	}()
	return t
}

func (t *traceRelay) add(e dialers.TraceEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.kept) >= traceWaiting || t.lost > 0 { // with a gap, lives would be told wrongly
		t.lost++
		return
	}
	t.kept = append(t.kept, e)
}

// done hands on what is left and says how many events are missing.
func (t *traceRelay) done() (lost uint64) {
	close(t.quit)
	<-t.over
	return t.lost
}

// Child makes the run that is ordered on in and tells of it on out. It returns
// the exit code of the process, which says only whether it could tell.
func Child(in io.Reader, out io.Writer) int {
	stop := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	halt := sync.OnceFunc(func() { close(stop) })
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, StopSignals()...)
	go func() { // those that the parent was sent; a third one kills
		<-signals
		halt()
		<-signals
		signal.Stop(signals)
		cancel()
	}()
	var mu sync.Mutex
	tell := func(m message) error {
		mu.Lock()
		defer mu.Unlock()
		return json.NewEncoder(out).Encode(m)
	}
	lines := bufio.NewReader(in)
	first, err := lines.ReadBytes('\n')
	var o order
	if err == nil {
		err = json.Unmarshal(bytes.TrimSpace(first), &o)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "kabench %s: is run by kabench itself, for profiles with a network (%v)\n", InSandbox, err)
		return 2
	}
	var feed *live.Feed
	if o.Live {
		feed = live.NewFeed()
	}
	go func() {
		for {
			line, err := lines.ReadString('\n')
			switch {
			case err != nil:
				return
			case line == sayStop+"\n":
				halt()
			case line == sayAbort+"\n":
				halt()
				cancel()
			case line == sayPage+"\n" && feed != nil:
				data, _ := feed.Data()
				tell(message{Page: data}) // an error: nobody listens any more
			}
		}
	}()
	m := message{Over: true}
	p, err := profiles.Load("", []byte(o.Profile), nil)
	if err == nil && !sandbox.Inside() {
		err = errors.New("not in a network namespace of its own")
	}
	if err == nil {
		p.Expect, p.Warnings = o.Expect, o.Warnings
		opts := Options{Out: o.Out, Version: o.Version, Incident: o.Incident, Baseline: o.Baseline, Live: feed, Stop: stop, Progress: func(now Progress) { tell(message{Progress: &now}) }}
		if o.Trace {
			trace := newTraceRelay(tell)
			opts.Trace = trace.add
			m.Run, err = Run(ctx, p, opts)
			if lost := trace.done(); lost > 0 {
				fmt.Fprintf(os.Stderr, "kabench: the trace lacks its last %d lines: they came faster than they could be handed on; lower load.rate\n", lost)
			}
		} else {
			m.Run, err = Run(ctx, p, opts)
		}
	}
	if err != nil {
		_, m.Input = errors.AsType[*InputError](err)
		m.Interrupted = errors.Is(err, ErrInterrupted)
		m.Error = err.Error()
	}
	if feed != nil && m.Run != nil {
		m.Page, _ = feed.Data()
	}
	if err := tell(m); err != nil {
		fmt.Fprintf(os.Stderr, "kabench %s: %v\n", InSandbox, err)
		return 2
	}
	return 0
}
