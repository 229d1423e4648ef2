package kabench

import (
	"context"
	"time"

	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/internal/target"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// DefaultCoolDown is the longest that a run of a comparison waits until no TIME_WAIT sockets
// to the target are left: a little more than the 60 s for which the kernel keeps one.
const DefaultCoolDown = 65 * time.Second

// coolDownOptions bound the wait.
type coolDownOptions struct {
	limit   time.Duration
	first   bool // there was no earlier run
	stop    <-chan struct{}
	cooling func(waited time.Duration, left int)
	every   time.Duration       // between two looks; 0: lookEvery
	look    func() (int, error) // the number of such sockets; nil: asks the kernel
}

// lookEvery is how often the sockets are looked at.
const lookEvery = 250 * time.Millisecond

// coolDown waits until there is no socket in TIME_WAIT between this machine and p's target,
// on either side, but not longer than the limit. Sockets that an earlier run left would be
// counted in this run's figures, and hold its ports.
func coolDown(ctx context.Context, p *profiles.Profile, o coolDownOptions) *results.CoolDown {
	switch {
	case p.Network != nil:
		return &results.CoolDown{Why: "each run has a private network of its own"}
	case p.Target.Lab != nil:
		return &results.CoolDown{Why: "each run has a server of its own, at a port of its own"}
	}
	if o.every == 0 {
		o.every = lookEvery
	}
	began := time.Now()
	out := &results.CoolDown{}
	var err error
	if o.look == nil {
		var watcher *host.SocketWatcher
		if watcher, err = host.NewSocketWatcher(host.Watch{Remotes: target.Addresses(ctx, p)}); err == nil {
			defer watcher.Close()
			o.look = func() (int, error) {
				count, err := watcher.Count()
				return count.Client[host.TimeWait] + count.Server[host.TimeWait], err
			}
		}
	}
	for reported := began; ; {
		if err == nil {
			out.TimeWait, err = o.look()
		}
		if err != nil {
			// Sockets that cannot be seen may exist for as long as the limit.
			out.TimeWait, out.Why = 0, "the sockets cannot be seen: "+err.Error()
		}
		waited := time.Since(began)
		gone := err == nil && out.TimeWait == 0 || err != nil && o.first
		if out.Seconds = waited.Seconds(); gone || waited >= o.limit {
			out.Limited = !gone
			return out
		}
		if o.cooling != nil && (reported.Equal(began) || time.Since(reported) >= time.Second) {
			reported = time.Now()
			o.cooling(waited, out.TimeWait)
		}
		select {
		case <-time.After(min(o.every, o.limit-waited)):
		case <-o.stop:
			out.Limited = true
			return out
		case <-ctx.Done():
			out.Limited = true
			return out
		}
	}
}
