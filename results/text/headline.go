package text

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// Headline is the answer of a report on its first screen: a sentence, and three
// figures that support it.
type Headline struct {
	Outcome string   `json:"outcome"`      // the verdict in a word or two: "Reproduced", "Invalid", "Difference found"
	Tone    string   `json:"tone"`         // of the outcome: one of the constants Tone...
	Short   string   `json:"short"`        // the answer in at most ShortWords words, together with Do
	Do      string   `json:"do,omitempty"` // what to do, if there is no answer
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
	if run.Forecast != nil {
		h.Figures = forecastFigures(run.Forecast)
		says = append(says, forecastMade(run.Forecast))
	}
	says = append(says, runAnswer(run))
	if run.Forecast != nil {
		says = append(says, "First failure: "+FirstFailure(run)+".")
	}
	lost := run.LostArrivals()
	if dropped := c.Dropped - min(lost, c.Dropped); dropped > 0 {
		field := "load.max_in_flight"
		if run.Limit != nil {
			field = "load.limit"
		}
		says = append(says, fmt.Sprintf("%d of the %d requests due were never started: as many as %s allows were under way.", dropped, c.Due, field))
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
		says = append(says, unjudgedSays(e))
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
	do, shorts := runSays(run)
	o := outcomeOfRun(run)
	h.Decide(o.text, o.tone, do, shorts...)
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
			results.FormatCount(c.Started, "request"), q.Format(50), q.Format(99))
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
		how += fmt.Sprintf(", idle for %s in the median", q.Format(50))
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

// ResponseLabel is the label of the figure of a run's response times.
const ResponseLabel = "response time, 99th percentile"

func responseFigure(run *results.Run) Figure {
	q := run.Latency[results.LatencyResponse]
	f := Figure{Value: unknown, Label: ResponseLabel, Note: "no request was ok"}
	if q.Count > 0 {
		f.Value, f.Note = q.Format(99), "half within "+q.Format(50)
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
	do, shorts := reproductionSays(r)
	o := outcomeOfReproduction(r)
	h.Decide(o.text, o.tone, do, shorts...)
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

func reproductionOutcome(r *results.Reproduction) string { return outcomeOfReproduction(r).text }

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
	do, shorts := comparisonSays(c)
	if len(shorts) == 0 {
		shorts = []string{h.Answer}
	}
	o := outcomeOfComparison(c)
	h.Decide(o.text, o.tone, do, shorts...)
	for _, name := range []string{results.MeasureFailureRate, results.MeasureResponse + ".p99", results.MeasureOpened} {
		h.Figures = append(h.Figures, comparisonFigure(c, name))
	}
	return h
}

// comparisonFigure shows the measure called name for the first arm and for the arm
// whose value is furthest from it, each with its interval.
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
	names := ArmNames(c, 24)
	f.Value, f.Note = first.String(), names[0]+bounds(first)
	far, gap := 0, 0.0
	for i, arm := range c.Arms[1:] {
		m, found := arm.Measures[name]
		if d := max(m.Value-first.Value, first.Value-m.Value); found && m.Known && (far == 0 || d > gap) {
			far, gap = i+1, d
		}
	}
	if far > 0 {
		m := c.Arms[far].Measures[name]
		f.Value += " → " + m.String()
		f.Note += " → " + names[far] + bounds(m)
	}
	return f
}

// bounds writes the interval of m in brackets; "" if there is none.
func bounds(m results.Measure) string {
	if !m.Bounded {
		return ""
	}
	end := func(v float64) string { m.Value = v; return m.String() }
	return " [" + end(m.Low) + ", " + end(m.High) + "]"
}

// pluralWas returns "1 run was" or "2 runs were".
func pluralWas(n uint64, thing string) string {
	if n == 1 {
		return results.FormatCount(n, thing) + " was"
	}
	return results.FormatCount(n, thing) + " were"
}

// HeadlineOf returns the headline of the reproduction, comparison or run in k.
func HeadlineOf(k *record.Archive) Headline {
	switch {
	case k.Reproduction != nil:
		return HeadlineOfReproduction(k.Reproduction)
	case k.Comparison != nil:
		return HeadlineOfComparison(k.Comparison)
	}
	return HeadlineOfRun(k.Run)
}
