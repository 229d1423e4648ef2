package text

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// Tones of an outcome.
const (
	ToneGood  = "good"  // what was asked for was shown
	ToneBad   = "bad"   // the opposite was shown, or the figures mean nothing
	ToneOpen  = "open"  // nothing was decided
	TonePlain = "plain" // figures without a judgement
)

// outcome is a verdict in a word or two, and its tone.
type outcome struct{ text, tone string }

// OutcomeOf returns the verdict in a word or two, as every report of k begins with it.
func OutcomeOf(k *record.Archive) string { return HeadlineOf(k).Outcome }

func outcomeOfReproduction(r *results.Reproduction) outcome {
	switch {
	case r.Reproduced:
		return outcome{"Reproduced", ToneGood}
	case !wasJudged(r):
		return outcome{"Not judged", ToneOpen}
	}
	return outcome{"Not reproduced", ToneBad}
}

func outcomeOfRun(run *results.Run) outcome {
	switch {
	case notJudged(run):
		return outcome{"Not judged", ToneOpen}
	case !run.Valid:
		return outcome{"Invalid", ToneBad}
	case !run.Complete:
		return outcome{"Cut off", ToneOpen}
	case run.Interrupted:
		return outcome{"Stopped early", ToneOpen}
	case run.Degraded() != "":
		return outcome{"Not judged", ToneOpen}
	case run.Forecast != nil: // its expectations are no judgement either: nothing was measured
		return outcome{"Forecast", TonePlain}
	case len(run.Unmet()) > 0:
		return outcome{"Expectations not met", ToneBad}
	case len(run.Unjudged()) > 0: // nobody must take silence for a yes
		return outcome{"Not judged", ToneOpen}
	case !slices.ContainsFunc(run.Expect, func(e results.Expectation) bool { return e.Met }):
		return outcome{"Measured", TonePlain}
	}
	return outcome{"Expectations met", ToneGood}
}

// notJudged reports whether a program filled run by itself, so that nobody judged it.
func notJudged(run *results.Run) bool {
	return run.Partial() && !run.Valid && len(run.Invalid) == 0
}

func outcomeOfComparison(c *results.Comparison) outcome {
	judged, differs := 0, false
	for _, p := range c.Pairs {
		if runsOfArm(c, p.A) == 0 || runsOfArm(c, p.B) == 0 {
			continue
		}
		judged++
		differs = differs || slices.ContainsFunc(p.Tests, func(t results.Test) bool { return t.Differs })
	}
	invalid := slices.ContainsFunc(c.Runs, func(r results.ComparedRun) bool { return strings.HasPrefix(r.Excluded, "invalid") })
	switch {
	case c.Interrupted:
		return outcome{"Stopped early", ToneOpen}
	case judged == 0 && invalid:
		return outcome{"Invalid", ToneBad}
	case judged == 0:
		return outcome{"Not compared", ToneOpen}
	case c.Unfit() != "":
		return outcome{"Not all compared", ToneOpen}
	case differs:
		return outcome{"Difference found", TonePlain}
	}
	return outcome{"No difference found", TonePlain}
}

func runsOfArm(c *results.Comparison, name string) int {
	i := slices.IndexFunc(c.Arms, func(a results.Arm) bool { return a.Name == name })
	if i < 0 {
		return 0
	}
	return c.Arms[i].Runs
}

// Decide fills in the outcome of h, its short answer and what to do. The short answer and
// the advice together have at most ShortWords words. shorts are the sentences of the short
// answer, the most important one first: those without room are left out.
func (h *Headline) Decide(outcome, tone, do string, shorts ...string) {
	h.Outcome, h.Tone = outcome, tone
	h.Do = within(ShortWords/2, do)
	h.Short = within(ShortWords-words(h.Do), shorts...)
}

// ShortWords is the largest number of words of a short answer.
const ShortWords = 40

func words(text string) int { return len(strings.Fields(text)) }

// longestWord is the largest number of characters of a word in a short answer: a URL or a
// text from a server may have no blanks.
const longestWord = 60

// within joins the sentences that fit into most words, in their order. The first one is cut
// if it alone is too long.
func within(most int, sentences ...string) string {
	var list []string
	for _, s := range sentences {
		fields := strings.Fields(s)
		for i, word := range fields {
			if r := []rune(word); len(r) > longestWord {
				fields[i] = string(r[:longestWord-1]) + "…"
			}
		}
		switch {
		case len(fields) == 0:
		case len(fields) <= most:
			list, most = append(list, strings.Join(fields, " ")), most-len(fields)
		case len(list) == 0:
			return strings.TrimRight(strings.Join(fields[:max(most, 1)], " "), ",;:.") + "…"
		}
	}
	return strings.Join(list, " ")
}

// sentencesOf splits a text into its sentences. A point ends a sentence if a blank and a
// letter, a digit or a quotation mark follow, and if it does not end an abbreviation.
func sentencesOf(text string) (list []string) {
	text = strings.Join(strings.Fields(text), " ")
	begin := 0
	for i := 0; i+2 < len(text); i++ {
		if text[i] != '.' && text[i] != '?' || text[i+1] != ' ' || strings.HasSuffix(text[:i], " p") {
			continue
		}
		list, begin = append(list, text[begin:i+1]), i+2
	}
	if begin < len(text) {
		list = append(list, text[begin:])
	}
	return list
}

// imperatives are words with which advice begins.
var imperatives = []string{"Free", "Lower", "Move", "Raise", "Run", "Set", "Start", "Stop"}

// advice splits a reason for which a run is invalid into what happened and what to do.
func advice(reason string) (why, do string) {
	sentences := sentencesOf(reason)
	if n := len(sentences); n > 1 {
		first, _, _ := strings.Cut(sentences[n-1], " ")
		if slices.Contains(imperatives, first) {
			return strings.Join(sentences[:n-1], " "), sentences[n-1]
		}
	}
	for _, verb := range imperatives { // "no request was due: raise load.rate"
		if before, after, found := strings.Cut(reason, ": "+strings.ToLower(verb)+" "); found {
			return before, verb + " " + after
		}
	}
	return reason, ""
}

// invalidShort returns the short answer about an invalid run and what to do.
func invalidShort(run *results.Run) (why, do string) {
	reason := ""
	if len(run.Invalid) > 0 {
		reason = run.Invalid[0]
	}
	why, do = advice(cmp.Or(reason, "no reason was recorded"))
	return "The figures do not count: " + ended(why), ended(cmp.Or(do, "Remove the reason, and run it again"))
}

// ended returns text with a point at its end.
func ended(text string) string {
	if text = strings.TrimSpace(text); text == "" || strings.ContainsAny(text[len(text)-1:], ".?!") {
		return text
	}
	return text + "."
}

// runSays returns the sentences of a run's short answer, and what to do.
func runSays(run *results.Run) (do string, says []string) {
	unmet := run.Unmet()
	switch {
	case notJudged(run):
		return "", append([]string{"A program filled this document by itself, so nothing was judged."}, sentencesOf(runAnswer(run))...)
	case !run.Valid:
		why, do := invalidShort(run)
		return do, sentencesOf(why)
	case !run.Complete:
		return "Run it again for an answer.", append([]string{"The run was cut off; this is what was recorded until then."}, sentencesOf(runAnswer(run))...)
	case run.Stopped != nil:
		return "", append([]string{fmt.Sprintf("Stopped by abort_when after %s: %s %s, seen %s.", results.FormatSeconds(run.Stopped.At), run.Stopped.Path, run.Stopped.When, run.Stopped.Seen)}, sentencesOf(runAnswer(run))...)
	case run.Interrupted:
		return "Run it to its end for an answer.", append([]string{"The run was stopped by a signal; this is what was measured until then."}, sentencesOf(runAnswer(run))...)
	case run.Degraded() != "":
		return "Run it again with all agents.", append([]string{ended(capital(run.Degraded()))}, sentencesOf(runAnswer(run))...)
	}
	says = []string{exchangesAnswer(run)}
	if run.Forecast != nil {
		says = forecastSays(run)
	}
	if errors := errorSentence(run); errors != "" && run.Counts.Failed == 0 {
		says = slices.Insert(says, 0, errors) // no request failed, and that is not the answer
	}
	for _, e := range unmet {
		says = append(says, fmt.Sprintf("Expected %s %s, %s.", e.Path, e.Want, cmp.Or(e.Why, "seen "+e.Seen)))
	}
	for _, e := range run.Unjudged() {
		says = append(says, unjudgedSays(e))
	}
	if run.Counts.Failed > 0 {
		says = append(says, errorSentence(run))
	}
	return "", says
}

// unjudgedSays says that e was not judged, and why.
func unjudgedSays(e results.Expectation) string {
	says := fmt.Sprintf("Expected %s %s, which was not judged", e.Path, e.Want)
	if e.Why != "" {
		says += ": " + e.Why
	}
	return ended(says)
}

func capital(text string) string {
	if text == "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// reproductionSays returns the sentences of the short answer of a reproduction, and what to
// do.
func reproductionSays(r *results.Reproduction) (do string, says []string) {
	incident := cmp.Or(r.IncidentRun, &results.Run{})
	first, _, _ := strings.Cut(strings.TrimSpace(r.Verdict), "\n")
	if !r.Reproduced {
		if incident.Schema != "" && !incident.Valid && len(incident.Invalid) > 0 {
			why, do := invalidShort(incident)
			return do, []string{"The incident's run is invalid. " + why}
		}
		for _, remedy := range r.RemedyRuns {
			if remedy.Run != nil && remedy.Schema != "" && !remedy.Valid && len(remedy.Invalid) > 0 {
				why, do := advice(remedy.Invalid[0])
				return ended(cmp.Or(do, "Run it again")), append([]string{fmt.Sprintf("The run of the remedy “%s” is invalid: %s", remedy.Remedy, ended(why))}, sentencesOf(first)...)
			}
		}
		for _, remedy := range r.RemedyRuns {
			if remedy.Run != nil && wasJudged(r) && !remedy.Cleared {
				says = append(says, fmt.Sprintf("The remedy “%s” did not clear it: %s", remedy.Remedy, exchangesAnswer(remedy.Run)))
			}
		}
		return "", append(says, sentencesOf(cmp.Or(first, reproductionOutcome(r)+". "+runAnswer(incident)))...)
	}
	remedy := bestRemedy(r)
	cleared := ""
	if remedy != nil {
		cleared = within(ShortWords/2, clearedBy(incident, remedy))
	}
	// The profile's own words about what happened follow the first colon of the verdict.
	count := fmt.Sprintf("%d of %s failed", incident.Counts.Failed, results.FormatCount(incident.Counts.Started, "request"))
	_, happened, told := strings.Cut(first, ": ")
	if told && incident.Counts.Failed > 0 {
		told = strings.HasPrefix(first, fmt.Sprintf("%d of ", incident.Counts.Failed))
	}
	what := ended(count + ": " + happened)
	if incident.Counts.Failed == 0 {
		what = ended(capital(happened))
	}
	if !told || words(what)+words(cleared) > ShortWords {
		what = exchangesAnswer(incident)
		if incident.Counts.Failed == 0 && told {
			what = ended(capital(happened))
		}
	}
	return "", []string{within(ShortWords-words(cleared), what), cleared}
}

// clearedBy says what a remedy sets, and what it changed in the incident.
func clearedBy(incident *results.Run, remedy *results.RemedyRun) string {
	sets := strings.ReplaceAll(remedySets(*remedy), " = ", " ")
	if words(sets) > 8 || len(remedy.Change) == 0 {
		sets = "the remedy “" + remedy.Remedy + "”"
	}
	if incident.Counts.Failed > 0 || remedy.Counts.Failed > 0 {
		if remedy.Counts.Failed == 0 {
			return fmt.Sprintf("With %s none of %d failed.", sets, remedy.Counts.Started)
		}
		return fmt.Sprintf("With %s %d of %d failed.", sets, remedy.Counts.Failed, remedy.Counts.Started)
	}
	if shifts := shiftsOf(incident, remedy); len(shifts) > 0 {
		return fmt.Sprintf("With %s %s is %s instead of %s.", sets, shifts[0].path, shifts[0].b, shifts[0].a)
	}
	return fmt.Sprintf("With %s it is gone.", sets)
}

// comparisonSays returns the sentences of the short answer of a comparison, and what to do.
func comparisonSays(c *results.Comparison) (do string, says []string) {
	says = sentencesOf(shortly(c, c.Verdict))
	if len(says) > 1 {
		says = append(says[:1:1], append(SummaryOfComparison(c), says[1:]...)...)
	}
	switch outcomeOfComparison(c).text {
	case "Stopped early":
		does := "Run it to its end for an answer."
		if strings.Contains(c.Missing(), "--resume") {
			does = "'kabench compare --resume DIR' makes the missing runs."
		}
		return does, append([]string{"The comparison was stopped early."}, says...)
	case "Invalid", "Not compared", "Not all compared":
		i := slices.IndexFunc(c.Runs, func(r results.ComparedRun) bool { return r.Excluded != "" })
		if i < 0 {
			break
		}
		why, do := advice(strings.TrimPrefix(c.Runs[i].Excluded, "invalid: "))
		return ended(cmp.Or(do, "Remove the reason, and compare again")), append(says[:min(len(says), 1):1], "The first reason: "+ended(why))
	}
	return "", says
}

// renderExpectations writes each expectation with the expected and the seen value: in
// columns, unless one is too long for that.
func renderExpectations(b *bytes.Buffer, run *results.Run) {
	if len(run.Expect) == 0 {
		return
	}
	fmt.Fprintf(b, "\nExpectations\n")
	var rows, stacked bytes.Buffer
	t := table(&rows)
	verdict := func(e results.Expectation) string {
		switch {
		case e.Met:
			return "met    "
		case e.Unknown:
			return "NOT JUDGED"
		}
		return "NOT MET"
	}
	seen := func(e results.Expectation) string {
		if e.Why != "" {
			return e.Why
		}
		return "seen " + e.Seen
	}
	for _, e := range run.Expect {
		fmt.Fprintf(t, "  %s\t%s\texpected %s\t%s\n", verdict(e), e.Path, e.Want, seen(e))
	}
	t.Flush()
	width := len("NOT MET")
	if len(run.Unjudged()) > 0 {
		width = len("NOT JUDGED")
	}
	for _, e := range run.Expect {
		wrap(&stacked, fmt.Sprintf("  %-*s  ", width, verdict(e)), fmt.Sprintf("%s: expected %s", e.Path, e.Want))
		wrap(&stacked, strings.Repeat(" ", width+4), seen(e))
	}
	layout.Either(b, rows.String(), stacked.String())
	if d := run.Baseline; d != nil {
		text := fmt.Sprintf("%s of %s UTC (%s)", d.Name, d.Start.UTC().Format(time.DateTime), d.Dir)
		if n := len(d.Others); n > 0 {
			text += fmt.Sprintf(", and %d more", n)
		}
		wrap(b, "  The baseline: ", text)
	}
}
