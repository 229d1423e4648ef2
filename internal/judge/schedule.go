package judge

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/results"
)

// standing is what is known of how a run kept to its schedule.
type standing struct {
	maxLag      time.Duration // load.max_lag; 0: nothing is judged
	maxInFlight int
	lagP99      float64 // seconds
	due         uint64
	dropped     uint64
	schedule    results.Punctuals
	machine     *results.Machine // nil: it does not tell
	arrivals    results.Arrivals
}

// ownShare is the share of what was due that may be dropped through kabench's
// or the machine's fault in a run that is valid: one in a hundred, as lag's 99th
// percentile allows one in a hundred to be late.
const ownShare = 0.01

// verdict says whose fault an overload was, "" when there was none, and the
// reasons why the run may not be believed.
//
// An open loop drops for one of two reasons that could not differ more, and
// both look alike in the accounts: load.max_in_flight requests were under way.
// If the target, or the pool's cap and queue, held them, that is the finding
// for which the run was made: the system does not bear this load, so much of
// it had to be turned away, and what was started was started on time. If kabench
// or the machine held them, the run says nothing of the target. What tells the
// two apart:
//
//   - kabench late in the second in which it dropped (more than one in a hundred
//     beyond max_lag): it sent late requests all at once, or had no time to read
//     the answers that were there. Its drops are its own.
//   - no core free in that second (the machine 95 % busy or more, kabench using
//     95 % of what it may use, or its control group throttled): answers waited
//     for a core, on this machine the server's too. Slowness is then no property
//     of the target, even if it might have been slow as well; the run cannot
//     tell, so it may not be believed.
//   - else kabench was on time with cores to spare, and waited: the target's.
//
// The seconds are told apart one by one, because a run may meet both. What was
// dropped for the first two reasons spoils the run when it is more than one in a
// hundred of what was due, or a single dense moment of a long run would.
//
// Lag above max_lag needs no such care: it is measured before the target is
// asked anything. A busy machine explains it, and excuses nothing.
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
			"kabench could not keep to its schedule: one request in a hundred started %v late or later, and load.max_lag allows %v%s; lower load.rate, or give this machine less else to do",
			seconds(s.lagP99), s.maxLag, s.held()))
	}
	if lost {
		whose := "kabench was behind its own schedule"
		if overload == results.OverloadMachine {
			whose = "no core of this machine was free"
		}
		text := fmt.Sprintf("%d of %d requests were due and never started (load.max_in_flight %d were under way), %d of them while %s: that the target was slow cannot be said",
			s.dropped, s.due, s.maxInFlight, own, whose)
		if !late {
			text += s.held()
		}
		invalid = append(invalid, text+"; lower load.rate, or give kabench more cores, and the target a machine of its own")
	}
	if s.arrivals.Verdict == results.ArrivalsMisfit {
		invalid = append(invalid, s.misfit())
	}
	return overload, invalid
}

// mostlySaturated reports whether no core was free in half of the seconds.
func (s standing) mostlySaturated() bool {
	return s.machine != nil && s.machine.Seconds > 0 && 2*s.machine.Saturated >= s.machine.Seconds
}

// held is the highest rate that was held, to go on with after a comma.
func (s standing) held() string {
	switch {
	case s.schedule.HeldRate > 0:
		return fmt.Sprintf("; it held %.0f/s", s.schedule.HeldRate)
	case s.schedule.Seconds > 0:
		return fmt.Sprintf("; it held no whole second of its schedule, and %.0f/s got through", s.schedule.Through)
	}
	return ""
}

func (s standing) misfit() string {
	a := s.arrivals
	gaps := "the gaps between them"
	if a.Span > 1 {
		gaps = fmt.Sprintf("the time that %d of them took", a.Span)
	}
	how := ""
	switch {
	case a.Distance != nil:
		how = fmt.Sprintf("is %.2f away from the law's distribution in %d values (by chance with p %.2g)", *a.Distance, a.Count, *a.P)
	case a.OffP99 != nil:
		how = fmt.Sprintf("was off by %v or more once in a hundred times", seconds(*a.OffP99))
	}
	return fmt.Sprintf("requests did not arrive as %s arrivals do: %s %s, so the target met other traffic than asked for; lower load.rate, or give this machine less else to do", a.Law, gaps, how)
}
