package record_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// Read a directory that kabench wrote.
func ExampleOpen() {
	dir := written()
	defer os.RemoveAll(filepath.Dir(dir))

	d, err := record.Open(dir)
	if err != nil {
		log.Fatal(err)
	}
	run, err := d.Run()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(run.Name, "valid:", run.Valid)
	for e, err := range d.Exchanges() {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(e.Seq, e.Phase, e.ResponseTime())
	}
	// Output:
	// quick valid: true
	// 0 done 3ms
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
