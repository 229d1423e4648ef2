package kabench

import (
	"context"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/results"
)

// Share makes a run one agent's part of a run on several: it sends the arrivals Index,
// Index+Of, … of the schedule, with their numbers, and numbers its connections likewise, so
// that no two agents have the same.
type Share struct {
	Index, Of int // 0 <= Index < Of
	// Await is called when everything is ready to send. It returns the moment at which the
	// schedule begins, which must be at least 50 ms ahead.
	Await func(context.Context) (time.Time, error)
	// Beat, if set, is called about once a second and at the end, by one goroutine.
	Beat func(Beat)
	// Follow puts exchanges into the beats, for a page that shows the run.
	Follow bool
}

// Beat is how far an agent has come, so that the run can be shown and stopped. The results
// do not come from beats.
type Beat struct {
	Progress Progress       `json:"progress"`
	Tally    *results.Tally `json:"tally"` // so far: counts, and the latencies that abort_when asks for
	Stats    dialers.Stats  `json:"stats"`
	Sample   results.Sample `json:"sample"`
	// Exchanges are lines of the record, if they were asked for: those that ended since the
	// last beat, at most maxFollowed of them, and how many are left out.
	Exchanges []byte `json:"exchanges,omitempty"`
	LeftOut   uint64 `json:"left_out,omitempty"`
}
