package ladder

import (
	"net/netip"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
)

// Closed is who closed a connection, how and when.
type Closed struct {
	By  evidence.Side // ByMiddle: a rule or a machine on the link
	How evidence.Kind // Open: neither FIN nor RST was sent; Notify: a TLS alert, and then FIN
	// At is when the first FIN or RST was sent, or the alert before it.
	At time.Duration
	// Arrived is when the other end received it; 0: never.
	Arrived time.Duration
	// Guessed means that the alert was encrypted (TLS 1.3), so that only its length
	// shows that it was one.
	Guessed bool
}

// ClosedBy finds out who closed the connection of these packets first: the side that
// sent the first FIN or RST, even if that was not received. client is the end that
// opened the connection. How is Notify if the last record before the FIN was an
// alert.
func ClosedBy(packets []Packet, client netip.AddrPort) Closed {
	c := closing{client: client}
	for _, p := range inOrderOfSending(packets) {
		c.add(p)
	}
	return c.closed
}

// closing finds out who closed a connection. It is given the packets in the order in
// which they were sent.
type closing struct {
	client netip.AddrPort
	last   [2]Packet // the last packet with payload of each side
	data   [2]bool
	closed Closed
}

func (c *closing) add(p Packet) {
	if c.closed.How != evidence.Open {
		return
	}
	side, by := 0, evidence.ByClient
	if p.Src != c.client {
		side, by = 1, evidence.ByServer
	}
	if p.ByLink {
		by = evidence.ByMiddle
	}
	if p.Len > 0 {
		c.last[side], c.data[side] = p, true
	}
	switch {
	case p.Flags&segments.FlagRST != 0:
		c.closed = Closed{By: by, How: evidence.RST, At: p.At, Arrived: p.Arrived}
		return
	case p.Flags&segments.FlagFIN == 0:
		return
	}
	if c.data[side] {
		last := c.last[side]
		if alert, guessed := segments.EndsWithAlert(last.Payload, last.Len); alert {
			c.closed = Closed{By: by, How: evidence.Notify, At: last.At, Arrived: last.Arrived, Guessed: guessed}
			return
		}
	}
	c.closed = Closed{By: by, How: evidence.FIN, At: p.At, Arrived: p.Arrived}
}
