package collectors

import (
	"sync"
	"time"

	"github.com/kabench/kabench/results"
)

// Times notes when exchanges failed, and whether new connections come in waves. It is a
// generator.Observer.
type Times struct {
	mu      sync.Mutex
	moments results.Moments // guarded by mu
}

// Observe counts e, which is over. It does not keep e.
func (x *Times) Observe(e *results.Exchange) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.moments.Add(e)
}

// Fill sets run.Times. warmUp is the length of the warm-up, and walked how long requests were
// due.
func (x *Times) Fill(run *results.Run, warmUp, walked time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	run.Times = x.moments.Times(warmUp, walked)
}
