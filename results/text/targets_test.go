package text

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

func TestByTarget(t *testing.T) {
	if results.NewByTarget([]string{"GET a", "GET a"}) != nil || results.NewByTarget(nil) != nil {
		t.Error("one target has figures of its own")
	}
	var none *results.ByTarget
	none.Observe(done(0))
	run := rendered()
	none.Fill(run)
	if TargetRows(run) != nil {
		t.Errorf("%v", run.Targets)
	}

	by := results.NewByTarget([]string{"GET a", "GET b", "GET a"})
	add := func(target int, change func(*results.Exchange)) {
		e := done(0)
		e.Target = target
		change(e)
		by.Observe(e)
	}
	plain := func(*results.Exchange) {}
	add(0, plain)
	add(2, plain)
	add(1, func(e *results.Exchange) { e.Status = 503 })
	add(1, func(e *results.Exchange) { e.Status = 404 })
	add(1, func(e *results.Exchange) { e.Phase, e.Cause = results.PhaseBeforeResponse, results.CauseFIN })
	add(1, func(e *results.Exchange) { e.Cause, e.Phase = results.CauseAborted, results.PhaseBeforeResponse }) // given up: neither
	add(0, func(e *results.Exchange) { e.WarmUp = true })
	add(0, func(e *results.Exchange) { e.Phase = results.PhaseSchedule }) // dropped
	add(9, plain)                                                         // of none
	by.Fill(run)
	var got []string
	for _, f := range run.Targets {
		got = append(got, fmt.Sprintf("%s %d %d %d %d %d", f.Target, f.Started, f.OK, f.Failed, f.ErrorAnswers, f.Response.Count))
	}
	if diff := cmp.Diff([]string{"GET a 2 2 0 0 2", "GET b 4 2 1 2 2"}, got); diff != "" {
		t.Error(diff)
	}
	if want := done(0).ResponseTime(); (time.Duration(run.Targets[0].Response.P99*1e9) - want).Abs() > want/100 {
		t.Errorf("p99 %v, want %v", run.Targets[0].Response.P99, want)
	}
	var text, markdown bytes.Buffer
	must(t, RenderRun(&text, run))
	must(t, RenderMarkdown(&markdown, &record.Archive{Run: run, Runs: []record.ArchivedRun{{Run: run}}}))
	if !strings.Contains(text.String(), "  [2]  4        2   1       2 ") || !strings.Contains(text.String(), "  [2] GET b\n") {
		t.Errorf("%s", &text)
	}
	if !strings.Contains(markdown.String(), "## By target") || !strings.Contains(markdown.String(), "| GET b | 4 | 2 | 1 | 2 | ") {
		t.Errorf("%s", &markdown)
	}
}
