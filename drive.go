package kabench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/kabench/kabench/collectors"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/schema"
	"github.com/kabench/kabench/results"
)

// lead is the time between the last preparation and the start of a run. What is done
// in between does not make the first request late.
const lead = 50 * time.Millisecond

// begin opens the record, the client and what looks at the sockets, and agrees on the start
// of the run. If that fails it closes them again and leaves no record. The error is an
// *InputError, or ErrInterrupted.
func (r *run) begin(ctx context.Context) (err error) {
	tr := &r.traffic
	tr.sampler = r.newSampler()
	defer func() {
		if err == nil {
			return
		}
		_ = tr.sampler.Stop()
		if r.record != nil {
			r.record.Abort()
		}
		if !errors.Is(err, ErrInterrupted) {
			err = &InputError{err}
		}
	}()
	if err := r.beginRecord(time.Now().Add(lead)); err != nil {
		return err
	}
	if err := r.setStart(ctx); err != nil {
		return err
	}
	if tr.client, err = makeClient(r.profile, r.target, r.outsider, r.opts.Trace, r.seesEnds()); err != nil {
		return err
	}
	tr.open = &generator.Open{
		Load: r.profile.Load, Schedule: r.schedule, Engine: tr.client, Observer: r.observers(), Targets: len(r.target.Requests),
		Share: r.share.part(),
	}
	r.share.wait(ctx, r.doc.Start, r.opts.Stop)
	if r.share == nil && (ctx.Err() != nil || closed(r.opts.Stop)) {
		return ErrInterrupted // an empty run would be reported as an invalid one
	}
	return nil
}

// setStart sets the start of the run, now that everything is prepared.
func (r *run) setStart(ctx context.Context) (err error) {
	if r.share == nil {
		if late := time.Until(r.doc.Start) < lead/2; late { // a slow disk
			r.doc.Start = time.Now().Add(lead)
		}
		return nil
	}
	if r.doc.Start, err = r.share.await(ctx, r.opts.Stop); err != nil {
		return err
	}
	return r.record.StartAt(&r.doc)
}

func (r *run) newSampler() *collectors.Sampler {
	accepted, err := r.target.CountAccepted(r.profile)
	if err != nil {
		r.notes = append(r.notes, fmt.Sprintf("the sockets of the server's side could not be counted: %v", err))
	}
	return collectors.NewSampler(collectors.Sources{
		Pool: r.gauges, Load: r.live, Totals: r.watch.recorder.Totals,
		Remotes: r.target.Remotes, Servers: r.target.Servers, Except: r.target.LocalEnds(),
		ServerSide: accepted, LocalAddrs: r.target.Sources(), Hosts: r.target.Counters(r.profile),
		Until: r.share.until(r.plan), Sink: r.sample, Urgent: r.watch.guard.Urgent(), Looked: r.sawSockets,
	})
}

// beginRecord fills the document with what is known before the run, and writes it, so
// that a run whose process is killed can be rebuilt.
func (r *run) beginRecord(start time.Time) error {
	redacted := profiles.Redact(*r.profile)
	asJSON, err := json.Marshal(&redacted)
	if err != nil {
		return err
	}
	r.doc = results.Run{
		Schema: results.Schema, Version: r.opts.Version, Name: r.profile.Name, Question: redacted.Question, Command: profiles.Secrets(r.profile, nil).Blank(r.opts.Command),
		Start: start, Profile: asJSON, Host: collectors.HostFacts(), Warnings: append([]string{}, r.notes...),
		Baseline: r.baseline.document(), Before: r.target.Before(),
	}
	if r.outsider != nil {
		r.doc.Driver = &results.DriverSeen{Faults: []results.DriverFault{}, Errors: []results.DriverError{}}
		r.outsider.describe(r.doc.Driver)
	}
	if r.record == nil {
		return nil
	}
	asYAML, err := profiles.Marshal(&redacted)
	if err != nil {
		return err
	}
	if err := r.record.WriteProfile(append([]byte(schema.Line("profile")), asYAML...)); err != nil {
		return err
	}
	return r.record.Begin(&r.doc)
}

// drive sends the requests, and returns when every exchange is over.
func (r *run) drive(ctx context.Context) {
	tr, w := &r.traffic, r.watch
	if r.opts.Live != nil {
		r.opts.Live.Begin(&r.doc)
	}
	if r.opts.Bare {
		r.warnf("nothing was watched: sockets, the pool over time, the machine and the arrivals are not in this document")
	} else {
		tr.sampler.Start(r.doc.Start)
	}
	r.target.Begin(r.doc.Start)
	tr.ticker = r.startTicker()
	over := make(chan struct{})
	tr.walked = tr.open.Run(ctx, r.doc.Start, anyOf(over, r.opts.Stop, w.guard.Stop(), w.abort.stop, brokenOf(tr.client)))
	close(over)
}

// drain ends what has watched the run, then the client, and waits until the servers
// have noticed. The order matters: closing idle connections leaves sockets in
// TIME_WAIT that must not be in the last sample, and after the last request the guard
// has nothing left to stop.
func (r *run) drain(ctx context.Context) {
	tr := &r.traffic
	r.watch.guard.Over()
	tr.lost = tr.sampler.Stop()
	tr.client.Close()
	r.endsOfOutsider()
	tr.ticker.stop()
	r.doc.End = time.Now()
	r.doc.Complete = true
	r.doc.Stopped = r.watch.abort.stopped()
	r.doc.Interrupted = ctx.Err() != nil || closed(r.opts.Stop) || r.doc.Stopped != nil
	r.target.Drain(r.profile)
}

// closed reports whether stop is closed; a nil stop never is.
func closed(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return stop != nil
	default:
		return false
	}
}
