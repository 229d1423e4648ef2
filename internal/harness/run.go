package harness

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"github.com/kabench/kabench/collectors"
	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/live"
	"github.com/kabench/kabench/internal/poll"
	"github.com/kabench/kabench/internal/sandbox"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// Options are what a run needs beside its profile.
type Options struct {
	Out     string // the run's directory, which must not exist or be empty; "": nothing is kept
	Version string // of kabench, for the record
	// Bare has nothing watched and nothing kept but the counts and latencies of the
	// document, to measure what watching costs. Out has no effect.
	Bare bool
	// Stop, when closed, starts no more requests and lets those in flight
	// finish. Cancelling the context gives them up as well.
	Stop <-chan struct{}
	// Incident, if set, is the run that the expectations may name: the run at hand
	// is a remedy's.
	Incident *results.Run
	// Baseline, if set, is an earlier run that the expectations may name.
	Baseline *Baseline
	// Progress, if set, is called about once a second while the run goes on, by one
	// goroutine. One that takes its time misses some and holds nothing up.
	Progress func(Progress)
	// Live, if set, takes in the run as it goes on.
	Live *live.Feed
	// Trace, if set, is told of each change to a connection, as
	// dialers.Client.Tracer is. It may be called from several goroutines.
	Trace func(dialers.TraceEvent)
}

// recordLimit is the rate of successes, per second, up to which each one is
// recorded. Above it one in so many is.
const recordLimit = 10_000

// newSeed is above 0, and small enough for JSON readers that keep 53 bits.
func newSeed() uint64 { return rand.Uint64()>>11 | 1 }

// lead is the time between the last preparation and the start of a run.
const lead = 50 * time.Millisecond

// ErrInterrupted is a run that was stopped before its first request.
var ErrInterrupted = errors.New("interrupted before the first request")

// openUnlessStopped is open, given up when stop is closed.
func openUnlessStopped(ctx context.Context, p *profiles.Profile, stop <-chan struct{}) (*target, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	opened := make(chan struct{})
	defer close(opened)
	go func() {
		select {
		case <-stop:
			cancel()
		case <-opened:
		}
	}()
	t, err := open(ctx, p)
	if err != nil && ctx.Err() != nil {
		return nil, ErrInterrupted
	}
	return t, err
}

// client is what performs the exchanges and can be asked how it does.
type client interface {
	generator.Engine
	Stats() dialers.Stats
	Close()
}

// stockClient is dialers.Stock with a goroutine for each exchange, as net/http
// wants it.
type stockClient struct {
	generator.Each
	*dialers.Stock
	poller *poll.Poller
}

func (c *stockClient) Close() {
	c.Stock.Close()
	c.poller.Close()
}

// Run makes one run of p, which must be valid. A run that was stopped early
// is returned all the same, marked as interrupted. The error is an *InputError
// when the run could not begin; when the results could not be written it comes
// together with the run.
//
// A profile with a network runs in a process and a namespace of its own; see
// InSandbox.
func Run(ctx context.Context, p *profiles.Profile, opts Options) (*results.Run, error) {
	if p.Network != nil && !sandbox.Inside() {
		return runInSandbox(ctx, p, opts)
	}
	p = p.Clone()
	if p.Load.Seed == 0 {
		p.Load.Seed = newSeed() // recorded, so that the run can be made again
	}
	if err := stockPool(p); err != nil {
		return nil, err
	}
	schedule, err := p.Load.Schedule()
	if err != nil {
		return nil, &InputError{err}
	}
	abort, err := results.ParseAbort(p.AbortWhen)
	if err != nil {
		return nil, inputErrorf("abort_when: %w", err)
	}
	if opts.Baseline, err = opts.Baseline.sift(p); err != nil {
		return nil, &InputError{err}
	}
	notes, err := opts.Baseline.fits(p, abort)
	if err != nil {
		return nil, &InputError{err}
	}
	notes = append(notes, opts.Baseline.weighs(p.Expect)...)
	r := &run{profile: p, opts: opts, abort: newAborter(abort), recorder: collectors.NewRecorder(), punctual: collectors.NewPunctuality(law(p.Load), p.Load.MaxLag)}
	r.groups = opts.Baseline.groupings(p)
	if r.target, err = openUnlessStopped(ctx, p, opts.Stop); err != nil {
		return nil, err
	}
	defer r.target.close()
	if !opts.Bare {
		r.byTarget = results.NewByTarget(r.target.names)
	}
	need := needsOf(p, r.target.origins(), len(r.target.remotes))
	limits := readLimits(r.target.remotes)
	r.guard = newGuard(p, limits, r.target.sources())
	r.target.dialer.Control = r.guard.dialing
	r.places, r.portsThere = r.target.origins(), limits.ports*max(r.target.sources(), 1)
	r.ports.predicted = need.exhausts(limits)
	if r.notes, err = need.check(limits, p.Expect); err != nil {
		return nil, &InputError{err}
	}
	r.notes = slices.Concat(p.Warnings, notes, r.notes)
	if opts.Out != "" && !opts.Bare {
		if r.writer, err = results.Create(opts.Out); err != nil {
			return nil, &InputError{err}
		}
		r.writer.SuccessesOneIn = uint64(max(1, math.Ceil(p.Load.MeanRate()/recordLimit)))
	}
	return r.make(ctx, schedule)
}

// stockPool complains about a pool that would have no effect.
func stockPool(p *profiles.Profile) error {
	if p.Client == profiles.ClientStock && !reflect.DeepEqual(p.Pool, pool.Default()) {
		return inputErrorf("client: stock has a pool of its own, and the profile's pool would have no effect; take it out (--pool default), or set client: policy (--pool go-default-transport comes near)")
	}
	return nil
}

// run is a run being made.
type run struct {
	profile  *profiles.Profile
	opts     Options
	target   *target
	recorder *collectors.Recorder
	punctual *collectors.Punctuality
	byTarget *results.ByTarget // nil: there is one target
	failures failures
	ports    exhaustion
	guard    *guard
	abort    *aborter
	groups   []*grouping
	seen     sightings
	places   int // origins of the target

	portsThere int             // local ports towards the target; 0: not known
	notes      []string        // what the checks before the run have to say
	writer     *results.Writer // nil: nothing is kept
	client     client
	open       *generator.Open
	epoch      time.Time
	doc        results.Run
}

// Observe gives an exchange to whoever counts and whoever writes. What a server
// sent may be quoted in its error: no secret gets beyond here.
func (r *run) Observe(e *results.Exchange) {
	e.Err = r.target.secrets.Error(e.Err)
	r.recorder.Observe(e)
	if !r.opts.Bare {
		r.punctual.Observe(e)
	}
	r.byTarget.Observe(e)
	r.ports.observe(e)
	for _, g := range r.groups {
		g.observe(e)
	}
	if r.target.network != nil {
		r.failures.observe(e)
	}
	if r.writer != nil {
		r.writer.Observe(e)
	}
	if r.opts.Live != nil {
		r.opts.Live.Observe(e)
	}
}

func (r *run) make(ctx context.Context, schedule generator.Schedule) (*results.Run, error) {
	load := r.profile.Load
	accepted, err := r.target.watchAccepted(r.profile)
	if err != nil {
		r.notes = append(r.notes, fmt.Sprintf("the sockets of the server's side were not seen: %v", err))
	}
	sampler := collectors.NewSampler(collectors.Sources{
		Pool: r.gauges, Load: r.live, Totals: r.recorder.Totals,
		Remotes: r.target.remotes, Servers: r.target.servers, ServerSide: accepted, LocalAddrs: r.target.sources(), Sink: r.sample,
		Urgent: r.guard.urgent, Looked: r.sawSockets,
		Hosts: r.target.counters(r.profile), Except: r.target.looks.ends(),
	})
	// The epoch lies a little ahead, so that what is done between here and the
	// first request does not make that one late.
	r.doc.Start = time.Now().Add(lead)
	if err := r.begin(); err != nil {
		sampler.Stop()
		return nil, &InputError{err}
	}
	if late := time.Until(r.doc.Start) < lead/2; late {
		r.doc.Start = time.Now().Add(lead) // a slow disk
	}
	r.epoch = r.doc.Start
	if r.client, err = r.newClient(); err != nil {
		sampler.Stop()
		if r.writer != nil {
			r.writer.Abort()
		}
		return nil, &InputError{err}
	}
	r.open = &generator.Open{
		Schedule: schedule, Engine: r.client, Observer: r, Targets: len(r.target.requests),
		WarmUp: load.WarmUp, MaxInFlight: load.MaxInFlight, Buffer: load.Buffer,
	}
	if r.opts.Live != nil {
		r.opts.Live.Begin(&r.doc)
	}
	if r.opts.Bare {
		r.warnf("nothing was watched: sockets, the pool over time, the machine and the arrivals are not in this document")
	} else {
		sampler.Start(r.epoch)
	}
	watching := r.watch()
	defer watching.told() // when the results are safe: a terminal that is held up holds up no more than that
	over := make(chan struct{})
	walked := r.open.Run(ctx, r.epoch, anyOf(over, r.opts.Stop, r.guard.stop, r.abort.stop))
	close(over)
	r.guard.over.Store(true)  // the last sample is taken when there is nothing to stop any more
	sinkErr := sampler.Stop() // before the idle connections are closed: what that leaves in TIME_WAIT is not the run's doing
	r.client.Close()
	watching.end()

	r.doc.End = time.Now()
	r.doc.Complete = true
	r.doc.Stopped = r.abort.stopped()
	r.doc.Interrupted = ctx.Err() != nil || closed(r.opts.Stop) || r.doc.Stopped != nil
	r.recorder.Fill(&r.doc, r.measured(walked))
	r.byTarget.Fill(&r.doc)
	sampler.Fill(&r.doc)
	if !r.opts.Bare {
		r.punctual.Fill(&r.doc, load.WarmUp+r.measured(walked), sampler.Saturated)
	}
	r.fill()
	if sinkErr != nil {
		r.warnf("the samples are incomplete: %v", sinkErr)
	}
	return r.finish()
}

// law is what a load's arrivals are to follow.
func law(l generator.Load) collectors.Law {
	return collectors.Law{
		Process: l.Arrivals.Process.String(), Rate: float64(l.Rate), GapMin: l.Arrivals.GapMin, GapMax: l.Arrivals.GapMax,
	}
}

// newClient is the profile's client, its stamps counting from the epoch.
func (r *run) newClient() (client, error) {
	t, timeout := r.target, r.profile.Load.Timeout
	if r.profile.Client != profiles.ClientStock {
		c, err := dialers.NewClient(r.profile.Pool, t.dialer, t.requests, timeout, r.epoch)
		if err != nil {
			return nil, err
		}
		c.Tracer = r.opts.Trace
		return c, nil
	}
	poller, err := poll.New()
	if err != nil {
		return nil, err
	}
	stock := dialers.NewStock(t.dialer, t.requests, timeout, r.epoch)
	stock.Tracer = r.opts.Trace
	return &stockClient{generator.Each{Doer: stock, Clock: poller}, stock, poller}, nil
}

// begin opens the document and its record.
func (r *run) begin() error {
	redacted := profiles.Redact(*r.profile)
	asJSON, err := json.Marshal(&redacted)
	if err != nil {
		return err
	}
	r.doc = results.Run{
		Schema: results.Schema, Version: r.opts.Version, Name: r.profile.Name, Question: redacted.Question,
		Start: r.doc.Start, Profile: asJSON, Host: collectors.HostFacts(), Warnings: append([]string{}, r.notes...),
		Baseline: r.opts.Baseline.told(), Before: r.target.looks.told(),
	}
	if r.writer == nil {
		return nil
	}
	asYAML, err := profiles.Marshal(&redacted)
	if err == nil {
		err = r.writer.WriteProfile(asYAML)
	}
	if err == nil {
		err = r.writer.Begin(&r.doc)
	}
	if err != nil {
		r.writer.Abort()
	}
	return err
}

func (r *run) finish() (*results.Run, error) {
	if r.opts.Live != nil {
		defer r.opts.Live.End(&r.doc) // with what the writer has to say
	}
	if r.writer == nil {
		return &r.doc, nil
	}
	if err := r.writer.Close(&r.doc); err != nil {
		return &r.doc, fmt.Errorf("the results could not be written whole to %s: %w; free space or choose another --out", r.opts.Out, err)
	}
	return &r.doc, nil
}

// measured is the length of the run's measured part: what the schedule says, or
// up to where it was stopped. What was waited for after that is not in it,
// because nothing was due then.
func (r *run) measured(walked time.Duration) time.Duration {
	load := r.profile.Load
	switch {
	case r.doc.Interrupted || r.guard.why != "":
		return max(walked-load.WarmUp, 0)
	case load.Count > 0 && (load.Duration == 0 || walked < load.WarmUp+load.Duration):
		// Ended by its last request, and each stands for the gap that follows it.
		return max(walked-load.WarmUp, 0) + time.Duration(float64(time.Second)/load.MeanRate())
	}
	return load.Duration
}

func closed(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return stop != nil
	default:
		return false
	}
}
