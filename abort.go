package kabench

import (
	"sync"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/expect"
)

// aborter stops a run when a condition of its abort_when is met.
type aborter struct {
	conditions *expect.Abort // nil: none
	latencies  []string      // those that conditions ask for
	stop       chan struct{} // closed to stop the run

	mu  sync.Mutex
	why *results.Stopped // guarded by mu; nil: it was not stopped
}

func newAborter(conditions *expect.Abort) *aborter {
	return &aborter{conditions: conditions, latencies: conditions.Latencies(), stop: make(chan struct{})}
}

// check evaluates the conditions of r at the offset now, and stops r if one is met. After
// the last request was sent it does nothing, because rates fall then by themselves. Only
// one goroutine may call it.
func (a *aborter) check(r *run, now time.Duration) {
	measured := now - r.profile.Load.WarmUp
	if a.conditions == nil || measured <= 0 || a.stopped() != nil || !r.traffic.open.Sending() {
		return
	}
	s := a.conditions.Check(r.soFar(measured, a.latencies), expect.References{Baseline: r.baseline.run(), Baselines: r.baseline.all()}, measured, now)
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

// soFar returns what the document would be if the run ended now, with only the latencies
// named.
func (r *run) soFar(measured time.Duration, latencies []string) *results.Run {
	doc := &results.Run{Profile: r.doc.Profile, Sockets: r.watch.sockets.Peaks()}
	r.watch.recorder.Glance(doc, measured, latencies)
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
