package probe

import (
	"context"
	"time"
)

// open begins to connect.
func (s *site) open(ctx context.Context, c *conn) {
	if c.plan.Role != Used && s.known().keepsNone() {
		c.state = done
		return
	}
	c.state = dialing
	s.dials++
	s.over.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, connectTime)
		defer cancel()
		e := dial(ctx, s.addr, s.config)
		e.of = c
		s.events <- e
	})
}

// connectTime bounds a dial.
const connectTime = 5 * time.Second

// send sends the next request on c.
func (s *site) send(c *conn) {
	asks, message := c.plan.Asks || s.known().mustAsk(), s.request.plain
	if asks {
		message = s.request.asking
	}
	c.late = c.plan.Role == Late && c.sent > 0
	c.sent++
	at, err := c.wire.send(message)
	c.begin(s.since(at), asks, s.request.method)
	c.state, c.next = asking, s.since(at)+s.o.Timeout
	if c.late {
		c.next = s.since(at) + s.patience()
	}
	if c.closed() || err != nil { // the reader says how it ended, or has said so
		c.next = s.since(at) + afterClose
	}
}

// afterClose is how long a request is followed that was sent when the close had come.
const afterClose = 30 * time.Millisecond

// patience is how long a late request may be without a response.
func (s *site) patience() time.Duration {
	return min(1500*time.Millisecond+2*s.longest(), s.o.Timeout)
}

// sendHalf sends half a request head.
func (s *site) sendHalf(c *conn) {
	at, err := c.wire.send(s.request.half)
	c.sent++
	c.state, c.next = idle, never
	if err == nil {
		c.seen.Half = s.since(at)
	}
}
