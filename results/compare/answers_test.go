package compare

import (
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
)

// No measure counts error answers, so a warning names the settings that had some:
// "no failures" is not read without them. Runs that are missing are named too.
func TestErrorAnswersAreWarnedOf(t *testing.T) {
	run := func(errors uint64) Run {
		return Run{Doc: &results.Run{
			Valid: true, Complete: true, Counts: results.Counts{Due: 100, Started: 100, OK: 100},
			Statuses: map[string]uint64{"200": 100 - errors, "500": errors}, ErrorAnswers: results.ErrorAnswers{Server: errors},
		}}
	}
	c := &results.Comparison{
		Seed: 1, Repeats: 3, Interrupted: true,
		Arms: []results.Arm{{Name: "a"}, {Name: "b"}},
		Runs: []results.ComparedRun{{Arm: "a", Block: 1}, {Arm: "b", Block: 1}, {Arm: "b", Block: 2}},
	}
	if err := Judge(c, []Run{run(0), run(60), run(40)}); err != nil {
		t.Fatal(err)
	}
	said := strings.Join(c.Warnings, "\n")
	if !strings.Contains(said, "not failures: 100 of 200 with b") || strings.Contains(said, " of 100 with a") {
		t.Errorf("%q", c.Warnings)
	}
	if !strings.Contains(said, "3 of 6 runs are missing: 2 of a, 1 of b") {
		t.Errorf("%q", c.Warnings)
	}
}
