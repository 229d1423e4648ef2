package results

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestByTarget(t *testing.T) {
	if NewByTarget([]string{"GET a", "GET a"}) != nil || NewByTarget(nil) != nil {
		t.Error("one target has figures of its own")
	}
	var none *ByTarget
	none.Observe(done(0))
	run := rendered()
	none.Fill(run)
	if run.TargetRows() != nil {
		t.Errorf("%v", run.Targets)
	}

	by := NewByTarget([]string{"GET a", "GET b", "GET a"})
	add := func(target int, change func(*Exchange)) {
		e := done(0)
		e.Target = target
		change(e)
		by.Observe(e)
	}
	plain := func(*Exchange) {}
	add(0, plain)
	add(2, plain)
	add(1, func(e *Exchange) { e.Status = 503 })
	add(1, func(e *Exchange) { e.Status = 404 })
	add(1, func(e *Exchange) { e.Phase, e.Cause = PhaseBeforeResponse, CauseFIN })
	add(1, func(e *Exchange) { e.Cause, e.Phase = CauseAborted, PhaseBeforeResponse }) // given up: neither
	add(0, func(e *Exchange) { e.WarmUp = true })
	add(0, func(e *Exchange) { e.Phase = PhaseSchedule }) // dropped
	add(9, plain)                                         // of none
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
	must(t, RenderMarkdown(&markdown, &Kept{Run: run, Runs: []KeptRun{{Run: run}}}))
	if !strings.Contains(text.String(), "  [2]  4        2   1       2 ") || !strings.Contains(text.String(), "  [2] GET b\n") {
		t.Errorf("%s", &text)
	}
	if !strings.Contains(markdown.String(), "## By target") || !strings.Contains(markdown.String(), "| GET b | 4 | 2 | 1 | 2 | ") {
		t.Errorf("%s", &markdown)
	}
}

// However many targets there are, the figures are of a few, and together of all.
func TestByTargetIsBounded(t *testing.T) {
	var names []string
	for i := range 1000 {
		names = append(names, fmt.Sprintf("GET http://h/%d", i))
	}
	by := NewByTarget(names)
	for i := range names {
		e := done(0)
		e.Target = i
		by.Observe(e)
	}
	var run Run
	by.Fill(&run)
	last := run.Targets[len(run.Targets)-1]
	if len(run.Targets) != maxTargets+1 || last.Target != OtherTargets || last.Started != 1000-maxTargets {
		t.Errorf("%d targets, the last %+v", len(run.Targets), last)
	}
}
