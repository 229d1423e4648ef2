package foresee

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// mostAnswers is how many response times are kept of a run. They are a random sample.
const mostAnswers = 100_000

// answersOf is a sample of the times from request to response in the record of a run, on
// connections that were open already.
func answersOf(dir string) ([]time.Duration, error) {
	d, err := record.Open(dir)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(1, 0x616e73)) // the same record gives the same sample
	var sample []time.Duration
	seen := 0
	for e, err := range d.Exchanges() {
		if err != nil {
			break // the end was not written whole
		}
		if e.WarmUp || !e.OK() || e.Wrote == results.Never || !e.Reused() {
			continue
		}
		seen++
		took := e.Done - e.Wrote
		if len(sample) < mostAnswers {
			sample = append(sample, took)
		} else if i := rng.IntN(seen); i < mostAnswers {
			sample[i] = took
		}
	}
	if len(sample) < 100 {
		return nil, fmt.Errorf("%s has %d response times on kept connections, too few to draw from; want 100", dir, len(sample))
	}
	return sample, nil
}
