package dialers

import "sync"

// inbox holds what goroutines leave for the loop.
type inbox struct {
	mu   sync.Mutex
	left []func()
}

func (b *inbox) put(f func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = append(b.left, f)
}

// take runs what was left, in order, and calls then after each.
func (b *inbox) take(then func()) {
	b.mu.Lock()
	left := b.left
	b.left = nil
	b.mu.Unlock()
	for _, f := range left {
		f()
		then()
	}
}
