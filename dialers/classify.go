package dialers

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/http1"
	"github.com/kabench/kabench/internal/transport"
	"github.com/kabench/kabench/results"
)

// Facts are what was seen of an exchange when it was over.
type Facts struct {
	Acquire error // the pool gave no connection
	Dial    error // the dial it granted failed: a *DialError

	HeadWritten bool  // the request's head left whole
	Written     bool  // the whole request did
	Write       error // why the rest could not be written

	Bytes      int64 // of the response, head included
	StatusRead bool  // the response's status line was read
	HeadRead   bool  // the final response's head was read and understood
	Length     int64 // its Content-Length; -1 when it has none
	Complete   bool  // the response arrived whole
	HeadOnly   bool  // the caller took the head, and nobody reads the rest
	Read       error // what the connection said when reading ended; nil: nothing
	Parse      error // what the parser said

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

// classify also returns the error that decided the cause.
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
	case f.Complete, f.HeadOnly:
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

// dialCause returns where a dial failed, and why. An error of a TLS handshake that
// has no known type and is not the system's is a complaint about what the peer
// sent: crypto/tls has no type for those.
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

// writeCause prefers a reset that a read has met: the kernel reports a reset once,
// to the first call, and a write that follows finds a broken pipe.
func writeCause(f Facts) (results.Cause, error) {
	by := f.Write
	if errors.Is(f.Read, syscall.ECONNRESET) || f.Write == nil { // nil: the connection was found dead before anything was written
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
		by = f.Write // the write met the reset first, so the read finds the stream's end
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

// CauseOf returns the cause that an error stands for, by the error's value and
// never by its text; CauseOther for an unknown error.
func CauseOf(err error) results.Cause {
	var refused *RefusedError
	var source *transport.SourceError
	var noIPv6 *noIPv6Error
	switch {
	case err == nil:
		return results.CauseOther
	case errors.As(err, &source) && errors.Is(err, syscall.EADDRNOTAVAIL):
		return results.CauseUnreachable // this machine no longer has the source address
	case errors.As(err, &noIPv6):
		return results.CauseUnreachable
	case errors.As(err, &refused):
		return refusalCauses[refused.Refusal]
	case errors.Is(err, syscall.ECONNRESET):
		return results.CauseRST
	case errors.Is(err, syscall.EPIPE):
		return results.CausePipe
	case errors.Is(err, transport.ErrCloseNotify):
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
		notTLS      *transport.TLSError
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

// failurePoint returns how far an attempt had come when its connection failed; n
// bytes of the request had been written, statusRead says that the status line of the
// response was complete, and late that response_timeout was over. It returns 0 when the
// attempt did not fail, or failed for a reason after which no pool sends a request again: no
// connection, the end of the exchange's time, a response that is not HTTP, the end of the run.
func failurePoint(e *results.Exchange, n int, statusRead, late bool) (at pool.After, reset bool) {
	reset = e.SeenCause == results.CauseRST || e.SeenCause == results.CausePipe
	closed := e.SeenCause == results.CauseFIN || e.SeenCause == results.CauseCloseNotify || e.SeenCause == results.CauseTruncated
	switch {
	case late && e.SeenCause == results.CauseTimeout:
		return pool.AfterTimeout, false
	case !reset && !closed || e.Conn == 0:
		return 0, false
	case n == 0:
		return pool.AfterUnsent, reset
	case e.SeenPhase == results.PhaseDuringResponse:
		return pool.AfterBody, reset
	case e.SeenPhase == results.PhaseResponseHeaders && statusRead:
		return pool.AfterHeaders, reset
	case e.SeenPhase == results.PhaseResponseHeaders:
		return pool.AfterStatus, reset
	case reset:
		return pool.AfterRST, reset
	}
	return pool.AfterEOF, reset
}

// shown returns what the caller of e is shown of how e ended. That is what was
// seen, with one exception: a client that hangs up on its caller shows only that
// the connection ended, if a reused connection failed before a response.
func shown(e *results.Exchange, hangsUp bool) (results.Phase, results.Cause, error) {
	phase, cause, err := e.SeenPhase, e.SeenCause, e.Err
	failed := phase != results.PhaseDone && cause != results.CauseAborted
	if !hangsUp || !failed || cause == results.CauseTimeout || !e.Reused() || phase > results.PhaseBeforeResponse {
		return phase, cause, err
	}
	if cause != results.CauseFIN && err != nil {
		err = &hangupError{err}
	}
	return results.PhaseBeforeResponse, results.CauseFIN, err
}

// RefusedError is a request that got no connection from the pool.
type RefusedError struct {
	Refusal pool.Refusal
	Limit   string // the value of the setting that led to it
}

func (e *RefusedError) Error() string {
	return map[pool.Refusal]string{
		pool.QueueFull:      "the pending queue has reached its maximum size of ",
		pool.PendingTimeout: "no connection came free within pending_timeout ",
		pool.Closed:         "the pool is closed",
	}[e.Refusal] + e.Limit
}

func refusedError(why pool.Refusal, policy *pool.Policy) error {
	switch why {
	case pool.QueueFull:
		return &RefusedError{why, fmt.Sprint(policy.PendingMax)}
	case pool.PendingTimeout:
		return &RefusedError{why, policy.PendingTimeout.String()}
	}
	return &RefusedError{Refusal: why}
}

// errorBehind returns the error that decided the cause of an exchange, with any
// other error that stands for another cause; nil when the exchange did not fail.
func errorBehind(cause results.Cause, f Facts) error {
	switch cause {
	case results.CauseNone:
		return nil
	case results.CauseAborted:
		return context.Canceled // what was seen, we have caused
	}
	_, _, by := classify(f)
	if by == nil {
		by = cmp.Or(f.Write, f.Read, f.Parse)
	}
	other := &seenError{err: by, what: "a write", other: f.Write}
	if by == f.Write {
		other.what, other.other = "a read", f.Read
	}
	if other.other == nil || by == nil || CauseOf(other.other) == CauseOf(by) {
		return by
	}
	return other
}

// seenError is the error that decided a cause, beside one that stands for another.
// The kernel reports a reset once, and the next call finds a broken pipe or the
// stream's end.
type seenError struct {
	err   error
	what  string // what met the other error: a read or a write
	other error
}

func (e *seenError) Error() string {
	text := e.other.Error()
	if errno, ok := errors.AsType[syscall.Errno](e.other); ok {
		text = errno.Error() // the addresses are in the first one
	} else if errors.Is(e.other, io.EOF) {
		text = "EOF"
	}
	return e.err.Error() + "; " + e.what + " met: " + text
}

func (e *seenError) Unwrap() error { return e.err }

// hangupError is what was seen by a client that shows its caller only that the
// connection ended.
type hangupError struct{ err error }

func (e *hangupError) Error() string {
	return "this client reports only that the connection ended; seen: " + e.err.Error()
}

func (e *hangupError) Unwrap() error { return e.err }
