package children

import (
	"sync"
	"sync/atomic"
	"testing"
)

// Each never runs more than jobs at a time, and starts no more after stop is closed.
func TestEach(t *testing.T) {
	stop := make(chan struct{})
	var now, most, begun atomic.Int32
	var end sync.Once
	Each(stop, 3, 100, func(i int) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		if begun.Add(1) == 10 {
			end.Do(func() { close(stop) })
		}
		now.Add(-1)
	})
	if most.Load() > 3 || begun.Load() < 10 || begun.Load() > 12 {
		t.Errorf("%d at a time, %d begun", most.Load(), begun.Load())
	}
	Each(make(chan struct{}), 2, 5, func(int) { begun.Add(1) })
	if n := begun.Load(); n < 15 || n > 17 {
		t.Errorf("%d begun", n)
	}
}
