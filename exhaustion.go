package kabench

import (
	"sync"
	"time"

	"github.com/kabench/kabench/results"
)

// exhaustion sees when the ports run out, and come back.
type exhaustion struct {
	predicted time.Duration // after the start of the run; 0: they will not run out
	mu        sync.Mutex    // guards all below
	failed    bool
	first     time.Duration // start of the first request that got no port
	last      time.Duration
	back      time.Duration // start of the first request that got a port again, and was ok, after the first of them
	recovered uint64        // requests that were
}

func (x *exhaustion) observe(e *results.Exchange) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case e.Cause == results.CausePortExhausted:
		if !x.failed || e.Start < x.first {
			x.first = e.Start
		}
		x.failed, x.last = true, max(x.last, e.Start)
	case x.failed && e.OK() && !e.Reused() && e.Start > x.first: // one on a kept connection needs no port
		if x.recovered == 0 || e.Start < x.back {
			x.back = e.Start
		}
		x.recovered++
	}
}

// fill sets run.Ports.
func (x *exhaustion) fill(run *results.Run) {
	if x.predicted == 0 && !x.failed {
		return
	}
	run.Ports = &results.Ports{
		Predicted: x.predicted.Seconds(), FirstFail: x.first.Seconds(), LastFail: x.last.Seconds(),
		Back: x.back.Seconds(), Recovered: x.recovered,
	}
}
