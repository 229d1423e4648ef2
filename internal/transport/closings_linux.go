package transport

import (
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Closings are sockets still to be closed that their peers have ended first. Who was
// first is known then, and nothing waits for the close, but it takes a fifth of the time
// that a connection for one request takes. So sockets are closed when the loop has
// nothing else to do, and by a goroutine when it has no such moment.
//
// Its methods are called on the loop. The zero value is empty.
type Closings struct {
	waiting []int
	since   time.Duration // when something waited first, as Tend has seen; 0: not seen yet
	batches chan []int    // for the goroutine; nil: it has not begun
	given   sync.WaitGroup
	direct  bool // nothing may wait
}

const (
	// closeBatch is how many sockets the goroutine gets at once: to wake it costs as much
	// as half a close.
	closeBatch = 16
	// maxCloseLag bounds how long a socket waits to be closed by the loop.
	maxCloseLag = time.Millisecond
)

// add closes fd soon.
func (c *Closings) add(loop Loop, fd int) {
	if c == nil || c.direct {
		unix.Close(fd)
		return
	}
	c.waiting = append(c.waiting, fd)
	if len(c.waiting) < closeBatch {
		return
	}
	if c.batches == nil {
		if c.direct = runtime.GOMAXPROCS(0) == 1; c.direct {
			c.Now()
			return
		}
		batches := make(chan []int, 1)
		c.batches = batches
		loop.Go(func() {
			for batch := range batches {
				c.closeAll(batch)
			}
		})
	}
	c.given.Add(1)
	select {
	case c.batches <- c.waiting:
		c.waiting, c.since = make([]int, 0, closeBatch), 0
	default: // the goroutine has enough to do
		c.given.Done()
		c.Now()
	}
}

func (c *Closings) closeAll(batch []int) {
	for _, fd := range batch {
		unix.Close(fd)
	}
	c.given.Done()
}

// Tend closes what has waited for long, and reports whether something waits still: then
// call Now when the loop has nothing else to do.
func (c *Closings) Tend(now time.Duration) (waiting bool) {
	switch {
	case len(c.waiting) == 0:
		return false
	case c.since == 0:
		c.since = now
	case now-c.since >= maxCloseLag:
		c.Now()
	}
	return len(c.waiting) > 0
}

// Now closes what waits.
func (c *Closings) Now() {
	for _, fd := range c.waiting {
		unix.Close(fd)
	}
	c.waiting, c.since = c.waiting[:0], 0
}

// all closes everything, also what the goroutine has, and reports whether there was
// something.
func (c *Closings) all() bool {
	if c == nil {
		return false
	}
	any := len(c.waiting) > 0
	c.Now()
	select {
	case batch := <-c.batches:
		any = true
		c.closeAll(batch)
	default:
	}
	c.given.Wait()
	return any
}

// End closes everything, and ends the goroutine. What is added later is closed at once.
func (c *Closings) End() {
	c.all()
	if c.batches != nil {
		close(c.batches)
		c.batches = nil
	}
	c.direct = true
}
