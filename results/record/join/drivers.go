package join

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/kabench/kabench/results"
)

// maxErrors is how many error texts of drivers a joined document has.
const maxErrors = 200

// drivers joins what was seen of a real client's drivers, each agent's own. How late they
// were follows from histograms, which are not here: of Late, Pickup and Lag the joined
// document has those of the agent that was latest.
func (j *joiner) drivers() {
	for _, p := range j.known {
		one := p.Run.Driver
		if one == nil {
			continue
		}
		sum := j.run.Driver
		if sum == nil {
			first := *one
			first.Gauges, first.Faults, first.Errors, first.WarmUp, first.Ended = slices.Clone(one.Gauges), nil, nil, nil, ""
			first.ClockError, first.Dispatched, first.Answered, first.Arrived, first.Resends, first.Disagreements = 0, 0, 0, 0, 0, 0
			first.Looked, first.Counted = true, true
			sum = &first
			j.run.Driver = sum
		}
		if one.Client != sum.Client || one.Version != sum.Version || one.Runtime != sum.Runtime {
			j.odd = append(j.odd, fmt.Sprintf("agent %s drives %s %s (%s), and others %s %s (%s): their figures are of different clients",
				Name(&p.Agent), one.Client, one.Version, one.Runtime, sum.Client, sum.Version, sum.Runtime))
		}
		if !p.Run.Complete {
			continue // what it has seen is written at the end of a run
		}
		if one.Late.P99 > sum.Late.P99 {
			sum.Late, sum.Pickup, sum.Lag = one.Late, one.Pickup, one.Lag
		}
		sum.ClockError = max(sum.ClockError, one.ClockError)
		sum.Dispatched += one.Dispatched
		sum.Answered += one.Answered
		sum.Arrived += one.Arrived
		sum.Resends += one.Resends
		sum.Disagreements += one.Disagreements
		sum.Looked, sum.Counted = sum.Looked && one.Looked, sum.Counted && one.Counted
		sum.Gauges = slices.DeleteFunc(sum.Gauges, func(g string) bool { return !slices.Contains(one.Gauges, g) })
		if w := one.WarmUp; w != nil {
			if sum.WarmUp == nil {
				sum.WarmUp = &results.DriverWarmUp{}
			}
			sum.WarmUp.Requests += w.Requests
			sum.WarmUp.Failed += w.Failed
			sum.WarmUp.Seconds = max(sum.WarmUp.Seconds, w.Seconds)
		}
		sum.Faults, sum.Errors = addFaults(sum.Faults, one.Faults), addErrors(sum.Errors, one.Errors)
		if one.Ended != "" {
			if sum.Ended != "" {
				sum.Ended += "; "
			}
			sum.Ended += "agent " + Name(&p.Agent) + ": " + one.Ended
		}
	}
	if d := j.run.Driver; d != nil {
		slices.SortStableFunc(d.Errors, func(a, b results.DriverError) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Seq, b.Seq))
		})
		d.Errors = append([]results.DriverError{}, d.Errors[:min(len(d.Errors), maxErrors)]...)
		d.Faults = append([]results.DriverFault{}, d.Faults...)
	}
}

func addFaults(to, from []results.DriverFault) []results.DriverFault {
	for _, f := range from {
		if i := slices.IndexFunc(to, func(o results.DriverFault) bool { return o.Name == f.Name }); i >= 0 {
			to[i].Count += f.Count
			continue
		}
		to = append(to, f)
	}
	return to
}

// addErrors adds the counts of errors with the same words, the same causes, and the same
// outcome as seen.
func addErrors(to, from []results.DriverError) []results.DriverError {
	same := func(a, b *results.DriverErrorOutcome) bool { return a == b || a != nil && b != nil && *a == *b }
	for _, e := range from {
		i := slices.IndexFunc(to, func(o results.DriverError) bool {
			return o.Class == e.Class && o.Text == e.Text && slices.Equal(o.Causes, e.Causes) && same(o.Wire, e.Wire) && same(o.Words, e.Words)
		})
		if i < 0 {
			to = append(to, e)
			continue
		}
		to[i].Count += e.Count
		to[i].Seq = min(to[i].Seq, e.Seq)
	}
	return to
}
