package probe

import (
	"os"
	"sync"
	"time"
)

// unknownSlack says that a time was taken after a read returned, so that it is as late as
// this process was: see canary.
const unknownSlack time.Duration = -1

// canary measures how late this process notices what happens. Every few milliseconds it
// writes to a pipe, on whose other end a goroutine waits as those of the connections do.
type canary struct {
	mu    sync.Mutex
	late  []stall       // guarded by mu
	worst time.Duration // guarded by mu
	read  *os.File
	write *os.File
	over  sync.WaitGroup
	stop  chan struct{}
}

// stall is a time during which nothing was noticed, or not before its end.
type stall struct{ from, to time.Time }

const (
	canaryEvery = 20 * time.Millisecond
	// timerLate is how late Go's timers are on an idle machine: that is no stall.
	timerLate = 1200 * time.Microsecond
	// usualSlack is how late a read returns on an idle machine, in the worst of a hundred
	// cases.
	usualSlack = 150 * time.Microsecond
)

// newCanary begins to measure, until close.
func newCanary() (*canary, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c := &canary{read: read, write: write, stop: make(chan struct{})}
	sent := make(chan time.Time, 64)
	c.over.Go(func() { c.sing(sent) })
	c.over.Go(func() { c.hear(sent) })
	return c, nil
}

func (c *canary) sing(sent chan<- time.Time) {
	defer c.write.Close()
	defer close(sent)
	timer := time.NewTimer(canaryEvery)
	defer timer.Stop()
	for due := time.Now().Add(canaryEvery); ; {
		select {
		case <-c.stop:
			return
		case <-timer.C:
		}
		from := time.Now()
		if due := due.Add(timerLate); due.Before(from) {
			from = due
		}
		select {
		case sent <- from:
			if _, err := c.write.Write([]byte{0}); err != nil {
				return
			}
		default: // the other end is far behind, and will say so
		}
		due = time.Now().Add(canaryEvery)
		timer.Reset(canaryEvery)
	}
}

func (c *canary) hear(sent <-chan time.Time) {
	var b [1]byte
	for {
		if n, _ := c.read.Read(b[:]); n == 0 {
			return // the other end is closed
		}
		now := time.Now()
		from, more := <-sent
		if !more {
			return
		}
		if late := now.Sub(from); late > usualSlack {
			c.mu.Lock()
			c.late = append(c.late, stall{from, now})
			c.worst = max(c.worst, late)
			c.mu.Unlock()
		}
	}
}

// close ends the measurement.
func (c *canary) close() {
	close(c.stop)
	c.over.Wait()
	c.read.Close()
}

// slack returns how late at may be, which was taken after a read returned: as late as
// this process was about that time.
func (c *canary) slack(at time.Time) time.Duration {
	const near = 2 * canaryEvery
	c.mu.Lock()
	defer c.mu.Unlock()
	slack := usualSlack
	for i := len(c.late) - 1; i >= 0; i-- {
		s := c.late[i]
		if s.to.Before(at.Add(-time.Second)) {
			break
		}
		if !s.to.Before(at.Add(-near)) && !s.from.After(at.Add(near)) {
			slack = max(slack, s.to.Sub(s.from))
		}
	}
	return slack
}

// Worst returns the longest time in which this process noticed nothing.
func (c *canary) Worst() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.worst
}
