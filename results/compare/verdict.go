package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
)

// For every measure, less is better.

// p99 is the measure that the verdict uses after the failures.
const p99 = results.MeasureResponse + ".p99"

// at returns a measure of the arm.
func (j *judge) at(arm, measure string) results.Measure {
	i := slices.IndexFunc(j.c.Arms, func(a results.Arm) bool { return a.Name == arm })
	return j.c.Arms[i].Measures[measure]
}

// find returns the pair's test of the measure, or an empty one.
func find(p *results.Pair, measure string) *results.Test {
	i := slices.IndexFunc(p.Tests, func(t results.Test) bool { return t.Measure == measure })
	if i < 0 {
		return &results.Test{}
	}
	return &p.Tests[i]
}

// instead returns "1.2 ms instead of 3.4 ms": b's value and a's value.
func (j *judge) instead(p *results.Pair, t *results.Test) string {
	a, b := t.Unit.Text(j.at(p.A, t.Measure).Value), t.Unit.Text(j.at(p.B, t.Measure).Value)
	if a == b && t.EffectName == deltaName {
		return a + " is the median of both, but not equally often"
	}
	return b + " instead of " + a
}

// less reports whether b's value in t is below a's. Ranks may differ although the
// medians are equal: then the direction of most pairs of runs decides.
func less(t *results.Test) bool {
	return t.Difference < 0 || t.Difference == 0 && t.EffectName == deltaName && t.Effect < 0
}

// pairVerdict says what changes with setting b instead of a.
func (j *judge) pairVerdict(p *results.Pair) string {
	for _, a := range []string{p.A, p.B} {
		if why := j.empty(a); why != "" {
			return why
		}
	}
	said := j.stopped(p)
	fails := find(p, results.MeasureFailureRate)
	if fails.Differs {
		said = append(said, j.failuresDiffer(p, fails))
	}
	better, worse := j.others(p, fails)
	if len(better) > 0 {
		said = append(said, fmt.Sprintf("%s has less: %s.", p.B, strings.Join(better, ", ")))
	}
	if len(worse) > 0 {
		costs := "It costs"
		if len(better) == 0 && !fails.Differs || fails.Differs && !less(fails) {
			costs = p.B + " has more"
		}
		said = append(said, fmt.Sprintf("%s: %s.", costs, strings.Join(worse, ", ")))
	}
	if separated := j.separated(p); len(separated) > 0 {
		said = append(said, fmt.Sprintf("Different in every run, but the runs are too few or too different to rule out chance: %s.", strings.Join(separated, ", ")))
	}
	if !fails.Differs {
		said = append(said, j.failuresAlike(p, fails))
	}
	if t := find(p, p99); !t.Differs {
		said = append(said, j.unseen(p, t))
	}
	return strings.Join(said, " ")
}

// failuresDiffer is the sentence about failure rates that differ.
func (j *judge) failuresDiffer(p *results.Pair, fails *results.Test) string {
	more := "more"
	if less(fails) {
		more = "fewer"
	}
	return fmt.Sprintf("With %s %s requests fail than with %s: %s (adjusted p %s).", p.B, more, p.A, j.instead(p, fails), results.FormatP(fails.PAdjusted))
}

// failuresAlike is the sentence about failure rates that do not differ significantly.
func (j *judge) failuresAlike(p *results.Pair, fails *results.Test) string {
	if fails.Method == "" || !j.isSeparated(p, fails) {
		return j.unseen(p, fails)
	}
	return fmt.Sprintf("The failure rate differs in every run (%s with %s), but the runs are too few, or too different, to rule out chance (adjusted p %s); %s.",
		j.instead(p, fails), p.B, results.FormatP(fails.PAdjusted), j.more())
}

// others lists the other measures that differ: where b has less, and where b has more.
func (j *judge) others(p *results.Pair, fails *results.Test) (better, worse []string) {
	for i := range p.Tests {
		t := &p.Tests[i]
		if !t.Differs || t == fails || covered(t, fails) {
			continue
		}
		text := results.MeasureLabel(t.Measure) + " " + j.instead(p, t)
		if less(t) {
			better = append(better, text)
		} else {
			worse = append(worse, text)
		}
	}
	return better, worse
}

// separated lists the costs that are higher in every run of one arm than in every run of
// the other, although no test passes.
func (j *judge) separated(p *results.Pair) (list []string) {
	for i := range p.Tests {
		t := &p.Tests[i]
		if !t.Differs && t.Unit == results.UnitCount && j.isSeparated(p, t) {
			list = append(list, results.MeasureLabel(t.Measure)+" "+j.instead(p, t))
		}
	}
	return list
}

// separatedRuns is the smallest number of runs of each arm for which the verdict reports
// that every run of one arm had more than every run of the other. When a setting is
// compared with itself, at least one of three independent values comes out so by chance
// in 70 % of comparisons with 2 runs each, in 27 % with 3, and in 8 % with 4.
const separatedRuns = 4

// isSeparated reports whether every run of one arm had more than every run of the other,
// in at least separatedRuns runs of each.
func (j *judge) isSeparated(p *results.Pair, t *results.Test) bool {
	a, b := j.at(p.A, t.Measure).Per, j.at(p.B, t.Measure).Per
	return min(len(a), len(b)) >= separatedRuns && (slices.Max(a) < slices.Min(b) || slices.Max(b) < slices.Min(a))
}

// stopped names the arms of a pair with runs that abort_when stopped. These runs are
// in no measure, and were probably not the arm's best.
func (j *judge) stopped(p *results.Pair) (said []string) {
	for _, name := range []string{p.A, p.B} {
		if a := j.arm(name); a.stopped > 0 {
			said = append(said, fmt.Sprintf("abort_when stopped %d of %d runs of %s; its figures come from the other runs.", a.stopped, len(a.runs)+a.excluded, name))
		}
	}
	return said
}

// arm returns the arm with the name.
func (j *judge) arm(name string) *arm {
	return &j.arms[slices.IndexFunc(j.arms, func(a arm) bool { return a.name == name })]
}

// spoiled says why b is not recommended although its values are better than a's: the
// requests that would have made them worse are missing. "" if there is no such reason.
func (j *judge) spoiled(p *results.Pair) string {
	a, b := j.arm(p.A), j.arm(p.B)
	dropped := find(p, results.MeasureDropped)
	switch {
	case b.stopped*(len(a.runs)+a.excluded) > a.stopped*(len(b.runs)+b.excluded):
		return "more of its runs were stopped by abort_when"
	case dropped.Differs && !less(dropped):
		return "more requests were dropped, and never sent (" + j.instead(p, dropped) + ")"
	}
	return ""
}

// covered reports whether the rate of one way to fail changes in the same direction
// as the failure rate, so that the verdict need not repeat it.
func covered(t, fails *results.Test) bool {
	return strings.HasPrefix(t.Measure, results.MeasureFailureRate+".") && fails.Differs && less(t) == less(fails)
}

// empty returns the sentence about an arm without a valid run; "" if it has one.
func (j *judge) empty(name string) string {
	i := slices.IndexFunc(j.c.Arms, func(a results.Arm) bool { return a.Name == name })
	switch a := j.c.Arms[i]; {
	case a.Runs > 0:
		return ""
	case a.Excluded > 0 && j.arms[i].stopped == a.Excluded:
		return fmt.Sprintf("abort_when stopped every run of %s (%d), so it was not compared.", name, a.Excluded)
	case a.Excluded == 0:
		return fmt.Sprintf("%s was not run, so it was not compared.", name)
	case a.Excluded == 1:
		return fmt.Sprintf("The only run of %s was left out, so it was not compared.", name)
	default:
		return fmt.Sprintf("All %d runs of %s were left out, so it was not compared.", a.Excluded, name)
	}
}

// verdict recommends an arm, and names its cost.
func (j *judge) verdict() string {
	base := j.c.Arms[0].Name
	switch {
	case len(j.all) == 0 && j.c.Interrupted:
		return "Interrupted before there was a valid run: nothing was compared."
	case len(j.all) == 0:
		return "No run is valid, so nothing was compared."
	case j.empty(base) != "":
		return fmt.Sprintf("%s, the baseline, has no valid run, so nothing could be compared.", base)
	}
	var said []string
	judged := 0
	for _, p := range j.c.Pairs {
		if why := j.empty(p.B); why != "" {
			said = append(said, why)
		} else {
			judged++
		}
	}
	if judged == 0 {
		return strings.Join(append(said, "Nothing was compared."), " ")
	}
	fewer, more := j.differing(results.MeasureFailureRate)
	by := p99
	quick, slow := j.differing(by)
	if len(quick)+len(slow) == 0 {
		by = results.MeasureResponse + ".p50"
		quick, slow = j.differing(by)
	}
	at := by[strings.LastIndexByte(by, '.')+1:]
	quick = slices.DeleteFunc(quick, func(p *results.Pair) bool { return slices.Contains(more, p) })
	var aside []*results.Pair // better, but spoiled
	set := func(p *results.Pair) bool {
		spoiled := j.spoiled(p) != ""
		if spoiled && !slices.Contains(aside, p) {
			aside = append(aside, p)
		}
		return spoiled
	}
	fewer, quick = slices.DeleteFunc(fewer, set), slices.DeleteFunc(quick, set)
	switch {
	case len(fewer) > 0:
		said = append(said, j.recommend(fewer, "fails least", results.MeasureFailureRate))
	case len(quick) > 0:
		said = append(said, j.recommend(quick, "is fastest at "+at+" and does not fail significantly more", by))
	case len(aside) > 0:
		said = append(said, j.withheld(aside))
	case len(more)+len(slow) > 0 && judged == 1:
		said = append(said, fmt.Sprintf("Keep %s. %s", base, cmp.Or(slices.Concat(more, slow)...).Verdict))
	case len(more) > 0:
		said = append(said, fmt.Sprintf("Keep %s: no other setting fails less, or is measurably faster at %s without failing more; %s.", base, at, j.losers(more, results.MeasureFailureRate, " more requests fail")))
	case len(slow) > 0:
		said = append(said, fmt.Sprintf("Keep %s: %s, and the failures do not differ significantly.", base, j.losers(slow, by, " responses take longer at "+at)))
	default:
		said = append(said, j.alike())
	}
	return strings.Join(said, " ")
}

// differing returns the pairs whose second arm has less of a measure, and the pairs
// whose second arm has more.
func (j *judge) differing(measure string) (fewer, more []*results.Pair) {
	for i := range j.c.Pairs {
		p := &j.c.Pairs[i]
		switch t := find(p, measure); {
		case !t.Differs:
		case less(t):
			fewer = append(fewer, p)
		default:
			more = append(more, p)
		}
	}
	return fewer, more
}

// recommend names the best of the arms that are better than the first, and its cost.
func (j *judge) recommend(better []*results.Pair, how, by string) string {
	best := slices.MinFunc(better, func(x, y *results.Pair) int {
		return cmp.Or(cmp.Compare(j.at(x.B, by).Value, j.at(y.B, by).Value),
			cmp.Compare(j.at(x.B, p99).Value, j.at(y.B, p99).Value),
			cmp.Compare(j.at(x.B, results.MeasureOpened).Value, j.at(y.B, results.MeasureOpened).Value))
	})
	text := fmt.Sprintf("%s %s. %s", best.B, how, best.Verdict)
	if len(better) > 1 {
		var others []string
		for _, p := range better {
			if p != best {
				others = append(others, p.B)
			}
		}
		text += fmt.Sprintf(" Also better than %s: %s; these were not compared with %s.", j.c.Arms[0].Name, strings.Join(others, ", "), best.B)
	}
	return text
}

// withheld says why no setting is recommended although some have better values.
func (j *judge) withheld(aside []*results.Pair) string {
	var said []string
	for _, p := range aside {
		said = append(said, fmt.Sprintf("%s has better figures than %s, but is not recommended: %s.", p.B, p.A, j.spoiled(p)))
	}
	if len(aside) == 1 {
		said = append(said, aside[0].Verdict)
	}
	return strings.Join(said, " ")
}

// losers lists the arms that are worse than the first: "with x more requests fail
// (1 % instead of 0), with y (2 % instead of 0)".
func (j *judge) losers(pairs []*results.Pair, measure, what string) string {
	var list []string
	for _, p := range pairs {
		list = append(list, fmt.Sprintf("with %s%s (%s)", p.B, what, j.instead(p, find(p, measure))))
		what = ""
	}
	return strings.Join(list, ", ")
}

// alike says that neither failures nor times differ, which difference would have been
// detected, and which other measures differ.
func (j *judge) alike() string {
	text := fmt.Sprintf("No setting differs significantly from %s in failures or response time.", j.c.Arms[0].Name)
	if len(j.c.Pairs) == 1 {
		return j.c.Pairs[0].Verdict
	}
	worst := func(measure string) (float64, results.Unit) {
		most, unit := 0.0, results.UnitCount
		for i := range j.c.Pairs {
			if j.empty(j.c.Pairs[i].B) != "" {
				continue
			}
			p := &j.c.Pairs[i]
			t := find(p, measure)
			unit = t.Unit
			if !useful(t, j.at(p.A, measure), j.at(p.B, measure)) {
				most = math.Inf(1)
			}
			most = max(most, t.Detectable)
		}
		return most, unit
	}
	var would []string
	for _, name := range []string{results.MeasureFailureRate, p99} {
		if v, unit := worst(name); !math.IsInf(v, 0) && v > 0 {
			would = append(would, fmt.Sprintf("%s in %s", unit.Text(v), results.MeasureLabel(name)))
		}
	}
	if len(would) > 0 {
		text += fmt.Sprintf(" A difference of %s would have been detected in %.0f %% of such experiments.", strings.Join(would, ", or of "), 100*power)
	}
	var differ []string
	for i := range j.c.Pairs {
		p := &j.c.Pairs[i]
		for k := range p.Tests {
			if t := &p.Tests[k]; t.Differs {
				differ = append(differ, fmt.Sprintf("%s: %s %s", p.B, results.MeasureLabel(t.Measure), j.instead(p, t)))
			}
		}
	}
	if len(differ) > 0 {
		text += " These do differ: " + strings.Join(differ, "; ") + "."
	}
	return text
}
