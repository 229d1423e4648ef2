package text_test

import (
	"fmt"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/text"
)

// Say in a sentence what a run showed.
func ExampleHeadlineOfRun() {
	run := &results.Run{Name: "quick", Valid: true, Complete: true, Counts: results.Counts{Due: 100, Started: 100, OK: 100}}
	fmt.Println(text.HeadlineOfRun(run).Answer)
	// Output: None of 100 requests failed; what they took was not recorded.
}
