package kabench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/kabench/kabench/collectors"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/target"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// Run makes one run of p. A run that was stopped early is still returned, marked as
// interrupted. The error is an *InputError when p is not valid or the run could not
// begin. An error that the results could not be written comes together with the run.
//
// A profile with a network, or with a real client and a server of kabench's own, runs in a
// process and a namespace of its own, which begins with this program's main: see
// ExitIfChild.
func Run(ctx context.Context, p *profiles.Profile, opts Options) (*results.Run, error) {
	if err := opts.Share.fits(p, opts); err != nil {
		return nil, err
	}
	if opts.Fleet != nil {
		return runOnFleet(ctx, p, opts)
	}
	isolate, note, err := needsNamespace(p)
	if err != nil {
		return nil, err
	}
	if isolate {
		return runInSandbox(ctx, p, opts)
	}
	if note != "" {
		p = p.Clone()
		p.Warnings = append(p.Warnings, note)
	}
	r, err := prepare(ctx, p, opts)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if err := r.begin(ctx); err != nil {
		return nil, err
	}
	r.drive(ctx)
	r.drain(ctx)
	r.measure()
	r.judge()
	return &r.doc, r.write()
}

// run is a run being made, stage by stage: each method that Run calls is one stage. A
// stage that fails undoes what it has done; close undoes prepare.
type run struct {
	*plan
	opts   Options
	target *target.Target
	// outsider is the real client; nil: it is kabench's own, or net/http's in this process.
	outsider *outsider
	watch    *watchers
	follow   *follower // nil: nobody follows this share's exchanges
	traffic  traffic
	record   *record.Writer // nil: nothing is written
	doc      results.Run
}

// traffic is what begin makes and drain ends.
type traffic struct {
	client  client
	open    *generator.Open
	sampler *collectors.Sampler
	ticker  *ticker
	walked  time.Duration // how long requests were due
	lost    error         // why samples are missing
}

// close ends what the run has opened. It comes when the results are safe: a terminal
// that blocks Options.Progress delays nothing else.
func (r *run) close() {
	if r.traffic.ticker != nil {
		r.traffic.ticker.wait()
	}
	r.outsider.close()
	_ = r.target.Close() // a broken network has been noticed by measure
}

// write closes the record.
func (r *run) write() error {
	if r.opts.Live != nil {
		defer r.opts.Live.End(&r.doc) // with what the writer adds to the document
	}
	if r.opts.Standing != nil {
		r.traffic.ticker.standing.Wait()
		defer func() { r.opts.Standing(r.stands(&r.doc, true)) }()
	}
	if r.record == nil {
		return nil
	}
	var err error
	if r.share != nil {
		err = r.record.WriteTally(r.sums())
	}
	if err = errors.Join(err, r.record.Close(&r.doc)); err != nil {
		return fmt.Errorf("the results could not be completely written to %s: %w; free space or choose another --out", r.opts.Out, err)
	}
	return nil
}

func (r *run) warnf(format string, args ...any) {
	r.doc.Warnings = append(r.doc.Warnings, fmt.Sprintf(format, args...))
}
