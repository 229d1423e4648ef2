package poll

import "time"

// A Clock waits by Go's timers, to which a testing/synctest bubble is true. It
// belongs to one goroutine, but for Wake.
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

// Close gives back what NewClock took. Nobody may be waiting.
func (c *Clock) Close() { c.timer.Stop() }

// Wake makes a Wait under way, or else the next one, return at once. It may be
// called from any goroutine.
func (c *Clock) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Wait returns after d or when woken, and always 0. With d 0 it does not wait,
// with d below 0 it waits without limit.
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
