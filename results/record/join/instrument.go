package join

import "github.com/kabench/kabench/results"

// instrument joins what the run cost kabench. What each process takes is added; the
// figures of machines are the worst of any agent's. Schedule is not here: it follows
// from the seconds of all agents.
func (j *joiner) instrument() {
	var sum results.Instrument
	var goroutines, files bounds
	for _, p := range j.known {
		i := &p.Run.Instrument
		sum.CPUSeconds += i.CPUSeconds
		goroutines.add(i.PeakGoroutines)
		sum.PeakRSS += i.PeakRSS
		files.add(i.PeakOpenFiles)
		sum.GCPauses += i.GCPauses
		sum.GCPauseMax = max(sum.GCPauseMax, i.GCPauseMax)
		// The percentile of several lists together is not above the largest of theirs.
		sum.GCPauseP99 = max(sum.GCPauseP99, i.GCPauseP99)
		sum.Switches += i.Switches
		sum.Machine = worse(sum.Machine, i.Machine)
	}
	sum.PeakGoroutines, sum.PeakOpenFiles = goroutines.around(j.peaks.Goroutines), files.around(j.peaks.OpenFiles)
	sum.Arrivals = j.arrivals()
	j.run.Instrument = sum
}

// worse has the larger of each figure of two machines, which may be the same one.
func worse(a, b *results.Machine) *results.Machine {
	if a == nil || b == nil {
		if a == nil {
			a = b
		}
		if a == nil {
			return nil
		}
		one := *a
		return &one
	}
	return &results.Machine{
		Busy: max(a.Busy, b.Busy), BusyPeak: max(a.BusyPeak, b.BusyPeak), OwnPeak: max(a.OwnPeak, b.OwnPeak), Steal: max(a.Steal, b.Steal),
		RunQueue: max(a.RunQueue, b.RunQueue), Seconds: max(a.Seconds, b.Seconds), Saturated: max(a.Saturated, b.Saturated),
		Pressure: larger(a.Pressure, b.Pressure), Throttled: larger(a.Throttled, b.Throttled),
	}
}

func larger(a, b *float64) *float64 {
	if a == nil || b != nil && *b > *a {
		return b
	}
	return a
}

// arrivals is the least favourable of the agents' tests: each tests its own share.
func (j *joiner) arrivals() (worst results.Arrivals) {
	rank := map[string]int{results.ArrivalsFit: 1, results.ArrivalsNotTested: 2, results.ArrivalsMisfit: 3}
	for _, p := range j.known {
		a := p.Run.Instrument.Arrivals
		more := rank[a.Verdict] - rank[worst.Verdict]
		if more > 0 || more == 0 && (a.Distance != nil && worst.Distance != nil && *a.Distance > *worst.Distance ||
			a.OffP99 != nil && worst.OffP99 != nil && *a.OffP99 > *worst.OffP99) {
			worst = a
		}
	}
	return worst
}
