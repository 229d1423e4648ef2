package external

import (
	"maps"
	"slices"
	"sync"

	"github.com/kabench/kabench/results"
)

// Fault is something that no driver may do. Any makes a run invalid.
type Fault string

// The faults, as run.json names them. docs/drivers.md says what each means.
const (
	FaultDied    Fault = "died"               // its process ended, or it closed its stdout
	FaultHangs   Fault = "hangs"              // it reads nothing, or does not respond to clock
	FaultFloods  Fault = "floods"             // a line without end, or frames that nobody asked for without end
	FaultGarbage Fault = "garbage on stdout"  // a line that is no frame
	FaultUnsent  Fault = "answers the unsent" // done for a request that was not dispatched
	FaultTwice   Fault = "answers twice"      // done for a request that it had said was over
	FaultSilent  Fault = "no answer"          // no done by the request's deadline and a grace
	FaultTimes   Fault = "impossible times"   // called before it was dispatched, or over after it said so
	FaultStatus  Fault = "unseen response"    // it reports a response that was not on the wire
)

// faults counts what a driver did that it may not. Many goroutines may use it.
type faults struct {
	mu   sync.Mutex
	seen map[Fault]*results.DriverFault // guarded by mu
}

// add counts a fault. The first example is kept.
func (f *faults) add(what Fault, example string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.seen == nil {
		f.seen = map[Fault]*results.DriverFault{}
	}
	known := f.seen[what]
	if known == nil {
		known = &results.DriverFault{Name: string(what), Example: example}
		f.seen[what] = known
	}
	known.Count++
}

// list returns the faults by name; never nil.
func (f *faults) list() []results.DriverFault {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := []results.DriverFault{}
	for _, name := range slices.Sorted(maps.Keys(f.seen)) {
		all = append(all, *f.seen[name])
	}
	return all
}

// budget bounds how much a driver may write that nobody asked for: perSecond, with a
// reserve of most.
type budget struct {
	perSecond, most float64
	left            float64
	at              float64 // seconds
	used            bool
}

// take reports whether one more is within the budget at a time in seconds.
func (b *budget) take(now float64) bool {
	if !b.used {
		b.left, b.at, b.used = b.most, now, true
	}
	b.left = min(b.most, b.left+max(now-b.at, 0)*b.perSecond)
	b.at = max(b.at, now)
	if b.left < 1 {
		return false
	}
	b.left--
	return true
}
