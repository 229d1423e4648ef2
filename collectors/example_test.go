package collectors_test

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/collectors"
	"github.com/kabench/kabench/results"
)

// A Recorder adds up exchanges as they end, and fills its part of a run's document.
func ExampleRecorder() {
	recorder := collectors.NewRecorder()
	for seq := range uint64(10) {
		var e results.Exchange
		e.Reset(seq, time.Duration(seq)*100*time.Millisecond)
		e.Start, e.Done = e.Due, e.Due+5*time.Millisecond
		if e.Phase = results.PhaseDone; seq%5 == 0 {
			e.Phase, e.Cause = results.PhaseConnect, results.CauseRefused
		}
		recorder.Observe(&e)
	}
	var run results.Run
	recorder.Fill(&run, time.Second)
	fmt.Printf("%d due, %d ok, %d failed\n", run.Counts.Due, run.Counts.OK, run.Counts.Failed)
	for _, o := range run.Outcomes {
		if o.Phase != results.PhaseDone {
			fmt.Printf("%v / %v: %d\n", o.Phase, o.Cause, o.Count)
		}
	}
	// Output:
	// 10 due, 8 ok, 2 failed
	// connect / refused: 2
}
