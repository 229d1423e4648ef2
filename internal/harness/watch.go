package harness

import (
	"sync"
	"time"

	"github.com/kabench/kabench/collectors"
	"github.com/kabench/kabench/results"
)

// Progress is how far a run has come. Rates are per second, over the time since
// the Progress before.
type Progress struct {
	Elapsed, Total time.Duration // Total is the schedule's length; 0: not known
	WarmUp         time.Duration // of these, at the beginning
	Totals         collectors.Totals
	InFlight       int
	Buffered       int

	Offered, Achieved, Throughput float64 // due, started, ok

	Pool       collectors.Gauges
	MaxConns   int // the pool's cap; 0: none, or not one for all
	PendingMax int // the bound of its queue; below 0: none, or not one for all

	Sockets *results.SocketSample // as last seen; nil: not seen
	Ports   int                   // that there are towards the target; 0: not known
}

// watchPeriod is how often a run is looked at while it goes on.
const watchPeriod = time.Second

// watcher are the goroutines that act once a second while a run goes on.
type watcher struct {
	stop            chan struct{}
	looked, telling *sync.WaitGroup
}

// watch starts them: one writes the latency log and asks whether the run is to
// be stopped, the other tells of progress. They are two because nobody knows how
// long a terminal takes.
func (r *run) watch() watcher {
	w := watcher{make(chan struct{}), &sync.WaitGroup{}, &sync.WaitGroup{}}
	latest := make(chan Progress, 1)
	w.looked.Go(func() {
		defer close(latest)
		r.everySecond(w.stop, latest)
	})
	w.telling.Go(func() {
		for now := range latest {
			r.opts.Progress(now)
		}
	})
	return w
}

// end ends the first of them, and the second as soon as it has told of the last.
func (w watcher) end() {
	close(w.stop)
	w.looked.Wait()
}

// told waits for the second.
func (w watcher) told() { w.telling.Wait() }

func (r *run) everySecond(stop <-chan struct{}, latest chan Progress) {
	tick := time.NewTicker(watchPeriod)
	defer tick.Stop()
	var before Progress
	for more := true; more; {
		select {
		case <-tick.C:
		case <-stop:
			more = false
		}
		now := time.Since(r.epoch)
		r.logLatency(before.Elapsed, now)
		if more {
			r.abort.check(r, now)
		}
		p := r.progress(now, before)
		before = p
		if r.opts.Progress == nil || !more {
			continue
		}
		select {
		case <-latest: // not told of in time
		default:
		}
		latest <- p
	}
}

func (r *run) progress(now time.Duration, before Progress) Progress {
	// In this order: see collectors.Sampler.
	totals := r.recorder.Totals()
	inFlight, buffered := r.open.Live()
	p := Progress{
		Elapsed: now, Total: r.profile.Load.WarmUp + r.profile.Load.Duration, WarmUp: r.profile.Load.WarmUp,
		Totals: totals, InFlight: inFlight, Buffered: buffered,
		Pool: r.gauges(), PendingMax: -1, Sockets: r.seen.last(), Ports: r.portsThere,
	}
	if r.places == 1 && r.profile.Pool.Shards <= 1 {
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

// sightings are what was seen of the sockets while the run goes on.
type sightings struct {
	mu    sync.Mutex
	peaks results.Sockets       // guarded by mu
	now   *results.SocketSample // guarded by mu
}

// add takes in a look at the sockets, which is not changed after it; nil: there
// was none.
func (s *sightings) add(look *results.SocketSample) {
	if look == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peaks.Add(look)
	s.now = look
}

// last is what was seen last; nil: nothing.
func (s *sightings) last() *results.SocketSample {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// sockets are the peaks so far.
func (s *sightings) sockets() results.Sockets {
	s.mu.Lock()
	defer s.mu.Unlock()
	peaks := s.peaks
	if !peaks.Available {
		peaks.Why = "not looked at yet"
	}
	return peaks
}

func (r *run) gauges() collectors.Gauges {
	s := r.client.Stats()
	return collectors.Gauges{Leased: s.Leased, Idle: s.Idle, Dialing: s.Dialing, Pending: s.Pending, Opened: s.Opened}
}

func (r *run) live() (inFlight, buffered int) { return r.open.Live() }

// sawSockets takes in a look at the sockets that was asked for between two samples.
func (r *run) sawSockets(s *results.SocketSample) {
	r.guard.look(s)
	r.seen.add(s)
}

func (r *run) sample(s results.Sample) error {
	r.guard.look(s.Sockets)
	r.seen.add(s.Sockets)
	if r.opts.Live != nil {
		r.opts.Live.Sample(s)
	}
	if r.writer == nil {
		return nil
	}
	return r.writer.Sample(s)
}

func (r *run) logLatency(from, to time.Duration) {
	if r.writer == nil {
		return
	}
	i := r.recorder.Interval()
	// An error is kept by the writer and returned by its Close.
	r.writer.WriteInterval(results.LatencyResponse, from, to, i.Response)
	r.writer.WriteInterval(results.LatencyService, from, to, i.Service)
	r.writer.WriteInterval(results.LatencyLag, from, to, i.Lag)
}
