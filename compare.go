package kabench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/kabench/kabench/internal/capacity"
	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/internal/sandbox"
	"github.com/kabench/kabench/internal/target"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/compare"
	"github.com/kabench/kabench/results/expect"
	"github.com/kabench/kabench/results/record"
)

// ComparedArm is one of the configurations of a comparison.
type ComparedArm struct {
	Name    string
	Change  map[string]string // profile path -> value, as reports show it: without secrets
	Profile *profiles.Profile // valid, and resolved
}

// CompareOptions are Options for the runs of a comparison.
type CompareOptions struct {
	Options
	Name, Question string // of the comparison
	Axes           []results.Axis
	Repeats        int           // blocks, each with a run of every arm; at least 1
	Seed           uint64        // of the order within blocks and of the arrivals; 0: a new one
	CoolDown       time.Duration // how long a run may wait until no TIME_WAIT sockets are left
	// Resume continues the comparison in Out, which must have the same arms, Repeats and
	// Seed. Complete runs are not made again.
	Resume bool
	// Before, if set, is called before each run.
	Before func(step, steps, block int, arm string)
	// Cooling, if set, is called about once a second with the number of TIME_WAIT sockets
	// that a run still waits for.
	Cooling func(waited time.Duration, left int)
}

// confidence of the intervals and tests of a comparison.
const confidence = 0.95

// Compare runs each arm Repeats times, interleaved in blocks. A block has one run of every
// arm, in a random order, so that changes of the machine or the target meanwhile affect all
// arms alike. The runs of a block have the same random arrivals; each block has its own.
//
// The runs are kept below Out, numbered in the order in which they were made. A comparison
// that was stopped early is still returned, marked as interrupted. The error is an
// *InputError when an arm could not be run at all; no request was sent then. An error that
// results could not be written comes together with the comparison.
func Compare(ctx context.Context, arms []ComparedArm, opts CompareOptions) (*results.Comparison, error) {
	if len(arms) < 2 {
		return nil, &InputError{compare.ErrNoPairs}
	}
	if opts.Repeats < 1 {
		return nil, inputErrorf("repeats: %d is not at least 1", opts.Repeats)
	}
	if opts.Seed == 0 {
		opts.Seed = newSeed()
	}
	for _, arm := range arms {
		if err := fits(ctx, arm.Profile, opts.Options); errors.Is(err, ErrInterrupted) {
			return nil, err
		} else if err != nil {
			return nil, inputErrorf("%s: %w", arm.Name, err)
		}
	}
	var before *resumed
	start := time.Now()
	if opts.Out != "" {
		lock, plan, err := takeForRuns(arms, opts)
		if err != nil {
			return nil, &InputError{err}
		}
		defer lock.Close()
		start = plan.Start
		if opts.Resume {
			if before, err = openResumed(opts.Out); err != nil {
				return nil, &InputError{err}
			}
		}
	}
	c := &results.Comparison{
		Version: opts.Version, Name: opts.Name, Question: opts.Question, Start: start,
		Seed: opts.Seed, Repeats: opts.Repeats, Confidence: confidence, Axes: opts.Axes,
	}
	for _, arm := range arms {
		c.Arms = append(c.Arms, results.Arm{Name: arm.Name, Change: arm.Change})
	}
	b := &comparing{arms: arms, opts: opts, before: before, doc: c}
	err := b.blocks(ctx)
	if len(c.Runs) == 0 {
		if opts.Out != "" && !opts.Resume {
			unclaim(opts.Out)
		}
		return nil, errors.Join(err, ErrInterrupted)
	}
	c.End = time.Now()
	return c, errors.Join(err, compare.Judge(c, b.runs))
}

// comparing is a comparison being made.
type comparing struct {
	arms   []ComparedArm
	opts   CompareOptions
	before *resumed // nil: nothing was made before
	doc    *results.Comparison
	runs   []compare.Run // beside doc.Runs
}

// takeForRuns claims the directory of a new comparison, or of one that is resumed, and
// returns the lock on it.
func takeForRuns(arms []ComparedArm, opts CompareOptions) (*flock.Flock, *results.Plan, error) {
	if !opts.Resume {
		settings, secrets, err := settingsOf(arms)
		if err != nil {
			return nil, nil, err
		}
		plan := &results.Plan{
			Version: opts.Version, Kind: record.KindComparison, Name: opts.Name, Question: opts.Question, Start: time.Now(),
			Seed: opts.Seed, Repeats: opts.Repeats, CoolDown: opts.CoolDown.Seconds(), Axes: opts.Axes, Settings: settings, Secrets: secrets,
		}
		lock, err := claimForRuns(opts.Out, plan)
		return lock, plan, err
	}
	plan, err := record.OpenPlan(opts.Out)
	if err == nil {
		err = fitsPlan(plan, arms, opts)
	}
	if err != nil {
		return nil, nil, err
	}
	lock, err := lockRuns(opts.Out)
	return lock, plan, err
}

// blocks makes the runs. The error says what could not be written.
func (b *comparing) blocks(ctx context.Context) error {
	order := rand.New(rand.NewPCG(b.opts.Seed, 0))
	arrivals := rand.New(rand.NewPCG(b.opts.Seed, 1))
	var problems []error
	for block := range b.opts.Repeats {
		seed := arrivals.Uint64()>>11 | 1
		for _, i := range order.Perm(len(b.arms)) {
			more, err := b.one(ctx, block+1, b.arms[i], seed)
			if err != nil {
				problems = append(problems, err)
			}
			if !more {
				b.doc.Interrupted = true
				return errors.Join(problems...)
			}
		}
	}
	return errors.Join(problems...)
}

// one makes one run, and reports whether there may be more.
func (b *comparing) one(ctx context.Context, block int, arm ComparedArm, seed uint64) (more bool, err error) {
	stopped := func() bool { return ctx.Err() != nil || closed(b.opts.Stop) }
	if stopped() {
		return false, nil
	}
	step := len(b.doc.Runs) + 1
	base := fmt.Sprintf("%03d-%s", step, fileName(arm.Name))
	if made, run, found := b.before.find(block, arm.Name, base); found {
		b.doc.Runs, b.runs = append(b.doc.Runs, made), append(b.runs, run)
		return true, nil
	}
	if b.opts.Before != nil {
		b.opts.Before(step, b.opts.Repeats*len(b.arms), block, arm.Name)
	}
	p := arm.Profile.Clone()
	if p.Load.Seed == 0 {
		p.Load.Seed = seed
	}
	runtime.GC() // so that this run does not pay for what the last one has left
	cool := coolDown(ctx, p, coolDownOptions{limit: b.opts.CoolDown, first: step == 1 && b.before == nil, stop: b.opts.Stop, cooling: b.opts.Cooling, look: elsewhere(b.opts.Fleet)})
	if stopped() {
		return false, nil
	}
	opts, made := b.opts.Options, results.ComparedRun{Arm: arm.Name, Block: block, CoolDown: cool}
	if opts.Out != "" {
		made.Dir = freeName(b.opts.Out, base)
		opts.Out = filepath.Join(b.opts.Out, made.Dir)
	}
	doc, err := Run(ctx, p, opts)
	if doc == nil {
		if errors.Is(err, ErrInterrupted) {
			return false, nil
		}
		made.Dir, made.Excluded = "", fmt.Sprintf("it could not be made: %v", err)
		b.doc.Runs, b.runs = append(b.doc.Runs, made), append(b.runs, compare.Run{})
		return true, b.keep()
	}
	run := compare.Run{Doc: doc}
	if opts.Out != "" {
		if dir, openErr := record.Open(opts.Out); openErr == nil {
			run.Dir = dir
		}
	}
	b.doc.Runs, b.runs = append(b.doc.Runs, made), append(b.runs, run)
	return !stopped(), errors.Join(err, b.keep())
}

// fits finds out whether a run of p could begin, without sending its traffic.
func fits(ctx context.Context, p *profiles.Profile, opts Options) error {
	abort, err := expect.ParseAbort(p.AbortWhen)
	if err != nil {
		return fmt.Errorf("abort_when: %w", err)
	}
	if named := namingBaseline(p, abort); len(named) > 0 {
		return fmt.Errorf("these conditions name a baseline, but the runs of a comparison are compared with its first configuration: %s; leave them out with --set expect=null --set abort_when=null", strings.Join(named, ", "))
	}
	if opts.Fleet != nil {
		return fitsFleet(p, opts)
	}
	if p.Client == profiles.ClientExternal {
		if _, _, err := driverCommand(p); err != nil {
			return err
		}
	}
	if p.Network != nil {
		return sandbox.Available() // the run's own process checks the rest
	}
	if err := checkStockPool(p); err != nil {
		return err
	}
	if _, err := p.Load.Schedule(); err != nil {
		return err
	}
	t, err := openTarget(ctx, p, opts)
	if err != nil {
		return err
	}
	defer t.Close()
	_, err = capacity.NeedsOf(p, t.Origins(), len(t.Remotes), 1).Check(capacity.ReadLimits(t.Remotes), p.Expect)
	return err
}

// fitsFleet is fits for a run on several agents. Whether they reach the target, and have
// what the run needs, each of them finds out before its first request.
func fitsFleet(p *profiles.Profile, opts Options) error {
	plan, err := newPlan(p, opts)
	if err != nil {
		return err
	}
	return divisible(plan, opts)
}

// longestName is how many characters of an arm's name become part of a directory's name.
const longestName = 60

// fileName returns name as part of a directory's name.
func fileName(name string) string {
	safe := []rune(record.Slug(name, "-_.="))
	return string(safe[:min(len(safe), longestName)])
}

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

// elsewhere returns how the sockets of a fleet are looked at that is not on this machine:
// they cannot be. nil: they are this machine's.
func elsewhere(f Fleet) func() (int, error) {
	if f == nil || f.Local() {
		return nil
	}
	return func() (int, error) { return 0, errors.New("they are on the machines of the agents") }
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
