package incidents

import (
	"bytes"
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/exit"
	"github.com/kabench/kabench/results"
)

// For each incident that was not reproduced, the table says what was missing and where there
// are details.
func TestTableOfAll(t *testing.T) {
	run := func(failed uint64, invalid ...string) *results.Run {
		r := &results.Run{Valid: len(invalid) == 0, Invalid: invalid}
		r.Counts.Started, r.Counts.Failed = 10, failed
		r.Expect = []results.Expectation{{Path: "failures", Want: "0", Seen: "x", Met: failed == 0}}
		return r
	}
	remedied := func(r *results.Run) []results.RemedyRun { return []results.RemedyRun{{Remedy: "less", Run: r}} }
	all := []*Result{
		{Name: "good", Reproduction: &results.Reproduction{Reproduced: true, IncidentRun: run(0), RemedyRuns: remedied(run(0))}},
		{Name: "bad", Code: exit.Unmet, Reproduction: &results.Reproduction{IncidentRun: run(0), RemedyRuns: remedied(run(3))}},
		{Name: "late", Code: exit.Invalid, Reproduction: &results.Reproduction{IncidentRun: run(0, "it was late; give it a core"), MadeAgain: make([]results.MadeAgain, 3)}},
		{Name: "ended", Code: exit.Interrupted, Reproduction: &results.Reproduction{IncidentRun: run(4)}},
		{Name: "impossible", Code: exit.Input, Why: lastWords("warning: so what\nkabench: network: no\nnetwork: never\n")},
	}
	var b bytes.Buffer
	if err := Print(&b, all, 6, "dir"); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, want := range []string{
		"good        0 of 10  0 of 10        0 s   reproduced\n",
		"impossible  -        -              0 s   not run: network: no; network: never\n",
		"not judged: a run was invalid; 3 invalid runs repeated\n",
		"\nbad\nNOT MET by remedy less: failures 0, seen x\nFor details: kabench reproduce bad, or its results in dir/bad\n",
		"\nlate\nINVALID the incident: it was late; give it a core\nFor details: ",
		"\n1 of 6 reproduced, 1 not started\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "\nended\n") {
		t.Errorf("what was interrupted is said to lack something:\n%s", text)
	}
	if code := Worst(all); code != exit.Interrupted {
		t.Errorf("exit code %v", code)
	}
	if got := lastWords("panic: oh no\n\ngoroutine 1 [running]:\n"); got != "panic: oh no" {
		t.Errorf("%q", got)
	}
}
