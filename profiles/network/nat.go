package network

import (
	"slices"
	"time"
)

// The ports that a NAT gives out.
const (
	FirstNATPort = 1024
	maxNATPorts  = 65536 - FirstNATPort
)

// NAT gives the TCP connections of the hosts behind it addresses and ports of its own
// (source NAT). One port of an address may be in use by several connections, one to each
// destination: an address and port. A connection that would need one more port than there
// are is not refused: its SYN is dropped silently. Ports are given out in turn, so a free
// one is given again when all others have been.
//
// The NAT forgets a connection after Reuse when both sides have closed it or one has
// reset it, or else after Idle. To a SYN belongs a SYN or a RST: what else the other side
// sends first is of an earlier connection of the port, an unknown flow. A server's
// TIME_WAIT sends that. Linux's NAT passes it, and its client answers with a RST, which
// ends the TIME_WAIT, and sends the SYN again at once.
type NAT struct {
	Name string `yaml:"name"` // what links call it
	// Clients are the hosts behind it; empty: the client.
	Clients []string `yaml:"clients,omitempty"`
	// Addresses is the number of its outside addresses; 0: 1.
	Addresses int `yaml:"addresses,omitempty"`
	// Ports is how many ports each outside address has to each destination, 1 to 64512.
	Ports int `yaml:"ports"`
	// PortsPer says who shares these ports.
	PortsPer PortsPer `yaml:"ports_per,omitempty"`
	// Reuse is how long after the end of a connection its port is given again.
	Reuse time.Duration `yaml:"reuse,omitempty"`
	// Idle is how long after its last packet a connection that has not ended is
	// forgotten, and its port free; 0: never. It is not below Reuse.
	Idle time.Duration `yaml:"idle,omitempty"`
	// Unknown says what happens to packets of unknown flows: pass gives a packet from
	// inside a port as if it were a SYN; a packet from outside to a port that nobody has
	// is dropped.
	Unknown Unknown `yaml:"unknown,omitempty"`
	// AtExpiry is what the two ends are sent when a connection is forgotten because of
	// Idle.
	AtExpiry Expiry `yaml:"at_expiry,omitempty"`
}

// Inside returns the names of the hosts behind n.
func (n NAT) Inside() []string {
	if len(n.Clients) == 0 {
		return []string{ClientName}
	}
	return n.Clients
}

// Flows returns n's memory of connections that have not ended.
func (n NAT) Flows() Flows {
	return Flows{Idle: n.Idle, Unknown: n.Unknown, AtExpiry: n.AtExpiry}
}

// NATOf returns the NAT that the host is behind; nil if there is none.
func (c Config) NATOf(host string) *NAT {
	for i := range c.NATs {
		if slices.Contains(c.NATs[i].Inside(), host) {
			return &c.NATs[i]
		}
	}
	return nil
}
