package site_test

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
	"github.com/kabench/kabench/results/site"
)

// Publish the results of a run: an index, a feed and its Markdown. With Options.Page
// there is also an HTML page.
func ExamplePublish() {
	dir, err := os.MkdirTemp("", "kabench")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	run := filepath.Join(dir, "run")
	w, err := record.Create(run)
	if err != nil {
		fmt.Println(err)
		return
	}
	began := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	if err := w.Close(&results.Run{Name: "orders", Start: began, End: began.Add(time.Minute), Complete: true, Valid: true}); err != nil {
		fmt.Println(err)
		return
	}
	published, err := site.Publish([]string{run}, site.Options{Out: filepath.Join(dir, "public"), Now: began.Add(time.Hour)})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(published[0].State, published[0].Slug)
	// Output: new orders-run-20260301-120000.000
}
