package compare

import (
	"fmt"
	"strings"

	"github.com/kabench/kabench/results"
)

// unseen says that no significant difference was found, which difference would have
// been detected, and how many runs the observed difference would need.
func (j *judge) unseen(p *results.Pair, t *results.Test) string {
	label := "failures"
	if t.Measure != results.MeasureFailureRate {
		label = results.MeasureLabel(t.Measure)
	}
	a, b := j.at(p.A, t.Measure), j.at(p.B, t.Measure)
	if !a.Known || !b.Known {
		return fmt.Sprintf("No comparison of %s: %s.", label, t.Why)
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
	case useful(t, a, b):
		return said + fmt.Sprintf(" A difference of %s would have been detected in %.0f %% of such experiments.", t.Unit.Text(t.Detectable), 100*power) + more
	case more != "":
		return said + more
	case t.Detectable > 0:
		return said + " These runs vary too much to detect even twice this value; " + j.more() + "."
	case t.Method == "" && t.Why != "":
		return fmt.Sprintf("No difference in %s can be separated from chance (%s): %s.", label, figures, t.Why)
	case t.Why != "":
		return strings.TrimSuffix(said, ".") + ": " + t.Why + "."
	}
	return said
}

// useful reports whether the detectable difference is useful to readers. A
// difference larger than the values themselves only shows that the runs vary, unless
// all values are 0.
func useful(t *results.Test, a, b results.Measure) bool {
	most := max(a.Value, b.Value)
	if most == 0 {
		return t.Detectable > 0
	}
	return t.Detectable > 0 && t.Detectable <= most
}

// needed says how many runs it takes to detect the observed difference.
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
