package kabench

import (
	"sync"
	"time"

	"github.com/kabench/kabench/collectors"
	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

// Progress is how far a run has come. Rates are per second, since the last Progress.
type Progress struct {
	Elapsed, Total time.Duration // Total is the schedule's length; 0: not known
	WarmUp         time.Duration // the part of Total at the beginning that is not counted
	Totals         collectors.Totals
	InFlight       int
	Buffered       int

	Offered, Achieved, Throughput float64 // due, started, ok

	Pool       collectors.Gauges
	MaxConns   int // the cap of the pool; pool.NoCap: no cap, or one for each origin or shard; 0: not known
	PendingMax int // the bound of its queue; pool.NoCap: no bound, or one for each origin or shard

	Sockets *results.SocketSample // the latest look; nil: there was none
	Ports   int                   // how many local ports there are towards the target; 0: not known
}

// tickPeriod is how often the ticker acts.
const tickPeriod = time.Second

// ticker is the goroutines that act once a second while a run goes on. One writes the
// latency log and asks whether the run must stop; the other calls Options.Progress,
// which may take long, for example when a terminal is held up.
type ticker struct {
	quit              chan struct{}
	acting, reporting sync.WaitGroup
}

func (r *run) startTicker() *ticker {
	t := &ticker{quit: make(chan struct{})}
	latest := make(chan Progress, 1)
	t.acting.Go(func() {
		defer close(latest)
		r.everySecond(t.quit, latest)
	})
	t.reporting.Go(func() {
		for now := range latest {
			r.opts.Progress(now)
		}
	})
	return t
}

// stop ends the first goroutine; the second ends after its last call of Progress.
func (t *ticker) stop() {
	close(t.quit)
	t.acting.Wait()
}

// wait waits for the second.
func (t *ticker) wait() { t.reporting.Wait() }

func (r *run) everySecond(stop <-chan struct{}, latest chan Progress) {
	tick := time.NewTicker(tickPeriod)
	defer tick.Stop()
	var before Progress
	for more := true; more; {
		select {
		case <-tick.C:
		case <-stop:
			more = false
		}
		now := time.Since(r.doc.Start)
		r.logLatency(before.Elapsed, now)
		if more {
			r.watch.abort.check(r, now)
		}
		p := r.progress(now, before)
		before = p
		if r.opts.Progress == nil || !more {
			continue
		}
		select {
		case <-latest: // Progress was too slow for it
		default:
		}
		latest <- p
	}
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

func (r *run) logLatency(from, to time.Duration) {
	if r.record == nil {
		return
	}
	i := r.watch.recorder.Interval()
	// An error is kept by the writer and returned by its Close.
	r.record.WriteInterval(results.LatencyResponse, from, to, i.Response)
	r.record.WriteInterval(results.LatencyService, from, to, i.Service)
	r.record.WriteInterval(results.LatencyLag, from, to, i.Lag)
}
