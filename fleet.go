package kabench

import (
	"context"
	"time"

	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// Fleet is several agents that send the requests of a run together.
type Fleet interface {
	// Size is the number of agents.
	Size() int
	// Local reports whether every agent shares this machine's loopback.
	Local() bool
	// Send has each agent send its share, and returns when the results of each are in its
	// directory, or it is lost. The error is an *InputError if nothing was sent, and
	// ErrInterrupted if job.Stop was closed before the first request.
	Send(ctx context.Context, job FleetJob) ([]FleetPart, error)
}

// FleetJob is what the agents are to do.
type FleetJob struct {
	Profile *profiles.Profile // valid, with a seed, and a target that the agents reach
	Out     string            // the run's directory; the agents' are below it
	Follow  bool              // agents send exchanges too, for a page
	Stop    <-chan struct{}   // as Options.Stop
	// Preparing and Begun are called as things happen; start is by this process's clock.
	Preparing func(what string)
	Begun     func(start time.Time)
	// Beats is called about once a second by one goroutine, with the newest beat of each
	// agent, by index; nil for one that has sent none.
	Beats func([]*Beat)
}

// FleetPart is what one agent has done, as far as it is known.
type FleetPart struct {
	// Agent has what the fleet knows of it: Index, Name, Version, Network, Clock, Lost
	// without Arrivals and Share, Again.
	Agent results.Agent
	Dir   string // the directory of its run; "": nothing of it survived
}
