package generator_test

import (
	"context"
	"fmt"
	"log"
	"sync/atomic"
	"time"

	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/results"
)

// Two bursts of three requests, and when each of them is due.
func ExampleLoad_Schedule() {
	load := generator.Default()
	load.Rate, load.Duration = 30, time.Second
	load.Arrivals = generator.Arrivals{Process: generator.Burst, On: 100 * time.Millisecond, Off: 400 * time.Millisecond}
	schedule, err := load.Schedule()
	if err != nil {
		log.Fatal(err)
	}
	for due := range schedule {
		fmt.Println(due.Round(time.Millisecond))
	}
	// Output:
	// 0s
	// 33ms
	// 67ms
	// 500ms
	// 533ms
	// 567ms
}

// doer performs an exchange. A real one sends a request; a dialers.Client does so and is
// an Engine itself.
type doer struct{}

func (doer) Do(_ context.Context, e *results.Exchange) {
	e.Phase = results.PhaseDone
	e.Done = e.Start + time.Millisecond
}

type counter struct{ ok atomic.Int64 }

func (c *counter) Observe(e *results.Exchange) {
	if e.OK() {
		c.ok.Add(1)
	}
}

// An open loop starts each request when it is due, whatever became of those before.
func ExampleOpen() {
	load := generator.Default()
	load.Rate, load.Count = 1000, 20
	schedule, err := load.Schedule()
	if err != nil {
		log.Fatal(err)
	}
	var seen counter
	open := generator.Open{Load: load, Schedule: schedule, Engine: &generator.Each{Doer: doer{}}, Observer: &seen}
	open.Run(context.Background(), time.Now(), nil)
	fmt.Println(seen.ok.Load(), "requests were ok")
	// Output: 20 requests were ok
}
