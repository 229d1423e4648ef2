package kabench

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/text"
)

// A run that this machine was too busy for is made again, and only a valid one
// is kept and judged.
func TestAnInvalidRunIsMadeAgain(t *testing.T) {
	out := t.TempDir()
	var heard []results.MadeAgain
	runs := 0
	var hold sync.Once
	rep, err := Reproduce(t.Context(), load(t, "idle-race", "load.duration=1s", "load.warm_up=0s", "load.max_lag=200ms", "remedies=null"), ReproduceOptions{
		Options: Options{Out: out, Trace: func(dialers.TraceEvent) {
			hold.Do(func() { time.Sleep(700 * time.Millisecond) }) // who watches holds the first run up: it is late
		}},
		Before: func(int, int, string) { runs++ },
		Again:  func(a results.MadeAgain) { heard = append(heard, a) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(heard) == 0 || len(heard) != len(rep.MadeAgain) || runs != len(heard)+1 {
		t.Fatalf("%d runs, heard of %+v, recorded %+v", runs, heard, rep.MadeAgain)
	}
	if a := heard[0]; a.Run != "incident" || a.Try != 1 || !strings.Contains(strings.Join(a.Invalid, ""), "late") {
		t.Errorf("%+v", a)
	}
	if !rep.IncidentRun.Valid && len(heard) < MostAgain {
		t.Errorf("gave up after %d: %q", len(heard), rep.IncidentRun.Invalid)
	}
	if !strings.Contains(rep.Verdict, "because its run was invalid: "+heard[len(heard)-1].Invalid[0]) {
		t.Errorf("the verdict does not say so: %s", rep.Verdict)
	}
	if kept := record.RunsIn(out); len(kept) != 1 || !strings.HasSuffix(kept[0], "incident") {
		t.Errorf("kept: %q", kept)
	}
}

// An incident that stays invalid is not judged. Its remedies are not run, because they would
// be compared with it.
func TestAnIncidentThatStaysInvalid(t *testing.T) {
	out := t.TempDir()
	runs := 0
	rep, err := Reproduce(t.Context(), load(t, "idle-race", "load.duration=200ms", "load.warm_up=0s", "load.max_lag=1ns"), ReproduceOptions{
		Options: Options{Out: out}, Before: func(int, int, string) { runs++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	if runs != 1+MostAgain || len(rep.MadeAgain) != MostAgain || len(rep.RemedyRuns) != 0 || rep.Reproduced || rep.IncidentRun.Valid {
		t.Errorf("%d runs, made again %+v, %d remedies, reproduced %v", runs, rep.MadeAgain, len(rep.RemedyRuns), rep.Reproduced)
	}
	if !strings.HasPrefix(rep.Verdict, "Not judged, because the incident's run is invalid: ") || !strings.Contains(rep.Verdict, `"incident" was run 4 times`) {
		t.Error(rep.Verdict)
	}
	if runs, err := filepath.Glob(filepath.Join(out, "*", "run.json")); err != nil || len(runs) != 1 {
		t.Errorf("%v, kept %v", err, runs)
	}
	var report strings.Builder
	if err := text.RenderReproduction(&report, rep); err != nil || strings.Contains(report.String(), "NOT MET") || !strings.Contains(report.String(), "NOT JUDGED") {
		t.Errorf("%v\n%s", err, report.String())
	}
}
