package probe

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
)

// dialError is why a connection could not be opened.
type dialError struct {
	err    error
	secure bool // in the handshake of TLS
}

func (e *dialError) Error() string { return e.err.Error() }
func (e *dialError) Unwrap() error { return e.err }

var errSpeaksTLS = errors.New("the server speaks TLS; write https:// instead of http://, or name the port that speaks HTTP without TLS")

// explain says what is wrong with the server, and what to do.
func (s *site) explain(err error) error {
	d, dialing := errors.AsType[*dialError](err)
	switch {
	case !dialing:
		return err
	case d.secure:
		return explainTLS(d.err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("nothing listens there (the connection was refused); start the server, or check the address and the port")
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%v did not accept a connection within %v", s.addr, connectTime)
	}
	return err
}

func explainTLS(err error) error {
	if _, is := errors.AsType[tls.RecordHeaderError](err); is {
		return errors.New("the server does not speak TLS on this port; write http:// instead of https://, or name the port that speaks TLS")
	}
	if _, is := errors.AsType[*tls.CertificateVerificationError](err); is {
		return fmt.Errorf("%w; trust it with --set target.tls.ca_file=FILE, or check nothing with --set target.tls.insecure=true", err)
	}
	if _, is := errors.AsType[x509.HostnameError](err); is {
		return fmt.Errorf("%w; name it with --set target.tls.server_name=NAME", err)
	}
	if op, is := errors.AsType[*net.OpError](err); is && op.Op == "remote error" { // as crypto/tls reports an alert
		return fmt.Errorf("the server refused the TLS handshake (%w); if it demands a certificate, show one with --set target.tls.cert_file=FILE", err)
	}
	return fmt.Errorf("the TLS handshake failed: %w", err)
}

// wrongPort returns an error if the response to the look is that of a server that
// expects TLS. nginx and Go's server respond to plain HTTP with status 400 then.
func (s *site) wrongPort(ctx context.Context, c *conn) error {
	if c.last().Status == 400 && s.config == nil && s.speaksTLS(ctx) {
		return errSpeaksTLS
	}
	return nil
}

// speaksTLS reports whether the server completes a TLS handshake, on a connection that
// carries nothing else.
func (s *site) speaksTLS(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	// Nothing is sent, so it does not matter who the server is.
	e := dial(ctx, s.addr, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if e.wire != nil {
		e.wire.close()
	}
	return e.kind == opened
}

func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		at := tcp.AddrPort()
		return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	}
	return netip.AddrPort{}
}
