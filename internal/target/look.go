package target

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/results"
)

const (
	reachTimeout = 5 * time.Second // for a connection to be accepted before a run
	tlsTimeout   = 2 * time.Second // for the server's part of a TLS handshake after that
	farewellTime = time.Second     // for the server to close too, after we have
)

// looks are the connections opened before a run, to see whether somebody accepts
// where the requests go. What they leave in TIME_WAIT is not the run's.
type looks struct {
	over   sync.WaitGroup // closing them
	mu     sync.Mutex
	before results.Before   // guarded by mu
	local  []netip.AddrPort // guarded by mu: our ends of those that may be left
}

// Before is what the document says of the connections opened before a run; nil: there
// were none.
func (t *Target) Before() *results.Before {
	l := &t.looks
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.before == (results.Before{}) {
		return nil
	}
	before := l.before
	return &before
}

// LocalEnds are our ends of the connections opened before a run.
func (t *Target) LocalEnds() []netip.AddrPort {
	l := &t.looks
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.local)
}

func (l *looks) note(f func(*results.Before)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(&l.before)
}

// reach finds out where the requests go and whether somebody accepts there.
func (t *Target) reach(ctx context.Context) error {
	defer t.looks.over.Wait()
	seen := map[dialers.Origin]bool{}
	for _, r := range t.Requests {
		o := r.Origin()
		if seen[o] {
			continue
		}
		seen[o] = true
		addr := net.JoinHostPort(o.Host, o.Port)
		if err := t.lookAt(ctx, o.String(), addr, o.TLS); err != nil {
			return err
		}
		for _, a := range addresses(ctx, addr) {
			if !slices.Contains(t.Remotes, a) {
				t.Remotes = append(t.Remotes, a)
			}
		}
	}
	return nil
}

// lookAt looks whether somebody accepts connections at addr, and in the protocol
// that the target's name says. A target that cannot be reached at all is a mistake
// in the profile far more often than a finding, and a minute of connect/refused
// teaches nothing. Whoever resets or closes a connection has accepted it, and that
// may be what is to be measured.
func (t *Target) lookAt(ctx context.Context, name, addr string, secure bool) error {
	if len(t.lab) > 0 || t.link != nil {
		return nil // ours, or looked at before the link was put in front
	}
	limited, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	// One address after the other: of two at once, one is closed unused.
	conn, err := (&net.Dialer{FallbackDelay: -1}).DialContext(limited, "tcp", addr)
	switch {
	case ctx.Err() != nil:
		if conn != nil {
			conn.Close()
		}
		return ctx.Err()
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE): // after the handshake: before it is ECONNREFUSED
		t.looks.note(func(b *results.Before) { b.Connections++; b.Reset++ })
		return nil
	case err != nil:
		return unreachable(name, err)
	}
	l := &look{TCPConn: conn.(*net.TCPConn), looks: &t.looks}
	l.opened()
	defer t.looks.over.Go(l.close)
	host, port, _ := net.SplitHostPort(addr) // it was dialed
	if !secure && port != "443" {
		return nil // what a server does with a ClientHello that it did not expect is an error in its log
	}
	config := t.Dialer.TLS.Clone()
	if config.ServerName == "" {
		config.ServerName = host
	}
	speaks := l.handshake(ctx, config)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case secure && speaks == plainHTTP:
		return fmt.Errorf("target %s speaks HTTP without TLS; write http:// instead of https://, or name the port that speaks TLS", name)
	case !secure && speaks == withTLS:
		return fmt.Errorf("target %s speaks TLS; write https:// instead of http://, or name the port that speaks HTTP without TLS", name)
	}
	return nil
}

// look is one such connection.
type look struct {
	*net.TCPConn
	looks  *looks
	secure *tls.Conn // after a handshake; nil: there was none
}

func (l *look) opened() {
	local, err := netip.ParseAddrPort(l.LocalAddr().String())
	l.looks.mu.Lock()
	defer l.looks.mu.Unlock()
	l.looks.before.Connections++
	if err == nil {
		l.looks.local = append(l.looks.local, local)
	}
}

// spoken is what a server answers a ClientHello in.
type spoken uint8

const (
	unheard spoken = iota // nothing came in time, or nothing that is known
	plainHTTP
	withTLS
)

// handshake says what the server speaks. Its certificate is not verified: that is
// for the run.
func (l *look) handshake(ctx context.Context, config *tls.Config) spoken {
	ctx, cancel := context.WithTimeout(ctx, tlsTimeout)
	defer cancel()
	config.InsecureSkipVerify, config.NextProtos = true, []string{"http/1.1"}
	secure := tls.Client(keptOpen{l.TCPConn}, config)
	err := secure.HandshakeContext(ctx)
	if err == nil {
		l.secure = secure
		l.looks.note(func(b *results.Before) { b.TLS++ })
		return withTLS
	}
	if record, ok := errors.AsType[tls.RecordHeaderError](err); ok && string(record.RecordHeader[:]) == "HTTP/" {
		return plainHTTP
	}
	switch dialers.CauseOf(err) {
	case results.CauseAlert:
		return withTLS
	case results.CauseRST:
		l.reset()
	}
	return unheard
}

// keptOpen is a connection that crypto/tls cannot close when it gives up a
// handshake: it lets go of it instead.
type keptOpen struct{ net.Conn }

func (c keptOpen) Close() error { return c.SetDeadline(time.Unix(1, 0)) }

// close closes the connection as a client does that has nothing more to say: by
// close_notify over TLS, and a FIN. Then it reads until the server closes too,
// because closing with bytes unread is an RST, which servers log as an error.
func (l *look) close() {
	defer l.Close()
	l.SetDeadline(time.Now().Add(farewellTime))
	if l.secure != nil {
		l.secure.CloseWrite() // an error shows below, as that of the next one does
	}
	l.CloseWrite()
	if _, err := io.Copy(io.Discard, l.TCPConn); errors.Is(err, syscall.ECONNRESET) {
		l.reset()
	}
}

// reset is called when a call has met the server's RST, of which the kernel tells
// once.
func (l *look) reset() { l.looks.note(func(b *results.Before) { b.Reset++ }) }

func unreachable(name string, err error) error {
	advice := "is the server running, and is the port right?"
	switch dialers.CauseOf(err) {
	case results.CauseNXDomain, results.CauseDNS:
		advice = "is the host name right?"
	case results.CauseTimeout:
		advice = fmt.Sprintf("no response within %v; is the address right, and does a firewall block it?", reachTimeout)
	}
	return fmt.Errorf("target %s cannot be reached: %w; %s", name, err, advice)
}
