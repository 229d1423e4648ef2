package collectors

import (
	"sync"
	"time"

	"github.com/kabench/kabench/results"
)

// PortExhaustion notes when a run gets no ephemeral port any more, and when it gets one
// again. It is a generator.Observer.
type PortExhaustion struct {
	Predicted time.Duration // after the start of the run; 0: ports are not expected to run out

	mu        sync.Mutex // guards all below
	failed    bool
	first     time.Duration // start of the first request that got no port
	last      time.Duration
	back      time.Duration // start of the first request that got a port again and was ok
	recovered uint64        // number of such requests
}

// Observe counts e, which is over. It does not keep e.
func (x *PortExhaustion) Observe(e *results.Exchange) {
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

// Fill sets run.Ports, unless ports neither ran out nor were expected to.
func (x *PortExhaustion) Fill(run *results.Run) {
	if x.Predicted == 0 && !x.failed {
		return
	}
	run.Ports = &results.Ports{
		Predicted: x.Predicted.Seconds(), FirstFail: x.first.Seconds(), LastFail: x.last.Seconds(),
		Back: x.back.Seconds(), Recovered: x.recovered,
	}
}
