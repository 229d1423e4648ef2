package kabench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/timings"
)

// Options are what a run needs beside its profile. The zero value keeps the results in
// memory alone.
type Options struct {
	Out     string // the run's directory, which must not exist or be empty; "": nothing is written
	Version string // of kabench, for the record
	Command string // the command line that asked for the run, for the record; secrets of the profile are blanked in it
	// Bare turns off everything that watches the run, to measure what watching costs:
	// the document has only counts and latencies, and nothing is written to Out.
	Bare bool
	// Stop, when closed, starts no more requests and lets those in flight finish.
	// Cancelling the context gives those up as well.
	Stop <-chan struct{}
	// Incident, if set, is the run that the expectations of a remedy may name.
	Incident *results.Run
	// Baseline, if set, is an earlier run that the expectations may name.
	Baseline *Baseline
	// Progress, if set, is called about once a second while the run goes on, by one
	// goroutine. A slow Progress misses some calls and does not delay the run.
	Progress func(Progress)
	// Preparing, if set, is called with what a run does that takes long before its first
	// request, as a line of text: a real client starts and warms up.
	Preparing func(what string)
	// Live, if set, follows the run as it goes on.
	Live Feed
	// Standing, if set, is called about once a second and at the end with the figures of the
	// run so far, by one goroutine at a time. A slow Standing misses some calls, but not the
	// last, and does not delay the requests.
	Standing func(Standing)
	// Failure, if set, is called for each exchange that failed, without those of the
	// warm-up. It may be called from several goroutines, which requests wait for, and must
	// not keep the exchange. Of a run on agents, or in a process of its own, only as many are
	// passed on as come without delaying the run.
	Failure func(*results.Exchange)
	// Fleet, if set, sends the requests on several agents. This process prepares the run,
	// joins their results and judges.
	Fleet Fleet
	// Share, if set, makes this run one agent's share of another.
	Share *Share
	// Trace, if set, is called for each change to a connection, as
	// dialers.Client.Tracer is. It may be called from several goroutines.
	Trace func(dialers.TraceEvent)
}

// A Feed follows a run while it goes on, to show it elsewhere. If it has a method
// Ended(*results.ConnectionEnd), that gets how each connection ended, and must not keep it.
type Feed interface {
	// Begin comes first, with the document as known before the first request. It does
	// not come for a run that could not begin, or that another process makes.
	Begin(*results.Run)
	// Observe gets each exchange that is over, and must not keep it. It may be called
	// from many goroutines.
	Observe(*results.Exchange)
	// Sample gets what was seen of the pool, the sockets and kabench itself.
	Sample(results.Sample)
	// End comes last, with the finished document.
	End(*results.Run)

	// From comes instead of Begin when another process makes the run, as for a profile
	// with a network: ask asks that process for data to show.
	From(ask func())
	// Put gets such data; over says that no more will come.
	Put(data []byte, over bool)
}

// Standing is the figures of a run so far.
type Standing struct {
	// Run is the document as it would be if the run had ended now, without latencies and
	// without what is only known at the end. With Over, it is the finished document. It must
	// not be changed.
	Run *results.Run `json:"run"`
	// Timings are of all exchanges in Run.Counts; of a run with a lost agent, of those that
	// it had reported.
	Timings *timings.Timings `json:"timings"`
	Sample  *results.Sample  `json:"sample,omitempty"` // the newest, with the newest look at the sockets; nil: there was none
	Over    bool             `json:"over,omitempty"`
	// Server is the host and port that all requests go to, and Method their method; "": there
	// are several, or it is not known.
	Server string `json:"server,omitempty"`
	Method string `json:"method,omitempty"`
}

// InputError is something the user asked for that cannot be done, found before
// any traffic.
type InputError struct{ Err error }

func (e *InputError) Error() string { return e.Err.Error() }
func (e *InputError) Unwrap() error { return e.Err }

func inputErrorf(format string, args ...any) error { return &InputError{fmt.Errorf(format, args...)} }

// ErrInterrupted is returned for a run that was stopped before its first request.
var ErrInterrupted = errors.New("interrupted before the first request")

// StopSignals are the signals that should stop a run in an orderly way, with its results
// written: SIGINT, SIGTERM, and SIGHUP, which a closed terminal sends. SIGHUP is left out
// if this process ignores it, as under nohup.
func StopSignals() []os.Signal {
	if signal.Ignored(syscall.SIGHUP) {
		return []os.Signal{os.Interrupt, syscall.SIGTERM}
	}
	return []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP}
}

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
	// Profile is valid, with a seed, and a target that the agents reach. Agents need all of
	// it: what it has of expect says which resources may run out, and what it has of
	// abort_when, which latencies their beats must have.
	Profile *profiles.Profile
	Out     string           // the run's directory; the agents' are below it
	Looked  []netip.AddrPort // as Share.Looked
	Follow  bool             // agents send exchanges too, for a page
	Timings bool             // agents send timings too
	Stop    <-chan struct{}  // as Options.Stop
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

// processes is how many processes send the requests of a run.
func (o *Options) processes() int {
	if o.Fleet == nil {
		return 1
	}
	return o.Fleet.Size()
}
