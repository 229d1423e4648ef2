package external

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kabench/kabench/results"
)

// clockSlack is what an impossible time may be off besides the clock's error: less would
// harm no figure.
const clockSlack = time.Millisecond

var errSilent = errors.New("the driver did not report how it ended")

// judge fills the record of an exchange that is over. gone is why the driver has ended.
func (e *Engine) judge(f *flight, gone string) {
	x := f.record
	t := told{how: f.end, finished: f.came - e.ahead}
	if f.end == byAnswer {
		t.status, t.err = f.answer.Status, f.answer.Error
		if t.err == nil && t.status == 0 {
			t.err = &Error{Text: "the driver reports neither a status nor an error"}
		}
		if t.err != nil {
			t.said = e.seen.reader.read(t.err)
		}
		t.finished, t.wrong = e.finishedAt(f)
	}
	t.late = e.timeout > 0 && t.finished+t.wrong >= x.Due+e.timeout
	var sight Sight
	if watcher, ok := e.witness.(Watcher); ok {
		sight = watcher.Between(e.firstID+x.Seq, e.epoch, x.Start, f.came-e.ahead)
	} else if e.witness != nil {
		sight = e.witness.Saw(e.firstID+x.Seq, e.epoch)
	}
	v := decide(t, sight)
	e.fill(x, t, v, sight)
	switch f.end {
	case byAnswer:
		if t.err != nil {
			x.Err = t.err
		} else if x.Failed() {
			x.Err = fmt.Errorf("the driver reports status %d; that is not what was seen", t.status)
		}
		x.BytesIn = f.answer.Bytes
	case byAbort:
		x.Err = context.Canceled
	case bySilence:
		x.Err = errSilent
	case byDeath:
		x.Err = fmt.Errorf("the driver %s", gone)
	}
	if v.unseen != "" {
		e.driver.faults.add(FaultStatus, fmt.Sprintf("number %d: %s", x.Seq, v.unseen))
	}
	e.seen.note(f, t, v, sight)
	e.trace(x, v)
}

// finishedAt is when the client's call was over, as an offset from the epoch, and by how
// much that may be wrong. It notes the driver's lags, and times that cannot be: then the
// frame's coming counts.
func (e *Engine) finishedAt(f *flight) (at, wrong time.Duration) {
	a, d := &f.answer, e.driver
	lie, wrong := d.impossible(a, f.sent, f.came)
	if lie != "" {
		d.faults.add(FaultTimes, fmt.Sprintf("number %d: %s", f.record.Seq, lie))
		return f.came - e.ahead, 0
	}
	received, _ := d.clock.ours(*a.Received)
	called, _ := d.clock.ours(*a.Called)
	finished, _ := d.clock.ours(*a.Finished)
	e.seen.lags(time.Duration(*a.Called-*a.Received), max(received-f.sent, 0), max(called-f.sent, 0))
	return min(finished, f.came) - e.ahead, wrong
}

// impossible says which of an answer's times cannot be; "": none. sent and came are when
// the request left and the answer came. wrong is by how much finished may be off.
func (d *Driver) impossible(a *answer, sent, came time.Duration) (lie string, wrong time.Duration) {
	received, wrongReceived := d.clock.ours(*a.Received)
	finished, wrong := d.clock.ours(*a.Finished)
	switch {
	case received+wrongReceived+clockSlack < sent:
		lie = fmt.Sprintf("received %v before it was dispatched", (sent - received).Round(time.Microsecond))
	case *a.Called < *a.Received:
		lie = "called before it was received"
	case *a.Finished < *a.Called:
		lie = "finished before it was called"
	case finished-wrong-clockSlack > came:
		lie = fmt.Sprintf("finished %v after its done came", (finished - came).Round(time.Microsecond))
	default:
		return "", wrong
	}
	return fmt.Sprintf("%s (the clocks differ by at most %v)", lie, wrong), wrong
}

// fill writes the verdict into the record. Stamps are kept in order: those of the wire
// and those of the driver come from two clocks.
func (e *Engine) fill(x *results.Exchange, t told, v verdict, s Sight) {
	x.Phase, x.Cause, x.Status = v.phase, v.cause, v.status
	x.SeenPhase, x.SeenCause = v.seenPhase, v.seenCause
	last := x.Start
	next := func(stamp time.Duration) time.Duration {
		if stamp != results.Never {
			stamp = max(stamp, last)
			last = stamp
		}
		return stamp
	}
	sent := 0
	for i := range v.tries {
		a := &v.tries[i]
		leased := next(a.Began)
		x.Tries = append(x.Tries, results.Try{Phase: a.Phase, Cause: a.Cause, Leased: leased, Done: next(endOf(a)), Conn: a.Conn, Use: a.Use, Idle: a.Idle})
		if a.Sent != results.Never {
			sent++
		}
	}
	x.Attempts = len(s.Attempts)
	if !s.Seen && x.Phase > results.PhaseTLS {
		x.Attempts = 1
	}
	if a := v.last; a != nil {
		x.Conn, x.Use, x.Idle, x.Age = a.Conn, a.Use, a.Idle, a.Age
		if a.Use == 1 && a.Opened != results.Never && a.Opened >= last {
			x.Leased, x.Connected, x.Secured = next(a.Opened), next(a.Ready), next(a.Secured)
		} else {
			x.Leased = next(a.Began)
		}
		x.WroteHeaders, x.Wrote, x.FirstByte = next(a.Began), next(a.Sent), next(a.First)
		if a.Status != 0 {
			x.GotHeaders = next(a.First)
		}
		if a.Sent != results.Never {
			sent++
		}
		if x.Failed() {
			x.Local = a.Local
		}
	}
	x.Done = max(t.finished, last)
	x.BytesOut = int64(x.Attempts) * e.bodies[x.Target]
	x.Twice = sent > 1 && !idempotent(e.methods[x.Target])
}

// endOf is when an attempt ended, as far as that was seen.
func endOf(a *Attempt) time.Duration {
	return max(a.Done, a.First, a.Sent, a.Began)
}

// idempotent reports whether a method may be executed twice (RFC 9110, section 9.2.2).
func idempotent(method string) bool {
	switch method {
	case "GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE":
		return true
	}
	return false
}
