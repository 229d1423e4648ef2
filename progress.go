package kabench

import (
	"net"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/kabench/kabench/collectors"
	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
)

// Progress is how far a run has come. Rates are per second, since the last Progress.
type Progress struct {
	Elapsed, Total time.Duration // Total is the schedule's length; 0: not known
	WarmUp         time.Duration // the part of Total at the beginning that is not counted
	Totals         collectors.Totals
	InFlight       int
	Buffered       int

	Offered, Achieved, Throughput float64 // due, started, ok

	// Times are the times so far, of the exchanges that have ended; nil: none has. If several
	// agents send there is only the lag, of the agent whose lag is the highest: percentiles
	// cannot be added.
	Times *TimesSoFar

	Pool       collectors.Gauges
	MaxConns   int // the cap of the pool; pool.NoCap: no cap, or one for each origin or shard; 0: not known
	PendingMax int // the bound of its queue; pool.NoCap: no bound, or one for each origin or shard

	Sockets *results.SocketSample // the latest look; nil: there was none
	Ports   int                   // how many local ports there are towards the target; 0: not known
}

// TimesSoFar are percentiles of the exchanges of a run that goes on, the warm-up's too.
type TimesSoFar struct {
	P50, P99 time.Duration // response time of those that are ok; 0: none is
	Lag      time.Duration // its 99th percentile
}

// tickPeriod is how often the ticker acts.
const tickPeriod = time.Second

// ticker is the goroutines that act once a second while a run goes on. One writes the
// latency log and asks whether the run must stop; the others call Options.Progress,
// Options.Standing and Share.Beat, which may take long, for example when a terminal is held
// up.
type ticker struct {
	quit                        chan struct{}
	acting, reporting, standing sync.WaitGroup
}

func (r *run) startTicker() *ticker {
	t := &ticker{quit: make(chan struct{})}
	latest, beats, standings := make(chan Progress, 1), make(chan Beat, 1), make(chan Standing, 1)
	t.acting.Go(func() {
		defer close(latest)
		defer close(beats)
		defer close(standings)
		r.everySecond(t.quit, latest, beats, standings)
	})
	t.standing.Go(func() {
		for now := range standings {
			r.opts.Standing(now)
		}
	})
	t.reporting.Go(func() {
		for now := range latest {
			r.opts.Progress(now)
		}
	})
	t.reporting.Go(func() {
		for b := range beats {
			b.Exchanges, b.LeftOut = r.follow.take()
			r.share.Beat(b)
		}
	})
	return t
}

// stop ends the first goroutine; the others end after their last call.
func (t *ticker) stop() {
	close(t.quit)
	t.acting.Wait()
}

// wait waits for the others.
func (t *ticker) wait() { t.reporting.Wait() }

func (r *run) everySecond(stop <-chan struct{}, shown chan Progress, beats chan Beat, standings chan Standing) {
	tick := time.NewTicker(tickPeriod)
	defer tick.Stop()
	if r.opts.Standing != nil {
		put(standings, r.standing(0))
	}
	var before Progress
	soFar := collectors.NewIntervals()
	for more := true; more; {
		select {
		case <-tick.C:
		case <-stop:
			more = false
		}
		now := time.Since(r.doc.Start)
		latest := r.watch.recorder.Interval()
		r.logLatency(latest, before.Elapsed, now)
		soFar.Merge(&latest)
		if more {
			r.watch.abort.check(r.plan, now, r.traffic.open.Sending(), r.soFar)
		}
		p := r.progress(now, before)
		p.Times = timesOf(soFar)
		before = p
		if r.opts.Progress != nil && more {
			put(shown, p)
		}
		if r.share != nil && r.share.Beat != nil {
			put(beats, r.beat(p))
		}
		if r.opts.Standing != nil && more {
			put(standings, r.standing(now))
		}
	}
}

// put puts v into latest, whose only sender is the caller, in place of a value that the
// reader was too slow for.
func put[T any](latest chan T, v T) {
	select {
	case <-latest:
	default:
	}
	latest <- v
}

func (r *run) progress(now time.Duration, before Progress) Progress {
	// The order matters: see collectors.Sampler.
	totals := r.watch.recorder.Totals()
	inFlight, buffered := r.traffic.open.Live()
	p := Progress{
		Elapsed: now, Total: r.profile.Load.WarmUp + r.profile.Load.Duration, WarmUp: r.profile.Load.WarmUp,
		Totals: totals, InFlight: inFlight, Buffered: buffered,
		Pool: r.gauges(), MaxConns: pool.NoCap, PendingMax: pool.NoCap, Sockets: r.watch.sockets.Last(), Ports: r.watch.ports,
	}
	if r.target.Origins() == 1 && r.profile.Pool.Shards <= 1 {
		p.MaxConns, p.PendingMax = r.profile.Pool.MaxConns, r.profile.Pool.PendingMax
	}
	if r.profile.Load.Duration == 0 {
		p.Total = 0 // it ends with its last request
	}
	if s := (now - before.Elapsed).Seconds(); s > 0 {
		since := func(now, before uint64) float64 { return float64(now-min(now, before)) / s }
		p.Offered, p.Achieved = since(p.due(), before.due()), since(p.started(), before.started())
		p.Throughput = since(totals.OK, before.Totals.OK)
	}
	return p
}

func (p Progress) due() uint64     { return p.Totals.Due + uint64(p.InFlight) + uint64(p.Buffered) }
func (p Progress) started() uint64 { return p.Totals.Started + uint64(p.InFlight) }

// timesOf returns the percentiles of i; nil if it has no exchange.
func timesOf(i *collectors.Intervals) *TimesSoFar {
	if i.Lag.TotalCount() == 0 {
		return nil
	}
	at := func(h *hdrhistogram.Histogram, percent float64) time.Duration {
		return time.Duration(h.ValueAtQuantile(percent)) * time.Microsecond
	}
	return &TimesSoFar{P50: at(i.Response, 50), P99: at(i.Response, 99), Lag: at(i.Lag, 99)}
}

func (r *run) logLatency(i collectors.Intervals, from, to time.Duration) {
	if r.record == nil {
		return
	}
	// An error is kept by the writer and returned by its Close.
	r.record.WriteInterval(results.LatencyResponse, from, to, i.Response)
	r.record.WriteInterval(results.LatencyService, from, to, i.Service)
	r.record.WriteInterval(results.LatencyLag, from, to, i.Lag)
}

// aborter stops a run when a condition of its abort_when is met.
type aborter struct {
	conditions *expect.Abort // nil: none, or another process checks them
	latencies  []string      // those that conditions ask for
	stop       chan struct{} // closed to stop the run

	mu  sync.Mutex
	why *results.Stopped // guarded by mu; nil: it was not stopped
}

// newAborter checks p's conditions, unless p is a share's: those are about the whole run.
func newAborter(p *plan) *aborter {
	a := &aborter{latencies: p.abort.Latencies(), stop: make(chan struct{})}
	if p.share == nil {
		a.conditions = p.abort
	}
	return a
}

// check evaluates the conditions of p at the offset now, and stops the run if one is met.
// After the last request was sent it does nothing, because rates fall then by themselves.
// soFar returns what the document would be if the run ended now, with only the latencies
// named. Only one goroutine may call check.
func (a *aborter) check(p *plan, now time.Duration, sending bool, soFar func(measured time.Duration, latencies []string) *results.Run) {
	measured := now - p.profile.Load.WarmUp
	if a.conditions == nil || measured <= 0 || a.stopped() != nil || !sending {
		return
	}
	s := a.conditions.Check(soFar(measured, a.latencies), expect.References{Baseline: p.baseline.run(), Baselines: p.baseline.all()}, measured, now)
	if s == nil {
		return
	}
	a.mu.Lock()
	a.why = s
	a.mu.Unlock()
	close(a.stop)
}

func (a *aborter) stopped() *results.Stopped {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.why
}

// standing is how r stands at the offset now.
func (r *run) standing(now time.Duration) Standing {
	doc := r.soFar(now-r.profile.Load.WarmUp, nil)
	doc.Schema, doc.Version, doc.Name, doc.Start = r.doc.Schema, r.doc.Version, r.doc.Name, r.doc.Start
	doc.Sockets.PortsAvailable = r.watch.ports
	if !r.opts.Bare {
		doc.Kernel = r.traffic.sampler.KernelSoFar()
	}
	return r.stands(doc, false)
}

func (r *run) stands(doc *results.Run, over bool) Standing {
	return Standing{Run: doc, Timings: r.watch.meter.Timings(), Sample: r.watch.newest(), Over: over, Server: r.watch.server, Method: r.watch.method}
}

// common returns the server and the method that requests have in common; "": none.
func common(requests []*dialers.Request) (server, method string) {
	for i, r := range requests {
		to, how := net.JoinHostPort(r.Origin().Host, r.Origin().Port), r.Parts().Method
		if i > 0 && to != server {
			to = ""
		}
		if i > 0 && how != method {
			how = ""
		}
		server, method = to, how
	}
	return server, method
}

// newest returns the newest sample, with the newest look at the sockets; nil: there is none.
func (w *watchers) newest() *results.Sample {
	latest := w.latest.Load()
	if latest == nil {
		return nil
	}
	s := *latest
	s.Sockets = w.sockets.Last()
	return &s
}

// soFar is the document so far, for an aborter.
func (r *run) soFar(measured time.Duration, latencies []string) *results.Run {
	doc := &results.Run{Profile: r.doc.Profile, Sockets: r.watch.sockets.Peaks()}
	r.watch.recorder.Glance(latencies).Fill(doc, measured)
	if outside, ok := r.traffic.client.(*externalClient); ok {
		outside.Fill(doc) // what it does not tell is unknown, and not 0
	} else {
		r.traffic.client.Stats().Fill(doc)
	}
	return doc
}

// anyOf returns a channel that is closed when one of stops is; over ends the waiting. A
// nil stop is never closed.
func anyOf(over <-chan struct{}, stops ...<-chan struct{}) <-chan struct{} {
	first := make(chan struct{})
	halt := sync.OnceFunc(func() { close(first) })
	for _, stop := range stops {
		if stop == nil {
			continue
		}
		if closed(stop) { // so that not a single request is started
			halt()
		}
		go func() {
			select {
			case <-stop:
				halt()
			case <-over:
			}
		}()
	}
	return first
}
