package compare

import (
	"slices"

	"github.com/kabench/kabench/results"
)

// spans is into how many parts of equal length a run is cut to see whether what is
// counted comes in groups.
const spans = 20

// readParts cuts each of the arm's runs into spans and counts, for each measure
// that can be told from a record, how often it was met in each.
func (a *arm) readParts(measures []measure) {
	a.parts = make([]map[string][]counted, len(a.runs))
	for i, r := range a.runs {
		if r.Dir != nil {
			a.parts[i] = r.read.partsOf(r, measures)
		}
	}
}

// reading is what was read of a run's record. A comparison that goes on is judged
// after each of its runs, and reads each record once.
type reading struct {
	measures []string // that the parts are of, in order
	parts    map[string][]counted
}

// partsOf is the function of that name, of a record that is read once.
func (r *reading) partsOf(run Run, measures []measure) map[string][]counted {
	var names []string
	for _, m := range measures {
		if m.event != nil {
			names = append(names, m.name)
		}
	}
	if r.parts == nil || !slices.Equal(names, r.measures) {
		r.measures, r.parts = names, partsOf(run, measures)
	}
	return r.parts
}

// partsOf reads the record of r as a stream; nil when it has none that is whole.
// Exchanges that the record left out count through those that stand for them.
func partsOf(r Run, measures []measure) map[string][]counted {
	length := r.Doc.End.Sub(r.Doc.Start)
	if length <= 0 || r.Doc.Recording.Error != "" {
		return nil
	}
	measures = slices.DeleteFunc(slices.Clone(measures), func(m measure) bool { return m.event == nil })
	parts := make(map[string][]counted, len(measures))
	for _, m := range measures {
		parts[m.name] = make([]counted, spans)
	}
	oneIn := max(r.Doc.Recording.SuccessesOneIn, 1)
	for e, err := range r.Dir.Exchanges() {
		if err != nil {
			return nil
		}
		if e.WarmUp || e.Phase == results.PhaseSchedule || e.Cause == results.CauseAborted {
			continue
		}
		stands := uint64(1) // failures, and what was sent again, are always recorded
		if e.OK() && len(e.Tries) == 0 {
			stands = oneIn
		}
		span := min(max(int(float64(e.Due)/float64(length)*spans), 0), spans-1)
		for _, m := range measures {
			p := &parts[m.name][span]
			p.n += stands
			if m.event(e) {
				p.k += stands
			}
		}
	}
	for name, list := range parts {
		parts[name] = slices.DeleteFunc(list, func(p counted) bool { return p.n == 0 })
	}
	return parts
}

// within is how much what m counts differs between the parts of the arm's runs, at
// least 1: how many come together. It is not known when a run has no record, or
// the record does not say.
func (a *arm) within(m measure) (phi float64, known bool) {
	samples := make([][]counted, 0, len(a.parts))
	for _, parts := range a.parts {
		if parts[m.name] == nil {
			return 1, false
		}
		samples = append(samples, parts[m.name])
	}
	phi, _ = dispersion(samples...)
	return max(phi, 1), len(samples) > 0
}
