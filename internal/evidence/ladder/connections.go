package ladder

import (
	"net/netip"

	"github.com/kabench/kabench/internal/evidence/segments"
)

// Connection is a TCP connection in the record of a link.
type Connection struct {
	From   string         // the host that opened it
	Client netip.AddrPort // that host's end
	Closed Closed
}

// Connections separates the connections in a record from each other. The zero value is
// empty.
type Connections struct {
	found []*opened
	now   map[[2]netip.AddrPort]*opened // the connection that uses the addresses now
}

type opened struct {
	closing
	from string
	seq  uint32 // of the SYN
}

// Add takes the next packet, in the order of sending. between is what the packets of one
// connection share, also if a balancer changes their addresses.
func (c *Connections) Add(between [2]netip.AddrPort, p Packet) {
	o := c.now[between]
	syn := p.Flags&(segments.FlagSYN|segments.FlagACK) == segments.FlagSYN
	if o == nil || syn && p.Seq != o.seq {
		if !syn {
			return // it was opened before the record begins, or after its end
		}
		o = &opened{closing: closing{client: p.Src}, from: p.From, seq: p.Seq}
		if c.now == nil {
			c.now = map[[2]netip.AddrPort]*opened{}
		}
		c.now[between] = o
		c.found = append(c.found, o)
	}
	o.add(p)
}

// List returns the connections whose SYN was added, in the order in which they were
// opened.
func (c *Connections) List() []Connection {
	list := make([]Connection, len(c.found))
	for i, o := range c.found {
		list[i] = Connection{From: o.from, Client: o.client, Closed: o.closed}
	}
	return list
}
