package compare_test

import (
	"fmt"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/compare"
)

// measured is a run of 1000 requests with a number of failures.
func measured(failed uint64) compare.Run {
	return compare.Run{Doc: &results.Run{
		Complete: true, Valid: true,
		Counts: results.Counts{Due: 1000, Started: 1000, OK: 1000 - failed, Failed: failed},
	}}
}

// Compare three runs of each of two settings. The runs of c.Runs and the documents
// have the same order.
func ExampleJudge() {
	c := &results.Comparison{
		Arms: []results.Arm{{Name: "no idle timeout"}, {Name: "idle timeout 3 s"}},
		Runs: []results.ComparedRun{
			{Arm: "no idle timeout"}, {Arm: "idle timeout 3 s"},
			{Arm: "no idle timeout"}, {Arm: "idle timeout 3 s"},
			{Arm: "no idle timeout"}, {Arm: "idle timeout 3 s"},
		},
	}
	runs := []compare.Run{measured(95), measured(0), measured(102), measured(0), measured(99), measured(0)}
	if err := compare.Judge(c, runs); err != nil {
		fmt.Println(err)
		return
	}
	for _, arm := range c.Arms {
		rate := arm.Measures[results.MeasureFailureRate]
		fmt.Printf("%s: %s\n", arm.Name, rate.Unit.Text(rate.Value))
	}
	fmt.Println("differs:", c.Pairs[0].Tests[0].Differs)
	// Output:
	// no idle timeout: 9.87 %
	// idle timeout 3 s: 0.00 %
	// differs: true
}
