package aim

import (
	"fmt"
	"math"
	"slices"
	"sync"

	"github.com/kabench/kabench/profiles"
)

// simulated is how many runs a forecast is made of.
const simulated = 200

// tried is how many runs a candidate of the search is judged by.
const tried = 12

// figure is a count of a run, and the path under which a run's results have it.
type figure struct {
	path string
	of   func(Counts) int
}

var (
	failures = figure{"failures.before_response", func(c Counts) int { return c.Failed }}
	resends  = figure{"resends.count", func(c Counts) int { return c.Met - c.Failed }}
	refused  = figure{"failures.acquire.queue_full", func(c Counts) int { return c.QueueFull }}
	timedOut = figure{"failures.acquire.timeout", func(c Counts) int { return c.AcquireTimeout }}
	opened   = figure{"connections.opened", func(c Counts) int { return c.Opened }}
	noticed  = figure{"connections.closed_by_peer", func(c Counts) int { return c.Noticed }}
)

// met is the number of attempts that meet the server's close.
func met(c Counts) int { return c.Met }

// estimate is what many simulated runs say about a figure.
type estimate struct {
	mean      float64
	low, high uint64 // 95 % of the runs
	least     uint64 // of all runs
	runs      []Counts
}

// expect plays the schedule of p that many times.
func expect(p *profiles.Profile, s Server, f figure, runs int) (estimate, error) {
	schedule, err := p.Load.Schedule()
	if err != nil {
		return estimate{}, err
	}
	e := estimate{runs: make([]Counts, runs)}
	var workers sync.WaitGroup
	for half := range 2 {
		workers.Go(func() {
			for i := half; i < runs; i += 2 {
				e.runs[i] = play(p, s, schedule, uint64(i+1))
			}
		})
	}
	workers.Wait()
	e.of(f)
	return e, nil
}

// of sets the mean and the interval to those of f.
func (e *estimate) of(f figure) {
	seen := make([]int, len(e.runs))
	sum := 0
	for i, c := range e.runs {
		seen[i] = f.of(c)
		sum += seen[i]
	}
	slices.Sort(seen)
	n := float64(len(seen))
	e.mean = float64(sum) / n
	// The interval of the next run, by ranks: it lies between them with the probability
	// of the ranks left out on each side.
	low, high := int(math.Floor(0.025*(n+1)))-1, int(math.Ceil(0.975*(n+1)))-1
	e.least = uint64(seen[0])
	e.low, e.high = uint64(seen[max(low, 0)]), uint64(seen[min(high, len(seen)-1)])
}

// atLeast is what a run must count to show the incident: a third of the least of the
// simulated runs, and not none. So a run that is made again and again, as in CI, does not
// fail by chance.
func (a *aiming) atLeast() string { return fmt.Sprintf(">= %d", max(a.estimate.least/3, 1)) }

// meanOf is the mean of another figure; 0 without runs.
func (e *estimate) meanOf(f func(Counts) int) float64 {
	if len(e.runs) == 0 {
		return 0
	}
	sum := 0
	for _, c := range e.runs {
		sum += f(c)
	}
	return float64(sum) / float64(len(e.runs))
}
