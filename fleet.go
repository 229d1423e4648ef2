package kabench

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/collectors"
	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/capacity"
	"github.com/kabench/kabench/internal/judge"
	"github.com/kabench/kabench/internal/target"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
	"github.com/kabench/kabench/results/record"
)

// fleetRun is a run whose requests several agents send. This process stands before and
// after them: it serves the target if that is kabench's own, has the agents send, joins what
// they have measured, and judges.
type fleetRun struct {
	*plan
	opts   Options
	dir    string         // where everything is written
	target *target.Target // nil: kabench serves nothing
	looked []netip.AddrPort
	kept   *kept // controller.json
	begun  bool  // Options.Live has begun
	beats  *fleetBeats
	joined *record.Joined
	doc    results.Run
}

// runOnFleet is Run with Options.Fleet.
func runOnFleet(ctx context.Context, p *profiles.Profile, opts Options) (*results.Run, error) {
	f, err := prepareFleet(ctx, p, opts)
	if err != nil {
		return nil, err
	}
	defer f.close()
	job, err := f.job()
	if err != nil {
		f.abandon()
		return nil, &InputError{err}
	}
	parts, err := f.send(ctx, job)
	if err != nil {
		if _, input := errors.AsType[*InputError](err); input || errors.Is(err, ErrInterrupted) {
			f.abandon() // nothing was sent
		}
		return nil, err
	}
	return f.finish(ctx, parts)
}

// ResumeOnFleet finishes a run on several agents whose controller was killed. dir is the
// run's directory, and opts.Fleet the fleet that takes the run up: its Send waits until the
// agents have sent their shares, and fetches their results.
//
// The run is judged as it would have been. If kabench itself served the target, that ended
// with the controller, and the run is invalid.
func ResumeOnFleet(ctx context.Context, dir string, opts Options) (*results.Run, error) {
	kept, plan, err := openKept(dir)
	if err != nil {
		return nil, &InputError{err}
	}
	opts.Out, opts.Version, opts.Incident, opts.Baseline = dir, kept.Version, kept.Incident, kept.Baseline
	f := newFleetRun(plan, opts, kept)
	defer f.close()
	parts, err := f.send(ctx, FleetJob{Profile: f.profile})
	if err != nil {
		return nil, err
	}
	return f.finish(ctx, parts)
}

// prepareFleet plans the run, serves the target if it is kabench's own, and takes the
// directory of the results. Undo it with close.
func prepareFleet(ctx context.Context, p *profiles.Profile, opts Options) (_ *fleetRun, err error) {
	plan, err := newPlan(p, opts)
	if err != nil {
		return nil, err
	}
	if err := divisible(plan, opts); err != nil {
		return nil, &InputError{err}
	}
	kept, err := keepFor(plan, opts)
	if err != nil {
		return nil, err
	}
	f := newFleetRun(plan, opts, kept)
	defer func() {
		if err != nil {
			f.close()
		}
	}()
	if opts.Fleet.Local() {
		if err := f.open(ctx); err != nil {
			return nil, err
		}
	}
	if f.dir == "" {
		f.dir, err = os.MkdirTemp("", "kabench-fleet-")
	} else {
		err = record.ClaimWith(f.dir, func() error { return f.kept.save(f.dir) })
	}
	if err != nil {
		return nil, &InputError{err}
	}
	return f, nil
}

func newFleetRun(plan *plan, opts Options, kept *kept) *fleetRun {
	f := &fleetRun{plan: plan, opts: opts, dir: opts.Out, kept: kept}
	f.beats = newFleetBeats(f)
	return f
}

// open opens the target, if all agents are on this machine, and compares what they need
// together with what the machine has. The target stays open if kabench serves it.
func (f *fleetRun) open(ctx context.Context) error {
	t, err := openTarget(ctx, f.profile, f.opts)
	if err != nil {
		return err
	}
	if f.target = t; !target.Serves(f.profile) {
		defer t.Close()
		f.target = nil
	}
	f.kept.Before = t.Before()
	f.looked = append([]netip.AddrPort{}, t.LocalEnds()...)
	n, limits := f.opts.Fleet.Size(), capacity.ReadLimits(t.Remotes)
	need := capacity.NeedsOf(f.profile, t.Origins(), len(t.Remotes), n).Together(n)
	notes, err := need.Check(limits, f.profile.Expect)
	if err != nil {
		return &InputError{err}
	}
	f.notes = append(f.notes, notes...)
	f.kept.Notes, f.kept.Ports = f.notes, need.Exhausts(limits).Seconds()
	return nil
}

// job is what the agents are to do.
func (f *fleetRun) job() (FleetJob, error) {
	p := f.profile.Clone()
	if f.target != nil {
		path, err := filepath.Abs(filepath.Join(f.dir, fileCertificates))
		if err == nil {
			p, err = f.target.ForOthers(p, path)
		}
		if err != nil {
			return FleetJob{}, err
		}
	}
	p.Expect, p.Remedies, p.Says, p.Forecast = mayRunOut(p.Expect), nil, profiles.Says{}, nil
	return FleetJob{Profile: p, Looked: f.looked}, p.Validate()
}

// mayRunOut returns the conditions on failures for lack of a port or a file. With them, an
// agent does not take the lack for a mistake.
func mayRunOut(conditions map[string]string) map[string]string {
	few := map[string]string{}
	for path, condition := range conditions {
		for _, cause := range []results.Cause{results.CausePortExhausted, results.CauseFDExhausted} {
			if one := map[string]string{path: condition}; strings.HasSuffix(path, "."+cause.String()) && expect.Validate(one) == nil {
				few[path] = condition
			}
		}
	}
	return few
}

// send has the agents send, and returns what each has left.
func (f *fleetRun) send(ctx context.Context, job FleetJob) ([]FleetPart, error) {
	over := make(chan struct{})
	defer close(over)
	defer f.beats.close()
	job.Out, job.Follow, job.Timings = f.dir, f.opts.Live != nil || f.opts.Failure != nil, f.opts.Standing != nil
	job.Stop = anyOf(over, f.opts.Stop, f.beats.abort.stop)
	job.Preparing = func(what string) {
		if f.opts.Preparing != nil {
			f.opts.Preparing(what)
		}
	}
	job.Begun, job.Beats = f.begin, f.beats.take
	parts, err := f.opts.Fleet.Send(ctx, job)
	if err == nil && len(parts) != f.opts.Fleet.Size() {
		err = fmt.Errorf("the fleet of %d agents has returned %d results; this is a bug in kabench", f.opts.Fleet.Size(), len(parts))
	}
	return parts, err
}

// begin notes the start of the run, which all agents have agreed on.
func (f *fleetRun) begin(start time.Time) {
	f.doc.Start = start
	f.describe()
	f.beats.begin(start)
	if f.opts.Live != nil {
		doc := f.doc
		f.begun = true
		f.opts.Live.Begin(&doc)
	}
}

// describe sets what is known about the run without its agents.
func (f *fleetRun) describe() {
	redacted := profiles.Redact(*f.profile)
	doc := &f.doc
	doc.Schema, doc.Version, doc.Name, doc.Question = results.Schema, f.kept.Version, f.profile.Name, redacted.Question
	doc.Profile, doc.Host, doc.Baseline = f.kept.Profile, collectors.HostFacts(), f.baseline.document()
	doc.Warnings = append([]string{}, f.notes...)
	n, p := f.opts.Fleet.Size(), f.profile
	if c := p.Pool.MaxConns; n > 1 && p.Client == profiles.ClientPolicy && c != pool.NoCap {
		doc.Warnings = append(doc.Warnings, fmt.Sprintf("%d agents have %d pools: pool.max_conns %d means up to %d connections. To keep to %d in all, divide it by the number of agents", n, n, c, c*n, c))
	}
}

// finish makes the run's results of those of the agents.
func (f *fleetRun) finish(ctx context.Context, parts []FleetPart) (*results.Run, error) {
	if f.target != nil {
		f.target.Drain(f.profile)
		f.kept.served(f.target)
		if err := f.kept.save(f.dir); err != nil {
			return nil, err
		}
	}
	if err := f.join(ctx, parts); err != nil {
		if f.begun {
			f.opts.Live.End(&f.doc)
		}
		if f.opts.Out == "" {
			return nil, err
		}
		return nil, fmt.Errorf("the results of the agents are in %s, and could not be joined: %w; mend that and join them with 'kabench fleet collect %s'", f.dir, err, f.dir)
	}
	f.judge()
	return &f.doc, f.write(parts)
}

// join makes the document of the runs of the agents.
func (f *fleetRun) join(ctx context.Context, parts []FleetPart) (err error) {
	var list []record.Part
	for _, p := range parts {
		list = append(list, record.Part{Agent: p.Agent, Dir: p.Dir})
	}
	length := f.length(parts)
	if f.joined, err = record.Join(f.dir, list, length.schedule, f.profile.Load.WarmUp, length.measured); err != nil {
		return err
	}
	known, doc := f.doc, f.joined.Run
	doc.Schema, doc.Version, doc.Name, doc.Question, doc.Profile = known.Schema, known.Version, known.Name, known.Question, known.Profile
	doc.Host, doc.Baseline, doc.Start = known.Host, known.Baseline, known.Start
	doc.Warnings = append(known.Warnings, doc.Warnings...)
	doc.Stopped = f.beats.abort.stopped()
	alive := len(parts) > f.lost(doc)
	doc.Interrupted = doc.Interrupted || doc.Stopped != nil || !alive && (ctx.Err() != nil || closed(f.opts.Stop))
	f.kept.fill(doc)
	doc.Preset = asPreset(f.profile, doc.Outcomes)
	f.doc = *doc
	return nil
}

// lost is how many agents are lost.
func (f *fleetRun) lost(doc *results.Run) (n int) {
	for _, a := range doc.Agents {
		if a.Lost != nil {
			n++
		}
	}
	return n
}

// judge decides whether the run is valid, and which expectations it met.
func (f *fleetRun) judge() {
	load, doc := f.profile.Load, &f.doc
	limits := judge.Limits{MaxLag: load.MaxLag, MaxInFlight: load.MaxInFlight, Limit: adaptive(load), Buffer: load.Buffer}
	judge.Run(doc, limits)
	judge.Advise(doc, limits)
	doc.Expect = expect.CheckAgainst(doc, expect.References{
		Incident: f.opts.Incident, Baseline: f.baseline.run(), Baselines: f.baseline.all(), Above: f.joined.Tally.Above, Spans: f.spans(),
	}, f.expect)
}

// spans is as the method of run. The run's own counts are read from the joined record.
func (f *fleetRun) spans() func(string, time.Duration) (own, baseline []results.Span) {
	counts := f.baseline.spanCounts(f.profile)
	return spansOf(counts, f.baseline, func(s *spanCount) []results.Span {
		dir, err := record.Open(f.dir)
		if err != nil {
			return nil
		}
		doc := f.doc
		doc.End = doc.Start.Add(s.length)
		return dir.SpansOf(&doc, s.event)
	})
}

// write writes run.json, and removes what is in the joined record now.
func (f *fleetRun) write(parts []FleetPart) error {
	if f.begun {
		defer f.opts.Live.End(&f.doc)
	}
	defer f.beats.end()
	if err := f.joined.Close(&f.doc); err != nil {
		return fmt.Errorf("the results could not be completely written to %s: %w; free space and join the agents' results again with 'kabench fleet collect %s'", f.dir, err, f.dir)
	}
	if slices.ContainsFunc(parts, func(p FleetPart) bool { return p.Dir == "" }) {
		return nil // what is missing may still come, and then the run is joined again
	}
	var errs []error
	for _, p := range parts {
		errs = append(errs, record.DropExchanges(p.Dir))
	}
	if f.lost(&f.doc) == 0 {
		f.tidy() // otherwise a lost agent may come back with what it has
	}
	return errors.Join(errs...)
}

// close ends what the run has opened. What was written to a directory that nobody asked for
// is removed.
func (f *fleetRun) close() {
	f.beats.wait()
	if f.target != nil {
		_ = f.target.Close() // there is no private network that could have broken
	}
	if f.opts.Out == "" && f.dir != "" {
		_ = os.RemoveAll(f.dir)
	}
}

// abandon removes what was written for a run that sent nothing.
func (f *fleetRun) abandon() {
	f.tidy()
	_ = os.Remove(f.dir) // fails if the fleet has left something there
}

// tidy removes what only a controller that takes the run up needs.
func (f *fleetRun) tidy() {
	for _, name := range []string{fileKept, fileCertificates} {
		_ = os.Remove(filepath.Join(f.dir, name)) // best effort
	}
}
