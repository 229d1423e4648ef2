package compare

import (
	"fmt"
	"math"
	"strings"

	"github.com/kabench/kabench/results"
)

// warn adds warnings that a reader needs to judge the values.
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
	switch alpha := (1 - j.c.Confidence) / 4 / 2 / float64(max(made-len(j.c.Pairs), 1)); { // most questions share a quarter, in two tests
	case len(j.all) == 0: // the verdict says so
	case len(one) > 0:
		warn("one valid run only: %s. Its differences may come from the run instead of the setting, and only counts were tested, for these runs alone; %d runs each are enough", strings.Join(one, ", "), repeatsFor(j.c))
	case leastP(least, least) > alpha:
		warn("with %d valid runs of a setting, values are tested by t tests, which assume a normal distribution (of the logarithms of times); %d runs each make this assumption unnecessary", least, runsFor(alpha))
	}
	if seeded := j.seeded(); len(seeded) > 0 {
		warn("load.seed makes the same arrivals in all runs of %s, so the intervals do not cover other arrivals; remove load.seed", strings.Join(seeded, ", "))
	}
	began, left := 0, 0
	for _, r := range j.c.Runs {
		if r.CoolDown != nil && r.CoolDown.TimeWait > 0 {
			began, left = began+1, max(left, r.CoolDown.TimeWait)
		}
	}
	if began > 0 {
		warn("%d of %d runs began with TIME_WAIT sockets of earlier runs, at most %d: their TIME_WAIT peaks and ports include these; raise --cool-down", began, len(j.c.Runs), left)
	}
	if dirs, most := j.lost(); len(dirs) > 0 {
		warn("agents were lost in %d of %d runs, with at most %s of the requests of one: %s. Nobody else sent these requests, so the load was a little lower", len(dirs), len(j.c.Runs), results.FormatPercent(most), strings.Join(dirs[:min(len(dirs), mostSaid)], ", "))
	}
}

// lost lists the runs in the measures that lack requests of lost agents,
// and the largest share that one of them lacks.
func (j *judge) lost() (dirs []string, most float64) {
	for i, r := range j.c.Runs {
		if run := j.runs[i].Doc; r.Excluded == "" && run.LostArrivals() > 0 {
			dirs, most = append(dirs, r.Dir), max(most, float64(run.LostArrivals())/float64(run.Counts.Due))
		}
	}
	return dirs, most
}

// seeded lists the arms with several runs that all have the same seed.
func (j *judge) seeded() (names []string) {
	for _, a := range j.arms {
		seeds := map[uint64]bool{}
		for _, run := range a.docs() {
			seeds[results.SetupOf(run).Seed] = true
		}
		if len(a.runs) > 1 && len(seeds) == 1 && !seeds[0] {
			names = append(names, a.name)
		}
	}
	return names
}

// measuresTested is the approximate number of tests of each pair.
const measuresTested = 15

// repeatsFor is how many repeats the U test needs to find a difference.
func repeatsFor(c *results.Comparison) int {
	return runsFor((1 - c.Confidence) / 4 / 2 / float64(measuresTested*max(len(c.Arms)-1, 1)))
}
