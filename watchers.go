package kabench

import (
	"sync/atomic"

	"github.com/kabench/kabench/collectors"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/capacity"
	"github.com/kabench/kabench/internal/target"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/redact"
)

// watchers are what sees the exchanges and the sockets of a run.
type watchers struct {
	recorder   *collectors.Recorder
	schedule   *collectors.ScheduleWatch
	byTarget   *results.ByTarget // nil: there is one target
	failures   collectors.Failures
	exhaustion collectors.PortExhaustion
	times      collectors.Times
	guard      *collectors.PortGuard
	sockets    collectors.SocketsSeen
	latest     atomic.Pointer[results.Sample] // nil: there was none
	spans      []*spanCount
	abort      *aborter
	meter      *collectors.Meter // nil: nobody asks for timings
	server     string            // as Standing.Server, and so is method; set with meter
	method     string

	ports int // local ports towards the target; 0: not known
}

func newWatchers(p *plan, t *target.Target, l capacity.Limits) *watchers {
	return &watchers{
		recorder: collectors.NewRecorder(),
		schedule: collectors.NewScheduleWatch(law(p.profile.Load, p.share.agents()), p.profile.Load.MaxLag),
		byTarget: results.NewByTarget(t.Names),
		guard:    newGuard(p.profile, l, t.Sources(), p.share.agents()),
		spans:    p.baseline.spanCounts(p.profile),
		abort:    newAborter(p),
		ports:    l.Ports * max(t.Sources(), 1),
	}
}

// newGuard guards a run of p with that number of source addresses. It guards nothing
// where the ports are the run's own, or the profile allows it to use them up.
func newGuard(p *profiles.Profile, l capacity.Limits, sources, agents int) *collectors.PortGuard {
	if p.Network != nil || p.Target.AllowPortExhaustion {
		return collectors.NewPortGuard(0, 1)
	}
	return collectors.NewPortGuard(l.Ports*max(sources, 1), agents)
}

// law is the law that the arrivals of l must follow when they are dealt to that number of
// agents.
func law(l generator.Load, agents int) collectors.ArrivalLaw {
	if l.Trace.Set() {
		return collectors.ArrivalLaw{Process: "trace", Of: agents}
	}
	return collectors.ArrivalLaw{
		Process: l.Arrivals.Process.String(), Rate: float64(l.Rate), GapMin: l.Arrivals.GapMin, GapMax: l.Arrivals.GapMax, Of: agents,
	}
}

// observers sees each exchange without the target's secrets, which a server may have
// repeated in what became an error's text, and shows it to every observer. In a share of a
// run, connections have the numbers of the whole run from here on.
type observers struct {
	secrets *redact.Secrets
	share   *Share
	list    []generator.Observer
}

func (o *observers) Observe(e *results.Exchange) {
	e.Err = o.secrets.Error(e.Err)
	o.share.number(e)
	for _, each := range o.list {
		each.Observe(e)
	}
}

// observers are all that see the exchanges of r.
func (r *run) observers() *observers {
	w := r.watch
	list := []generator.Observer{w.recorder, &w.exhaustion, &w.times}
	if !r.opts.Bare {
		list = append(list, w.schedule)
		if w.byTarget != nil {
			list = append(list, w.byTarget)
		}
	}
	for _, s := range w.spans {
		list = append(list, s)
	}
	if r.target.Networked() || r.outsider != nil {
		list = append(list, &w.failures)
	}
	if r.record != nil {
		list = append(list, r.record)
	}
	if w.meter != nil {
		list = append(list, w.meter)
	}
	if r.opts.Failure != nil {
		list = append(list, failures(r.opts.Failure))
	}
	if r.opts.Live != nil {
		list = append(list, r.opts.Live)
	}
	if r.follow != nil {
		list = append(list, r.follow)
	}
	return &observers{r.target.Secrets, r.share, list}
}

// failures passes on the exchanges that failed.
type failures func(*results.Exchange)

func (f failures) Observe(e *results.Exchange) {
	if e.Failed() && !e.WarmUp {
		f(e)
	}
}

// gauges reads the pool's gauges.
func (r *run) gauges() collectors.Gauges {
	s := r.traffic.client.Stats()
	return collectors.Gauges{Leased: s.Leased, Idle: s.Idle, Dialing: s.Dialing, Pending: s.Pending, Opened: s.Opened}
}

func (r *run) live() (inFlight, buffered int) { return r.traffic.open.Live() }

// sawSockets gets a look at the sockets that was asked for between two samples.
func (r *run) sawSockets(s *results.SocketSample) {
	r.watch.guard.Look(s)
	r.watch.sockets.Add(s)
}

func (r *run) sample(s results.Sample) error {
	if seen := r.traffic.open.Limit(); seen != nil {
		s.Limit = seen.Final
	}
	r.watch.guard.Look(s.Sockets)
	r.watch.sockets.Add(s.Sockets)
	r.watch.latest.Store(&s)
	if r.opts.Live != nil {
		r.opts.Live.Sample(s)
	}
	if r.record == nil {
		return nil
	}
	return r.record.Sample(s)
}

// seesEnds returns what gets the end of each connection; nil: nobody wants to know.
func (r *run) seesEnds() func(*results.ConnectionEnd) {
	feed, follows := r.opts.Live.(interface{ Ended(*results.ConnectionEnd) })
	if r.record == nil && !follows && r.watch.meter == nil {
		return nil
	}
	return func(e *results.ConnectionEnd) {
		r.target.FillEnd(e, r.doc.Start)
		e.Conn = r.share.inWhole(e.Conn)
		if r.record != nil {
			r.record.ObserveEnd(e)
		}
		if r.watch.meter != nil {
			r.watch.meter.Ended(e.Closed - e.Opened)
		}
		if follows {
			feed.Ended(e)
		}
	}
}

// endsOfOutsider records how the connections of a real client ended, which has been closed.
func (r *run) endsOfOutsider() {
	saw := r.seesEnds()
	if saw == nil || r.outsider == nil || r.outsider.witness.packets == nil {
		return
	}
	for _, c := range r.outsider.witness.packets.Conns(r.doc.Start) {
		if e := endOf(&c); e != nil {
			saw(e)
		}
	}
}
