package join

import (
	"cmp"
	"reflect"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
)

// mostErrors is how many different errors of real clients a joined run has.
const mostErrors = 100

// driver joins what was seen of the agents' real clients: counts are added, and what cannot
// be added is that of the agent whose driver was the latest.
func (j *joiner) driver() {
	var sum *results.DriverSeen
	var ended []string
	for _, p := range j.known {
		d := p.Run.Driver
		if d == nil {
			continue
		}
		if d.Ended != "" {
			ended = append(ended, "agent "+Name(&p.Agent)+": "+d.Ended)
		}
		if sum == nil {
			first := *d
			first.Faults, first.Errors = slices.Clone(d.Faults), slices.Clone(d.Errors)
			if d.WarmUp != nil {
				warm := *d.WarmUp
				first.WarmUp = &warm
			}
			sum = &first
			continue
		}
		addDriver(sum, d)
	}
	if sum == nil {
		return
	}
	slices.SortStableFunc(sum.Errors, func(a, b results.DriverError) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Seq, b.Seq))
	})
	sum.Errors = sum.Errors[:min(len(sum.Errors), mostErrors)]
	sum.Ended = strings.Join(ended, "; ")
	j.run.Driver = sum
}

// addDriver adds what was seen of another agent's driver to sum.
func addDriver(sum, d *results.DriverSeen) {
	if d.Late.P99 > sum.Late.P99 {
		sum.Late, sum.Pickup, sum.Lag = d.Late, d.Pickup, d.Lag
	}
	sum.ClockError = max(sum.ClockError, d.ClockError)
	sum.Dispatched += d.Dispatched
	sum.Answered += d.Answered
	sum.Looked, sum.Counted = sum.Looked && d.Looked, sum.Counted && d.Counted
	sum.Arrived += d.Arrived
	sum.Resends += d.Resends
	sum.Disagreements += d.Disagreements
	if d.WarmUp != nil && sum.WarmUp != nil {
		sum.WarmUp.Requests += d.WarmUp.Requests
		sum.WarmUp.Failed += d.WarmUp.Failed
		sum.WarmUp.Seconds = max(sum.WarmUp.Seconds, d.WarmUp.Seconds)
	}
	for _, f := range d.Faults {
		if i := slices.IndexFunc(sum.Faults, func(s results.DriverFault) bool { return s.Name == f.Name }); i >= 0 {
			sum.Faults[i].Count += f.Count
			continue
		}
		sum.Faults = append(sum.Faults, f)
	}
	for _, e := range d.Errors {
		if i := slices.IndexFunc(sum.Errors, func(s results.DriverError) bool { return sameError(s, e) }); i >= 0 {
			sum.Errors[i].Count += e.Count
			sum.Errors[i].Seq = min(sum.Errors[i].Seq, e.Seq)
			continue
		}
		sum.Errors = append(sum.Errors, e)
	}
}

// sameError reports whether a and b differ in nothing but how often they came.
func sameError(a, b results.DriverError) bool {
	a.Count, a.Seq = b.Count, b.Seq
	return reflect.DeepEqual(a, b)
}
