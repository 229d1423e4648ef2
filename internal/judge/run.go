package judge

import (
	"fmt"
	"strings"
	"time"

	"github.com/kabench/kabench/results"
)

// Limits are the load's fields that a run is judged by.
type Limits struct {
	MaxLag      time.Duration // load.max_lag; 0: lateness is not judged
	MaxInFlight int           // load.max_in_flight
	Limit       string        // the algorithm of an adaptive load.limit; "": MaxInFlight is the limit
	Buffer      int           // load.buffer
	Share       bool          // the run is one agent's share of another, which may be empty
}

// full says how many requests were in flight when one was dropped.
func (l Limits) full() string {
	if l.Limit != "" {
		return fmt.Sprintf("as many as load.limit (%s) allowed", l.Limit)
	}
	return fmt.Sprintf("%d (load.max_in_flight)", l.MaxInFlight)
}

// raise says what lets more requests be in flight.
func (l Limits) raise() string {
	if l.Limit != "" {
		return "A limit is there to drop what the target does not bear. Lower load.rate"
	}
	return "Raise load.max_in_flight"
}

// rules each return reasons why a run is invalid. A rule may also set what it
// decides in the document.
var rules = []func(*results.Run, Limits) (invalid []string){accounts, requests, agents, schedule, servers, driver}

// Run adds to d.Invalid the reasons why d is invalid, and sets d.Valid and
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
	return []string{fmt.Sprintf("the accounts do not balance: %+v; this is a bug in kabench", d.Counts)}
}

// nothingMeasured: a run that ended before its first request, or in its warm-up.
const nothingMeasured = "it ended before a request that counts was recorded, so that nothing was measured: run it again"

func requests(d *results.Run, l Limits) []string {
	switch {
	case d.Counts.Due > 0 || l.Share:
		return nil
	case d.Interrupted || !d.Complete:
		return []string{nothingMeasured}
	}
	return []string{"no request was due: raise load.duration or load.rate"}
}

func schedule(d *results.Run, l Limits) []string {
	s := standing{
		maxLag: l.MaxLag, full: l.full(), lagP99: d.Latency[results.LatencyLag].P99,
		due: d.Counts.Due, dropped: d.Counts.Dropped - min(d.LostArrivals(), d.Counts.Dropped),
		schedule: d.Instrument.Schedule, machine: d.Instrument.Machine,
	}
	if d.Interrupted && l.Buffer > 0 && s.dropped > 0 {
		// Requests that waited when the run was stopped were dropped at that moment, and
		// nothing was at fault.
		s.dropped, s.schedule.DroppedLate, s.schedule.DroppedSaturated = 0, 0, 0
		a := &d.Instrument.Arrivals
		a.Verdict, a.Why = results.ArrivalsNotTested, "when the run was stopped, requests waited in the buffer"
	}
	// What is counted by the second has the arrivals of lost agents too.
	s.schedule.DroppedLate, s.schedule.DroppedSaturated = min(s.schedule.DroppedLate, s.dropped), min(s.schedule.DroppedSaturated, s.dropped)
	s.arrivals = d.Instrument.Arrivals
	overload, invalid := s.verdict()
	if d.Complete { // how a run that was cut off kept to its schedule is not known
		d.Instrument.Schedule.Overload = overload
	}
	return invalid
}

// driver returns what a real client's driver did that no figure can stand for: it was late,
// it broke a rule of its protocol, or it ended.
func driver(d *results.Run, l Limits) (invalid []string) {
	r := d.Driver
	if r == nil {
		return nil
	}
	if l.MaxLag > 0 && r.Late.P99 > l.MaxLag.Seconds() {
		where := "it read them late"
		if r.Lag.P99 >= r.Pickup.P99 {
			where = "it held them before it made the client's call"
		}
		invalid = append(invalid, fmt.Sprintf("the driver of %s was late: 1 %% of the client's calls were made at least %s after kabench had handed the request over, because %s (load.max_lag is %v). kabench itself started 99 %% within %s. Lower load.rate or free up CPU",
			r.Client, results.FormatSeconds(r.Late.P99), where, l.MaxLag, results.FormatSeconds(d.Latency[results.LatencyLag].P99)))
	}
	for _, f := range r.Faults {
		invalid = append(invalid, fmt.Sprintf("the driver of %s broke the protocol, %s: %s (%s). What it reports cannot be relied on; 'kabench driver check' shows what it does",
			r.Client, times(f.Count), f.Name, f.Example))
	}
	if r.Ended != "" {
		invalid = append(invalid, fmt.Sprintf("the driver of %s ended during the run: %s", r.Client, r.Ended))
	}
	return invalid
}

// times writes how often something happened.
func times(n uint64) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// servers returns which of kabench's own servers, links and networks were later than
// load.max_lag allows the schedule to be. A FIN that is carried late lets more requests
// fail than the timers say, and a response that is late is not the pool's slowness.
func servers(d *results.Run, l Limits) []string {
	var list []string
	late := func(p99 float64, who, what string) {
		if l.MaxLag > 0 && p99 > l.MaxLag.Seconds() {
			list = append(list, fmt.Sprintf("%s was late: 1 %% of its %s by at least %s", who, what, results.FormatSeconds(p99)))
		}
	}
	if d.Link != nil {
		late(d.Link.LateP99, "kabench's built-in link", "deliveries")
	}
	if d.Packets != nil {
		late(d.Packets.LateP99, "the private network", "deliveries")
	}
	if d.Lab != nil {
		late(d.Lab.LateP99, "kabench's built-in server", "actions")
	}
	if list == nil {
		return nil
	}
	return []string{fmt.Sprintf("%s (load.max_lag is %v). Failures in this run may come from the busy machine. Lower load.rate or free up CPU", strings.Join(list, ", and "), l.MaxLag)}
}
