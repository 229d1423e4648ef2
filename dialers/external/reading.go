package external

import (
	"bufio"
	"errors"
	"fmt"
	"time"

	"github.com/kabench/kabench/dialers/external/process"
)

// What a driver may write that nobody asked for, until it floods: gauges, unknown frames,
// lines that are no frames, answers to what was not sent.
const (
	extraPerSecond = 200
	extraAtOnce    = 2000
)

// read reads the driver's frames until there are no more.
func (d *Driver) read() {
	defer close(d.over)
	r := bufio.NewReaderSize(d.process.Out, 64<<10)
	extra := budget{perSecond: extraPerSecond, most: extraAtOnce}
	var room, line []byte
	var err error
	began := false
	for {
		line, room, err = readLine(r, room)
		if err != nil {
			break
		}
		came := time.Since(d.base)
		if len(line) == 0 {
			continue
		}
		f, wrong := parseFrame(line)
		if !began && (wrong != nil || f.Type != "hello") {
			d.fail(FaultGarbage, fmt.Sprintf("wrote to stdout, before its hello: %q. Frames go to stdout, and logs to stderr", process.Short(line, 200)))
			break
		}
		began = true
		asked := true
		if wrong != nil {
			d.faults.add(FaultGarbage, fmt.Sprintf("%q: %v", process.Short(line, 200), wrong))
			asked = false
		} else {
			asked = d.take(&f, came)
		}
		if !asked && !extra.take(came.Seconds()) {
			d.fail(FaultFloods, fmt.Sprintf("wrote more than %d lines a second that nobody asked for; the last: %q", extraPerSecond, process.Short(line, 200)))
			break
		}
	}
	if errors.Is(err, errTooLong) {
		d.fail(FaultFloods, fmt.Sprintf("wrote %v", err))
	}
	d.drain()
}

// drain ends what is left of the process when its frames have ended.
func (d *Driver) drain() {
	if !d.process.Within(process.Leftover) {
		d.fail(FaultDied, "closed its stdout")
		d.process.Kill()
		<-d.process.Exited
	}
	d.process.Read()
	d.fail(FaultDied, d.process.How())
	d.process.Out.Close()
	d.mu.Lock()
	r := d.receiver
	d.drained = true
	d.mu.Unlock()
	if r != nil {
		r.ended(d.ended())
	}
}

// take handles one frame, and reports whether it was asked for.
func (d *Driver) take(f *frame, came time.Duration) bool {
	d.mu.Lock()
	r := d.receiver
	d.mu.Unlock()
	switch f.Type {
	case "done":
		if lacks := f.complete(); lacks != "" {
			d.faults.add(FaultGarbage, fmt.Sprintf("a done without %s", lacks))
			return false
		}
		if r == nil {
			return false // an answer that came late, after the run
		}
		return r.done(&f.answer, came)
	case "clock":
		return d.clocked(f, came)
	case "gauges":
		if r != nil {
			r.gauges(f.Values)
		}
		return false
	case "hello", "ready", "refused", "bye":
		select {
		case d.replies <- *f:
			return true
		default:
		}
	}
	return false
}

// clocked takes a response to clock.
func (d *Driver) clocked(f *frame, came time.Duration) bool {
	if f.Now == nil {
		d.faults.add(FaultGarbage, `a clock without "now"`)
		return false
	}
	d.mu.Lock()
	if len(d.pings) == 0 {
		d.mu.Unlock()
		return false
	}
	sent := d.pings[0]
	d.pings = d.pings[1:]
	d.mu.Unlock()
	if !d.clock.add(sent, came, *f.Now) {
		d.faults.add(FaultTimes, fmt.Sprintf("its clock jumped: %d does not fit what it showed before", *f.Now))
	}
	select {
	case d.synced <- struct{}{}:
	default:
	}
	return true
}
