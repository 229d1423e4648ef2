package kabench

import (
	"sync"
	"time"

	"github.com/kabench/kabench/results"
)

const (
	failuresKept  = 20 // whose packets are written to evidence.json
	failuresShown = 3  // of different kinds, in run.json
	kindKept      = 8  // of one kind
	packetsBefore = 6  // of a connection, before it was leased
	rowsKept      = 30
	soonAfter     = time.Second // after the failure
)

// failures keeps the first failures that had a connection, a few of each kind.
type failures struct {
	mu   sync.Mutex
	kept []results.Exchange
	kind map[results.Outcome]int
}

func (f *failures) observe(e *results.Exchange) {
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
