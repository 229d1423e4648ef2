package text

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

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
			p50, p99 = results.FormatSeconds(f.Response.P50), results.FormatSeconds(f.Response.P99)
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
