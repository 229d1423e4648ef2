package kabench

import (
	"context"
	"time"

	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/internal/target"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// DefaultCoolDown is the most that a run of a comparison waits for TIME_WAIT
// sockets to the target to go: a little more than the 60 s for which the kernel
// keeps one, so that none is left.
const DefaultCoolDown = 65 * time.Second

// coolDownOptions bound the wait.
type coolDownOptions struct {
	limit   time.Duration
	first   bool // there was no run before
	stop    <-chan struct{}
	cooling func(waited time.Duration, left int)
	every   time.Duration       // between two looks; 0: lookEvery
	look    func() (int, error) // how many there are; nil: asks the kernel
}

// lookEvery is how often the sockets are looked at.
const lookEvery = 250 * time.Millisecond

// coolDown waits until no socket in TIME_WAIT is left of those between this
// machine and p's target, on either side, for at most the limit. What is left of
// a run before would be counted in the next one's, and holds its ports.
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
	for told := began; ; {
		if err == nil {
			out.TimeWait, err = o.look()
		}
		if err != nil {
			// All that can be done without seeing them is to wait for as long as they
			// can be there.
			out.TimeWait, out.Why = 0, "the sockets cannot be seen: "+err.Error()
		}
		waited := time.Since(began)
		gone := err == nil && out.TimeWait == 0 || err != nil && o.first
		if out.Seconds = waited.Seconds(); gone || waited >= o.limit {
			out.Limited = !gone
			return out
		}
		if o.cooling != nil && (told.Equal(began) || time.Since(told) >= time.Second) {
			told = time.Now()
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
