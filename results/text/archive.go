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
