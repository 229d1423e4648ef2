package expect

import (
	"fmt"
	"math"
	"time"

	"github.com/kabench/kabench/results"
)

// TestedAgainst returns the paths in expect whose condition is "not worse than
// baseline". For a percentile it adds the limit of the test, which counts durations
// longer than this limit; for other paths the limit is 0.
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

// ChanceOf describes in words how much chance within this run alone could have
// changed the figure at path. It assumes that the exchanges are independent. It
// returns "" if it cannot compute this.
func ChanceOf(run *results.Run, path string) string {
	in := figures{own: run}
	v, err := Lookup(run, path)
	if err != nil || v.Why != "" {
		return ""
	}
	if name, rank, isPercentile := percentile(path); isPercentile {
		n := in.countOf(run, name)
		if n == 0 {
			return ""
		}
		// By order statistics: the true percentile lies between two durations, and their ranks follow
		// from the binomial distribution.
		off := 1.96 * math.Sqrt(float64(n)*rank*(1-rank))
		few := math.Floor(float64(n) * (1 - rank))
		return fmt.Sprintf("its %s of %v rests on the %.0f longest of %s, and %.0f to %.0f could as well be beyond it",
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
