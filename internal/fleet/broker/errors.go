package broker

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/nats-io/nats.go"
)

// Kind says what to do about an Error.
type Kind int

// Kinds of errors of Dial.
const (
	Unreachable Kind = iota + 1 // nobody is there, yet: it is worth trying again
	NotAllowed                  // credentials are missing, wrong, or of another fleet
	Untrusted                   // the broker's certificate is not believed, or TLS does not fit
	Unfit                       // it is not NATS, or lacks what kabench needs
)

// Error is an error of Dial: one sentence that says what is wrong and what to do.
type Error struct {
	Kind  Kind
	Text  string
	cause error
}

// Error is the sentence.
func (e *Error) Error() string { return e.Text }

// Unwrap is what NATS, TLS or the kernel said. It may be nil.
func (e *Error) Unwrap() error { return e.cause }

// explain says why no connection could be made. err is what NATS reported, dialing why no TCP
// connection could be made, met what the server sent first; both may be nil.
func (t targets) explain(err, dialing error, met *greeting, c *Credentials) error {
	say := func(k Kind, format string, v ...any) error {
		return &Error{Kind: k, Text: fmt.Sprintf(format, v...), cause: err}
	}
	var dns *net.DNSError
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case met == nil && errors.As(dialing, &dns):
		return say(Unreachable, "%s has no address: check the name of the broker's host, or try again when it is up", dns.Name)
	case met == nil && errors.Is(dialing, syscall.ECONNREFUSED):
		return say(Unreachable, "nobody listens at %s: start the controller or the broker first, or check the address and port", t)
	case met == nil:
		return say(Unreachable, "%s cannot be reached: check the address, the route and the firewall (%s)", t, plain(dialing, err))
	case met.Cut:
		return say(Unreachable, "%s accepted a connection and ended it at once: the broker there starts or ends, or another program listens; try again, or check the port", t)
	case met.Silent:
		return say(Unfit, "%s accepts connections, but it is not a NATS server, or one that expects TLS first: check the port", t)
	case !met.NATS:
		return say(Unfit, "%s is not a NATS server; it begins with %q: check the port", t, met.Text)
	}
	return t.explainNATS(err, met, c, say)
}

// explainNATS is explain for a server that is NATS.
func (t targets) explainNATS(err error, met *greeting, c *Credentials, say func(Kind, string, ...any) error) error {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		any     *tls.CertificateVerificationError
	)
	switch {
	case errors.Is(err, nats.ErrSecureConnWanted):
		if c != nil {
			return say(Untrusted, "the broker at %s has no TLS, and these credentials need it: start it with the controller.cred that belongs to them", t)
		}
		return say(Untrusted, "the broker at %s has no TLS: write nats:// instead of tls:// if that is intended", t)
	case errors.As(err, &name):
		return say(Untrusted, "the certificate of the broker at %s is for %s and not for this host: use one of these names, or make credentials with --host %s", t, names(name.Certificate), name.Host)
	case errors.As(err, &unknown):
		if c == nil {
			return say(Untrusted, "the broker at %s uses TLS with a certificate that this machine does not know: give --credentials FILE", t)
		}
		return say(Untrusted, "the certificate of the broker at %s is of another authority: use the agent.cred that was made together with the broker's controller.cred", t)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return say(Untrusted, "the certificate of the broker at %s is valid from %s to %s only: check the clock, or make new credentials", t,
			invalid.Cert.NotBefore.Format("2006-01-02"), invalid.Cert.NotAfter.Format("2006-01-02"))
	case errors.As(err, &any):
		return say(Untrusted, "the certificate of the broker at %s is not valid (%s): make new credentials", t, any.Err)
	case errors.Is(err, nats.ErrNkeysNotSupported):
		return say(NotAllowed, "the broker at %s asks for no keys of this kind: start it with controller.cred, or leave --credentials out", t)
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked), errors.Is(err, nats.ErrAccountAuthExpired):
		switch {
		case c != nil:
			return say(NotAllowed, "the broker at %s does not accept these credentials: use the agent.cred that was made together with its controller.cred", t)
		case t.named():
			return say(NotAllowed, "the broker at %s does not accept this user or token: check the URL", t)
		}
		return say(NotAllowed, "the broker at %s asks for credentials: give --credentials FILE, or a URL with its user or token", t)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return say(Unreachable, "the broker at %s ended the connection while it was made: it starts or ends; try again", t)
	case errors.Is(err, nats.ErrTLS):
		return say(Untrusted, "no TLS connection to the broker at %s could be made: %s", t, err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout), errors.Is(err, os.ErrDeadlineExceeded):
		return say(Unreachable, "the broker at %s did not respond in time: see whether it is overloaded, or try again", t)
	}
	return say(Unfit, "no connection to the broker at %s could be made: %s", t, err)
}

// Named reports whether the URL of a broker has a user or token.
func Named(address string) bool {
	to, err := addresses(address)
	return err == nil && to.named()
}

// named reports whether a URL has a user or token.
func (t targets) named() bool {
	for _, u := range t.list {
		if u.User != nil {
			return true
		}
	}
	return false
}

// names lists the hosts of a certificate.
func names(c *x509.Certificate) string {
	list := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	if len(list) == 0 {
		return "no host"
	}
	return strings.Join(list, ", ")
}

// plain is the innermost text of the first error that there is.
func plain(list ...error) string {
	for _, err := range list {
		var op *net.OpError
		switch {
		case err == nil:
		case errors.As(err, &op):
			return op.Err.Error()
		default:
			return err.Error()
		}
	}
	return "no reason known"
}
