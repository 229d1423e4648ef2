package text

import (
	"cmp"
	"slices"
	"strings"

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
	case len(run.Unmet()) > 0:
		return outcome{"Expectations not met", ToneBad}
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
