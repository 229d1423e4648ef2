package text

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kabench/kabench/results"
)

// errorsShown is the largest number of statuses that a sentence names.
const errorsShown = 4

// errorStatuses lists the statuses of error responses, the most frequent first:
// "80 with status 503, 20 with status 500".
func errorStatuses(run *results.Run) string {
	var codes []string
	for _, status := range slices.Sorted(maps.Keys(run.Statuses)) {
		if results.CountErrorAnswers(map[string]uint64{status: 1}).Sum() > 0 && run.Statuses[status] > 0 {
			codes = append(codes, status)
		}
	}
	slices.SortStableFunc(codes, func(a, b string) int {
		return cmp.Compare(run.Statuses[b], run.Statuses[a])
	})
	var list []string
	rest := run.ErrorAnswers.Sum()
	for _, status := range codes[:min(len(codes), errorsShown)] {
		list = append(list, fmt.Sprintf("%d with status %s", run.Statuses[status], status))
		rest -= min(rest, run.Statuses[status])
	}
	if rest > 0 {
		list = append(list, fmt.Sprintf("%d with others", rest))
	}
	return strings.Join(list, ", ")
}

// errorSentence says how many responses were errors; "" if there were none.
func errorSentence(run *results.Run) string {
	n := run.ErrorAnswers.Sum()
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %s an error: %s.", n, pluralWas(run.Counts.OK, "answer"), errorStatuses(run))
}

// errorFigure is the share of error responses, shown beside the failures.
func errorFigure(run *results.Run) Figure {
	e := run.ErrorAnswers
	return Figure{
		Value: ratio(e.Sum(), run.Counts.OK), Label: "of answers were errors",
		Note: fmt.Sprintf("%d of status 4xx, %d of 5xx", e.Client, e.Server),
	}
}

// uncountedErrors says how error responses can change the exit code; "" if there are
// none, or if an expectation is about them already.
func uncountedErrors(run *results.Run) string {
	n := run.ErrorAnswers.Sum()
	for _, e := range run.Expect {
		head, _, _ := strings.Cut(e.Path, ".")
		if head == "error_answers" || head == "statuses" {
			return ""
		}
	}
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s do not change the exit code. To make them count, add 'error_answers: 0' to the profile's expect, or --set expect.error_answers=0.", results.FormatCount(n, "error answer"))
}
