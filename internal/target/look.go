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

// looks are the connections opened before a run, to see whether the servers accept
// connections. Sockets that they leave in TIME_WAIT are not the run's.
type looks struct {
	over   sync.WaitGroup // closing them
	mu     sync.Mutex
	before results.Before   // guarded by mu
	local  []netip.AddrPort // guarded by mu: our ends of the connections that may be left in TIME_WAIT
}

// Before returns what the document says about the connections opened before a run; nil:
// there were none.
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

// reach finds out where the requests go and whether the servers there accept
// connections.
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
		if t.names != nil {
			continue // the profile says where the names lead
		}
		for _, a := range addresses(ctx, addr) {
			if !slices.Contains(t.Remotes, a) {
				t.Remotes = append(t.Remotes, a)
			}
		}
	}
	return nil
}

// lookAt finds out whether a server at addr accepts connections, in the protocol that the
// target's URL names. A target that cannot be reached is far more often a mistake in the
// profile than a finding, and a minute of connect/refused shows nothing. A server that
// resets or closes the connection has accepted it, which may be what the run measures.
func (t *Target) lookAt(ctx context.Context, name, addr string, secure bool) error {
	if len(t.lab) > 0 || t.link != nil || t.known {
		return nil // ours, or looked at before
	}
	limited, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	// One address after the other: of two at once, one would be closed unused.
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
		return nil // a server logs an error for a ClientHello that it did not expect
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
	case secure && speaks == plainText:
		return fmt.Errorf("target %s answers a TLS handshake in plain text; write http:// instead of https://, or name the port that speaks TLS", name)
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

// spoken is the protocol in which a server responds to a ClientHello.
type spoken uint8

const (
	unheard spoken = iota // no response in time, or an unknown one
	plainHTTP
	plainText // some servers send an error page without a status line
	withTLS
)

// handshake finds out what the server speaks. It does not verify the certificate, which the
// run does.
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
	if record, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		switch begins := record.RecordHeader[:]; {
		case string(begins) == "HTTP/":
			return plainHTTP
		case !slices.ContainsFunc(begins, notText):
			return plainText
		}
	}
	switch dialers.CauseOf(err) {
	case results.CauseAlert:
		return withTLS
	case results.CauseRST:
		l.reset()
	}
	return unheard
}

// notText reports whether c is no byte of ASCII text, as none of the first bytes of
// a TLS record is.
func notText(c byte) bool { return c != '\n' && c != '\r' && c != '\t' && (c < ' ' || c > '~') }

// keptOpen is a connection that crypto/tls cannot close when a handshake fails. Instead,
// its reads and writes end.
type keptOpen struct{ net.Conn }

func (c keptOpen) Close() error { return c.SetDeadline(time.Unix(1, 0)) }

// close closes the connection as a client does that is done: with close_notify over TLS,
// and a FIN. Then it reads until the server closes too, because a close with unread bytes
// sends an RST, which servers log as an error.
func (l *look) close() {
	defer l.Close()
	l.SetDeadline(time.Now().Add(farewellTime))
	if l.secure != nil {
		l.secure.CloseWrite() // an error shows below, as one of the next call does
	}
	l.CloseWrite()
	if _, err := io.Copy(io.Discard, l.TCPConn); errors.Is(err, syscall.ECONNRESET) {
		l.reset()
	}
}

// reset is called when a call has met the server's RST, which the kernel reports once.
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
