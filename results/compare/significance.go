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
	methodRates  = "t test of rates over runs"
	methodFisher = "Fisher's exact test"
	methodU      = "Mann-Whitney U test over runs"
	methodWelch  = "Welch's t test over runs"
	methodPaired = "paired t test over blocks"
)

const deltaName = "Cliff's delta"

// question is a measure of a pair, before and while it is tested.
type question struct {
	measure measure
	a, b    *arm
	sa, sb  sample
	why     string  // why it is not tested; "": it is
	more    string  // how to make more runs
	weight  float64 // its share of the chance of a false finding; 0: it is not tested
	test    *results.Test
}

// test compares each of the other arms with the first.
func (j *judge) test() {
	j.c.Pairs = make([]results.Pair, len(j.arms)-1)
	var open []*question
	var all []*question
	for i := range j.c.Pairs {
		p := &j.c.Pairs[i]
		a, b := &j.arms[0], &j.arms[i+1]
		p.A, p.B, p.Tests = a.name, b.name, make([]results.Test, len(j.measures))
		for k, m := range j.measures {
			q := &question{measure: m, a: a, b: b, sa: m.sample(a), sb: m.sample(b), more: j.more(), test: &p.Tests[k]}
			q.plan()
			all = append(all, q)
			if q.why == "" {
				open = append(open, q)
			}
		}
	}
	weigh(open)
	for _, q := range all {
		weight := q.weight
		if weight == 0 {
			weight = asIfTested(q, all)
		}
		// The level of Holm's first step.
		q.answer(j.c.Confidence, (1-j.c.Confidence)*weight)
	}
	holm(open, 1-j.c.Confidence)
}

// A class of questions has its own share of the chance of a false finding. One half
// goes to the failure rate, because the main question is whether requests fail more
// often; a quarter to response times, median and slow ones; a quarter to the rest, which
// explains the cause and the cost.
type class int

const (
	ofFailures class = iota
	ofTimes
	ofTheRest
	classes
)

var parts = [classes]float64{0.5, 0.25, 0.25}

func (q *question) class() class {
	switch q.measure.name {
	case results.MeasureFailureRate:
		return ofFailures
	case results.MeasureResponse + ".p50", p99:
		return ofTimes
	}
	return ofTheRest
}

// weigh divides the chance of a false finding among the questions. The share of a
// class without questions goes to the others.
func weigh(open []*question) {
	var n [classes]int
	for _, q := range open {
		n[q.class()]++
	}
	given := 0.0
	for c, share := range parts {
		if n[c] > 0 {
			given += share
		}
	}
	for _, q := range open {
		q.weight = parts[q.class()] / given / float64(n[q.class()])
	}
}

// asIfTested is the weight that a question without a test would have had, together
// with the same question about all pairs. It is used for the detectable difference.
func asIfTested(of *question, all []*question) float64 {
	n := 0
	for _, q := range all {
		if q.class() == of.class() && (q.why == "" || q.measure.name == of.measure.name) {
			n++
		}
	}
	return parts[of.class()] / float64(n)
}

// more is the advice to make more runs, for a new comparison or for finished runs.
func (j *judge) more() string {
	if j.c.Seed == 0 {
		return "make more runs of each"
	}
	return "make more with --repeats"
}

// plan decides whether there is a test at all. It looks at the two samples together,
// never at how they differ, so a measure that cannot differ does not count in the
// correction.
func (q *question) plan() {
	switch {
	case len(q.sa.values) == 0:
		q.why = q.missing(q.a)
	case len(q.sb.values) == 0:
		q.why = q.missing(q.b)
	case q.measure.counts != nil:
		a, b := q.sa.total(), q.sb.total()
		switch k, n := a.k+b.k, a.n+b.n; k {
		case 0:
			q.why = "none in any run of both settings"
		case n:
			q.why = "all, in every run of both settings"
		}
	case len(q.sa.values) == 1 || len(q.sb.values) == 1:
		q.why = "one run does not show how much runs vary; " + q.more
	default:
		both := slices.Concat(q.sa.values, q.sb.values)
		if slices.Min(both) == slices.Max(both) {
			q.why = "the same in all runs of both settings"
		}
	}
}

func (q *question) missing(a *arm) string {
	if len(a.runs) == 0 {
		return a.name + " has no valid run"
	}
	return a.name + ": " + cmp.Or(q.measure.missing, "not known")
}

// answer makes the test, or fills in what is known without a test.
func (q *question) answer(confidence, alpha float64) {
	t := q.test
	*t = results.Test{Measure: q.measure.name, Unit: q.measure.unit, P: 1, PAdjusted: 1, Why: q.why}
	if len(q.sa.values) == 0 || len(q.sb.values) == 0 {
		return
	}
	// With two tests, the smaller P value is used, doubled, with its interval: each
	// test has half of the chance of a false finding.
	tests := q.tests()
	each, alpha := 1-(1-confidence)/tests, alpha/tests
	switch {
	case q.measure.counts != nil:
		q.answerRate(t, each, alpha)
	case q.why != "":
		t.Difference = q.center(q.sb.values) - q.center(q.sa.values)
	default:
		q.answerLevel(t, each, alpha)
	}
	if d, known := q.paired(); known && q.why == "" {
		q.answerPaired(t, d, each, alpha)
	}
	t.P *= tests
	q.bound(t)
	q.tidy(t)
}

// center summarises an arm's runs without a test.
func (q *question) center(values []float64) float64 {
	center, _, _ := medianOf(values, defaultConfidence)
	return center
}

// answerRate tests counts over all runs, and ignores blocks.
func (q *question) answerRate(t *results.Test, confidence, alpha float64) {
	inA, dfA := q.a.within(q.measure)
	inB, dfB := q.b.within(q.measure)
	df := min(dfA, dfB)
	if df == 0 {
		df = max(dfA, dfB)
	}
	r := ratesOf(q.sa, q.sb, max(inA, inB), df)
	scale := q.measure.scale()
	lo, hi := r.difference(confidence)
	t.Difference, t.Bounded = scale*(r.b.rate()-r.a.rate()), true
	t.Low, t.High = min(scale*lo, t.Difference), max(scale*hi, t.Difference)
	ia, _ := inBlocks(q.sa, q.sb)
	t.Detectable = scale * r.detectable(alpha, float64(len(ia)))
	if q.why != "" {
		return
	}
	t.Method, t.P = methodRates, r.p()
	t.Effect, t.EffectName = oddsRatio(r.a, r.b), "odds ratio"
	if t.P >= alpha && q.class() != ofTheRest {
		t.RepeatsNeeded = r.repeats(alpha)
	}
	if r.phi > 1 {
		t.Why = fmt.Sprintf("events were clustered, or runs varied: about %.3g events count as one independent event", r.phi)
	}
	if r.dfa == 0 && r.dfb == 0 {
		t.Method = methodFisher
		t.Why = strings.TrimPrefix(t.Why+"; one run each does not show how much runs vary", "; ")
		if dfA == 0 && r.a.k > 0 || dfB == 0 && r.b.k > 0 {
			t.Why += ", and no whole record shows whether events are clustered"
		}
	}
}

// answerLevel tests values of runs, and ignores blocks.
func (q *question) answerLevel(t *results.Test, confidence, alpha float64) {
	a, b, scaled := q.sa.values, q.sb.values, q.measure.scaled
	var l level
	if leastP(len(a), len(b)) <= alpha {
		t.Method = methodU
		l = mannWhitney(a, b, scaled, confidence, alpha)
	} else {
		var err error
		t.Method = methodWelch
		if l, err = welch(a, b, scaled, confidence, alpha); err != nil {
			t.Method = methodU
			l = mannWhitney(a, b, scaled, confidence, alpha)
			t.Why = fmt.Sprintf("%v, and %s are too few to rule out chance: it takes %d runs each", err, runsText(len(a), len(b)), runsFor(alpha))
		}
	}
	t.P, t.Difference, t.Low, t.High, t.Bounded = l.p, l.difference, l.lo, l.hi, l.bounded
	t.Detectable = l.detectable
	if t.P >= alpha && q.class() != ofTheRest {
		t.RepeatsNeeded = l.repeats(alpha)
	}
	t.Effect, t.EffectName = l.delta, deltaName
	if l.ratio > 0 {
		t.Effect, t.EffectName = l.ratio, "ratio"
	}
}

// answerPaired uses the paired test's result if it finds more than the other test.
func (q *question) answerPaired(t *results.Test, d paired, confidence, alpha float64) {
	from, _, _ := meanOf(q.sa.values, q.measure.scaled, confidence)
	scale, some := 1.0, true
	if q.measure.counts != nil {
		a, runs := q.sa.total(), float64(len(q.sa.counts))
		// With half an event per run, as in the log odds, so that it is above 0.
		from, scale, some = (float64(a.k)+runs/2)/(float64(a.n)+runs), q.measure.scale(), a.k > 0
	}
	// Blocks must be clearly better, because one of two estimates is always lower by
	// chance.
	const clearly = 0.6
	if least := scale * q.moved(from, d.detectable(alpha)); some && least > 0 && (t.Detectable == 0 || least < clearly*t.Detectable) {
		t.Detectable = least
		if t.RepeatsNeeded > 0 {
			t.RepeatsNeeded = min(t.RepeatsNeeded, d.blocks(alpha))
		}
	}
	p := d.p()
	if p >= t.P {
		return
	}
	lo, hi := d.interval(confidence)
	t.Method, t.P, t.Why = methodPaired, p, "" // it belonged to the other test
	t.Low, t.High, t.Bounded = scale*q.moved(from, lo), scale*q.moved(from, hi), true
	switch {
	case q.measure.counts != nil: // the difference is over all runs together, as the rates in the table are
		t.Effect = math.Exp(d.mean)
		t.Low, t.High = min(t.Low, t.Difference), max(t.High, t.Difference)
	case q.measure.scaled:
		t.Effect, t.EffectName, t.Difference = math.Exp(d.mean), "ratio", q.moved(from, d.mean)
	default:
		t.Difference = d.mean
	}
}

// bound removes values so large that they only show that nothing is known, and
// keeps shares between -1 and 1.
func (q *question) bound(t *results.Test) {
	share := q.measure.counts != nil || q.measure.unit == results.UnitRatio
	most, runs := q.measure.scale(), runsText(len(q.sa.values), len(q.sb.values))
	far := farthest * max(slices.Max(q.sa.values), slices.Max(q.sb.values))
	if q.measure.counts != nil {
		far = most
	}
	if t.Detectable > far || share && t.Detectable > most {
		t.Detectable = 0
		if t.Why == "" {
			t.Why = fmt.Sprintf("%s are too few, or vary too much, to separate even a large difference from chance; %s", runs, q.more)
		}
	}
	if t.Bounded && (t.Low < -far || t.High > far || share && t.Low <= -most && t.High >= most) {
		t.Low, t.High, t.Bounded = 0, 0, false
		if t.Why == "" {
			t.Why = fmt.Sprintf("%s are too few, or vary too much, for an interval; %s", runs, q.more)
		}
	}
	if t.Bounded && share {
		t.Low, t.High = max(t.Low, -most), min(t.High, most)
	}
}

// farthest limits detectable differences and ends of intervals, as a multiple of the
// largest value: beyond it they only show that nothing is known.
const farthest = 10

func runsText(a, b int) string {
	if a == b {
		return fmt.Sprintf("%d runs each", a)
	}
	return fmt.Sprintf("%d and %d runs", a, b)
}

// tidy removes values that are not finite.
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
// Statistics 6, 1979, with weights): the chance that any reported difference is false
// is at most alpha, however the tests depend on each other.
func holm(open []*question, alpha float64) {
	made := slices.DeleteFunc(slices.Clone(open), func(q *question) bool { return q.test.Method == "" })
	slices.SortStableFunc(made, func(x, y *question) int { return cmp.Compare(x.test.P/x.weight, y.test.P/y.weight) })
	left := 0.0 // the weight of the tests not yet processed
	for _, q := range made {
		left += q.weight
	}
	least := 0.0
	for _, q := range made {
		least = max(least, min(1, max(left/q.weight, 1)*q.test.P)) // at least 1, in spite of rounding at the last test
		left -= q.weight
		q.test.PAdjusted = least
		if q.test.Differs = least < alpha; q.test.Differs {
			q.test.RepeatsNeeded = 0
		}
	}
}
