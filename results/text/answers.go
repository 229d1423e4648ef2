package text

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
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

// TargetRows returns a table of the figures of run's targets, with its head first; nil
// if the run had one target.
func TargetRows(run *results.Run) [][]string {
	if len(run.Targets) == 0 {
		return nil
	}
	rows := [][]string{{"target", "started", "ok", "failed", "error answers", "response p50", "p99"}}
	for _, f := range run.Targets {
		p50, p99 := unknown, unknown
		if f.Response.Count > 0 {
			p50, p99 = f.Response.Format(50), f.Response.Format(99)
		}
		rows = append(rows, []string{f.Target, fmt.Sprint(f.Started), fmt.Sprint(f.OK), fmt.Sprint(f.Failed), fmt.Sprint(f.ErrorAnswers), p50, p99})
	}
	return rows
}

// renderTargets writes the figures of each target, if there are several. A target has
// a line of its own because it can be long.
func renderTargets(b *bytes.Buffer, run *results.Run) {
	rows := TargetRows(run)
	if rows == nil {
		return
	}
	fmt.Fprintln(b, "\nBy target")
	t := layout.Grid(b, 1)
	for i, row := range rows {
		label := fmt.Sprintf("  [%d]", i)
		if i == 0 {
			label = ""
		}
		fmt.Fprint(t, label)
		for _, cell := range row[1:] {
			fmt.Fprint(t, "\t"+cell)
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	for i, row := range rows[1:] {
		wrap(b, fmt.Sprintf("  [%d] ", i+1), row[0])
	}
}

// markdownTargets returns the figures of the targets of each run that has several.
func markdownTargets(k *record.Archive) string {
	var rows [][]string
	for _, r := range k.Runs {
		if r.Run == nil || len(r.Run.Targets) == 0 {
			continue
		}
		for i, row := range TargetRows(r.Run) {
			if i == 0 && rows != nil {
				continue
			}
			for j := range row {
				row[j] = inline(row[j], maxLabel)
			}
			if len(k.Runs) > 1 {
				name := inline(r.Name, maxLabel)
				if i == 0 {
					name = "run"
				}
				row = append([]string{name}, row...)
			}
			rows = append(rows, row)
		}
	}
	if rows == nil {
		return ""
	}
	var b strings.Builder
	markdownRows(&b, rows, ":---")
	return b.String()
}
