package text

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
)

// Headline is the answer of a report on its first screen: a sentence, and three
// figures that support it.
type Headline struct {
	Answer  string   `json:"answer"`
	More    []string `json:"more,omitempty"` // the rest of the verdict, such as other remedies; shown after the figures
	Good    bool     `json:"good"`           // the run is valid and showed what it should show
	Figures []Figure `json:"figures"`
}

// Figure is a number, as printed, and its meaning.
type Figure struct {
	Value string `json:"value"` // "10.0 %"
	Label string `json:"label"` // "of requests failed"
	Note  string `json:"note,omitempty"`
}

// unknown stands in for a figure that cannot be computed.
const unknown = "-"

// HeadlineOfRun says what run showed: first whether it is valid, then how many
// requests failed and how, and the response times of the others.
func HeadlineOfRun(run *results.Run) Headline {
	c := run.Counts
	unmet := run.Unmet()
	h := Headline{
		Good:    run.Unfit() == "" && len(unmet) == 0 && len(run.Unjudged()) == 0 && lostAgents(run) == "" && c.OK > run.ErrorAnswers.Sum() && run.Stopped == nil,
		Figures: []Figure{failedFigure(run), responseFigure(run), openedFigure(run)},
	}
	if run.ErrorAnswers.Sum() > 0 {
		h.Figures = slices.Insert(h.Figures, 1, errorFigure(run))
	}
	var says []string
	if !run.Valid && !(run.Partial() && len(run.Invalid) == 0) {
		says = append(says, "This run is invalid, and its figures do not say what they seem to: "+cmp.Or(strings.Join(run.Invalid, "; "), "no reason was recorded")+".")
	}
	says = append(says, runAnswer(run))
	lost := run.LostArrivals()
	if dropped := c.Dropped - min(lost, c.Dropped); dropped > 0 {
		says = append(says, fmt.Sprintf("%d of the %d requests due were never started: as many as load.max_in_flight allows were under way.", dropped, c.Due))
	}
	if text := lostAgents(run); text != "" {
		says = append(says, text)
	}
	if n := run.Resends.Rescued; n > 0 {
		says = append(says, fmt.Sprintf("%s ok only because the pool sent again.", pluralWas(n, "request")))
	}
	if n := run.Unasked(); n > 0 {
		says = append(says, fmt.Sprintf("%s sent again below the pool, unasked.", pluralWas(n, "request")))
	}
	for _, e := range unmet {
		says = append(says, fmt.Sprintf("Expected %s %s, %s.", e.Path, e.Want, cmp.Or(e.Why, "seen "+e.Seen)))
	}
	for _, e := range run.Unjudged() {
		says = append(says, fmt.Sprintf("Expected %s %s, which was not judged: %s.", e.Path, e.Want, e.Why))
	}
	switch {
	case !run.Complete:
		says = append(says, "The run was cut off; this is what was recorded until then.")
	case run.Stopped != nil:
		says = append(says, fmt.Sprintf("The run was stopped early by abort_when: %s %s, seen %s.", run.Stopped.Path, run.Stopped.When, run.Stopped.Seen))
	case run.Interrupted:
		says = append(says, "The run was stopped early.")
	}
	h.Answer = strings.Join(says, " ")
	return h
}

// runAnswer says in a sentence or two how the requests of a run ended. Error
// responses come first if no request failed.
func runAnswer(run *results.Run) string {
	if errors := errorSentence(run); errors != "" && run.Counts.Failed == 0 {
		return errors + " " + exchangesAnswer(run)
	} else if errors != "" {
		return exchangesAnswer(run) + " " + errors
	}
	return exchangesAnswer(run)
}

// exchangesAnswer is runAnswer without the statuses of the responses.
func exchangesAnswer(run *results.Run) string {
	c := run.Counts
	switch worst, q := worstOutcome(run), run.Latency[results.LatencyResponse]; {
	case c.Started == 0:
		return "No request was started, so there is nothing to answer with."
	case c.OK == 0 && c.Failed == 0:
		return fmt.Sprintf("None of the %s came to an end.", results.FormatCount(c.Started, "request"))
	case c.OK == 0:
		return fmt.Sprintf("Not one of %s succeeded: %s.", results.FormatCount(c.Started, "request"), worst)
	case c.Failed > 0:
		return fmt.Sprintf("%d of %s failed: %s.", c.Failed, results.FormatCount(c.Started, "request"), worst)
	case q.Count == 0:
		return fmt.Sprintf("None of %s failed; what they took was not recorded.", results.FormatCount(c.Started, "request"))
	default:
		return fmt.Sprintf("None of %s failed; half were answered within %s, and 99 in 100 within %s.",
			results.FormatCount(c.Started, "request"), results.FormatSeconds(q.P50), results.FormatSeconds(q.P99))
	}
}

// worstOutcome names the most frequent way in which exchanges of run failed.
func worstOutcome(run *results.Run) string {
	failures := slices.DeleteFunc(slices.Clone(run.Outcomes), func(o results.Outcome) bool { return !o.Failed() })
	if len(failures) == 0 {
		return "how is not known"
	}
	o := slices.MaxFunc(failures, func(a, b results.Outcome) int { return cmp.Compare(a.Count, b.Count) })
	how := fmt.Sprintf("%v / %v", o.Phase, o.Cause)
	if kind := o.Connection(); kind != results.ConnectionNone {
		how += " on " + kind + " connections"
	}
	if q := run.IdleAtFailure; o.Reused && q != nil {
		how += fmt.Sprintf(", idle for %s in the median", results.FormatSeconds(q.P50))
	}
	if len(failures) == 1 {
		return "all " + how
	}
	return fmt.Sprintf("%d of them %s", o.Count, how)
}

func failedFigure(run *results.Run) Figure {
	c := run.Counts
	f := Figure{Value: unknown, Label: "of requests failed", Note: "none was started"}
	switch {
	case c.Started > 0 && c.OK+c.Failed == 0:
		f.Note = "none came to an end"
	case c.Started > 0:
		f.Value, f.Note = ratio(c.Failed, c.Started), "95 % interval "+interval(c.Failed, c.Started)
	}
	return f
}

func responseFigure(run *results.Run) Figure {
	q := run.Latency[results.LatencyResponse]
	f := Figure{Value: unknown, Label: "response time, 99th percentile", Note: "no request was ok"}
	if q.Count > 0 {
		f.Value, f.Note = results.FormatSeconds(q.P99), "half within "+results.FormatSeconds(q.P50)
	}
	return f
}

func openedFigure(run *results.Run) Figure {
	if !run.CountsConnections() {
		return Figure{Value: unknown, Label: "connections opened", Note: "not seen"}
	}
	f := Figure{Value: fmt.Sprint(run.Connections.Opened), Label: "connections opened"}
	if n := run.Counts.Started + run.Counts.WarmUp; n > 0 {
		f.Note = results.FormatThree(1000*float64(run.Connections.Opened)/float64(n)) + " for 1000 requests"
	}
	return f
}

// HeadlineOfReproduction says whether an incident was reproduced and which remedy
// cleared it.
func HeadlineOfReproduction(r *results.Reproduction) Headline {
	incident := cmp.Or(r.IncidentRun, &results.Run{})
	h := Headline{Good: r.Reproduced}
	// The first line says what happened, the second what to set. The answer is these
	// two, so that the figures fit on the same screen of a telephone.
	for line := range strings.Lines(r.Verdict) {
		if line = strings.Join(strings.Fields(line), " "); line != "" {
			h.More = append(h.More, line)
		}
	}
	n := min(len(h.More), 2)
	h.Answer, h.More = strings.Join(h.More[:n], " "), h.More[n:]
	if h.Answer == "" {
		h.Answer = reproductionOutcome(r) + ". " + runAnswer(incident)
	}
	failed := failedFigure(incident)
	failed.Label = "of requests failed in the incident"
	h.Figures = []Figure{failed}
	if f := r.Forecast; f != nil && f.Seen != nil {
		within := "outside the interval"
		if f.Inside {
			within = "inside the interval"
		}
		h.Figures = append(h.Figures, Figure{Value: fmt.Sprint(*f.Seen), Label: fmt.Sprintf("counted; %s [%d, %d] were expected", results.FormatMean(f.Mean), f.Low, f.High), Note: within})
	}
	if remedy := bestRemedy(r); remedy != nil {
		f := failedFigure(remedy.Run)
		f.Label = "failed with the remedy “" + remedy.Remedy + "”"
		opened := Figure{
			Value: fmt.Sprintf("%d → %d", incident.Connections.Opened, remedy.Connections.Opened),
			Label: "connections opened, before and after",
		}
		if a, b := incident.Sockets, remedy.Sockets; a.Available && b.Available {
			opened.Note = fmt.Sprintf("TIME_WAIT on our side, at most: %d → %d", a.TimeWaitPeak, b.TimeWaitPeak)
		}
		if incident.Counts.Failed == 0 && remedy.Counts.Failed == 0 {
			h.Figures = append(append(shiftedFigures(incident, remedy), h.Figures[1:]...), opened)
			return h
		}
		h.Figures = append(h.Figures, f, opened)
		return h
	}
	if incident.ErrorAnswers.Sum() > 0 {
		h.Figures = append(h.Figures, errorFigure(incident))
	}
	h.Figures = append(h.Figures, responseFigure(incident), openedFigure(incident))
	return h
}

// shiftedFigures returns two figures for an incident that is not about failures. They
// are the two paths in the expectations of the incident and of the remedy whose values
// the remedy changed the most. connections.opened is left out because it has a figure
// of its own.
func shiftedFigures(incident *results.Run, remedy *results.RemedyRun) []Figure {
	type shift struct {
		path string
		a, b expect.Value
		by   float64
	}
	var shifts []shift
	seen := map[string]bool{}
	for _, e := range slices.Concat(incident.Expect, remedy.Expect) {
		a, errA := expect.Lookup(incident, e.Path)
		b, errB := expect.Lookup(remedy.Run, e.Path)
		if seen[e.Path] || e.Path == "connections.opened" || errA != nil || errB != nil || a.Why != "" || b.Why != "" || a.Unit == results.UnitBool || a.Number == b.Number {
			continue
		}
		seen[e.Path] = true
		floor := 1.0 // a count of 0 is treated as 1
		if a.Unit != results.UnitCount {
			floor = 1e-3 // a change below a millisecond or a thousandth says little
		}
		shifts = append(shifts, shift{e.Path, a, b, math.Abs(math.Log(max(b.Number, floor) / max(a.Number, floor)))})
	}
	slices.SortStableFunc(shifts, func(x, y shift) int { return cmp.Compare(y.by, x.by) })
	var figures []Figure
	for _, s := range shifts[:min(len(shifts), 2)] {
		figures = append(figures, Figure{
			Value: s.a.String() + " → " + s.b.String(),
			Label: s.path + ", before and after",
			Note:  "with the remedy “" + remedy.Remedy + "”",
		})
	}
	// These two complete the list if the remedy changed fewer than two paths.
	failed, response := failedFigure(incident), responseFigure(incident)
	failed.Label += " in the incident"
	response.Label += " in the incident"
	return append(figures, failed, response)[:2]
}

// reproductionOutcome returns the verdict of a reproduction in a word or two.
func reproductionOutcome(r *results.Reproduction) string {
	switch {
	case r.Reproduced:
		return "Reproduced"
	case !wasJudged(r):
		return "Not judged"
	default:
		return "Not reproduced"
	}
}

// bestRemedy returns the remedy that cleared the incident with the lowest failure
// rate, or nil.
func bestRemedy(r *results.Reproduction) *results.RemedyRun {
	var best *results.RemedyRun
	for i := range r.RemedyRuns {
		remedy := &r.RemedyRuns[i]
		if remedy.Run == nil || !remedy.Cleared {
			continue
		}
		if best == nil || failureRate(remedy.Run) < failureRate(best.Run) {
			best = remedy
		}
	}
	return best
}

func failureRate(run *results.Run) float64 {
	return float64(run.Counts.Failed) / float64(max(run.Counts.Started, 1))
}

// HeadlineOfComparison says which arms differ. Its figures are the measures in which
// arms differ most often: failures, response time and connections opened. Each figure
// has the value of the first arm and that of the arm furthest from it.
func HeadlineOfComparison(c *results.Comparison) Headline {
	h := Headline{Answer: strings.Join(strings.Fields(c.Verdict), " ")}
	excluded, valid := 0, 0
	for _, arm := range c.Arms {
		excluded += arm.Excluded
		if arm.Runs > 0 {
			valid++
		}
	}
	h.Good = valid == len(c.Arms) && valid > 1 && !c.Interrupted
	if h.Answer == "" {
		h.Answer = "There is no verdict."
		if valid < 2 {
			h.Answer = "There are not two configurations with valid runs, so nothing could be compared."
		}
	}
	if excluded > 0 {
		h.Answer += fmt.Sprintf(" %s left out.", pluralWas(uint64(excluded), "run"))
	}
	if c.Interrupted {
		h.Answer += " The comparison was stopped early"
		if missing := c.Missing(); missing != "" {
			h.Answer += ": " + missing
		}
		h.Answer += "."
	}
	for _, name := range []string{results.MeasureFailureRate, results.MeasureResponse + ".p99", results.MeasureOpened} {
		h.Figures = append(h.Figures, comparisonFigure(c, name))
	}
	return h
}

// comparisonFigure shows the measure called name for the first arm and for the arm
// whose value is furthest from it.
func comparisonFigure(c *results.Comparison, name string) Figure {
	f := Figure{Value: unknown, Label: results.MeasureLabel(name), Note: "not measured"}
	if len(c.Arms) == 0 {
		return f
	}
	first, found := c.Arms[0].Measures[name]
	if !found || !first.Known {
		f.Note = cmp.Or(first.Why, f.Note)
		return f
	}
	f.Value, f.Note = first.String(), c.Arms[0].Name
	var far *results.Arm
	gap := 0.0
	for i := range c.Arms[1:] {
		arm := &c.Arms[i+1]
		m, found := arm.Measures[name]
		if d := max(m.Value-first.Value, first.Value-m.Value); found && m.Known && (far == nil || d > gap) {
			far, gap = arm, d
		}
	}
	if far != nil {
		f.Value += " → " + far.Measures[name].String()
		f.Note += " → " + far.Name
	}
	return f
}

// pluralWas returns "1 run was" or "2 runs were".
func pluralWas(n uint64, thing string) string {
	if n == 1 {
		return results.FormatCount(n, thing) + " was"
	}
	return results.FormatCount(n, thing) + " were"
}
