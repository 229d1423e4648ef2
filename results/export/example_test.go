package export_test

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/export"
	"github.com/kabench/kabench/results/record"
)

// Write the exchanges of a run as CSV.
func ExampleCSV() {
	dir := written()
	defer os.RemoveAll(filepath.Dir(dir))
	d, err := record.Open(dir)
	if err != nil {
		log.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := export.CSV(&b, d); err != nil {
		log.Fatal(err)
	}
	rows, err := csv.NewReader(&b).ReadAll()
	if err != nil {
		log.Fatal(err)
	}
	for i, column := range rows[0] {
		if column == "phase" || column == "status" {
			fmt.Println(column, rows[1][i])
		}
	}
	// Output:
	// phase done
	// status 200
}

// written is a directory with a run of one exchange.
func written() string {
	parent, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	dir := filepath.Join(parent, "run")
	w, err := record.Create(dir)
	if err != nil {
		log.Fatal(err)
	}
	run := &results.Run{Name: "quick", Valid: true, Complete: true, Start: time.Now()}
	if err := w.Begin(run); err != nil {
		log.Fatal(err)
	}
	var e results.Exchange
	e.Reset(0, 0)
	e.Start, e.Done, e.Phase, e.Attempts, e.Status = 0, 3*time.Millisecond, results.PhaseDone, 1, 200
	w.Observe(&e)
	if err := w.Close(run); err != nil {
		log.Fatal(err)
	}
	return dir
}
