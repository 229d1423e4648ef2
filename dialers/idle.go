package dialers

import (
	"time"

	"github.com/kabench/kabench/results"
)

// Idles are how long connections were idle, over the whole run.
type Idles struct {
	Longest     time.Duration     // at a lease, at the peer's close, or when we closed
	AtPeerClose results.Quantiles // when the peer's FIN, close_notify or RST came
}

// idles is what a Client has seen of that. Guarded by the Client's mu.
type idles struct {
	longest time.Duration
	peer    results.Durations
}

// Idles returns how long connections were idle until now.
func (c *Client) Idles() Idles {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Idles{c.idles.longest, c.idles.peer.Quantiles()}
}

// leasedAfter notes that a connection was leased that had been idle so long.
func (i *idles) leasedAfter(idle time.Duration) { i.longest = max(i.longest, idle) }

// peerEnded notes, once, that the peer has ended the connection while it was idle.
func (c *Conn) peerEnded() {
	if c.task != nil || c.closed || c.idleEnded || c.idleFrom == 0 {
		return
	}
	c.idleEnded = true
	idle := c.c.clock() - c.idleFrom
	c.c.idles.leasedAfter(idle)
	c.c.idles.peer.Add(idle)
}

// hungUpIdle notes for how long the connection that is being closed had been idle.
func (c *Conn) hungUpIdle() {
	if c.task == nil && !c.idleEnded && c.idleFrom > 0 {
		c.c.idles.leasedAfter(c.c.clock() - c.idleFrom)
	}
}
