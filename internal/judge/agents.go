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
	if d.LostArrivals() > 0 && d.Counts.Started == 0 {
		invalid = append(invalid, "every agent that had something to send was lost before it sent it: run it again")
	}
	for _, a := range d.Agents {
		if off := math.Abs(a.Clock.Skew); off > maxSkew+a.Clock.Error {
			invalid = append(invalid, fmt.Sprintf("agent %s (%d) began its schedule %s from the agreed start (its clock is known within %s, and 1 ms is allowed beyond that). Free up its CPU, or see whether something sets its clock",
				a.Name, a.Index, results.FormatSeconds(off), results.FormatSeconds(a.Clock.Error)))
		}
	}
	return invalid
}
