package text

import (
	"cmp"
	"math"
	"slices"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
)

// shift is a figure that a remedy changed.
type shift struct {
	path string
	a, b expect.Value
	by   float64
}

// shiftsOf lists the paths in the expectations of the incident and of the remedy whose values
// the remedy changed, the greatest change first. connections.opened is left out, because it
// has a figure of its own.
func shiftsOf(incident *results.Run, remedy *results.RemedyRun) (shifts []shift) {
	seen := map[string]bool{}
	for _, e := range slices.Concat(incident.Expect, remedy.Expect) {
		a, errA := expect.Lookup(incident, e.Path)
		b, errB := expect.Lookup(remedy.Run, e.Path)
		if seen[e.Path] || e.Path == "connections.opened" || errA != nil || errB != nil || a.Why != "" || b.Why != "" || a.Unit == results.UnitBool || a.Number == b.Number {
			continue
		}
		seen[e.Path] = true
		floor := 1.0 // a count of 0 is treated as 1
		if a.Unit != results.UnitCount {
			floor = 1e-3 // a change below a millisecond or a thousandth says little
		}
		shifts = append(shifts, shift{e.Path, a, b, math.Abs(math.Log(max(b.Number, floor) / max(a.Number, floor)))})
	}
	slices.SortStableFunc(shifts, func(x, y shift) int { return cmp.Compare(y.by, x.by) })
	return shifts
}

// ShiftedPath is the path of the figure that the best remedy of r changed the most; "" if
// there is none.
func ShiftedPath(r *results.Reproduction) string {
	remedy := bestRemedy(r)
	if remedy == nil {
		return ""
	}
	if shifts := shiftsOf(r.IncidentRun, remedy); len(shifts) > 0 {
		return shifts[0].path
	}
	return ""
}

// ValueAt returns the value of run at a path of expectations, also as printed. It is not known
// if run does not have it.
func ValueAt(run *results.Run, path string) (value results.Measure, shown string, known bool) {
	v, err := expect.Lookup(run, path)
	return results.Measure{Unit: v.Unit, Value: v.Number}, v.String(), err == nil && v.Why == ""
}

// shiftedFigures returns two figures for an incident that is not about failures: the two that
// the remedy changed the most.
func shiftedFigures(incident *results.Run, remedy *results.RemedyRun) []Figure {
	shifts := shiftsOf(incident, remedy)
	var figures []Figure
	for _, s := range shifts[:min(len(shifts), 2)] {
		figures = append(figures, Figure{
			Value: s.a.String() + " → " + s.b.String(),
			Label: s.path + ", before and after",
			Note:  "with the remedy “" + remedy.Remedy + "”",
		})
	}
	// These two complete the list if the remedy changed fewer than two paths.
	failed, response := failedFigure(incident), responseFigure(incident)
	failed.Label += " in the incident"
	response.Label += " in the incident"
	return append(figures, failed, response)[:2]
}
