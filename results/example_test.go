package results_test

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/results"
)

// Count how exchanges ended.
func ExampleTally() {
	var tally results.Tally
	for range 99 {
		tally.Add(&results.Exchange{Phase: results.PhaseDone, Status: 200, Use: 2})
	}
	tally.Add(&results.Exchange{Phase: results.PhaseBeforeResponse, Cause: results.CauseFIN, Use: 2, Idle: time.Second})

	run := &results.Run{}
	tally.Fill(run, time.Second)
	for _, o := range run.Outcomes {
		fmt.Println(o.Phase, o.Cause, o.Count)
	}
	// Output:
	// done  99
	// before_response fin 1
}
