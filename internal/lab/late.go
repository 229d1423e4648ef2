package lab

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Late says how late actions were. The machine's timers make each action a little late.
// If no core is free for the server or the link, they are very late.
type Late struct {
	Count    uint64
	P99, Max time.Duration
}

// lateness collects the figures of a Late.
type lateness struct {
	mu  sync.Mutex
	h   *hdrhistogram.Histogram // µs; nil before the first action
	max time.Duration
}

// latest is the highest value that P99 of a Late can have.
const latest = time.Minute

// since records an action that was due at that time and happens now.
func (l *lateness) since(due time.Time) {
	d := max(time.Since(due), 0)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.h == nil {
		l.h = hdrhistogram.New(1, latest.Microseconds(), 2)
	}
	l.max = max(l.max, d)
	_ = l.h.RecordValue(min(d, latest).Microseconds()) // within its range, so this cannot fail
}

func (l *lateness) seen() Late {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.h == nil {
		return Late{}
	}
	p99 := time.Duration(l.h.ValueAtPercentile(99)) * time.Microsecond
	return Late{Count: uint64(l.h.TotalCount()), P99: min(p99, l.max), Max: l.max}
}
