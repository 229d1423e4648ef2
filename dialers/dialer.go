package dialers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

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
// it may take up. Every failure is a *DialError.
func (d *Dialer) dial(ctx context.Context, o Origin, kept *sessions, now func() time.Duration, stamps *dialStamps) (net.Conn, *transport.TCP, error) {
	stamps.resolved, stamps.connected, stamps.secured = results.Never, results.Never, results.Never
	if d.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.Timeout)
		defer cancel()
	}
	addrs, err := d.resolve(ctx, o)
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

// connect tries the addresses in turn, each for its share of the time that ctx
// leaves. When all fail it returns the first one's error, or the last one's when
// ctx was done meanwhile. It binds no local port, so that ports are counted per
// destination.
func (d *Dialer) connect(ctx context.Context, addrs []netip.AddrPort) (net.Conn, error) {
	nd := net.Dialer{KeepAlive: d.KeepAlive, Control: d.control()}
	if d.KeepAlive <= 0 {
		nd.KeepAlive = -1 // 0 would mean "every 15 s" to package net
	}
	end, bounded := ctx.Deadline()
	var first error
	for i, addr := range addrs {
		source, bound := d.source(addr.Addr())
		if bound {
			nd.Control = d.control(source) // the same one when package net tries again
		}
		nd.Deadline = time.Time{}
		if left := len(addrs) - i; bounded && left > 1 {
			nd.Deadline = time.Now().Add(share(time.Until(end), left))
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
		first = firstError(first, err)
		if ctx.Err() != nil {
			return nil, err
		}
	}
	return nil, first
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

// tlsConfig returns the configuration for connections to o. Their records are as large
// as they may be, as OpenSSL's and Java's are. kept are the sessions that may be taken up.
func (d *Dialer) tlsConfig(o Origin, kept *sessions) *tls.Config {
	config := TLSFor(d.TLS, o.serverName())
	config.DynamicRecordSizingDisabled = true
	if d.Resume {
		config.ClientSessionCache = kept.of(o)
	}
	return config
}

// TLSFor returns config, which may be nil, for connections to host: its certificate must
// be for that name unless config names another, and only http/1.1 is offered.
func TLSFor(config *tls.Config, host string) *tls.Config {
	if config == nil {
		config = &tls.Config{}
	}
	config = config.Clone()
	if config.ServerName == "" {
		config.ServerName = host
	}
	config.NextProtos = []string{"http/1.1"}
	return config
}

// options returns the options of a socket that is to connect to remote.
func (d *Dialer) options(remote netip.AddrPort) transport.Options {
	source, _ := d.source(remote.Addr())
	return transport.Options{Nagle: d.Nagle, KeepAlive: d.KeepAlive, Control: d.control(), Source: source}
}
