package collectors

import (
	"runtime"
	"sync"
	"time"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/timings"
)

// Meter measures exchanges for telemetry. It is a generator.Observer. Make one with
// NewMeter.
type Meter struct {
	shards []meterShard // an exchange belongs to the one its number selects

	mu    sync.Mutex
	lives *timings.Histogram // guarded by mu; nil: no connection has ended
}

// meterShard is one lock's worth of a Meter.
type meterShard struct {
	mu      sync.Mutex
	timings timings.Timings // guarded by mu

	_ [64]byte // keeps the next shard's lock off this one's cache line
}

// NewMeter makes an empty Meter.
func NewMeter() *Meter {
	return &Meter{shards: make([]meterShard, min(runtime.GOMAXPROCS(0), maxShards))}
}

// Observe adds e, which is over. It does not keep e.
func (m *Meter) Observe(e *results.Exchange) {
	s := &m.shards[shardOf(e.Seq, len(m.shards))]
	s.mu.Lock()
	s.timings.Add(e)
	s.mu.Unlock()
}

// Ended adds a connection that was open for that long.
func (m *Meter) Ended(life time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lives == nil {
		m.lives = &timings.Histogram{}
	}
	m.lives.Add(life)
}

// Timings returns a copy of the durations so far. It holds one shard at a time, for a
// few microseconds.
func (m *Meter) Timings() *timings.Timings {
	sum := &timings.Timings{}
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		sum.Merge(&s.timings)
		s.mu.Unlock()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.lives != nil {
		sum.Lives = m.lives.Clone()
	}
	return sum
}
