package generator

import (
	"math"
	"time"

	"github.com/kabench/kabench/generator/limit"
	"github.com/kabench/kabench/results"
)

// openSlots sets how many exchanges may be in flight.
func (o *Open) openSlots() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.adapts = o.Load.Limit.Adapt(o.Load.Seed)
	switch {
	case o.adapts != nil:
		o.slots = o.adapts.Now()
	case o.Load.MaxInFlight > 0:
		o.slots = o.Load.MaxInFlight
	default:
		o.slots = math.MaxInt
	}
}

// learn has an adaptive limit follow e, which is over. An exchange that was given up because
// the run ends says nothing about the load. o.mu must be held.
func (o *Open) learn(e *results.Exchange) {
	if !e.Unfinished() {
		o.slots = o.adapts.Learn(limit.Sample{At: e.Done, RTT: e.Done - e.Start, InFlight: e.InFlight, Dropped: !e.OK()})
	}
}

// another starts what a limit that has risen by more than one makes room for. A fixed one has
// no more room than the slot that was passed on.
func (o *Open) another(now time.Duration) *results.Exchange {
	if o.Load.Limit.Algorithm == limit.Fixed {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.fill(now)
}

// Limit is what an adaptive limit is and has been; nil if the limit is fixed, or before Run.
// It may be called at any time from any goroutine.
func (o *Open) Limit() *results.LimitSeen {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.adapts == nil {
		return nil
	}
	seen := o.adapts.Seen()
	return &seen
}
