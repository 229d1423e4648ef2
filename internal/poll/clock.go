package poll

import "time"

// A Clock waits with Go's timers, which work in a testing/synctest bubble. It belongs to
// one goroutine; only Wake may be called from others.
type Clock struct {
	wake  chan struct{}
	timer *time.Timer
}

// NewClock returns a Clock.
func NewClock() *Clock {
	c := &Clock{wake: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	c.timer.Stop()
	return c
}

// Close releases the timer. No Wait may be in progress.
func (c *Clock) Close() { c.timer.Stop() }

// Wake makes the Wait in progress, or otherwise the next one, return at once. It may be
// called from any goroutine.
func (c *Clock) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Wait waits for d or for Wake, and returns 0. It does not wait if d is 0, and waits
// without limit if d is below 0.
func (c *Clock) Wait(_ []Event, d time.Duration) int {
	switch {
	case d == 0:
	case d < 0:
		<-c.wake
	default:
		c.timer.Reset(d)
		select {
		case <-c.wake:
			c.timer.Stop()
		case <-c.timer.C:
		}
	}
	return 0
}
