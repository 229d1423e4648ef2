package collectors

import (
	"sync"

	"github.com/kabench/kabench/results"
)

const (
	failuresKept = 20
	kindKept     = 8 // of one kind
)

// Failures keeps the first failures that had a connection, at most 8 of each kind and
// 20 in all, so that the packets of their connections can be shown. It is a
// generator.Observer.
type Failures struct {
	mu   sync.Mutex
	kept []results.Exchange      // guarded by mu
	kind map[results.Outcome]int // guarded by mu
}

// Observe keeps a copy of e, which is over, if e is one of those failures.
func (f *Failures) Observe(e *results.Exchange) {
	if !e.Failed() || e.WarmUp || e.Local == "" {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	kind := results.Outcome{Phase: e.Phase, Cause: e.Cause, Reused: e.Reused()}
	if len(f.kept) == failuresKept || f.kind[kind] == kindKept {
		return
	}
	if f.kind == nil {
		f.kind = map[results.Outcome]int{}
	}
	f.kind[kind]++
	f.kept = append(f.kept, *e)
}

// Kept returns the failures kept so far, in the order in which they ended.
func (f *Failures) Kept() []results.Exchange {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.kept[:len(f.kept):len(f.kept)]
}
