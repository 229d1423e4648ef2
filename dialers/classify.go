package dialers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/http1"
	"github.com/kabench/kabench/results"
)

// Facts is what was seen of an exchange when it was over.
type Facts struct {
	Acquire error // the pool gave no connection
	Dial    error // the dial it granted failed: a *DialError

	HeadWritten bool  // the request's head left whole
	Written     bool  // the whole request did
	Write       error // why the rest did not

	Bytes    int64 // of the response, head included
	HeadRead bool  // the final response's head was read and understood
	Length   int64 // its Content-Length; -1 when it has none
	Complete bool  // the response arrived whole
	Read     error // what the connection said when reading ended; nil: nothing
	Parse    error // what the parser said

	Aborted bool // we gave it up because the run is being aborted
}

// Classify gives the phase in which an exchange ended and the cause, from what
// was sent, what was received and the values of the errors.
func Classify(f Facts) (results.Phase, results.Cause) {
	phase, cause, _ := classify(f)
	if f.Aborted && phase != results.PhaseDone {
		cause = results.CauseAborted
	}
	return phase, cause
}

// classify gives the error too that the cause was read from.
func classify(f Facts) (results.Phase, results.Cause, error) {
	during := func(phase results.Phase, cause func(Facts) (results.Cause, error)) (results.Phase, results.Cause, error) {
		c, by := cause(f)
		return phase, c, by
	}
	switch {
	case f.Acquire != nil:
		return results.PhaseAcquire, CauseOf(f.Acquire), f.Acquire
	case f.Dial != nil:
		phase, cause := dialCause(f.Dial)
		return phase, cause, f.Dial
	case f.Complete:
		return results.PhaseDone, results.CauseNone, nil
	case f.HeadRead:
		return during(results.PhaseDuringResponse, bodyCause)
	case f.Bytes > 0:
		return during(results.PhaseResponseHeaders, readCause)
	case !f.HeadWritten:
		return during(results.PhaseWriteHeaders, writeCause)
	case !f.Written:
		return during(results.PhaseWriteBody, writeCause)
	}
	return during(results.PhaseBeforeResponse, readCause)
}

// dialCause is where a dial failed, and of what. What is left of the errors of a
// TLS handshake are the complaints about what the peer sent: crypto/tls has no
// type for those. The system's own errors are another matter.
func dialCause(err error) (results.Phase, results.Cause) {
	phase, cause := results.PhaseConnect, CauseOf(err)
	if de, ok := errors.AsType[*DialError](err); ok {
		phase = de.Phase
	}
	if _, system := errors.AsType[syscall.Errno](err); phase == results.PhaseTLS && cause == results.CauseOther && !system {
		cause = results.CauseMalformed
	}
	return phase, cause
}

// notTLSError is a complaint of crypto/tls about what the peer sent, where it has
// no type for it: nothing was wrong with the connection below.
type notTLSError struct{ err error }

func (e *notTLSError) Error() string { return e.err.Error() }
func (e *notTLSError) Unwrap() error { return e.err }

// writeCause prefers a reset that the reader met: the kernel reports it to
// whoever asks first, and to the other as a broken pipe.
func writeCause(f Facts) (results.Cause, error) {
	by := f.Write
	if errors.Is(f.Read, syscall.ECONNRESET) || f.Write == nil { // nil: found dead before anything was written
		by = f.Read
	}
	return CauseOf(by), by
}

func readCause(f Facts) (results.Cause, error) {
	by := f.Read
	switch {
	case by == nil && f.Parse != nil:
		return results.CauseMalformed, f.Parse
	case errors.Is(by, http1.ErrHeadTooLarge):
		return results.CauseMalformed, by
	case errors.Is(by, io.EOF) && errors.Is(f.Write, syscall.ECONNRESET):
		by = f.Write // as above: to the reader it is then the stream's end
	}
	return CauseOf(by), by
}

func bodyCause(f Facts) (results.Cause, error) {
	cause, by := readCause(f)
	if f.Length >= 0 && (cause == results.CauseFIN || cause == results.CauseCloseNotify) {
		cause = results.CauseTruncated
	}
	return cause, by
}

// CauseOf gives the cause an error stands for, by its value and never by its
// text; CauseOther for one it does not know.
func CauseOf(err error) results.Cause {
	var refused *RefusedError
	var source *sourceError
	var homeless *homelessError
	switch {
	case err == nil:
		return results.CauseOther
	case errors.As(err, &source) && errors.Is(err, syscall.EADDRNOTAVAIL):
		return results.CauseUnreachable // from an address that this machine no longer has
	case errors.As(err, &homeless):
		return results.CauseUnreachable
	case errors.As(err, &refused):
		return refusalCauses[refused.Refusal]
	case errors.Is(err, syscall.ECONNRESET):
		return results.CauseRST
	case errors.Is(err, syscall.EPIPE):
		return results.CausePipe
	case errors.Is(err, errCloseNotify):
		return results.CauseCloseNotify
	case errors.Is(err, syscall.ECONNREFUSED):
		return results.CauseRefused
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return results.CauseUnreachable
	case errors.Is(err, syscall.EADDRNOTAVAIL), errors.Is(err, syscall.EADDRINUSE):
		return results.CausePortExhausted
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return results.CauseFDExhausted
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return results.CauseTimeout
	}
	return lookupOrTLSCause(err)
}

var refusalCauses = map[pool.Refusal]results.Cause{
	pool.QueueFull:      results.CauseQueueFull,
	pool.PendingTimeout: results.CauseTimeout,
	pool.Closed:         results.CauseClosed,
}

func lookupOrTLSCause(err error) results.Cause {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		switch {
		case dns.IsNotFound:
			return results.CauseNXDomain
		case dns.IsTimeout:
			return results.CauseTimeout
		}
		return results.CauseDNS
	}
	var (
		notTLS      *notTLSError
		certificate *tls.CertificateVerificationError
		unknown     x509.UnknownAuthorityError
		hostname    x509.HostnameError
		invalid     x509.CertificateInvalidError
		alert       tls.AlertError
		record      tls.RecordHeaderError
		op          *net.OpError
	)
	switch {
	case errors.As(err, &certificate), errors.As(err, &unknown), errors.As(err, &hostname), errors.As(err, &invalid):
		return results.CauseCertificate
	case errors.As(err, &alert):
		return results.CauseAlert
	case errors.As(err, &op) && op.Op == "remote error":
		return results.CauseAlert // crypto/tls reports a received alert so, with an unexported type inside
	case errors.As(err, &record), errors.As(err, &notTLS), op != nil && op.Op == "local error":
		return results.CauseMalformed // a "local error" is an alert that crypto/tls sent for what it received
	case errors.Is(err, errNoAddress):
		return results.CauseNXDomain
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return results.CauseFIN
	case errors.Is(err, net.ErrClosed), errors.Is(err, context.Canceled):
		return results.CauseAborted
	}
	if t, ok := errors.AsType[net.Error](err); ok && t.Timeout() {
		return results.CauseTimeout
	}
	return results.CauseOther
}
