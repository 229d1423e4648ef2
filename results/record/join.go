package record

import (
	"errors"
	"time"

	"github.com/kabench/kabench/results"
)

// Part is the directory of one agent's run, to be joined with the others'.
type Part struct {
	Agent results.Agent
	Dir   string // "": nothing survived
}

// Joined is the run that the runs of several agents are together.
type Joined struct {
	// Run has what can be known by joining; it is not judged, and has no Expect.
	Run *results.Run
	// Tally has counted every exchange.
	Tally *results.Tally
}

// Join writes into dir the record, the samples and the latency log of the run that parts
// are together, and returns its document. schedule is every arrival of the run; those of a
// lost agent that its record does not have are recorded as dropped, with the cause
// agent_lost. measured is the length of the run without its warm-up.
//
// Join may be called again for the same dir: it writes the same files again.
func Join(dir string, parts []Part, schedule func(yield func(time.Duration) bool), warmUp, measured time.Duration) (*Joined, error) {
	return nil, errors.New("not made yet")
}

// Close writes run as run.json into the directory that was joined, completely or not at all.
func (j *Joined) Close(run *results.Run) error { return errors.New("not made yet") }
