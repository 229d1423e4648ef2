package live

import "testing"

// What an Observe costs the loop.
func BenchmarkObserve(b *testing.B) {
	feed := NewFeed()
	e := exchange(1, false)
	for b.Loop() {
		if feed.Observe(e); len(feed.queue.list) == queued {
			feed.queue.list = feed.queue.list[:0] // as if it had been gathered
		}
	}
}

// What the goroutine pays for each, beside it.
func BenchmarkGather(b *testing.B) {
	feed := NewFeed()
	feed.Begin(begun())
	seq := uint64(0)
	for b.Loop() {
		feed.gatherer.Observe(exchange(seq, false))
		seq++
	}
	feed.End(begun())
}

// What newer data costs when somebody asks, once a second at most.
func BenchmarkData(b *testing.B) {
	feed := NewFeed()
	feed.Begin(begun())
	for i := range uint64(100_000) {
		feed.gatherer.Observe(exchange(i, i%100 == 0))
	}
	for b.Loop() {
		feed.mu.Lock()
		feed.make()
		feed.mu.Unlock()
	}
	feed.End(begun())
}
