package dialers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync/atomic"
	"syscall"

	"github.com/kabench/kabench/internal/transport"
)

// sourceTurns says which source is next, for IPv4 and for IPv6. With one count for
// both, a family could get the same source every time.
type sourceTurns [2]uint32 // used atomically

// source returns the address that the next connection to remote comes from: the
// sources of remote's family take turns. It reports false when there is none. After
// resolve that means that the kernel chooses. Many goroutines may call it.
func (d *Dialer) source(remote netip.Addr) (netip.Addr, bool) {
	n := 0
	for _, s := range d.Sources {
		if sameFamily(s, remote) {
			n++
		}
	}
	if n == 0 {
		return netip.Addr{}, false
	}
	family := 0
	if !remote.Unmap().Is4() {
		family = 1
	}
	skip := int((atomic.AddUint32(&d.turns[family], 1) - 1) % uint32(n))
	for _, s := range d.Sources {
		if !sameFamily(s, remote) {
			continue
		}
		if skip == 0 {
			return s, true
		}
		skip--
	}
	return netip.Addr{}, false // not reached: skip is below n
}

func sameFamily(a, b netip.Addr) bool { return a.Unmap().Is4() == b.Unmap().Is4() }

// hasSource reports whether a connection to remote may be made: whether there is a
// source of remote's family, or no source at all.
func (d *Dialer) hasSource(remote netip.Addr) bool {
	return len(d.Sources) == 0 || slices.ContainsFunc(d.Sources, func(s netip.Addr) bool { return sameFamily(s, remote) })
}

// control returns what a net.Dialer must do before it connects: d.Control, set
// d.UserTimeout, and then bind the socket to the one of from that is of the address's
// family. With net.Dialer.LocalAddr the kernel would choose the port at bind.
func (d *Dialer) control(from ...netip.Addr) func(network, address string, c syscall.RawConn) error {
	if len(from) == 0 && d.UserTimeout <= 0 {
		return d.Control
	}
	return func(network, address string, c syscall.RawConn) error {
		if d.Control != nil {
			if err := d.Control(network, address, c); err != nil {
				return err
			}
		}
		if d.UserTimeout > 0 {
			var set error
			if err := c.Control(func(fd uintptr) { set = transport.SetUserTimeout(int(fd), d.UserTimeout) }); err != nil || set != nil {
				return cmp.Or(err, set)
			}
		}
		remote, err := netip.ParseAddrPort(address)
		if err != nil {
			return err
		}
		for _, source := range from {
			if !sameFamily(source, remote.Addr()) {
				continue
			}
			var bound error
			if err := c.Control(func(fd uintptr) { bound = transport.Bind(int(fd), source) }); err != nil {
				return err
			}
			return bound
		}
		return nil
	}
}

// dialFromSource calls nd.DialContext with a host and port. If d has Sources, the
// connection comes from one of them: there is one for each family. The network is
// "tcp", "tcp4" or "tcp6".
func (d *Dialer) dialFromSource(ctx context.Context, nd net.Dialer, network, addr string) (net.Conn, error) {
	if len(d.Sources) == 0 {
		return nd.DialContext(ctx, network, addr)
	}
	four, has4 := d.source(netip.IPv4Unspecified())
	six, has6 := d.source(netip.IPv6Unspecified())
	switch {
	case !has6:
		nd.Control, network = d.control(four), "tcp4"
	case !has4:
		nd.Control, network = d.control(six), "tcp6"
	default:
		nd.Control = d.control(four, six)
	}
	return nd.DialContext(ctx, network, addr)
}

// CheckSources checks whether connections to remotes can be made from each of d's
// Sources. It sends nothing. The error, one line, names the source that cannot be
// used and says what to do. Remotes of a family without a source are ignored, as
// in dialing; each source must have a remote of its family.
func (d *Dialer) CheckSources(ctx context.Context, remotes []netip.AddrPort) error {
	for _, source := range d.Sources {
		reached := false
		for _, remote := range remotes {
			if !sameFamily(source, remote.Addr()) {
				continue
			}
			reached = true
			if err := d.checkSource(ctx, source, remote); err != nil {
				return err
			}
		}
		if !reached && len(remotes) > 0 {
			return fmt.Errorf("%v and the target, at %v, are of different address families; remove it", source, remotes[0].Addr())
		}
	}
	return nil
}

func (d *Dialer) checkSource(ctx context.Context, source netip.Addr, remote netip.AddrPort) error {
	// To connect a datagram socket looks up the route and sends nothing.
	probe := net.Dialer{Control: (&Dialer{}).control(source)}
	conn, err := probe.DialContext(ctx, "udp", remote.String())
	if err == nil {
		return conn.Close()
	}
	var bind *transport.SourceError
	switch {
	case errors.As(err, &bind) && errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w; add it (ip address add %v/%d dev INTERFACE), or remove it", bind, source, source.BitLen())
	case errors.As(err, &bind):
		return bind
	case source.IsLoopback():
		return fmt.Errorf("%v is a loopback address, which has no route to %v; use an address of the interface that leads there", source, remote.Addr())
	}
	return fmt.Errorf("there is no route from %v to %v (%w); remove it, or repair the routes", source, remote.Addr(), err)
}
