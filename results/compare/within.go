package compare

import (
	"time"

	"github.com/kabench/kabench/results"
)

// spans is into how many parts of equal length a run is cut to see whether its
// failures come in groups.
const spans = 20

// within is the dispersion of failures over the parts of the arm's only run, as
// its record has them, at least 1; nil when there is no record to read.
func (a *arm) within() *float64 {
	if a.phi == nil && len(a.runs) == 1 && a.runs[0].Dir != nil {
		if phi, known := dispersionWithin(a.runs[0]); known {
			a.phi = &phi
		}
	}
	return a.phi
}

// dispersionWithin reads the record of r as a stream. Exchanges that the
// record left out count through those that stand for them.
func dispersionWithin(r Run) (phi float64, known bool) {
	end := r.Doc.End.Sub(r.Doc.Start)
	if end <= 0 || r.Doc.Recording.Error != "" {
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
		p := &parts[min(max(int(e.Due*spans/max(end, time.Nanosecond)), 0), spans-1)]
		switch {
		case e.Phase != results.PhaseDone:
			p.k++
			p.n++
		case len(e.Tries) > 0:
			p.n++ // always recorded
		default:
			p.n += oneIn
		}
	}
	var filled []counted
	for _, p := range parts {
		if p.n > 0 {
			filled = append(filled, p)
		}
	}
	phi, _ = dispersion(filled)
	return max(phi, 1), true
}
