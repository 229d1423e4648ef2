package forecast

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/kabench/kabench/profiles"
)

// Options are what a forecast needs beside the profile.
type Options struct {
	// For is how much traffic is played, without warm-ups; 0: until the profile's load.count,
	// or for its duration. With For, a count ends nothing.
	For  time.Duration
	Seed uint64 // 0: the profile's, or 1 if that has none
	// Server, if set, answers instead of the profile's target: a preset, or a file that a
	// probe or an autopsy wrote.
	Server *profiles.ServerPreset
	// Via, if set, is what lies on the way to the server. Without it a profile's section via
	// is, if the profile has no server of kabench's own.
	Via *profiles.ServerFacts
	// Answers, if there are any, are times from a request to its response, as a client has
	// measured them, round trip included. The server's are drawn from them.
	Answers []time.Duration
	// Ports is how many local ports the client has towards the server (0: no bound), and
	// PortsAgain how long one stays in use after the client closed first (0: 60 s). A
	// profile with a private network has its own.
	Ports      int
	PortsAgain time.Duration
	// Requests is how many requests a short forecast plays at least, in as many runs as that
	// takes; 0: four million.
	Requests int
	// Progress, if set, is called by several goroutines, with the share of the work that
	// is done, 0 to 1.
	Progress func(done float64)
}

// seed is the seed of the i-th span.
func (o *Options) seed(i int) uint64 {
	if i == 0 {
		return o.Seed
	}
	return rand.New(rand.NewPCG(o.Seed, uint64(i))).Uint64() | 1
}

// Result is what a forecast has found.
type Result struct {
	For   time.Duration
	Seed  uint64
	Whole bool // each span is a whole run of For
	spans []*counter
	lasts []time.Duration // of the part of each span that counts
	facts *facts
}

// Run plays p on virtual time, on all cores. The error is an *Unsupported, what is wrong with
// the load, or ctx's.
func Run(ctx context.Context, p *profiles.Profile, o Options) (*Result, error) {
	if o.Seed == 0 {
		o.Seed = max(p.Load.Seed, 1)
	}
	f, err := factsOf(p, &o)
	if err != nil {
		return nil, err
	}
	if err := f.lasts(&o); err != nil {
		return nil, err
	}
	list := f.spansOf(&o)
	r := &Result{For: o.For, Seed: o.Seed, Whole: list[0].own, facts: f, spans: make([]*counter, len(list)), lasts: make([]time.Duration, len(list))}
	var (
		workers sync.WaitGroup
		mu      sync.Mutex
		next    int
		failed  error
		done    float64
		total   float64
	)
	for _, s := range list {
		total += (s.warmUp + s.counts).Seconds()
	}
	for range min(runtime.GOMAXPROCS(0), len(list)) {
		workers.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				stop := failed != nil || ctx.Err() != nil
				mu.Unlock()
				if i >= len(list) || stop {
					return
				}
				played := 0.0
				beat := func(at time.Duration) error {
					mu.Lock()
					done += at.Seconds() - played
					share := min(done/total, 1)
					mu.Unlock()
					played = at.Seconds()
					if o.Progress != nil {
						o.Progress(share)
					}
					return ctx.Err()
				}
				n, err := f.play(list[i], beat)
				if err == nil {
					err = beat(list[i].warmUp + list[i].counts)
				}
				mu.Lock()
				r.spans[i], r.lasts[i] = n, list[i].counts
				failed = errors.Join(failed, err)
				mu.Unlock()
			}
		})
	}
	workers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if failed != nil {
		return nil, failed
	}
	if err := r.tooMany(); err != nil {
		return nil, err
	}
	return r, nil
}
