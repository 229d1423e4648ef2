package kabench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/dialers/external"
	"github.com/kabench/kabench/internal/sandbox"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// A profile with a network runs in a child of this process, in a namespace of its own:
// what one run leaves in TIME_WAIT, and the kernel settings it changes, end with the
// namespace. So does a real client with a server of kabench's own, whose packets can be
// seen there without any right on this machine. Each run of a reproduction is such a child,
// rather than the reproduction as a whole, so that the runs to be compared begin alike. This
// process keeps the flags, the output and the signals. The child reads what to run on its
// standard input, and writes progress and the outcome to its standard output.

// inSandbox is the first argument of the program when it is such a child.
const inSandbox = "in-sandbox"

// mayRunChildren is set by ExitIfChild. Without that call a child would not make its run
// but begin the program again.
var mayRunChildren bool

// ExitIfChild makes a run and exits, if Run started this process to make it in a private
// network; otherwise it returns at once. A program that runs profiles with a network must
// call it first in main.
func ExitIfChild() {
	if len(os.Args) == 2 && os.Args[1] == inSandbox {
		os.Exit(runChild(os.Stdin, os.Stdout))
	}
	mayRunChildren = true
}

// order is the first line that a child reads. The lines after it say "stop" and
// "abort", as closing Options.Stop and cancelling the context do, or "page".
type order struct {
	Profile string `json:"profile"` // YAML, without what it expects
	// Expect of a remedy may name the incident's run, which a profile read by itself
	// may not.
	Expect   map[string]string `json:"expect"`
	Incident *results.Run      `json:"incident,omitempty"`
	Baseline *Baseline         `json:"baseline,omitempty"`
	Live     bool              `json:"live,omitempty"`     // there may be questions for the page
	Standing bool              `json:"standing,omitempty"` // send how the run stands
	Failure  bool              `json:"failure,omitempty"`  // send the exchanges that fail
	Out      string            `json:"out"`
	Version  string            `json:"version"`
	Command  string            `json:"command,omitempty"`
	Trace    bool              `json:"trace,omitempty"` // send the changes to connections
	// Warnings are the profile's, whose rewritten text no longer causes them, and Given
	// says where fields of its pool were set.
	Warnings []string                  `json:"warnings,omitempty"`
	Given    map[string]profiles.Place `json:"given,omitempty"`
}

const (
	sayStop  = "stop"
	sayAbort = "abort"
	sayPage  = "page" // asks for the data of the page as it is now
)

// message is a line that a child writes.
type message struct {
	Progress  *Progress            `json:"progress,omitempty"`
	Preparing string               `json:"preparing,omitempty"` // as Options.Preparing is called
	Trace     []dialers.TraceEvent `json:"trace,omitempty"`
	Standing  *Standing            `json:"standing,omitempty"`
	Failed    []byte               `json:"failed,omitempty"` // lines of the record
	// Page is the data of the page that shows the run, as live.Feed makes it; with
	// Over the last of it.
	Page  json.RawMessage `json:"page,omitempty"`
	Over  bool            `json:"over,omitempty"`
	Run   *results.Run    `json:"run,omitempty"`
	Error string          `json:"error,omitempty"`
	// What kind of error it is.
	Input       bool                   `json:"input,omitempty"`
	Interrupted bool                   `json:"interrupted,omitempty"`
	Refused     *external.RefusedError `json:"refused,omitempty"` // what a driver does not take
}

// relayed is an error of a child, with its cause if that makes a difference here.
type relayed struct {
	text  string
	cause error
}

func (e *relayed) Error() string { return e.text }
func (e *relayed) Unwrap() error { return e.cause }

// patience is how long a child may take to end after it got the order to give up.
const patience = 20 * time.Second

// needsNamespace reports whether a run of p must be made in a child. The error is an
// *InputError: p needs one that cannot be made. The note is a warning of the run: it is
// made without one, and what that means.
func needsNamespace(p *profiles.Profile) (needs bool, note string, err error) {
	real := p.Client == profiles.ClientExternal && p.Target.Lab != nil
	if p.Network == nil && !real || sandbox.Inside() {
		return false, "", nil
	}
	if p.Network != nil {
		if !mayRunChildren {
			return false, "", inputErrorf("%s needs a private network, which a process of its own makes: call kabench.ExitIfChild first in main", p.Name)
		}
		if err := sandbox.Available(); err != nil {
			return false, "", inputErrorf("%s needs a private network, and %w", p.Name, err)
		}
		return true, "", nil
	}
	const unseen = "The packets of the real client are not seen, because this run is in no namespace of its own: %s. What happened is taken from the server alone"
	if !mayRunChildren {
		return false, fmt.Sprintf(unseen, "the program does not call kabench.ExitIfChild first in main"), nil
	}
	if err := sandbox.Isolates(); err != nil {
		return false, fmt.Sprintf(unseen, err), nil
	}
	return true, "", nil
}

// runInSandbox is Run in a child.
func runInSandbox(ctx context.Context, p *profiles.Profile, opts Options) (*results.Run, error) {
	first, err := orderFor(p, opts)
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
			return // the child has ended; its exit code says so below
		}
		if opts.Live != nil {
			opts.Live.From(func() { fmt.Fprintln(toChild, sayPage) }) // an error: the child has ended
		}
		relay(ctx, opts.Stop, ended, toChild, cancel)
	}()
	var code int
	go func() {
		defer close(ended)
		code, err = sandbox.Reexec(limited, []string{os.Args[0], inSandbox}, sandbox.Stdio{In: orders, Out: out, Err: os.Stderr})
		orders.Close()
		out.Close()
	}()
	last := listen(fromChild, opts)
	io.Copy(io.Discard, fromChild)
	<-ended
	if err != nil {
		return nil, inputErrorf("%s needs a private network: %w", p.Name, err)
	}
	if !last.Over {
		if ctx.Err() != nil || closed(opts.Stop) {
			return nil, ErrInterrupted
		}
		return nil, fmt.Errorf("the run's process ended (code %d) without reporting its run", code)
	}
	return last.outcome()
}

// orderFor is the line that has a child run p.
func orderFor(p *profiles.Profile, opts Options) ([]byte, error) {
	bare := p.Clone()
	bare.Expect = nil
	text, err := profiles.Marshal(bare)
	if err != nil {
		return nil, err
	}
	return json.Marshal(order{string(text), p.Expect, opts.Incident, opts.Baseline, opts.Live != nil, opts.Standing != nil, opts.Failure != nil, opts.Out, opts.Version, opts.Command, opts.Trace != nil, p.Warnings, p.Given})
}

// outcome is what Run returned in the child.
func (m message) outcome() (*results.Run, error) {
	switch {
	case m.Interrupted:
		return m.Run, ErrInterrupted
	case m.Input && m.Refused != nil:
		return m.Run, &InputError{&relayed{m.Error, m.Refused}}
	case m.Input:
		return m.Run, &InputError{errors.New(m.Error)}
	case m.Error != "":
		return m.Run, errors.New(m.Error)
	}
	return m.Run, nil
}

// relay tells a child to stop its run, and to give it up, when the caller of Run does.
// It kills a child that does not end in time.
func relay(ctx context.Context, stop, ended <-chan struct{}, to io.Writer, kill func()) {
	select {
	case <-ended:
		return
	case <-stop:
		fmt.Fprintln(to, sayStop) // an error: the child has ended
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

// listen handles a child's messages and returns the last one; the zero message if the
// child ended before it.
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
		if m.Standing != nil && opts.Standing != nil {
			opts.Standing(*m.Standing)
		}
		switch {
		case m.Over:
			return m
		case m.Progress != nil && opts.Progress != nil:
			opts.Progress(*m.Progress)
		case m.Preparing != "" && opts.Preparing != nil:
			opts.Preparing(m.Preparing)
		}
		for _, e := range m.Trace {
			opts.Trace(e)
		}
		for e, err := range record.ReadLines(m.Failed) {
			if err == nil && opts.Failure != nil {
				opts.Failure(e)
			}
		}
	}
}
