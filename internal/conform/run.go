package conform

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles"
)

// Lane is a client's process that plays stories one after another.
type Lane interface {
	Player
	// Again makes the client usable again after a failure, for example by
	// a new process. The error says that this is not possible.
	Again(ctx context.Context) error
}

// Options say what Run plays.
type Options struct {
	Stories []Story
	Preset  profiles.Preset
	// Lanes play stories at the same time: while one waits for an idle timer, others go on.
	Lanes []Lane
	// Done, if set, is called for each story that is over, one at a time.
	Done func(Result)
}

// Run plays stories with a client and with its preset, and returns a result for each, in
// the order of the stories. When ctx is done, what is under way is left, and counts as not
// played.
func Run(ctx context.Context, o Options) []Result {
	r := &runner{Options: o, imitation: Preset{o.Preset.Pool}, results: make([]Result, len(o.Stories))}
	var alone, others []int // places in Stories
	for i, s := range o.Stories {
		r.results[i] = Result{Story: s.Name, Asks: s.Asks, About: s.About, Verdict: NotPlayed, Differences: []Difference{}}
		if s.Alone {
			alone = append(alone, i)
		} else {
			others = append(others, i)
		}
	}
	slices.SortStableFunc(others, func(a, b int) int { return int(o.Stories[b].waits() - o.Stories[a].waits()) })
	queue := make(chan int, len(others))
	for _, i := range others {
		queue <- i
	}
	close(queue)
	var running sync.WaitGroup
	for n, lane := range o.Lanes {
		running.Go(func() {
			if n == 0 {
				for _, i := range alone {
					r.play(ctx, lane, i)
				}
			}
			for i := range queue {
				r.play(ctx, lane, i)
			}
		})
	}
	running.Wait()
	return r.results
}

type runner struct {
	Options
	imitation Preset
	burst     sync.RWMutex // held by stories that must be alone, and for reading by quick ones
	mu        sync.Mutex   // guards results, and Done
	results   []Result
}

// A story of this length or longer mostly waits: its two plays are at the same time, and
// bursts of other stories do not matter to it.
const long = time.Second

// mostDisturbed is how often a story is played again because the machine disturbed it.
const mostDisturbed = 6

// play plays a story until it can be judged. A difference must be seen twice, because a
// client may have a race within itself: then the verdict of two plays out of three counts.
func (r *runner) play(ctx context.Context, lane Lane, i int) {
	story := r.Stories[i]
	if ctx.Err() != nil {
		return
	}
	if story.Alone {
		r.burst.Lock()
		defer r.burst.Unlock()
	} else if story.waits() < long {
		r.burst.RLock()
		defer r.burst.RUnlock()
	}
	result := r.results[i]
	agreed, differed, disturbed, failed := 0, 0, 0, 0
	for agreed < 2 && differed < 2 && (agreed == 0 || differed > 0) {
		client, preset, err := r.both(ctx, story, lane)
		result.Plays++
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			result.Verdict, result.Why = Failed, err.Error()
			if failed++; failed == 2 || lane.Again(ctx) != nil {
				break
			}
			continue
		}
		result.Client, result.Preset = &client, &preset
		if why := cmp.Or(client.Disturbed, preset.Disturbed); why != "" && disturbed < mostDisturbed {
			disturbed++
			continue
		} else if why != "" {
			result.Verdict, result.Why = Disturbed, why
			break
		}
		if result.Differences = Compare(story, client, preset, sweepOf(r.imitation.Policy)); len(result.Differences) == 0 {
			agreed++
			result.Verdict = Agrees
		} else {
			differed++
			result.Verdict = Differs
		}
		result.Why = ""
	}
	result.Varies = agreed > 0 && differed > 0
	if result.Verdict == Differs {
		if limit, known := r.Preset.Cannot.Of(story.Name); known {
			result.Verdict, result.Known = Known, limit.What
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.results[i] = result
	if r.Done != nil {
		r.Done(result)
	}
}

// both plays a story with the client and with the preset.
func (r *runner) both(ctx context.Context, story Story, lane Lane) (client, preset Seen, err error) {
	var presetErr error
	if story.waits() < long {
		if client, err = Play(ctx, story, lane); err == nil {
			preset, err = Play(ctx, story, r.imitation)
		}
		return client, preset, err
	}
	var other sync.WaitGroup
	other.Go(func() { preset, presetErr = Play(ctx, story, r.imitation) })
	client, err = Play(ctx, story, lane)
	other.Wait()
	if err == nil {
		err = presetErr
	}
	return client, preset, err
}

// sweepOf is the period of a policy's sweep; 0: it has none.
func sweepOf(p pool.Policy) time.Duration {
	if p.Expiry&pool.ExpireBySweep == 0 {
		return 0
	}
	return p.SweepEvery
}
