package judge

import (
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
)

// Fewer connections are a saving, and the sentence does not call it a cost.
func TestASavingIsNoCost(t *testing.T) {
	run := func(opened uint64) *results.Run {
		return &results.Run{Valid: true, Counts: results.Counts{Started: 60}, Connections: results.Connections{Opened: opened}}
	}
	says := Says{Set: "pool.max_idle above 0", Costs: []string{"an idle connection"}}
	for opened, want := range map[uint64]string{2: "It takes 2 connections opened instead of 60: an idle connection.", 90: "It costs 90 connections opened instead of 60: an idle connection."} {
		remedy := results.RemedyRun{Cleared: true, Run: run(opened), Change: map[string]string{"pool.max_idle": "-1"}}
		if got := remedied(says, 0, run(60), remedy); !strings.Contains(got, want) {
			t.Errorf("%q lacks %q", got, want)
		}
	}
}
