package collectors

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/results"
)

const (
	// traceBuffer is how many events may wait to be written: as many as three million
	// a second produce between two writes.
	traceBuffer = 1 << 16
	// traceLines bounds the size of a trace, to about 80 MB.
	traceLines  = 1_000_000
	tracePeriod = 20 * time.Millisecond
)

// Tracer writes the lives of connections, a line for each change. Add never waits for the
// writer: events that do not fit are left out and counted.
type Tracer struct {
	w     io.Writer
	conns uint64

	quit chan struct{}
	done chan struct{} // closed when the writer is gone

	mu      sync.Mutex
	waiting []traced // guarded by mu
	spare   []traced // guarded by mu
	lines   int      // taken in; guarded by mu
	lost    uint64   // because there was no room; guarded by mu
	failed  uint64   // dials that made no connection, of this section; guarded by mu
	most    uint64   // the highest number of a connection, of this section; guarded by mu
	limit   int      // traceBuffer, except in tests

	text bytes.Buffer // the writer's
	err  error        // the writer's: the first of w
}

// traced is an event or, with a title, the beginning of a section.
type traced struct {
	title string
	event dialers.TraceEvent
}

// NewTracer returns a Tracer that writes the first conns connections of each run
// to w. Close it.
func NewTracer(w io.Writer, conns int) *Tracer {
	t := &Tracer{w: w, conns: uint64(max(conns, 0)), limit: traceBuffer, quit: make(chan struct{}), done: make(chan struct{})}
	go t.loop()
	return t
}

// Begin starts a section with a title, for a run that numbers its connections
// from 1 again.
func (t *Tracer) Begin(title string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.endSection()
	t.waiting = append(t.waiting, traced{title: title})
}

// Add queues e. It may be called from any goroutine.
func (t *Tracer) Add(e dialers.TraceEvent) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := e.Conn
	if n == 0 {
		t.failed++
		n = t.failed
	} else {
		t.most = max(t.most, n)
	}
	switch {
	case n > t.conns:
	case len(t.waiting) >= t.limit || t.lines >= traceLines:
		t.lost++
	default:
		t.lines++
		t.waiting = append(t.waiting, traced{event: e})
	}
}

// endSection adds a line about what the last section left out. Called with mu held.
func (t *Tracer) endSection() {
	over := max(t.most, t.conns) - t.conns + max(t.failed, t.conns) - t.conns
	if over > 0 {
		t.waiting = append(t.waiting, traced{title: fmt.Sprintf("%d more connections are not shown; --trace-conns shows more", over)})
	}
	if t.lost > 0 {
		t.waiting = append(t.waiting, traced{title: fmt.Sprintf("%d lines are missing: they came faster than they could be written, or are beyond the first %d", t.lost, traceLines)})
	}
	t.lost, t.failed, t.most = 0, 0, 0
}

// Close writes the rest, and how much was left out. It returns the first error of
// writing.
func (t *Tracer) Close() error {
	t.mu.Lock()
	t.endSection()
	t.mu.Unlock()
	close(t.quit)
	<-t.done
	return t.err
}

func (t *Tracer) loop() {
	defer close(t.done)
	tick := time.NewTicker(tracePeriod)
	defer tick.Stop()
	for more := true; more; {
		select {
		case <-tick.C:
		case <-t.quit:
			more = false
		}
		t.write()
	}
}

// write writes the events that wait.
func (t *Tracer) write() {
	t.mu.Lock()
	batch := t.waiting
	t.waiting = t.spare[:0]
	t.mu.Unlock()
	t.text.Reset()
	for i := range batch {
		if batch[i].title != "" {
			fmt.Fprintf(&t.text, "# %s\n", batch[i].title)
		} else {
			writeEvent(&t.text, &batch[i].event)
		}
	}
	if t.text.Len() > 0 && t.err == nil {
		_, t.err = t.w.Write(t.text.Bytes())
	}
	t.mu.Lock()
	t.spare = batch
	t.mu.Unlock()
}

// writeEvent writes e as a line.
func writeEvent(b *bytes.Buffer, e *dialers.TraceEvent) {
	conn, port, exchange := "-", "-", "-"
	if e.Conn > 0 {
		conn = strconv.FormatUint(e.Conn, 10)
	}
	if e.Port > 0 {
		port = strconv.Itoa(int(e.Port))
	}
	if e.On {
		exchange = strconv.FormatUint(e.Seq, 10)
	}
	fmt.Fprintf(b, "%11.6f  conn %-4s port %-5s exchange %-6s %s", e.At.Seconds(), conn, port, exchange, e.State)
	if detail := detail(e); detail != "" {
		b.WriteString("  " + detail)
	}
	b.WriteByte('\n')
}

// detail returns what the line says after the state.
func detail(e *dialers.TraceEvent) string {
	switch e.State {
	case dialers.Registered:
		return e.Text
	case dialers.ConnectFailed:
		return fmt.Sprintf("%s: %v/%v", e.Text, e.Phase, e.Cause)
	case dialers.Connected:
		return "after " + took(e.Took)
	case dialers.Acquired:
		return "idle for " + took(e.Took)
	case dialers.Configured:
		return fmt.Sprintf("use %d", e.Use)
	case dialers.RequestPrepared:
		return fmt.Sprintf("%s, %d B", e.Text, e.Bytes)
	case dialers.RequestSent, dialers.ResponseCompleted:
		return fmt.Sprintf("%d B", e.Bytes)
	case dialers.ResponseReceived:
		return fmt.Sprintf("%d after %s", e.Status, took(e.Took))
	case dialers.RequestFailed, dialers.ResponseIncomplete:
		return fmt.Sprintf("%v/%v", e.Phase, e.Cause)
	case dialers.ClosedByPeer, dialers.ResetByPeer:
		var by, idle string
		if e.Cause == results.CauseCloseNotify {
			by = "by close_notify"
		}
		if e.Took > 0 {
			idle = "idle for " + took(e.Took)
		}
		return joined(by, idle)
	case dialers.Unregistered: // net/http reports neither
		var why string
		if e.Reason != 0 {
			why = e.Reason.String()
		}
		return joined(why, firsts[e.First])
	}
	return ""
}

// firsts names who ended a connection first.
var firsts = map[dialers.Closer]string{
	dialers.CloserUs: "closed first by us", dialers.CloserPeer: "closed first by peer", dialers.CloserReset: "reset by peer",
	dialers.CloserUnknown: "who closed first is not known",
}

// joined joins the texts that are not empty.
func joined(texts ...string) string {
	return strings.Join(slices.DeleteFunc(texts, func(s string) bool { return s == "" }), ", ")
}

// took formats d in the unit that is easiest to read.
func took(d time.Duration) string {
	unit := time.Microsecond
	switch {
	case d >= time.Second:
		unit = time.Millisecond
	case d >= time.Millisecond:
		unit = 10 * time.Microsecond
	}
	return d.Round(unit).String()
}
