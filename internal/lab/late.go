package lab

import (
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Late says by how much what was to happen at a moment happened after it. The
// machine's timers make everything a little late; a machine that gives a server
// or a link no core, very.
type Late struct {
	Count    uint64
	P99, Max time.Duration
}

// lateness collects for a Late.
type lateness struct {
	mu  sync.Mutex
	h   *hdrhistogram.Histogram // µs; nil: nothing yet
	max time.Duration
}

// latest is the most that the percentile of a Late can be.
const latest = time.Minute

// since records what was due at a moment and happens now.
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
