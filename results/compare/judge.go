package compare

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// Run is a run of a comparison. Doc is nil if the run left no document.
type Run struct {
	Doc *results.Run
	Dir *record.Dir // its directory, with the record; nil: nothing was kept

	read *reading // made by Judge
}

// defaultConfidence is the confidence of a comparison that sets none.
const defaultConfidence = 0.95

// ErrNoPairs means that a comparison has fewer than two arms.
var ErrNoPairs = errors.New("there is only one arm, and nothing to compare it with")

// Judge fills in the results of c: which runs are left out and why, the measures of
// each arm, the tests of each arm against the first, and the verdict. Runs of c that
// are already left out stay left out. runs has the runs of c.Runs, in their order.
func Judge(c *results.Comparison, runs []Run) error {
	if len(runs) != len(c.Runs) {
		return fmt.Errorf("%d runs were given, and the comparison has %d", len(runs), len(c.Runs))
	}
	if len(c.Arms) < 2 {
		return ErrNoPairs
	}
	if !(c.Confidence > 0 && c.Confidence < 1) {
		c.Confidence = defaultConfidence
	}
	arms := make([]arm, len(c.Arms))
	for i := range c.Runs {
		r := &c.Runs[i]
		at := slices.IndexFunc(c.Arms, func(a results.Arm) bool { return a.Name == r.Arm })
		if at < 0 {
			return fmt.Errorf("run %s belongs to the arm %q, and there is no such arm", r.Dir, r.Arm)
		}
		if r.Excluded == "" {
			r.Excluded = Unfit(runs[i].Doc)
		}
		if r.Excluded != "" {
			arms[at].excluded++
			if doc := runs[i].Doc; doc != nil && doc.Stopped != nil {
				arms[at].stopped++
			}
			continue
		}
		if runs[i].read == nil {
			runs[i].read = &reading{}
		}
		arms[at].runs, arms[at].blocks = append(arms[at].runs, runs[i]), append(arms[at].blocks, r.Block)
	}
	j := judge{c: c, runs: runs, arms: arms}
	for i := range arms {
		arms[i].name = c.Arms[i].Name
		j.all = append(j.all, arms[i].docs()...)
	}
	j.measures = measuresOf(j.all)
	for i := range arms {
		arms[i].readParts(j.measures)
		j.measure(i)
	}
	j.test()
	j.warn()
	j.warnOfErrorAnswers()
	if missing := c.Missing(); missing != "" {
		c.Warnings = append(c.Warnings, missing)
	}
	for i := range c.Pairs {
		c.Pairs[i].Verdict = j.pairVerdict(&c.Pairs[i])
	}
	c.Verdict = j.verdict()
	return nil
}

// Unfit says why a run is left out of all measures; "" if it is not.
func Unfit(run *results.Run) string {
	switch {
	case run == nil:
		return "it left no results"
	case run.Stopped != nil:
		s := run.Stopped
		return layout.OneLine(fmt.Sprintf("stopped by abort_when after %s: %s %s, and it was %s", results.UnitSeconds.Text(s.At), s.Path, s.When, s.Seen))
	case run.Interrupted:
		return results.ExcludedInterrupted + "it was stopped early"
	case !run.Complete:
		return "it was cut off, and is incomplete"
	case !run.Valid && len(run.Invalid) > 0:
		return "invalid: " + run.Invalid[0]
	case !run.Valid:
		return "invalid"
	}
	return run.Degraded()
}

// arm is an arm of the comparison, with its valid runs.
type arm struct {
	name     string
	runs     []Run
	blocks   []int // parallel to runs
	excluded int
	stopped  int                    // excluded because abort_when stopped them
	parts    []map[string][]counted // by run and measure; see readParts
}

func (a *arm) docs() []*results.Run {
	docs := make([]*results.Run, len(a.runs))
	for i, r := range a.runs {
		docs[i] = r.Doc
	}
	return docs
}

type judge struct {
	c        *results.Comparison
	runs     []Run // of c.Runs
	arms     []arm
	all      []*results.Run
	measures []measure
}

// measure fills in the measures of an arm.
func (j *judge) measure(i int) {
	a, out := &j.arms[i], &j.c.Arms[i]
	out.Runs, out.Excluded, out.Measures = len(a.runs), a.excluded, map[string]results.Measure{}
	byOrder := j.byOrder()
	for _, m := range j.measures {
		s := m.sample(a)
		summary := results.Measure{Unit: m.unit, Per: s.values}
		switch {
		case len(a.runs) == 0:
			summary.Why = "no valid run"
		case len(s.values) == 0:
			summary.Why = m.missing
		case m.counts != nil:
			j.summarizeRate(&summary, a, m, s)
		default:
			j.summarizeLevel(&summary, s.values, m.scaled, byOrder)
		}
		out.Measures[m.name] = summary
	}
}

// byOrder reports whether every arm has enough runs for an interval by order
// statistics, so that all arms are summarised in the same way.
func (j *judge) byOrder() bool {
	need := orderRuns(j.c.Confidence)
	for _, a := range j.arms {
		if len(a.runs) > 0 && len(a.runs) < need {
			return false
		}
	}
	return need > 0
}

func (j *judge) summarizeLevel(m *results.Measure, values []float64, scaled, byOrder bool) {
	m.Known = true
	switch {
	case len(values) == 1:
		m.Of, m.Value, m.Why = "the only run", values[0], "one run has no interval: it does not show how much runs vary"
	case byOrder && len(values) >= orderRuns(j.c.Confidence):
		m.Of, m.Bounded = "median of the runs", true
		m.Value, m.Low, m.High = medianOf(values, j.c.Confidence)
	case slices.Min(values) == slices.Max(values):
		m.Of, m.Value, m.Why = "mean of the runs", values[0], "all runs have the same value, and are too few for an interval"
	default:
		m.Of, m.Bounded = "mean of the runs", true
		if scaled {
			m.Of = "geometric mean of the runs"
		}
		m.Value, m.Low, m.High = meanOf(values, scaled, j.c.Confidence)
		m.Low = max(m.Low, 0) // no measure is negative
		if m.Unit == results.UnitRatio {
			m.High = min(m.High, 1)
		}
		if m.High > farthest*slices.Max(values) || m.Unit == results.UnitRatio && m.Low == 0 && m.High == 1 {
			m.Low, m.High, m.Bounded = 0, 0, false
			m.Why = fmt.Sprintf("%d runs are too few, or vary too much, for an interval", len(values))
		}
	}
}

// summarizeRate gives a setting's rate the exact interval for its effective number
// of independent exchanges (Korn and Graubard, Survey Methodology 24, 1998): few
// runs show little about how much runs vary.
func (j *judge) summarizeRate(out *results.Measure, a *arm, m measure, s sample) {
	t := s.total()
	within, df := a.within(m)
	phi := within
	if v, runs := rateVariance(s.counts); runs > 0 {
		df = runs
		if chance := t.rate() * (1 - t.rate()); chance > 0 {
			phi = max(phi, v*float64(t.n)/chance)
		} else {
			df = 0 // none or all: no variance was estimated that could be off
		}
	}
	n := effective(float64(t.n), phi, df, j.c.Confidence)
	lo, hi := results.EffectiveInterval(t.rate()*n, n, j.c.Confidence)
	if phi > within { // runs vary by a factor, so their mean is more often below the true mean
		cv := math.Sqrt(phi * (1 - t.rate()) / t.rate() / float64(t.n))
		hi = min(max(hi, t.rate()*math.Exp(cv*student(df, (1+j.c.Confidence)/2))), 1)
	}
	out.Of, out.Known, out.Bounded, out.Value = "all runs together", true, true, m.scale()*t.rate()
	out.Low, out.High = min(m.scale()*lo, out.Value), max(m.scale()*hi, out.Value)
	if phi > 1 {
		out.Why = fmt.Sprintf("events were clustered, or runs varied: %.3g events count as one independent event in this interval", phi)
	}
	if len(s.counts) == 1 {
		out.Why = strings.TrimPrefix(out.Why+"; one run does not show how much runs vary", "; ")
	}
}
