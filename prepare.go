package kabench

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"

	"github.com/kabench/kabench/collectors"
	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/capacity"
	"github.com/kabench/kabench/internal/target"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results/expect"
	"github.com/kabench/kabench/results/record"
)

// plan is what a run is to do. It is made before anything is opened.
type plan struct {
	profile  *profiles.Profile // with a seed
	schedule generator.Schedule
	abort    *expect.Abort     // abort_when
	expect   map[string]string // what the run must show; nil for a share, which is judged as a part of the whole
	baseline *Baseline         // nil: none
	notes    []string          // warnings of the checks before the run
	share    *Share            // nil: this run sends the whole schedule
}

// newPlan returns the plan of a run of p. The error is an *InputError.
func newPlan(p *profiles.Profile, opts Options) (*plan, error) {
	if err := validate(p, opts.Incident != nil); err != nil {
		return nil, &InputError{err}
	}
	p = p.Clone()
	if p.Load.Seed == 0 {
		p.Load.Seed = newSeed() // recorded, so that the run can be made again
	}
	if err := checkStockPool(p); err != nil {
		return nil, err
	}
	schedule, err := p.Load.Schedule()
	if err != nil {
		return nil, &InputError{err}
	}
	abort, err := expect.ParseAbort(p.AbortWhen)
	if err != nil {
		return nil, inputErrorf("abort_when: %w", err)
	}
	plan := &plan{profile: p, schedule: schedule, abort: abort, notes: slices.Clone(p.Warnings), share: opts.Share}
	if plan.share != nil {
		return plan, nil
	}
	var none string
	if plan.baseline, none, err = opts.Baseline.sift(p); err != nil {
		return nil, &InputError{err}
	}
	if none != "" {
		if left := plan.baseline.without(p, abort); len(left) > 0 {
			none += "; not checked: " + strings.Join(left, ", ")
		}
		plan.notes = append(plan.notes, none)
		if plan.abort, err = expect.ParseAbort(p.AbortWhen); err != nil {
			return nil, inputErrorf("abort_when: %w", err)
		}
	}
	plan.expect = p.Expect
	notes, err := plan.baseline.fits(p, plan.abort, opts.processes())
	if err != nil {
		return nil, &InputError{err}
	}
	plan.notes = append(plan.notes, slices.Concat(notes, plan.baseline.weighs(p.Expect))...)
	return plan, nil
}

// validate complains about p, whose expectations may name the incident if it is a
// remedy's.
func validate(p *profiles.Profile, remedy bool) error {
	if !remedy {
		return p.Validate()
	}
	bare := p.Clone()
	bare.Expect = nil
	return errors.Join(bare.Validate(), expect.ValidateRemedy(p.Expect))
}

// newSeed is above 0, and small enough for JSON readers that keep 53 bits.
func newSeed() uint64 { return rand.Uint64()>>11 | 1 }

// checkStockPool complains about a pool that would have no effect.
func checkStockPool(p *profiles.Profile) error {
	if p.Client == profiles.ClientStock && !reflect.DeepEqual(p.Pool, pool.Default()) {
		return inputErrorf("client: stock has a pool of its own, and the profile's pool would have no effect; take it out (--pool default), or set client: policy (--pool go-default-transport comes near)")
	}
	return nil
}

// recordLimit is the rate of successes, per second, up to which each one is recorded.
// Above it only one in n is, so that the record does not grow faster.
const recordLimit = 10_000

// oneIn returns of how many successes one is recorded, when p's requests are dealt to that
// number of agents: it is the same for all of them.
func oneIn(p *profiles.Profile, agents int) uint64 {
	return uint64(max(1, math.Ceil(p.Load.MeanRate()/float64(agents)/recordLimit)))
}

// prepare opens the target of p, compares what the run needs with this machine, and
// creates the directory of the results. Undo it with close.
func prepare(ctx context.Context, p *profiles.Profile, opts Options) (_ *run, err error) {
	plan, err := newPlan(p, opts)
	if err != nil {
		return nil, err
	}
	t, err := openTarget(ctx, plan.profile, opts)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = t.Close()
		}
	}()
	limits := capacity.ReadLimits(t.Remotes)
	need := capacity.NeedsOf(plan.profile, t.Origins(), len(t.Remotes), plan.share.agents())
	notes, err := need.Check(limits, plan.profile.Expect)
	if err != nil {
		return nil, &InputError{err}
	}
	plan.notes = append(plan.notes, notes...)
	r := &run{plan: plan, opts: opts, target: t, watch: newWatchers(plan, t, limits)}
	r.watch.exhaustion.Predicted = need.Exhausts(limits)
	if plan.profile.Client == profiles.ClientExternal {
		if r.outsider, err = startOutsider(ctx, plan.profile, t, opts); err != nil {
			return nil, err
		}
		defer func() {
			if err != nil {
				r.outsider.close()
			}
		}()
		plan.notes = append(plan.notes, r.outsider.notes...)
	}
	t.Dialer.Control = r.watch.guard.Dialing
	if opts.Out != "" && !opts.Bare {
		if r.record, err = record.Create(opts.Out); err != nil {
			return nil, &InputError{err}
		}
		r.record.SuccessesOneIn = oneIn(plan.profile, plan.share.agents())
	}
	if plan.share != nil && plan.share.Follow {
		r.follow = &follower{}
	}
	if opts.Standing != nil || plan.share != nil && plan.share.Timings {
		r.watch.meter = collectors.NewMeter()
		r.watch.server, r.watch.method = common(t.Requests)
	}
	return r, nil
}

// openTarget opens p's target, and gives up when opts.Stop is closed.
func openTarget(ctx context.Context, p *profiles.Profile, opts Options) (t *target.Target, err error) {
	ctx, cancel := untilStopped(ctx, opts.Stop)
	defer cancel()
	if s := opts.Share; s != nil && s.Looked != nil {
		t, err = target.OpenKnown(ctx, p, s.Looked)
	} else {
		t, err = target.Open(ctx, p)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, ErrInterrupted
	case err != nil:
		return nil, &InputError{err}
	}
	return t, nil
}

// untilStopped returns a context that is done when ctx is, or stop is closed. cancel must
// be called after use.
func untilStopped(ctx context.Context, stop <-chan struct{}) (_ context.Context, cancel func()) {
	ctx, end := context.WithCancel(ctx)
	go func() {
		select {
		case <-stop:
			end()
		case <-ctx.Done():
		}
	}()
	return ctx, end
}
