package kabench

import (
	"fmt"
	"time"

	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/judge"
	"github.com/kabench/kabench/internal/wording"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
)

// measure completes the document with what was counted and seen.
func (r *run) measure() {
	tr, w, doc := &r.traffic, r.watch, &r.doc
	measured := r.measured()
	w.recorder.Fill(doc, measured)
	tr.sampler.Fill(doc)
	if tr.lost != nil {
		r.warnf("the samples are incomplete: %v", tr.lost)
	}
	if !r.opts.Bare {
		w.byTarget.Fill(doc)
		w.schedule.Fill(doc, r.profile.Load.WarmUp+measured, tr.sampler.Saturated)
	}
	tr.client.Fill(doc)
	r.target.Fill(doc)
	if r.outsider != nil {
		r.outsider.witness.fill(doc, doc.Start)
	}
	w.exhaustion.Fill(doc)
	w.times.Fill(doc, r.profile.Load.WarmUp, r.profile.Load.WarmUp+measured)
	r.measurePackets()
	doc.Limit = tr.open.Limit()
	doc.Instrument.Arrivals.Trace = r.profile.Load.Described()
	doc.Instrument.SetCPUPerExchange(doc.Counts)
	doc.Preset = asPreset(r.profile, doc.Outcomes)
}

// measured is the length of the part of the run that counts: what the schedule says,
// or up to the moment when the run was stopped. It leaves out the wait for the last
// responses, because no request was due in it.
func (r *run) measured() time.Duration {
	load, walked := r.profile.Load, r.traffic.walked
	switch {
	case r.doc.Interrupted, r.watch.guard.Why() != "", closed(brokenOf(r.traffic.client)):
		return max(walked-load.WarmUp, 0)
	case load.Count > 0 && (load.Duration == 0 || walked < load.WarmUp+load.Duration):
		// Ended by its last request, and each stands for the gap that follows it.
		return max(walked-load.WarmUp, 0) + time.Duration(float64(time.Second)*float64(r.share.agents())/load.MeanRate())
	}
	return load.Duration
}

// measurePackets closes the private network, whose packets have all been sent, and
// puts what it saw into the document and the directory.
func (r *run) measurePackets() {
	if !r.target.Networked() {
		if r.outsider != nil {
			r.outsider.witness.measure(r)
		}
		return
	}
	seen, evidence, err := r.target.Packets(r.watch.failures.Kept(), r.doc.Start)
	if err != nil {
		r.doc.Invalid = append(r.doc.Invalid, fmt.Sprintf("the private network broke before the run was over: %v. Packets sent after that were lost", err))
	}
	r.doc.Packets = seen
	if r.record == nil {
		return
	}
	if err := r.record.WritePackets(r.target.WritePackets); err != nil {
		r.warnf("the packets are not kept: %v", err)
	}
	if err := r.record.WriteEvidence(evidence); err != nil {
		r.warnf("the packets of the failures are not kept: %v", err)
	}
}

// judge decides whether the run is valid, and which expectations it met.
func (r *run) judge() {
	load, doc, b := r.profile.Load, &r.doc, r.baseline
	if why := r.watch.guard.Why(); why != "" {
		doc.Invalid = append(doc.Invalid, why)
	}
	limits := judge.Limits{MaxLag: load.MaxLag, MaxInFlight: load.MaxInFlight, Limit: adaptive(load), Buffer: load.Buffer, Share: r.share != nil}
	judge.Run(doc, limits)
	if r.share == nil { // else the whole run is advised
		judge.Advise(doc, limits)
	}
	doc.Expect = expect.CheckAgainst(doc, expect.References{
		Incident: r.opts.Incident, Baseline: b.run(), Baselines: b.all(), Above: r.watch.recorder.Above, Spans: r.spans(),
	}, r.expect)
}

// adaptive is the name of load's limit; "" if that is fixed.
func adaptive(load generator.Load) string {
	if !load.Limit.Adaptive() {
		return ""
	}
	return load.Limit.Algorithm.String()
}

// asPreset describes the real client whose pool the profile has, and what that client
// would have logged for the failures; nil if the pool is no preset.
func asPreset(profile *profiles.Profile, outcomes []results.Outcome) *results.Preset {
	p, found := profiles.FindPool(profile.Preset)
	if !found || p.Client == "" || profile.Client == profiles.ClientExternal { // which speaks for itself
		return nil
	}
	said := &results.Preset{Name: p.Name, Client: p.Client, Cannot: append([]string{}, p.Cannot.Texts()...), Log: []results.LogLine{}, Changed: []results.PresetChange{}}
	for _, c := range profiles.Overrides(profile) {
		said.Changed = append(said.Changed, results.PresetChange(c))
	}
	for _, o := range outcomes {
		if o.Phase == results.PhaseDone || o.Phase == results.PhaseSchedule || o.Cause == results.CauseAborted {
			continue
		}
		if says := wording.For(p.Client, o.Phase, o.Cause, o.Reused); len(says) > 0 {
			said.Log = append(said.Log, results.LogLine{Phase: o.Phase, Cause: o.Cause, Reused: o.Reused, Says: says})
		}
	}
	return said
}
