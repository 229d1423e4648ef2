package judge

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/results"
)

// Limits are the load's fields that a run is judged by.
type Limits struct {
	MaxLag      time.Duration // load.max_lag; 0: lateness is not judged
	MaxInFlight int           // load.max_in_flight
	Buffer      int           // load.buffer
}

// rules each return the reasons why a run may not be believed; a rule may
// complete the document on the way.
var rules = []func(*results.Run, Limits) (invalid []string){accounts, requests, schedule, servers}

// Run adds to d.Invalid the reasons why d may not be believed, and sets d.Valid and
// d.Instrument.Schedule.Overload.
func Run(d *results.Run, l Limits) {
	for _, rule := range rules {
		d.Invalid = append(d.Invalid, rule(d, l)...)
	}
	d.Valid = len(d.Invalid) == 0
}

func accounts(d *results.Run, _ Limits) []string {
	if d.Counts.Balance() {
		return nil
	}
	return []string{fmt.Sprintf("the accounts do not balance: %+v; this is a fault of kabench", d.Counts)}
}

func requests(d *results.Run, _ Limits) []string {
	switch {
	case d.Counts.Due > 0:
		return nil
	case d.Interrupted || !d.Complete:
		return []string{results.NothingMeasured}
	}
	return []string{"no request was due: raise load.duration or load.rate"}
}

func schedule(d *results.Run, l Limits) []string {
	s := standing{
		maxLag: l.MaxLag, maxInFlight: l.MaxInFlight, lagP99: d.Latency[results.LatencyLag].P99,
		due: d.Counts.Due, dropped: d.Counts.Dropped,
		schedule: d.Instrument.Schedule, machine: d.Instrument.Machine,
	}
	if d.Interrupted && l.Buffer > 0 && s.dropped > 0 {
		// What waited when the run was stopped was dropped then, whenever it had
		// arrived, and for nobody's fault.
		s.dropped, s.schedule.DroppedLate, s.schedule.DroppedSaturated = 0, 0, 0
		a := &d.Instrument.Arrivals
		a.Verdict, a.Why = results.ArrivalsNotTested, "when the run was stopped, requests waited in the buffer"
	}
	s.arrivals = d.Instrument.Arrivals
	overload, invalid := s.verdict()
	if d.Complete { // of a run that was cut off nobody has watched the seconds to their end
		d.Instrument.Schedule.Overload = overload
	}
	return invalid
}

// servers says which of kabench's own servers and links were later than load.max_lag
// allows the schedule to be: a FIN that is carried late lets more requests be
// lost than the timers say, and an answer that is late is no slowness of a pool.
func servers(d *results.Run, l Limits) (invalid []string) {
	judge := func(p99 float64, what string) {
		if l.MaxLag > 0 && p99 > l.MaxLag.Seconds() {
			invalid = append(invalid, fmt.Sprintf("%s came %v late or later, one in a hundred, and load.max_lag allows %v: what followed from it is this machine's doing; lower load.rate, or give this machine less else to do", what, seconds(p99), l.MaxLag))
		}
	}
	if d.Link != nil {
		judge(d.Link.LateP99, "what kabench's own link carries")
	}
	if d.Packets != nil {
		judge(d.Packets.LateP99, "what the private network carries")
	}
	if d.Lab != nil {
		judge(d.Lab.LateP99, "what kabench's own server does")
	}
	return invalid
}

// seconds is a figure of the document as a duration a person reads.
func seconds(s float64) time.Duration {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d > time.Second:
		return d.Round(10 * time.Millisecond)
	case d > 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}
