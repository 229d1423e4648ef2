package kabench

import (
	"fmt"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/judge"
	"github.com/kabench/kabench/internal/wording"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// fill completes the document with what the client, the lab and the checks
// have to say.
func (r *run) fill() {
	stats := r.client.Stats()
	r.doc.Connections = connections(stats)
	r.doc.Pool = peaks(stats)
	if c, ok := r.client.(*dialers.Client); ok {
		idles := c.Idles()
		r.doc.Idle.AtPeerClose, r.doc.Idle.Longest = &idles.AtPeerClose, max(r.doc.Idle.Longest, idles.Longest.Seconds())
	}
	r.target.Drain(&r.profile.Target)
	r.target.Fill(&r.doc)
	r.ports.Fill(&r.doc)
	r.seePackets()
	r.doc.Instrument.SetCPUPerExchange(r.doc.Counts)
	r.doc.Preset = asPreset(r.profile, r.doc.Outcomes)
	if r.guard.Why() != "" {
		r.doc.Invalid = append(r.doc.Invalid, r.guard.Why())
	}
	load := r.profile.Load
	limits := judge.Limits{MaxLag: load.MaxLag, MaxInFlight: load.MaxInFlight, Buffer: load.Buffer}
	judge.Run(&r.doc, limits)
	judge.Advise(&r.doc, limits)
	r.doc.Expect = results.CheckBeside(&r.doc, r.beside(), r.profile.Expect)
}

// asPreset is the client whose pool it was, and its words for what failed; nil
// for a pool that is nobody's.
func asPreset(profile *profiles.Profile, outcomes []results.Outcome) *results.Preset {
	p, found := profiles.FindPool(profile.Preset)
	if !found || p.Client == "" {
		return nil
	}
	said := &results.Preset{Name: p.Name, Client: p.Client, Cannot: append([]string{}, p.Cannot...), Log: []results.LogLine{}, Changed: []results.PresetChange{}}
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

// beside is what the expectations may name beside the run.
func (r *run) beside() results.Beside {
	return results.Beside{Incident: r.opts.Incident, Baseline: r.opts.Baseline.run(), Baselines: r.opts.Baseline.all(), Above: r.recorder.Above, Spans: r.spans()}
}

func peaks(s dialers.Stats) results.PoolPeaks {
	return results.PoolPeaks{PeakPending: s.PeakPending, PeakLeased: s.PeakLeased, PeakIdle: s.PeakIdle, PeakDialing: s.PeakDialing}
}

func connections(s dialers.Stats) results.Connections {
	c := results.Connections{
		Opened: s.Opened, ClosedByUs: s.ClosedByUs, ClosedByPeer: s.ClosedByPeer, Reset: s.ClosedReset,
		Unknown: s.ClosedUnknown, NotifiedUs: s.NotifiedByUs, NotifiedPeer: s.NotifiedByPeer,
		MaxOpen: s.MaxOpen, Evictions: map[string]uint64{},
	}
	for reason, n := range s.Evicted {
		if n > 0 {
			c.Evictions[pool.Reason(reason).String()] = n
		}
	}
	return c
}

func (r *run) warnf(format string, args ...any) {
	r.doc.Warnings = append(r.doc.Warnings, fmt.Sprintf(format, args...))
}
