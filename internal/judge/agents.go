package judge

import (
	"fmt"
	"math"

	"github.com/kabench/kabench/results"
)

// maxSkew is how far from the agreed moment an agent may begin its schedule, in seconds,
// beyond the error with which its clock is known.
const maxSkew = 0.001

// agents returns which agents did not begin when it was agreed. Why the runs of agents are
// invalid by themselves is in d.Invalid already.
func agents(d *results.Run, _ Limits) (invalid []string) {
	for _, a := range d.Agents {
		if off := math.Abs(a.Clock.Skew); off > maxSkew+a.Clock.Error {
			invalid = append(invalid, fmt.Sprintf("agent %s (%d) began its schedule %s from the agreed start (its clock is known within %s, and 1 ms is allowed beyond that). Free up its CPU, or see whether something sets its clock",
				a.Name, a.Index, results.FormatSeconds(off), results.FormatSeconds(a.Clock.Error)))
		}
	}
	return invalid
}

// lost is how many of the requests that count were dropped because their agent was lost. No
// load explains them: the run says how many they are, and stays valid.
func lost(d *results.Run) (n uint64) {
	for _, o := range d.Outcomes {
		if o.Phase == results.PhaseSchedule && o.Cause == results.CauseAgentLost {
			n += o.Count
		}
	}
	return n
}
