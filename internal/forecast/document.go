package forecast

import (
	"encoding/json"
	"fmt"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
)

// Document is the forecast as the document of a run. Of whole runs it has the first, with the
// intervals of all; of spans, all together. What a run measures of machines is not there.
func (r *Result) Document(p *profiles.Profile, version string) (*results.Run, error) {
	shown := profiles.Redact(*p)
	shown.Load.Duration, shown.Load.Count = r.For, 0
	text, err := json.Marshal(&shown)
	if err != nil {
		return nil, fmt.Errorf("the profile cannot be written: %w", err)
	}
	all, lasts := r.spans[0], r.lasts[0]
	if !r.Whole {
		all, lasts = r.together(), r.For
	}
	run := &results.Run{
		Schema: results.Schema, Version: version, Name: p.Name, Question: shown.Question, Complete: true, Valid: true,
		Profile: text, Warnings: []string{}, Expect: []results.Expectation{},
	}
	all.tally.Fill(run, lasts)
	if r.Whole {
		run.Times = all.times.Times(p.Load.WarmUp, p.Load.WarmUp+lasts)
	}
	r.connections(run, all)
	run.Sockets = results.Sockets{
		Available: true, ServerSide: true, TimeWaitPeak: all.ours, TimeWaitServer: all.theirs,
		EstablishedPeak: all.openPeak, PortsUsedPeak: all.used, PortsAvailable: r.facts.ports,
	}
	run.Pool = results.PoolPeaks{PeakPending: all.pending, PeakLeased: all.leased, PeakIdle: all.idlePeak, PeakDialing: all.dialing}
	run.Limit = r.spans[0].limit
	run.Kernel = results.Kernel{Why: "no request was sent"}
	run.Idle.AtLease = all.atLease()
	run.Idle.Longest = max(run.Idle.Longest, run.Idle.AtLease.Max)
	if closes := all.atPeerClose.Quantiles(); closes.Count > 0 {
		run.Idle.AtPeerClose = &closes
		run.Idle.Longest = max(run.Idle.Longest, closes.Max)
	}
	if traced := r.traced(); traced != nil {
		run.Instrument.Arrivals = results.Arrivals{Law: "trace", Verdict: results.ArrivalsNotTested, Why: "no request was sent", Trace: traced}
	}
	run.Forecast = r.simulation(p)
	return run, nil
}

// together is what all spans have counted.
func (r *Result) together() *counter {
	all := newCounter(r.facts.status)
	for _, n := range r.spans {
		all.add(n)
	}
	return all
}

func (r *Result) connections(run *results.Run, all *counter) {
	run.Connections = results.Connections{
		Opened: all.connections, ClosedByUs: all.byUs, ClosedByPeer: all.byPeer, Reset: all.reset, MaxOpen: all.openPeak,
		Evictions: map[string]uint64{},
	}
	for reason, count := range all.evicted {
		if reason != int(pool.Keep) {
			run.Connections.Evictions[pool.Reason(reason).String()] = count
		}
	}
}

func (r *Result) simulation(p *profiles.Profile) *results.Simulation {
	s := &results.Simulation{Seconds: r.For.Seconds(), Seed: r.Seed, Spans: len(r.spans), Whole: r.Whole, Figures: r.figures(), LeftOut: LeftOut(p)}
	if r.facts.fronted {
		s.LeftOut = append([]string{"What happens between the load balancer or proxy (via) and its servers: forecast that hop by itself, with the pool that the proxy has"}, s.LeftOut...)
	}
	s.LeftOut = append(notPlayed(r.facts.via), s.LeftOut...)
	if text := r.filled(); text != "" {
		s.LeftOut = append([]string{text}, s.LeftOut...)
	}
	s.Races = r.races()
	s.First = r.first(s.Figures, s.Races)
	return s
}
