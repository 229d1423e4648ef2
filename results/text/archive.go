package text

import (
	"github.com/kabench/kabench/results/record"
)

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

// OutcomeOf returns the verdict in a word or two.
func OutcomeOf(k *record.Archive) string {
	switch {
	case k.Reproduction != nil:
		return reproductionOutcome(k.Reproduction)
	case k.Comparison != nil && k.Comparison.Interrupted:
		return "Stopped early"
	case k.Comparison != nil && k.Comparison.Unfit() != "":
		return "Not all compared"
	case k.Comparison != nil:
		return "Compared"
	case !k.Run.Valid:
		return "Invalid"
	case !k.Run.Complete:
		return "Cut off"
	case k.Run.Interrupted:
		return "Stopped early"
	}
	switch {
	case len(k.Run.Expect) == 0:
		return "Measured"
	case len(k.Run.Unmet()) > 0:
		return "Expectations not met"
	}
	return "Expectations met"
}
