package sandbox

import (
	"net/netip"

	"github.com/kabench/kabench/profiles/network"
)

// Connection is a TCP connection in the record.
type Connection struct {
	From   string         // the host that opened it
	Client netip.AddrPort // that host's end
	Closed Closed
}

// connections separates the connections in a record from each other. Packets are
// added in the order of their ids, in which they were sent.
type connections struct {
	found []*opened
	now   map[flowKey]*opened // the connection that uses the addresses now
}

type opened struct {
	closing
	from string
	seq  uint32 // of the SYN
}

func (c *connections) add(key flowKey, p Packet) {
	if p.Proto != protoTCP {
		return
	}
	o := c.now[key]
	syn := p.Flags&(network.SYN|network.ACK) == network.SYN
	if o == nil || syn && p.Seq != o.seq {
		if !syn {
			return // it was opened before the record begins, or after its end
		}
		o = &opened{closing: closing{client: p.Src}, from: p.From, seq: p.Seq}
		c.now[key] = o
		c.found = append(c.found, o)
	}
	o.add(p)
}

func (c *connections) list() []Connection {
	list := make([]Connection, len(c.found))
	for i, o := range c.found {
		list[i] = Connection{From: o.from, Client: o.client, Closed: o.closed}
	}
	return list
}
