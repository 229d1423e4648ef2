package measure

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

// traceOptions holds the flags of the trace of connections.
type traceOptions struct {
	to    string // file; traceStderr: standard error; "": no trace
	conns int
}

// traceStderr stands for standard error as a value of --trace.
const traceStderr = "-"

func (o *traceOptions) flags(c *cobra.Command) {
	f := c.Flags()
	f.StringVar(&o.to, "trace", "", "write a line for every change of a connection's state to this file, or to standard error if no file is given")
	f.Lookup("trace").NoOptDefVal = traceStderr
	f.IntVar(&o.conns, "trace-conns", 100, "with --trace: how many connections of a run to show, counted from the first")
}

// trace is a trace being written. The zero trace does nothing.
type trace struct {
	*collectors.Tracer
	file *os.File // nil: standard error
}

// open begins the trace if --trace asks for it. silent reports whether the trace goes to
// standard error, where progress lines would break into it.
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

// add returns the function that takes events, or nil without a trace.
func (t trace) add() func(dialers.TraceEvent) {
	if t.Tracer == nil {
		return nil
	}
	return t.Tracer.Add
}

// begin writes the title of the run that follows.
func (t trace) begin(title string) {
	if t.Tracer != nil {
		t.Begin(title)
	}
}

// close writes the events that are still buffered.
func (t trace) close() error {
	if t.Tracer == nil {
		return nil
	}
	err := t.Tracer.Close()
	if t.file != nil {
		err = errors.Join(err, t.file.Close())
	}
	if err != nil {
		return fmt.Errorf("the trace is incomplete: %w", err)
	}
	return nil
}
