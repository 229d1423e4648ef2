package compare

import (
	"slices"

	"github.com/kabench/kabench/results"
)

// spans is into how many parts of equal length a run is cut to see whether its
// failures come in groups.
const spans = 20

// within is how much what m counts differs between the parts of the arm's only
// run, as its record has them, at least 1; nil when there is no record to read, or
// the record does not say.
func (a *arm) within(m measure) *float64 {
	if m.event == nil || len(a.runs) != 1 || a.runs[0].Dir == nil {
		return nil
	}
	phi, looked := a.phi[m.name]
	if !looked {
		if found, known := dispersionWithin(a.runs[0], m.event); known {
			phi = &found
		}
		if a.phi == nil {
			a.phi = map[string]*float64{}
		}
		a.phi[m.name] = phi
	}
	return phi
}

// dispersionWithin reads the record of r as a stream. Exchanges that the record
// left out count through those that stand for them.
func dispersionWithin(r Run, event func(*results.Exchange) bool) (phi float64, known bool) {
	length := r.Doc.End.Sub(r.Doc.Start)
	if length <= 0 || r.Doc.Recording.Error != "" {
		return 1, false
	}
	oneIn := max(r.Doc.Recording.SuccessesOneIn, 1)
	parts := make([]counted, spans)
	for e, err := range r.Dir.Exchanges() {
		if err != nil {
			return 1, false
		}
		if e.WarmUp || e.Phase == results.PhaseSchedule || e.Cause == results.CauseAborted {
			continue
		}
		stands := uint64(1) // failures, and what was sent again, are always recorded
		if e.OK() && len(e.Tries) == 0 {
			stands = oneIn
		}
		p := &parts[min(max(int(float64(e.Due)/float64(length)*spans), 0), spans-1)]
		p.n += stands
		if event(e) {
			p.k += stands
		}
	}
	parts = slices.DeleteFunc(parts, func(p counted) bool { return p.n == 0 })
	phi, _ = dispersion(parts)
	return max(phi, 1), true
}
