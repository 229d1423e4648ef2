package results

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// ErrorAnswers count the responses that arrived whole and say by their status that
// the request was not served: 400 and above, RFC 9110, sections 15.5 and 15.6.
// They are ok as exchanges. Statuses of 600 and above, which HTTP does not know,
// count as the server's.
type ErrorAnswers struct {
	Client uint64 `json:"client"` // 4xx
	Server uint64 `json:"server"` // 5xx
}

// Sum is how many there were.
func (e ErrorAnswers) Sum() uint64 { return e.Client + e.Server }

// errorAnswers counts them among the exchanges that are ok.
func errorAnswers(statuses map[string]uint64) (e ErrorAnswers) {
	for status, n := range statuses {
		switch code, err := strconv.Atoi(status); {
		case err != nil || code < 400:
		case code < 500:
			e.Client += n
		default:
			e.Server += n
		}
	}
	return e
}

// errorsShown is how many statuses a sentence names.
const errorsShown = 4

// errorStatuses lists the statuses of error answers, the most frequent first:
// "80 with 503, 20 with 500".
func errorStatuses(run *Run) string {
	var codes []string
	for _, status := range slices.Sorted(maps.Keys(run.Statuses)) {
		if errorAnswers(map[string]uint64{status: 1}).Sum() > 0 && run.Statuses[status] > 0 {
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

// errorSentence says how many answers were errors; "" when none was.
func errorSentence(run *Run) string {
	n := run.ErrorAnswers.Sum()
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %s an error: %s.", n, pluralWas(run.Counts.OK, "answer"), errorStatuses(run))
}

// errorFigure is the number of error answers, to stand beside the failures.
func errorFigure(run *Run) Figure {
	e := run.ErrorAnswers
	return Figure{
		Value: ratio(e.Sum(), run.Counts.OK), Label: "of answers were errors",
		Note: fmt.Sprintf("%d of status 4xx, %d of 5xx", e.Client, e.Server),
	}
}

// answersPath finds error_answers, error_answers.rate, .client and .server.
func answersPath(run *Run, name string) (value, bool) {
	e := errorAnswers(run.Statuses)
	switch name {
	case "":
		return count(e.Sum()), true
	case "client":
		return count(e.Client), true
	case "server":
		return count(e.Server), true
	case "rate":
		if run.Counts.OK == 0 {
			return value{unit: UnitRatio, why: "no exchange was ok"}, true
		}
		return value{v: float64(e.Sum()) / float64(run.Counts.OK), unit: UnitRatio}, true
	}
	return value{}, false
}

// uncountedErrors says how to make error answers count; "" when there are none, or
// an expectation is about them already.
func uncountedErrors(run *Run) string {
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
	return fmt.Sprintf("%s do not change the exit code. To make them count, add 'error_answers: 0' to the profile's expect, or --set expect.error_answers=0.", plural(n, "error answer"))
}
