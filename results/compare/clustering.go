package compare

import (
	"slices"

	"github.com/kabench/kabench/results"
)

// spans is the number of equal parts into which a run is cut to find clusters of
// failures or other counted events.
const spans = 20

// readParts cuts each of the arm's runs into spans and counts the events of each
// measure that a record can show.
func (a *arm) readParts(measures []measure) {
	a.parts = make([]map[string][]counted, len(a.runs))
	for i, r := range a.runs {
		if r.Dir != nil {
			a.parts[i] = r.read.partsOf(r, measures)
		}
	}
}

// reading is the result of reading a run's record. A comparison is judged after each
// of its runs, and reads each record only once.
type reading struct {
	measures []string // the measures of parts, in order
	parts    map[string][]counted
}

// partsOf calls the function partsOf only if the measures changed.
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

// partsOf reads the record of r as a stream; nil if there is no complete record.
// Each recorded success counts for the successes that the record left out.
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
		stands := uint64(1) // failures and re-sent requests are always recorded
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
	return parts
}

// within is how much the counts of m's events vary between the spans of the arm's
// runs, compared with independent events: 1 or more, with its degrees of freedom. df is
// 0 if phi is unknown, because a run has no complete record or the record does not show
// the event.
func (a *arm) within(m measure) (phi, df float64) {
	table := make([][]counted, 0, len(a.parts))
	for _, parts := range a.parts {
		if parts[m.name] == nil {
			return 1, 0
		}
		table = append(table, parts[m.name])
	}
	if phi, df = sharedRhythm(table); df == 0 {
		phi, df = dispersion(table)
	}
	return max(phi, 1), df
}

// sharedRhythm is Pearson's dispersion in a table of runs (rows) and spans
// (columns). Spans may differ if they do so in all runs alike: a rhythm of the load or
// the server is not a cluster. The count expected in a cell is row total × column total
// ÷ grand total, weighted by the cell's exchanges. With fewer than two runs that have
// events a rhythm cannot be detected, and df is 0.
func sharedRhythm(table [][]counted) (phi, df float64) {
	rows := make([]counted, len(table))
	columns := make([]counted, spans)
	var all counted
	for i, row := range table {
		for k, cell := range row {
			rows[i].add(cell)
			columns[k].add(cell)
			all.add(cell)
		}
	}
	r, c := withEvents(rows), withEvents(columns)
	if r < 2 || all.k == all.n {
		return 1, 0
	}
	df = float64((r - 1) * max(c-1, 1)) // one span in all runs: only a rhythm
	chi2 := 0.0
	for i, row := range table {
		for k, cell := range row {
			chi2 += cell.pearson(min(rows[i].rate()*columns[k].rate()/all.rate(), 1))
		}
	}
	return chi2 / df, df
}

// dispersion is Pearson's statistic divided by its degrees of freedom, for spans that
// should have the same rate within each run: 1 is chance, more means clusters. df is 0
// if phi is unknown.
func dispersion(table [][]counted) (phi, df float64) {
	chi2 := 0.0
	for _, row := range table {
		row = slices.DeleteFunc(slices.Clone(row), func(c counted) bool { return c.n == 0 })
		t := total(row)
		if len(row) < 2 || t.k == 0 || t.k == t.n {
			continue
		}
		for _, cell := range row {
			chi2 += cell.pearson(t.rate())
		}
		df += float64(len(row) - 1)
	}
	if df == 0 {
		return 1, 0
	}
	return chi2 / df, df
}

// pearson is the squared distance of c from the count expected at rate, divided by
// the variance of independent events.
func (c counted) pearson(rate float64) float64 {
	expected := rate * float64(c.n)
	if expected == 0 || rate == 1 {
		return 0
	}
	off := float64(c.k) - expected
	return off * off / (expected * (1 - rate))
}

func withEvents(list []counted) (n int) {
	for _, c := range list {
		if c.k > 0 {
			n++
		}
	}
	return n
}
