package harness

import (
	"fmt"
	"reflect"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/internal/lab/proxy"
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
	r.target.settle(&r.profile.Target)
	if link := r.target.link; link != nil {
		late := link.Late()
		r.doc.Link = &results.LinkSeen{Delivered: late.Count, Late: results.Late{LateP99: late.P99.Seconds(), LateMax: late.Max.Seconds()}}
	}
	if len(r.target.lab) > 0 {
		r.doc.Lab = labSeen(r.target.lab)
	}
	if len(r.target.proxies) > 0 {
		r.doc.Proxy = proxySeen(r.target.proxies)
	}
	r.ports.fill(&r.doc)
	r.seePackets()
	r.doc.Instrument.SetCPUPerExchange(r.doc.Counts)
	r.doc.Preset = asPreset(r.profile, r.doc.Outcomes)
	r.judge()
	r.advise()
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

// labSeen is what the servers saw, together.
func labSeen(servers []*lab.Server) *results.LabSeen {
	var sum results.LabSeen
	for _, s := range servers {
		add(&sum, s.Seen())
		late := s.Late()
		sum.LateP99, sum.LateMax = max(sum.LateP99, late.P99.Seconds()), max(sum.LateMax, late.Max.Seconds())
		for name, n := range s.Headers() {
			if sum.Headers == nil {
				sum.Headers = map[string]uint64{}
			}
			sum.Headers[name] += n
		}
	}
	return &sum
}

// proxySeen is what the proxies saw, together.
func proxySeen(proxies []*proxy.Proxy) *results.ProxySeen {
	var sum results.ProxySeen
	for _, p := range proxies {
		add(&sum, p.Seen())
	}
	return &sum
}

// add adds each of seen's counts, all of them uint64, to that of the same name
// in sum.
func add[Sum, Seen any](sum *Sum, seen Seen) {
	to, from := reflect.ValueOf(sum).Elem(), reflect.ValueOf(seen)
	for i := range from.NumField() {
		field := to.FieldByName(from.Type().Field(i).Name)
		field.SetUint(field.Uint() + from.Field(i).Uint())
	}
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

// judge decides whether the run may be believed.
func (r *run) judge() {
	d := &r.doc
	if !d.Counts.Balance() {
		d.Invalid = append(d.Invalid, fmt.Sprintf("the accounts do not balance: %+v; this is a fault of kabench", d.Counts))
	}
	if r.guard.why != "" {
		d.Invalid = append(d.Invalid, r.guard.why)
	}
	switch {
	case d.Counts.Due == 0 && d.Interrupted:
		d.Invalid = append(d.Invalid, results.NothingMeasured)
	case d.Counts.Due == 0:
		d.Invalid = append(d.Invalid, "no request was due: raise load.duration or load.rate")
	}
	load := r.profile.Load
	s := standing{
		maxLag: load.MaxLag, maxInFlight: load.MaxInFlight, lagP99: d.Latency[results.LatencyLag].P99,
		due: d.Counts.Due, dropped: d.Counts.Dropped,
		schedule: d.Instrument.Schedule, machine: d.Instrument.Machine,
	}
	if d.Interrupted && load.Buffer > 0 && s.dropped > 0 {
		// What waited when the run was stopped was dropped then, whenever it had
		// arrived, and for nobody's fault.
		s.dropped, s.schedule.DroppedLate, s.schedule.DroppedSaturated = 0, 0, 0
		a := &d.Instrument.Arrivals
		a.Verdict, a.Why = results.ArrivalsNotTested, "when the run was stopped, requests waited in the buffer"
	}
	s.arrivals = d.Instrument.Arrivals
	overload, invalid := s.verdict()
	d.Instrument.Schedule.Overload = overload
	d.Invalid = append(d.Invalid, invalid...)
	d.Invalid = append(d.Invalid, lateLab(d, load.MaxLag)...)
	d.Valid = len(d.Invalid) == 0
}

// lateLab says which of kabench's own servers and links were later than load.max_lag
// allows the schedule to be: a FIN that is carried late lets more requests be
// lost than the timers say, and an answer that is late is no slowness of a pool.
func lateLab(d *results.Run, maxLag time.Duration) (invalid []string) {
	judge := func(p99 float64, what string) {
		if maxLag > 0 && p99 > maxLag.Seconds() {
			invalid = append(invalid, fmt.Sprintf("%s came %v late or later, one in a hundred, and load.max_lag allows %v: what followed from it is this machine's doing; lower load.rate, or give this machine less else to do", what, seconds(p99), maxLag))
		}
	}
	if d.Link != nil {
		judge(d.Link.LateP99, "what kabench's own link carries")
	}
	if d.Packets != nil {
		judge(d.Packets.LateP99, "what the private network carries")
	}
	if d.Lab != nil {
		judge(d.Lab.LateP99, "what kabench's own server does")
	}
	return invalid
}

// advise adds what is true and odd, and what to do about it.
func (r *run) advise() {
	d := &r.doc
	load := r.profile.Load
	if n := d.Counts.Dropped; n > 0 && d.Interrupted {
		r.warnf("%d of %d requests were due and never started: load.max_in_flight (%d) were under way, or they waited in the buffer when the run was stopped", n, d.Counts.Due, load.MaxInFlight)
	} else if n > 0 && (d.Valid || d.Instrument.Schedule.Overload == results.OverloadTarget) {
		r.warnf("%d of %d requests were due and never started, because load.max_in_flight (%d) were under way: their waiting is in no percentile; raise load.max_in_flight, or let them wait with load.buffer", n, d.Counts.Due, load.MaxInFlight)
	}
	if n := d.ErrorAnswers.Sum(); n > 0 {
		r.warnf("%d of %d answers had an error status (400 or above): they arrived, so they are ok as exchanges; expect error_answers: 0 to make them count", n, d.Counts.OK)
	}
	lag, response := d.Latency[results.LatencyLag], d.Latency[results.LatencyResponse]
	if d.Valid && response.Count > 0 && lag.P99 > 0.1*response.P99 && lag.P99 > 0.003 {
		r.warnf("the generator's own lateness (p99 %v) is more than a tenth of the response time (p99 %v): compare service times, or give this machine less else to do", seconds(lag.P99), seconds(response.P99))
	}
	if m := d.Instrument.Machine; m != nil {
		if d.Valid && m.Saturated > 1 && 10*m.Saturated >= m.Seconds {
			r.warnf("no core was free in %d of %d seconds: times hold the wait for one, the server's too if it runs here; give this machine less else to do, or more cores", m.Saturated, m.Seconds)
		}
		if m.Throttled != nil && *m.Throttled > 0.1 {
			r.warnf("the control group's CPU quota stopped kabench for %v in all: every pause of a quota is tens of milliseconds long; raise the quota (cpu.max)", seconds(*m.Throttled))
		}
		if m.Steal > 0.05 {
			r.warnf("the hypervisor gave %.0f %% of this machine's cores to others: use one that is not shared", 100*m.Steal)
		}
	}
	if n := d.Unasked(); n > 0 {
		r.warnf("%d requests were re-sent below the caller's eyes: %d attempts for %d exchanges", n, d.Attempts, d.Reuse.Fresh+d.Reuse.Reused)
	}
	if n := d.Resends.MaybeTwice; n > 0 {
		r.warnf("%d requests that are not idempotent were sent again after the server may have executed them: limit pool.resend to methods: idempotent, or make the server recognise a repetition", n)
	}
	if s := d.Sockets; s.Available && s.PortsAvailable > 0 && s.PortsUsedPeak*2 > s.PortsAvailable {
		r.warnf("%d of %d ephemeral ports towards the target were in use: beyond the range connects fail with \"cannot assign requested address\"; reuse connections, widen net.ipv4.ip_local_port_range, or name more target.source_addresses", s.PortsUsedPeak, s.PortsAvailable)
	}
	if n := d.Counts.Unbounded; n > 0 {
		r.warnf("%d of %d answers had neither a length nor chunks and ended with the connection: whether they are whole cannot be known; make the server send a Content-Length or chunks", n, d.Counts.OK)
	}
	if n := d.Counts.Unfinished; n > 0 {
		r.warnf("%d requests were given up when the run was aborted; they are neither ok nor failed", n)
	}
}

func (r *run) warnf(format string, args ...any) {
	r.doc.Warnings = append(r.doc.Warnings, fmt.Sprintf(format, args...))
}

// seconds is a figure of the document as a duration a person reads.
func seconds(s float64) time.Duration {
	d := time.Duration(s * float64(time.Second))
	switch {
	case d > time.Second:
		return d.Round(10 * time.Millisecond)
	case d > 10*time.Millisecond:
		return d.Round(100 * time.Microsecond)
	}
	return d.Round(time.Microsecond)
}
