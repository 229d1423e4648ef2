package judge

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/results"
)

// standing is what is known about how well a run kept to its schedule.
type standing struct {
	maxLag   time.Duration // load.max_lag; 0: nothing is judged
	full     string        // how many requests were in flight when one was dropped
	lagP99   float64       // seconds
	due      uint64
	dropped  uint64 // without those of lost agents
	schedule results.ScheduleKept
	machine  *results.Machine // nil: not known
	arrivals results.Arrivals
}

// ownShare is the share of the requests due that may be dropped through the fault of
// kabench or the machine in a valid run: one in a hundred, as the 99th percentile of lag
// allows one in a hundred to be late.
const ownShare = 0.01

// verdict returns who was overloaded, "" for nobody, and the reasons why the run is
// invalid.
//
// An open loop drops a request because load.max_in_flight requests are in flight. Two
// causes look alike in the accounts and mean opposite things. If the target, or the
// pool's cap and queue, held those requests, that is the finding: the system does not
// bear this load, and what was started was started on time. If kabench or the machine
// held them, the run says nothing about the target. Each second with drops is sorted by
// what is known about it:
//
//   - kabench was late (more than one in a hundred requests beyond max_lag): it sent late
//     requests all at once, or did not read responses that were there. The drops are
//     kabench's.
//   - the CPU was saturated (the machine 95 % busy or more, kabench using 95 % of its
//     cores, or its control group throttled): responses waited for a core, those of a
//     server on this machine too. The target may have been slow as well; the run cannot
//     tell, so it is invalid.
//   - otherwise kabench was on time with cores to spare, and waited: the drops are the
//     target's.
//
// A run may have seconds of each kind. Drops of the first two kinds make it invalid when
// they are more than one in a hundred of the requests due; otherwise a single dense
// moment of a long run would.
//
// Lag above max_lag needs no such care: it is measured before the target is involved. A
// busy machine explains it and does not excuse it.
func (s standing) verdict() (overload string, invalid []string) {
	late := s.maxLag > 0 && s.lagP99 > s.maxLag.Seconds()
	own := max(s.schedule.DroppedLate, s.schedule.DroppedSaturated) // a second can be both
	lost := own > 0 && float64(own) > ownShare*float64(s.due)
	switch {
	case late && s.mostlySaturated(), !late && lost && s.schedule.DroppedSaturated >= s.schedule.DroppedLate:
		overload = results.OverloadMachine
	case late, lost:
		overload = results.OverloadKabench
	case s.dropped > 0:
		overload = results.OverloadTarget
	}
	if s.maxLag <= 0 {
		return overload, nil
	}
	if late {
		invalid = append(invalid, fmt.Sprintf(
			"kabench fell behind: 1 %% of requests started at least %s late (load.max_lag is %v)%s. Lower load.rate or free up CPU",
			results.FormatSeconds(s.lagP99), s.maxLag, s.held()))
	}
	if lost {
		while := "kabench itself was late"
		if overload == results.OverloadMachine {
			while = "the CPU was saturated"
		}
		text := fmt.Sprintf("%d of %d requests were never started, because %s were in flight. %d of them were due while %s, so the target may not be the cause",
			s.dropped, s.due, s.full, own, while)
		if !late {
			text += s.held()
		}
		invalid = append(invalid, text+". Lower load.rate, add cores, or move the target to another machine")
	}
	if s.arrivals.Verdict == results.ArrivalsMisfit {
		invalid = append(invalid, s.misfit())
	}
	return overload, invalid
}

// mostlySaturated reports whether the CPU was saturated in at least half of the seconds.
func (s standing) mostlySaturated() bool {
	return s.machine != nil && s.machine.Seconds > 0 && 2*s.machine.Saturated >= s.machine.Seconds
}

// held returns a sentence about the rate that was kept up on time, with the full stop
// before it; "" if nothing is known.
func (s standing) held() string {
	switch {
	case s.schedule.HeldRate > 0:
		return fmt.Sprintf(". Up to %.0f/s was on time", s.schedule.HeldRate)
	case s.schedule.Seconds > 0:
		return fmt.Sprintf(". No whole second was on time, and %.0f/s got through", s.schedule.Through)
	}
	return ""
}

func (s standing) misfit() string {
	a := s.arrivals
	gaps := "gaps between requests"
	if a.Span > 1 {
		gaps = fmt.Sprintf("times that %d requests took to arrive", a.Span)
	}
	how := ""
	switch {
	case a.Distance != nil:
		how = fmt.Sprintf("the distribution of %d %s is %.2f away from what the law says (p %.2g)", a.Count, gaps, *a.Distance, *a.P)
	case a.OffP99 != nil:
		how = fmt.Sprintf("1 %% of the %s were off by at least %s", gaps, results.FormatSeconds(*a.OffP99))
	}
	return fmt.Sprintf("requests did not arrive as %s arrivals do: %s. The target received other traffic than the profile asks for. Lower load.rate or free up CPU", a.Law, how)
}
