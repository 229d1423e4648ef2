package dialers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/kabench/kabench/results"
)

// Origin is a server as a pool tells servers apart.
type Origin struct {
	Host string // name or address, without brackets
	Port string
	TLS  bool

	name string // what the certificate must be for, if that is not Host
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
	// TLS is used for origins with TLS; nil: the system's roots, the origin's
	// host as the name to verify. Only http/1.1 is offered in any case.
	TLS *tls.Config
	// Resolver looks names up; nil: net.DefaultResolver.
	Resolver *net.Resolver
	// Control, if set, is called on each socket before it connects, as in
	// net.Dialer.
	Control func(network, address string, c syscall.RawConn) error
	// Sources are the local addresses that connections come from, in turn; those
	// of one family serve remotes of that family, and names are taken to have no
	// addresses of a family without. None: the kernel chooses. Linux only.
	Sources []netip.Addr

	turns sourceTurns
}

// DialError is a dial that made no connection, and the step that failed.
type DialError struct {
	Phase results.Phase // PhaseResolve, PhaseConnect or PhaseTLS
	Err   error
}

func (e *DialError) Error() string { return e.Phase.String() + ": " + e.Err.Error() }
func (e *DialError) Unwrap() error { return e.Err }

// errNoAddress is a name that was found and has no address.
var errNoAddress = errors.New("the name has no address")

// errNoSource is a server that has addresses, all of a family without a source.
var errNoSource = fmt.Errorf("%w of the family of a source address", errNoAddress)

// dial connects to o and stamps a's steps by now. Every failure is a *DialError.
func (d *Dialer) dial(ctx context.Context, o Origin, now func() time.Duration, a *attempt) (net.Conn, *wire, error) {
	a.resolved, a.connected, a.secured = results.Never, results.Never, results.Never
	if d.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.Timeout)
		defer cancel()
	}
	addrs, err := d.resolve(ctx, o)
	if err != nil {
		return nil, nil, &DialError{results.PhaseResolve, err}
	}
	a.resolved = now()
	tcp, err := d.connect(ctx, addrs)
	if err != nil {
		return nil, nil, &DialError{results.PhaseConnect, err}
	}
	a.connected = now()
	w := &wire{Conn: tcp}
	if !o.TLS {
		return w, w, nil
	}
	conn := tls.Client(w, d.tlsConfig(o.serverName()))
	if err := conn.HandshakeContext(ctx); err != nil {
		tcp.Close()
		return nil, nil, &DialError{results.PhaseTLS, err}
	}
	a.secured = now()
	return conn, w, nil
}

func (d *Dialer) resolve(ctx context.Context, o Origin) ([]netip.AddrPort, error) {
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
	ips, err := resolver.LookupNetIP(ctx, "ip", o.Host)
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
	return addrs, nil
}

// connect tries the addresses in turn; the first error is returned when none
// answers, and the last when ctx was done meanwhile. No local port is bound, so that ports are counted per destination.
func (d *Dialer) connect(ctx context.Context, addrs []netip.AddrPort) (net.Conn, error) {
	nd := net.Dialer{KeepAlive: d.KeepAlive, Control: d.Control}
	if d.KeepAlive <= 0 {
		nd.KeepAlive = -1 // 0 would mean "every 15 s" to package net
	}
	var first error
	for _, addr := range addrs {
		if source, ok := d.source(addr.Addr()); ok {
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
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			return nil, err
		}
	}
	return nil, first
}

func (d *Dialer) tlsConfig(host string) *tls.Config {
	config := &tls.Config{}
	if d.TLS != nil {
		config = d.TLS.Clone()
	}
	if config.ServerName == "" {
		config.ServerName = host
	}
	config.NextProtos = []string{"http/1.1"}
	return config
}
