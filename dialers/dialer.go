package dialers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/transport"
	"github.com/kabench/kabench/results"
)

// Origin identifies a server: a pool has connections to each origin apart.
type Origin struct {
	Host string // name or address, without brackets
	Port string
	TLS  bool

	name string // the name that the certificate must have; "": Host
}

func (o Origin) serverName() string {
	if o.name != "" {
		return o.name
	}
	return o.Host
}

func (o Origin) String() string {
	scheme := "http"
	if o.TLS {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(o.Host, o.Port)
}

// Dialer makes connections, stamping each step. Its zero value verifies
// certificates, sets TCP_NODELAY and sends no TCP keep-alive probes.
type Dialer struct {
	// Timeout bounds all steps of a dial together; 0: no bound of its own.
	Timeout time.Duration
	// Nagle turns TCP_NODELAY off.
	Nagle bool
	// KeepAlive is the period of TCP keep-alive probes; 0: none.
	KeepAlive time.Duration
	// UserTimeout is how long sent data may stay without an acknowledgement before the
	// kernel ends the connection with ETIMEDOUT (TCP_USER_TIMEOUT, Linux only); 0: as long as
	// the kernel retransmits.
	UserTimeout time.Duration
	// TLS is used for origins with TLS. nil: the system's roots are trusted, and the
	// certificate must be for the origin's host. Only http/1.1 is ever offered.
	TLS *tls.Config
	// Resume has each Client keep its TLS sessions, and take them up on later connections to
	// the same origin. A ClientSessionCache of TLS has no effect then.
	Resume bool
	// Resolver looks names up; nil: net.DefaultResolver.
	Resolver *net.Resolver
	// ResolveCache is how long the addresses of a name are used again; 0: every dial looks
	// the name up.
	ResolveCache time.Duration
	// FallbackDelay is how long the connect to one address may take before the next one
	// begins, IPv6 and IPv4 in turn; 0: until it has failed, or had its share of Timeout.
	// Fallback says what happens to the earlier one.
	FallbackDelay time.Duration
	Fallback      pool.Fallback
	// Control, if set, is called on each socket before it connects, as in
	// net.Dialer.
	Control func(network, address string, c syscall.RawConn) error
	// Sources are the local addresses that connections come from, in turn. A source
	// serves remote addresses of its own family; addresses of a family without a
	// source are ignored. Empty: the kernel chooses. Linux only.
	Sources []netip.Addr

	turns sourceTurns
}

// DialError is a dial that made no connection, and the step that failed.
type DialError struct {
	Phase results.Phase // PhaseResolve, PhaseConnect or PhaseTLS
	Err   error
}

func (e *DialError) Error() string {
	phase := e.Phase.String() + ": "
	return phase + strings.TrimPrefix(e.Err.Error(), phase) // crypto/tls says "tls: " too
}
func (e *DialError) Unwrap() error { return e.Err }

// errNoAddress is the error of a name that exists and has no address.
var errNoAddress = errors.New("the name has no address")

// errNoSource is the error of a server whose addresses are all of a family without
// a source.
var errNoSource = fmt.Errorf("%w of the family of a source address", errNoAddress)

// dial connects to o, and stamps each step with what now returns. kept are the sessions that
// it may take up, and known the names looked up before. Every failure is a *DialError.
func (d *Dialer) dial(ctx context.Context, o Origin, kept *sessions, known *nameCache, now func() time.Duration, stamps *dialStamps) (net.Conn, *transport.TCP, error) {
	stamps.resolved, stamps.connected, stamps.secured = results.Never, results.Never, results.Never
	if d.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.Timeout)
		defer cancel()
	}
	addrs, err := d.resolve(ctx, o, known)
	if err != nil {
		return nil, nil, &DialError{results.PhaseResolve, err}
	}
	stamps.resolved = now()
	tcp, err := d.connect(ctx, addrs)
	if o.TLS && transport.EstablishedThenEnded(err) {
		stamps.connected = now()
		return nil, nil, &DialError{results.PhaseTLS, err}
	}
	if err != nil {
		return nil, nil, &DialError{results.PhaseConnect, err}
	}
	stamps.connected = now()
	t := &transport.TCP{Conn: tcp}
	if !o.TLS {
		return t, t, nil
	}
	conn := tls.Client(t, d.tlsConfig(o, kept))
	if err := conn.HandshakeContext(ctx); err != nil {
		tcp.Close()
		return nil, nil, &DialError{results.PhaseTLS, err}
	}
	stamps.secured = now()
	return conn, t, nil
}

func (d *Dialer) resolve(ctx context.Context, o Origin, known *nameCache) ([]netip.AddrPort, error) {
	resolver := d.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	port, err := resolver.LookupPort(ctx, "tcp", o.Port)
	if err != nil {
		return nil, err
	}
	if ip, err := netip.ParseAddr(o.Host); err == nil {
		if !d.hasSource(ip) {
			return nil, fmt.Errorf("%s: %w", o.Host, errNoSource)
		}
		return []netip.AddrPort{netip.AddrPortFrom(ip.Unmap(), uint16(port))}, nil
	}
	ips, err := known.lookUp(ctx, resolver, o.Host, d.ResolveCache)
	if err != nil {
		return nil, err
	}
	if len(ips) == 0 {
		return nil, fmt.Errorf("%s: %w", o.Host, errNoAddress)
	}
	addrs := make([]netip.AddrPort, 0, len(ips))
	for _, ip := range ips {
		if d.hasSource(ip) {
			addrs = append(addrs, netip.AddrPortFrom(ip.Unmap(), uint16(port)))
		}
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%s: %w", o.Host, errNoSource)
	}
	if d.FallbackDelay > 0 {
		addrs = alternate(addrs)
	}
	return addrs, nil
}

// nameCache has the addresses of names. The zero value has none. Many goroutines may use it.
type nameCache struct {
	mu   sync.Mutex
	kept map[string]cachedName // guarded by mu
}

type cachedName struct {
	ips []netip.Addr
	at  time.Time // of the lookup's end
}

// lookUp returns the addresses of host, from the cache if a lookup there is younger than age.
func (c *nameCache) lookUp(ctx context.Context, resolver *net.Resolver, host string, age time.Duration) ([]netip.Addr, error) {
	if age <= 0 {
		return resolver.LookupNetIP(ctx, "ip", host)
	}
	c.mu.Lock()
	kept, known := c.kept[host]
	c.mu.Unlock()
	if known && time.Since(kept.at) < age {
		return kept.ips, nil
	}
	ips, err := resolver.LookupNetIP(ctx, "ip", host)
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.kept == nil {
			c.kept = map[string]cachedName{}
		}
		c.kept[host] = cachedName{ips, time.Now()}
	}
	return ips, err
}

// alternate orders addresses so that the families take turns, the first one's before the
// other's (RFC 8305, section 4, with a First Address Family Count of 1).
func alternate(addrs []netip.AddrPort) []netip.AddrPort {
	var first, second []netip.AddrPort
	for _, a := range addrs {
		if sameFamily(a.Addr(), addrs[0].Addr()) {
			first = append(first, a)
		} else {
			second = append(second, a)
		}
	}
	list := make([]netip.AddrPort, 0, len(addrs))
	for len(first)+len(second) > 0 {
		if len(first) > 0 {
			list, first = append(list, first[0]), first[1:]
		}
		if len(second) > 0 {
			list, second = append(list, second[0]), second[1:]
		}
	}
	return list
}

// connect tries the addresses in turn, each for its share of the time that ctx leaves, or
// for FallbackDelay. When all fail it returns the first one's error, or the last one's when
// ctx was done meanwhile.
func (d *Dialer) connect(ctx context.Context, addrs []netip.AddrPort) (net.Conn, error) {
	if d.FallbackDelay > 0 && d.Fallback == pool.FallbackRace && len(addrs) > 1 {
		return d.race(ctx, addrs)
	}
	end, bounded := ctx.Deadline()
	var first error
	for i, addr := range addrs {
		var until time.Time
		switch left := len(addrs) - i; {
		case left > 1 && d.FallbackDelay > 0:
			until = time.Now().Add(d.FallbackDelay)
		case left > 1 && bounded:
			until = time.Now().Add(share(time.Until(end), left))
		}
		conn, err := d.connectTo(ctx, addr, until)
		if err == nil {
			return conn, nil
		}
		first = firstError(first, err)
		if ctx.Err() != nil {
			return nil, err
		}
	}
	return nil, first
}

// race begins to connect to the addresses in turn, each FallbackDelay after the one before
// or as soon as one has failed. The first connection counts; the others are given up. When
// all fail it returns the error of the one that failed first.
func (d *Dialer) race(ctx context.Context, addrs []netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type outcome struct {
		conn net.Conn
		err  error
	}
	over := make(chan outcome)
	next := time.NewTimer(0)
	defer next.Stop()
	running := 0
	var first error
	for len(addrs) > 0 || running > 0 {
		select {
		case <-next.C:
		case o := <-over:
			running--
			if o.err == nil {
				cancel()
				for ; running > 0; running-- { // each has ended, or is about to
					if late := <-over; late.err == nil {
						late.conn.Close()
					}
				}
				return o.conn, nil
			}
			first = firstError(first, o.err)
		}
		if len(addrs) > 0 {
			addr := addrs[0]
			addrs = addrs[1:]
			running++
			go func() {
				conn, err := d.connectTo(ctx, addr, time.Time{})
				over <- outcome{conn, err}
			}()
			next.Reset(d.FallbackDelay)
		}
	}
	return nil, first
}

// connectTo connects to one address, until a moment if that is not zero. It binds no local
// port, so that ports are counted per destination.
func (d *Dialer) connectTo(ctx context.Context, addr netip.AddrPort, until time.Time) (net.Conn, error) {
	nd := net.Dialer{KeepAlive: d.KeepAlive, Control: d.control(), Deadline: until}
	if d.KeepAlive <= 0 {
		nd.KeepAlive = -1 // 0 would mean "every 15 s" to package net
	}
	source, bound := d.source(addr.Addr())
	if bound {
		nd.Control = d.control(source) // the same one when package net tries again
	}
	conn, err := nd.DialContext(ctx, "tcp", addr.String())
	if err == nil {
		if tcp, ok := conn.(*net.TCPConn); ok && d.Nagle {
			err = tcp.SetNoDelay(false)
		}
		if err == nil {
			return conn, nil
		}
		conn.Close()
	}
	if !bound {
		err = withoutIPv6(err, addr)
	}
	return nil, err
}

// share returns how long the next of n addresses may be tried: an n-th of the time
// that is left, and 2 s at least, as in net.Dialer.
func share(left time.Duration, n int) time.Duration {
	return max(left/time.Duration(n), min(left, 2*time.Second))
}

// firstError returns the error of a dial whose addresses failed with first and
// then with err: first, unless that address could not be tried at all.
func firstError(first, err error) error {
	if _, untried := errors.AsType[*noIPv6Error](first); first == nil || untried {
		return err
	}
	return first
}

// noIPv6Error is a connect to an IPv6 address by a machine that has no IPv6 address
// to connect from; most likely IPv6 is switched off. The system reports that as
// EADDRNOTAVAIL, as it does when no port is left.
type noIPv6Error struct{ err error }

func (e *noIPv6Error) Error() string {
	return "this machine has no IPv6 address to connect from: " + e.err.Error()
}

func (e *noIPv6Error) Unwrap() error { return e.err }

// withoutIPv6 turns err, the error of a connect to remote from an address that the
// kernel chose, into a *noIPv6Error if that is the reason.
func withoutIPv6(err error, remote netip.AddrPort) error {
	if !errors.Is(err, syscall.EADDRNOTAVAIL) || remote.Addr().Is4() {
		return err
	}
	// To connect a datagram socket needs a local address too, but a port of another
	// kind. It sends nothing.
	conn, none := net.DialUDP("udp6", nil, net.UDPAddrFromAddrPort(remote))
	if none == nil {
		conn.Close()
		return err
	}
	if !errors.Is(none, syscall.EADDRNOTAVAIL) {
		return err
	}
	return &noIPv6Error{err}
}

// options returns the options of a socket that is to connect to remote.
func (d *Dialer) options(remote netip.AddrPort) transport.Options {
	source, _ := d.source(remote.Addr())
	return transport.Options{Nagle: d.Nagle, KeepAlive: d.KeepAlive, Control: d.control(), Source: source}
}
