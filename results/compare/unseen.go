package compare

import (
	"fmt"
	"strings"

	"github.com/kabench/kabench/results"
)

// unseen says that no significant difference was found, which difference would
// have been, and how many runs the one that was seen would take.
func (j *judge) unseen(p *results.Pair, t *results.Test) string {
	label := "failures"
	if t.Measure != results.MeasureFailureRate {
		label = results.MeasureLabel(t.Measure)
	}
	a, b := j.at(p.A, t.Measure), j.at(p.B, t.Measure)
	if !a.Known || !b.Known {
		return fmt.Sprintf("Nothing can be said of %s: %s.", label, t.Why)
	}
	figures := t.Unit.Text(a.Value) + " and " + t.Unit.Text(b.Value)
	same := t.Unit.Text(a.Value) == t.Unit.Text(b.Value)
	if same {
		figures = t.Unit.Text(a.Value) + " in both"
	}
	said := fmt.Sprintf("No significant difference in %s (%s).", label, figures)
	more := ""
	if !same && t.RepeatsNeeded > 0 {
		more = j.needed(t)
	}
	switch {
	case telling(t, a, b):
		return said + fmt.Sprintf(" A difference of %s would have been detected in %.0f %% of such experiments.", t.Unit.Text(t.Detectable), 100*power) + more
	case more != "":
		return said + more
	case t.Detectable > 0:
		return said + " These runs vary too much to detect even twice the figure; " + j.more() + "."
	case t.Method == "" && t.Why != "":
		return fmt.Sprintf("No difference in %s can be told from chance (%s): %s.", label, figures, t.Why)
	case t.Why != "":
		return strings.TrimSuffix(said, ".") + ": " + t.Why + "."
	}
	return said
}

// telling reports whether it helps to know what would have been detected. A
// difference greater than the figures themselves tells only that the runs vary,
// unless nothing was there to vary.
func telling(t *results.Test, a, b results.Measure) bool {
	most := max(a.Value, b.Value)
	if most == 0 {
		return t.Detectable > 0
	}
	return t.Detectable > 0 && t.Detectable <= most
}

// needed says how many runs the difference that was seen would take.
func (j *judge) needed(t *results.Test) string {
	runs := "repeats"
	if j.c.Seed == 0 {
		runs = "runs of each setting"
	}
	if t.RepeatsNeeded > mostRepeats {
		return fmt.Sprintf(" To detect a difference as small as the one seen takes more than %d %s.", mostRepeats, runs)
	}
	return fmt.Sprintf(" To detect a difference as small as the one seen, in %.0f %% of such experiments, takes about %d %s.", 100*power, t.RepeatsNeeded, runs)
}
