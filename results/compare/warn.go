package compare

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"

	"github.com/kabench/kabench/results"
)

// warn adds what a reader must know beside the figures.
func (j *judge) warn() {
	warn := func(format string, args ...any) {
		j.c.Warnings = append(j.c.Warnings, fmt.Sprintf(format, args...))
	}
	made, least := 0, math.MaxInt
	var one []string
	for _, a := range j.arms {
		n := len(a.runs)
		if n > 0 {
			least = min(least, n)
		}
		if n == 1 {
			one = append(one, a.name)
		}
	}
	for _, p := range j.c.Pairs {
		for _, t := range p.Tests {
			if t.Method != "" {
				made++
			}
		}
	}
	switch alpha := (1 - j.c.Confidence) / 4 / 2 / float64(max(made-len(j.c.Pairs), 1)); { // a quarter is for most of them, in two looks
	case len(j.all) == 0: // the verdict says so
	case len(one) > 0:
		warn("one valid run only: %s; differences between runs cannot be told from differences between settings there, and only counts were tested, as of these very runs; %d runs each would do", strings.Join(one, ", "), repeatsFor(j.c))
	case leastP(least, least) > alpha:
		warn("with %d valid runs of the setting that has fewest, figures of runs are tested by t tests, which assume that they are normally distributed (times in their logarithms); %d runs each would do without", least, runsFor(alpha))
	}
	if seeded := j.seeded(); len(seeded) > 0 {
		warn("load.seed makes the same arrivals in all runs of %s, and the intervals do not say what others would do; take it out", strings.Join(seeded, ", "))
	}
	began, left := 0, 0
	for _, r := range j.c.Runs {
		if r.CoolDown != nil && r.CoolDown.TimeWait > 0 {
			began, left = began+1, max(left, r.CoolDown.TimeWait)
		}
	}
	if began > 0 {
		warn("%d of %d runs began with TIME_WAIT sockets to the target left from before, at most %d: their TIME_WAIT peaks and ports include them; raise --cool-down", began, len(j.c.Runs), left)
	}
}

// seeded are the arms with several runs, all of one seed.
func (j *judge) seeded() (names []string) {
	for _, a := range j.arms {
		seeds := map[uint64]bool{}
		for _, run := range a.docs() {
			var profile struct{ Load struct{ Seed uint64 } }
			if json.Unmarshal(run.Profile, &profile) != nil {
				profile.Load.Seed = 0
			}
			seeds[profile.Load.Seed] = true
		}
		if len(a.runs) > 1 && len(seeds) == 1 && !seeds[0] {
			names = append(names, a.name)
		}
	}
	return names
}

// measuresTested is about how many tests each pair comes to.
const measuresTested = 15

// repeatsFor is how many repeats would let the U test find a difference.
func repeatsFor(c *results.Comparison) int {
	return runsFor((1 - c.Confidence) / 4 / 2 / float64(measuresTested*max(len(c.Arms)-1, 1)))
}
