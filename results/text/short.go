package text

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
)

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
	if errors := errorSentence(run); errors != "" && run.Counts.Failed == 0 {
		says = slices.Insert(says, 0, errors) // no request failed, and that is not the answer
	}
	for _, e := range unmet {
		says = append(says, fmt.Sprintf("Expected %s %s, %s.", e.Path, e.Want, cmp.Or(e.Why, "seen "+e.Seen)))
	}
	if run.Counts.Failed > 0 {
		says = append(says, errorSentence(run))
	}
	return "", says
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
	if words(sets) > 8 {
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
