package exit

import (
	"testing"

	"github.com/kabench/kabench/results"
)

func TestOfRun(t *testing.T) {
	lost := func(n, due uint64) *results.Run {
		return &results.Run{Complete: true, Valid: true, Counts: results.Counts{Due: due, Dropped: n}, Outcomes: []results.Outcome{{Cause: results.CauseAgentLost, Count: n}}}
	}
	for name, test := range map[string]struct {
		run  *results.Run
		want Code
	}{
		"well":                    {&results.Run{Complete: true, Valid: true}, Done},
		"invalid":                 {&results.Run{Complete: true, Stopped: &results.Stopped{}}, Invalid},
		"interrupted":             {&results.Run{Valid: true, Interrupted: true}, Interrupted},
		"stopped":                 {&results.Run{Valid: true, Interrupted: true, Stopped: &results.Stopped{}}, Unmet},
		"unmet":                   {&results.Run{Valid: true, Expect: []results.Expectation{{}}}, Unmet},
		"not judged":              {&results.Run{Valid: true, Expect: []results.Expectation{{Met: true}, {Unknown: true}}}, Unmet},
		"a lost agent":            {lost(11, 1000), Unmet},
		"a little of it":          {lost(10, 1000), Done},
		"nothing else was due":    {lost(5, 5), Unmet},
		"dropped, with no agents": {&results.Run{Complete: true, Valid: true, Counts: results.Counts{Due: 9, Dropped: 9}}, Done},
	} {
		if got := OfRun(test.run); got != test.want {
			t.Errorf("%s: %d, want %d", name, got, test.want)
		}
	}
}
