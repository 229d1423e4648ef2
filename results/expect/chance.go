package expect

import (
	"fmt"
	"math"
	"time"

	"github.com/kabench/kabench/results"
)

// TestedAgainst are the paths in expect that are to be not worse than the baseline
// run, and for percentiles the time from which on durations count.
func TestedAgainst(baseline *results.Run, expect map[string]string) map[string]time.Duration {
	tested := map[string]time.Duration{}
	for path, want := range expect {
		c, err := ParseCondition(want)
		if err != nil || c.Op != opNotWorse || c.LowOf.Of != ofBaseline {
			continue
		}
		v, err := Lookup(baseline, path)
		if err != nil || v.Why != "" {
			continue
		}
		tested[path] = 0
		if _, _, isPercentile := percentile(path); isPercentile {
			tested[path] = secondsOf(v.Number * c.LowOf.Share)
		}
	}
	return tested
}

// ChanceOf says how far the figure at path could be from what it is by the chance
// within run alone, its exchanges taken to be independent; "" when that cannot be
// said.
func ChanceOf(run *results.Run, path string) string {
	in := figures{run, References{}}
	v, err := Lookup(run, path)
	if err != nil || v.Why != "" {
		return ""
	}
	if name, rank, isPercentile := percentile(path); isPercentile {
		n := in.countOf(run, name)
		if n == 0 {
			return ""
		}
		// By order statistics: the true percentile lies between two of the durations, by rank.
		off := 1.96 * math.Sqrt(float64(n)*rank*(1-rank))
		few := math.Floor(float64(n) * (1 - rank))
		return fmt.Sprintf("its %s of %v rests on the %.0f longest of %s, of which %.0f to %.0f could as well be beyond it",
			path, v, few, results.FormatCount(n, "exchange"), max(0, math.Round(few-off)), math.Round(few+off))
	}
	part, whole := share(path)
	if part == "" {
		return ""
	}
	k, n := in.number(run, part), in.number(run, whole)
	lo, hi := results.Interval(k, n, 0.95)
	return fmt.Sprintf("its %s (%d of %d) could as well be %.0f to %.0f", path, k, n, math.Floor(lo*float64(n)), math.Ceil(hi*float64(n)))
}
