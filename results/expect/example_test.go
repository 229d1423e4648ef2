package expect_test

import (
	"fmt"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
)

// Check a condition on a finished run.
func ExampleCheck() {
	run := &results.Run{Counts: results.Counts{Due: 100, Started: 100, OK: 97, Failed: 3}}
	for _, e := range expect.Check(run, map[string]string{"failures": "0", "counts.ok": ">= 95"}) {
		fmt.Println(e.Path, e.Want, e.Met)
	}
	// Output:
	// counts.ok >= 95 true
	// failures 0 false
}
