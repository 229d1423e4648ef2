package names

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// Resolver returns Go's own resolver, asking the server at addr instead of those of the
// machine, and asking again if there is no answer within wait. How often it asks, and
// whether it tries other domains, is the machine's resolv.conf to say: twice, and none, by
// default. Lookups of one name that overlap are one lookup.
func Resolver(addr netip.AddrPort, wait time.Duration) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		conn, err := d.DialContext(ctx, network, addr.String())
		if err != nil {
			return nil, err
		}
		if packets, is := conn.(*net.UDPConn); is { // package net looks for net.PacketConn
			return &impatientPackets{packets, wait}, nil
		}
		return &impatient{conn, wait}, nil
	}}
}

// impatient is a connection to a DNS server whose deadline is its own: package net takes it
// from the machine's resolv.conf.
type impatient struct {
	net.Conn
	wait time.Duration
}

func (c *impatient) SetDeadline(time.Time) error { return c.Conn.SetDeadline(time.Now().Add(c.wait)) }

// impatientPackets is impatient over UDP.
type impatientPackets struct {
	*net.UDPConn
	wait time.Duration
}

func (c *impatientPackets) SetDeadline(time.Time) error {
	return c.UDPConn.SetDeadline(time.Now().Add(c.wait))
}
