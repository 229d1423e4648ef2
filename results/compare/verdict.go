package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
)

// Of every measure less is better.

// p99 is the time that the verdict looks at after the failures.
const p99 = results.MeasureResponse + ".p99"

// at is a measure of an arm.
func (j *judge) at(arm, measure string) results.Measure {
	i := slices.IndexFunc(j.c.Arms, func(a results.Arm) bool { return a.Name == arm })
	return j.c.Arms[i].Measures[measure]
}

// find is the test of a measure of a pair.
func find(p *results.Pair, measure string) *results.Test {
	i := slices.IndexFunc(p.Tests, func(t results.Test) bool { return t.Measure == measure })
	if i < 0 {
		return &results.Test{}
	}
	return &p.Tests[i]
}

// instead is "1.2 ms instead of 3.4 ms": b's figure and a's.
func (j *judge) instead(p *results.Pair, t *results.Test) string {
	a, b := t.Unit.Text(j.at(p.A, t.Measure).Value), t.Unit.Text(j.at(p.B, t.Measure).Value)
	if a == b && t.EffectName == deltaName {
		return a + " in the middle of both, but not as often"
	}
	return b + " instead of " + a
}

// less reports whether b has less of what t is of than a. Ranks may tell apart what
// has the same median: then it is the direction in which most pairs of runs lie.
func less(t *results.Test) bool {
	return t.Difference < 0 || t.Difference == 0 && t.EffectName == deltaName && t.Effect < 0
}

// pairVerdict says what setting b instead of a changes.
func (j *judge) pairVerdict(p *results.Pair) string {
	for _, a := range []string{p.A, p.B} {
		if why := j.empty(a); why != "" {
			return why
		}
	}
	said := j.stopped(p)
	fails := find(p, results.MeasureFailureRate)
	var better, worse []string
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
	switch {
	case fails.Differs && less(fails):
		said = append(said, fmt.Sprintf("With %s fewer requests fail than with %s: %s (adjusted p %s).", p.B, p.A, j.instead(p, fails), results.FormatP(fails.PAdjusted)))
	case fails.Differs:
		said = append(said, fmt.Sprintf("With %s more requests fail than with %s: %s (adjusted p %s).", p.B, p.A, j.instead(p, fails), results.FormatP(fails.PAdjusted)))
	}
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
	if apart := j.apart(p); len(apart) > 0 {
		said = append(said, fmt.Sprintf("Different in every run, but the runs are too few or too different to rule out chance: %s.", strings.Join(apart, ", ")))
	}
	for _, name := range []string{results.MeasureFailureRate, p99} {
		t := find(p, name)
		switch {
		case t.Differs:
		case name == results.MeasureFailureRate && t.Method != "" && j.parted(p, t):
			said = append(said, fmt.Sprintf("The failure rate differs in every run (%s with %s), but the runs are too few, or too different, to rule out chance (adjusted p %s); %s.", j.instead(p, t), p.B, results.FormatP(t.PAdjusted), j.more()))
		default:
			said = append(said, j.unseen(p, t))
		}
	}
	return strings.Join(said, " ")
}

// apart are the costs of which every run of one arm had more than every run of the
// other, and which yet pass no test.
func (j *judge) apart(p *results.Pair) (list []string) {
	for i := range p.Tests {
		t := &p.Tests[i]
		if !t.Differs && t.Unit == results.UnitCount && j.parted(p, t) {
			list = append(list, results.MeasureLabel(t.Measure)+" "+j.instead(p, t))
		}
	}
	return list
}

// partedRuns is from how many runs each on it is worth telling that every run of one
// arm had more than every run of the other: by chance one of three independent
// figures comes out so in 70 % of comparisons of a setting with itself at 2 runs
// each, in 27 % at 3, and in 8 % at 4.
const partedRuns = 4

// parted reports whether every run of one arm had more than every run of the other,
// and there are enough.
func (j *judge) parted(p *results.Pair, t *results.Test) bool {
	a, b := j.at(p.A, t.Measure).Per, j.at(p.B, t.Measure).Per
	return min(len(a), len(b)) >= partedRuns && (slices.Max(a) < slices.Min(b) || slices.Max(b) < slices.Min(a))
}

// stopped says of which arms of a pair abort_when stopped runs. They are in no
// measure, and were hardly the arm's best.
func (j *judge) stopped(p *results.Pair) (said []string) {
	for _, name := range []string{p.A, p.B} {
		if a := j.arm(name); a.stopped > 0 {
			said = append(said, fmt.Sprintf("%d of %d runs of %s were stopped by abort_when, and its figures are of those that were not.", a.stopped, len(a.runs)+a.excluded, name))
		}
	}
	return said
}

// arm is that of a name.
func (j *judge) arm(name string) *arm {
	return &j.arms[slices.IndexFunc(j.arms, func(a arm) bool { return a.name == name })]
}

// spoiled is why b's figures are not to be preferred to a's though they are better:
// what would have spoiled them is not in them. "" when there is no such reason.
func (j *judge) spoiled(p *results.Pair) string {
	a, b := j.arm(p.A), j.arm(p.B)
	dropped := find(p, results.MeasureDropped)
	switch {
	case b.stopped*(len(a.runs)+a.excluded) > a.stopped*(len(b.runs)+b.excluded):
		return "more of its runs were stopped by abort_when"
	case dropped.Differs && !less(dropped):
		return "more of what was due was dropped, and never sent (" + j.instead(p, dropped) + ")"
	}
	return ""
}

// covered reports whether a way of failing says what the failure rate has said.
func covered(t, fails *results.Test) bool {
	return strings.HasPrefix(t.Measure, results.MeasureFailureRate+".") && fails.Differs && less(t) == less(fails)
}

// empty is the sentence about an arm without a valid run; "" when it has one.
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

// verdict is the answer: which arm to take, and what that costs.
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
	var aside []*results.Pair // better as far as it goes
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
		said = append(said, fmt.Sprintf("Keep %s: no other setting fails less, or is faster at %s without failing more, as far as can be told; %s.", base, at, j.losers(more, results.MeasureFailureRate, " more requests fail")))
	case len(slow) > 0:
		said = append(said, fmt.Sprintf("Keep %s: %s, and the failures do not differ significantly.", base, j.losers(slow, by, " responses take longer at "+at)))
	default:
		said = append(said, j.alike())
	}
	return strings.Join(said, " ")
}

// differing are the pairs whose second arm has less of a measure, and more.
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

// recommend names the best of those that are better than the first arm, and what
// it takes.
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
		text += fmt.Sprintf(" Better than %s too: %s; they were not tested against %s.", j.c.Arms[0].Name, strings.Join(others, ", "), best.B)
	}
	return text
}

// withheld says why no setting is recommended though some show better figures.
func (j *judge) withheld(aside []*results.Pair) string {
	var said []string
	for _, p := range aside {
		said = append(said, fmt.Sprintf("%s is not to be preferred to %s by its figures: %s.", p.B, p.A, j.spoiled(p)))
	}
	if len(aside) == 1 {
		said = append(said, aside[0].Verdict)
	}
	return strings.Join(said, " ")
}

// losers names what is worse than the first arm: "with x more requests fail (1 %
// instead of 0), with y (2 % instead of 0)".
func (j *judge) losers(pairs []*results.Pair, measure, what string) string {
	var list []string
	for _, p := range pairs {
		list = append(list, fmt.Sprintf("with %s%s (%s)", p.B, what, j.instead(p, find(p, measure))))
		what = ""
	}
	return strings.Join(list, ", ")
}

// alike says that neither failures nor times differ, what would have been seen,
// and what else does.
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
			if !telling(t, j.at(p.A, measure), j.at(p.B, measure)) {
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
		text += " What does differ: " + strings.Join(differ, "; ") + "."
	}
	return text
}
