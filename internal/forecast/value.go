package forecast

import (
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// All is the document of everything that was played together, whole runs too. Counts are
// sums: see Count for what one run has.
func (r *Result) All(p *profiles.Profile) (*results.Run, error) {
	all := *r
	all.Whole = false
	if r.Whole {
		all.For = r.For * time.Duration(len(r.spans))
	}
	return all.Document(p, "")
}

// Count is how often something happens within For, by the path of a figure: on average over
// whole runs, otherwise what was counted. Races that were integrated count in place of
// failures if every failure is one; then the count need not be a whole number. known is
// false if path is not one of the figures.
func (r *Result) Count(path string) (count float64, known bool) {
	for _, n := range r.spans {
		v, has := n.figures()[path]
		count, known = count+v, known || has
	}
	if r.Whole {
		count /= float64(len(r.spans))
	}
	if path == "failures" && count == 0 && r.facts.neverResends() {
		if races := r.races(); races != nil {
			count = races.Expected
			if r.Whole {
				count /= float64(len(r.spans))
			}
		}
	}
	return count, known
}
