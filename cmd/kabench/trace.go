package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/kabench/kabench/collectors"
	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/internal/usage"
)

// traceOptions are the flags that ask for the lives of connections.
type traceOptions struct {
	to    string // file; traceStderr: standard error; "": no trace
	conns int
}

// traceStderr stands for standard error as a value of --trace.
const traceStderr = "-"

func (o *traceOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.to, "trace", "", "write the life of each connection, a line for each change, to this file; without one to standard error")
	f.Lookup("trace").NoOptDefVal = traceStderr
	f.IntVar(&o.conns, "trace-conns", 100, "how many connections of a run --trace shows, the first ones")
}

// trace is an open one. The zero trace is none.
type trace struct {
	*collectors.Tracer
	file *os.File // nil: standard error
}

// open begins the trace, if one is asked for. A progress line would be in the
// middle of one on standard error: silent says that there must be none.
func (o *traceOptions) open(command string, stderr io.Writer) (t trace, silent bool, err error) {
	switch {
	case o.to == "":
		return t, false, nil
	case o.conns < 1:
		return t, false, usage.Errorf(command, "--trace-conns %d: want 1 or more", o.conns)
	case o.to == traceStderr:
		return trace{Tracer: collectors.NewTracer(stderr, o.conns)}, true, nil
	}
	f, err := os.Create(o.to)
	if err != nil {
		return t, false, fmt.Errorf("--trace: %w", err)
	}
	return trace{collectors.NewTracer(f, o.conns), f}, false, nil
}

// add takes in events; nil without a trace.
func (t trace) add() func(dialers.TraceEvent) {
	if t.Tracer == nil {
		return nil
	}
	return t.Tracer.Add
}

// begin begins the run of that title.
func (t trace) begin(title string) {
	if t.Tracer != nil {
		t.Begin(title)
	}
}

// close writes what is left.
func (t trace) close() error {
	if t.Tracer == nil {
		return nil
	}
	err := t.Tracer.Close()
	if t.file != nil {
		err = errors.Join(err, t.file.Close())
	}
	if err != nil {
		return fmt.Errorf("the trace could not be written whole: %w", err)
	}
	return nil
}
