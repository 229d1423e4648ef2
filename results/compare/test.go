package compare

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
)

// The names of the methods.
const (
	methodFisher = "Fisher's exact test"
	methodU      = "Mann-Whitney U test over runs"
	methodWelch  = "Welch's t test over runs"
)

const deltaName = "Cliff's delta"

// question is a measure of a pair, before and while it is tested.
type question struct {
	measure measure
	a, b    *arm
	sa, sb  sample
	// How it will be tested: over the runs, as counts, or, when why says so, not.
	overRuns bool
	ca, cb   counted // of a rate, thinned
	why      string
	more     string  // how to come by more runs
	weight   float64 // its share of the chance of a false finding; 0: it is not tested
	test     *results.Test
}

// test holds the first arm against each of the others.
func (j *judge) test() {
	j.c.Pairs = make([]results.Pair, len(j.arms)-1)
	var open []*question
	var all []*question
	for i := range j.c.Pairs {
		p := &j.c.Pairs[i]
		a, b := &j.arms[0], &j.arms[i+1]
		p.A, p.B, p.Tests = a.name, b.name, make([]results.Test, len(j.measures))
		for k, m := range j.measures {
			q := &question{measure: m, a: a, b: b, sa: m.sample(a.docs()), sb: m.sample(b.docs()), more: j.more(), test: &p.Tests[k]}
			q.plan()
			all = append(all, q)
			if q.why == "" {
				open = append(open, q)
			}
		}
	}
	weigh(open)
	for _, q := range all {
		// What the first of Holm's steps asks for; of what is not tested, as if it were.
		weight := q.weight
		if weight == 0 {
			weight = 1 / float64(len(open)+1)
		}
		q.answer(j.c.Confidence, (1-j.c.Confidence)*weight)
	}
	holm(open, 1-j.c.Confidence)
}

// weigh shares the chance of a false finding among the tests: half of it is for
// whether requests fail more often, which is what settings are compared for, and
// half for all the rest, which says what it costs.
func weigh(open []*question) {
	first := 0
	for _, q := range open {
		if q.first() {
			first++
		}
	}
	share := 1.0
	if first > 0 && first < len(open) {
		share = 0.5
	}
	for _, q := range open {
		if q.first() {
			q.weight = share / float64(first)
		} else {
			q.weight = share / float64(len(open)-first)
		}
	}
}

// first reports whether it is the question that settings are compared for.
func (q *question) first() bool { return q.measure.name == results.MeasureFailureRate }

// more is the advice to make more runs: those at hand may have been made before.
func (j *judge) more() string {
	if j.c.Seed == 0 {
		return "make more runs of each"
	}
	return "make more with --repeats"
}

// plan decides by which test, and whether at all. It looks at the two samples
// only as one, or at what is within each, never at how they differ: so a measure
// that cannot differ counts in no correction.
func (q *question) plan() {
	switch {
	case len(q.sa.values) == 0:
		q.why = q.missing(q.a)
	case len(q.sb.values) == 0:
		q.why = q.missing(q.b)
	case q.measure.counts != nil:
		q.planRate()
	case len(q.sa.values) == 1 || len(q.sb.values) == 1:
		q.overRuns = true
		q.why = "one run cannot be told from chance; " + q.more
	default:
		q.overRuns = true
		both := slices.Concat(q.sa.values, q.sb.values)
		if slices.Min(both) == slices.Max(both) {
			q.why = "the same in all runs of both"
		}
	}
}

func (q *question) missing(a *arm) string {
	if len(a.runs) == 0 {
		return a.name + " has no valid run"
	}
	return a.name + ": " + cmp.Or(q.measure.missing, "not known")
}

func (q *question) planRate() {
	a, b := q.sa.total(), q.sb.total()
	q.ca, q.cb = a, b
	if k, n := a.k+b.k, a.n+b.n; k == 0 || k == n {
		q.why = "none in any run of either"
		if k == n {
			q.why = "all, in every run of both"
		}
		return
	}
	inA, _ := q.a.within(q.measure)
	inB, _ := q.b.within(q.measure)
	within := max(inA, inB)
	between, df := dispersion(q.sa.counts, q.sb.counts)
	if len(q.sa.counts) > 1 && len(q.sb.counts) > 1 && chiSquared(df, between*df/within) < groupedAlpha {
		// Runs differ by more than the groups within them explain: each counts as one.
		q.overRuns = true
		return
	}
	phi := max(between, within)
	q.ca, q.cb = a.thinned(phi), b.thinned(phi)
	if q.ca.k+q.cb.k == 0 {
		q.why = "they come in groups, and of these there are too few"
	}
}

// answer tests it, or says what can be said without.
func (q *question) answer(confidence, alpha float64) {
	t := q.test
	*t = results.Test{Measure: q.measure.name, Unit: q.measure.unit, P: 1, PAdjusted: 1, Why: q.why}
	if len(q.sa.values) == 0 || len(q.sb.values) == 0 {
		return
	}
	switch {
	case !q.overRuns:
		q.answerRate(t, confidence, alpha)
	case q.why != "":
		t.Difference = q.center(q.sb.values) - q.center(q.sa.values)
	default:
		q.answerOverRuns(t, confidence, alpha)
	}
	q.tidy(t)
}

// center is what an arm's runs are said to be without a test.
func (q *question) center(values []float64) float64 {
	center, _, _ := medianOf(values, defaultConfidence)
	return center
}

func (q *question) answerRate(t *results.Test, confidence, alpha float64) {
	a, b := q.sa.total(), q.sb.total()
	scale := q.measure.scale()
	lo, hi := rateDifference(q.ca, q.cb, confidence)
	t.Difference, t.Bounded = scale*(b.rate()-a.rate()), true
	t.Low, t.High = min(scale*lo, t.Difference), max(scale*hi, t.Difference)
	t.Detectable = scale * detectableRate(q.ca, q.cb, alpha)
	if q.why != "" {
		return
	}
	t.Method, t.P = methodFisher, fisher(q.ca, q.cb)
	t.Effect, t.EffectName = oddsRatio(a, b), "odds ratio"
	if q.ca.n < a.n {
		t.Why = fmt.Sprintf("they come in groups: %.3g count as one", float64(a.n)/float64(q.ca.n))
	}
	if len(q.sa.counts) == 1 || len(q.sb.counts) == 1 {
		if t.Why != "" {
			t.Why += "; "
		}
		t.Why += "one run cannot show what differs from run to run"
		_, a := q.a.within(q.measure)
		_, b := q.b.within(q.measure)
		if !a || !b {
			t.Why += ", and no whole record shows whether they come in groups"
		}
	}
}

func (q *question) answerOverRuns(t *results.Test, confidence, alpha float64) {
	a, b := q.sa.values, q.sb.values
	var l level
	if leastP(len(a), len(b)) <= alpha {
		t.Method = methodU
		l = mannWhitney(a, b, confidence, alpha)
	} else {
		var err error
		t.Method = methodWelch
		if l, err = welch(a, b, q.measure.scaled, confidence, alpha); err != nil {
			t.Method = methodU
			l = mannWhitney(a, b, confidence, alpha)
			t.Why = fmt.Sprintf("%v, which %s cannot tell from chance: it takes %d runs each", err, runsText(len(a), len(b)), runsFor(alpha))
		}
	}
	share := q.measure.unit == results.UnitRatio
	far := farthest * max(slices.Max(a), slices.Max(b))
	if l.detectable > far || share && l.detectable > 1 {
		l.detectable = 0
		if t.Why == "" {
			t.Why = fmt.Sprintf("%s are too few, or differ too much among themselves, to tell even a large difference from chance; %s", runsText(len(a), len(b)), q.more)
		}
	}
	if l.lo < -far || l.hi > far || share && l.lo <= -1 && l.hi >= 1 {
		l.lo, l.hi, l.bounded = 0, 0, false
		if t.Why == "" {
			t.Why = fmt.Sprintf("%s are too few, or differ too much among themselves, for an interval; %s", runsText(len(a), len(b)), q.more)
		}
	}
	t.P, t.Difference, t.Low, t.High, t.Bounded, t.Detectable = l.p, l.difference, l.lo, l.hi, l.bounded, l.detectable
	t.Effect, t.EffectName = l.delta, deltaName
	if l.ratio > 0 {
		t.Effect, t.EffectName = l.ratio, "ratio"
	}
	if q.measure.counts != nil {
		t.Why = strings.TrimSuffix("they come in groups, and runs differ by more than chance: tested over runs; "+t.Why, "; ")
	}
	if t.Bounded && (q.measure.counts != nil || share) {
		t.Low, t.High = max(t.Low, -q.measure.scale()), min(t.High, q.measure.scale())
	}
}

// farthest is how many times as large as the figures themselves a difference may
// be that is worth telling as detectable, or the end of an interval: what is
// farther away says only that nothing is known.
const farthest = 10

func runsText(a, b int) string {
	if a == b {
		return fmt.Sprintf("%d runs each", a)
	}
	return fmt.Sprintf("%d and %d runs", a, b)
}

// tidy takes out what is no number: a figure that cannot be said is left out.
func (q *question) tidy(t *results.Test) {
	bad := func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }
	if bad(t.Low) || bad(t.High) {
		t.Low, t.High, t.Bounded = 0, 0, false
	}
	if bad(t.Effect) {
		t.Effect, t.EffectName = 0, ""
	}
	if bad(t.Detectable) {
		t.Detectable = 0
	}
	if bad(t.P) {
		t.P = 1
	}
	t.P = min(max(t.P, 0), 1)
}

// holm corrects the P values of all tests made (Holm, Scandinavian Journal of
// Statistics 6, 1979, with his weights): the chance that any of those that differ
// does so by accident is at most alpha, however the tests depend on each other.
func holm(open []*question, alpha float64) {
	made := slices.DeleteFunc(slices.Clone(open), func(q *question) bool { return q.test.Method == "" })
	slices.SortStableFunc(made, func(x, y *question) int { return cmp.Compare(x.test.P/x.weight, y.test.P/y.weight) })
	left := 0.0 // the weight of those not yet gone through
	for _, q := range made {
		left += q.weight
	}
	least := 0.0
	for _, q := range made {
		least = max(least, min(1, max(left/q.weight, 1)*q.test.P)) // 1: what rounding takes from the last
		left -= q.weight
		q.test.PAdjusted = least
		q.test.Differs = least < alpha
	}
}
