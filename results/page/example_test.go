package page_test

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/page"
)

// Write a page about a run that is described by hand. Gather makes the same Data from a
// directory of results.
func ExampleWrite() {
	run := &results.Run{
		Name: "orders", Question: "Is the pool large enough?", Complete: true, Valid: true,
		Counts: results.Counts{Due: 1, Started: 1, OK: 1},
	}
	g := page.NewGatherer("orders", run)
	g.Observe(&results.Exchange{Phase: results.PhaseDone, Done: 20 * time.Millisecond})
	var b bytes.Buffer
	if err := page.Write(&b, g.Data()); err != nil {
		fmt.Println(err)
		return
	}
	_, heading, _ := strings.Cut(b.String(), `<h1 id="question">`)
	heading, _, _ = strings.Cut(heading, "</h1>")
	fmt.Println(heading)
	// Output: Is the pool large enough?
}
