package dialers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/http1"
	"github.com/kabench/kabench/internal/transport"
	"github.com/kabench/kabench/results"
)

func opError(op string, errno syscall.Errno) error {
	return &net.OpError{Op: op, Net: "tcp", Err: os.NewSyscallError(op, errno)}
}

func TestClassify(t *testing.T) {
	sent := Facts{HeadWritten: true, Written: true, Length: -1}
	with := func(change func(*Facts)) Facts {
		f := sent
		change(&f)
		return f
	}
	dial := func(phase results.Phase, err error) Facts { return Facts{Dial: &DialError{phase, err}} }
	eof := io.EOF
	for _, test := range []struct {
		name string
		f    Facts
		want string
	}{
		{"whole", with(func(f *Facts) { f.HeadRead, f.Complete, f.Read = true, true, eof }), "done/"},
		{"queue full", Facts{Acquire: &RefusedError{Refusal: pool.QueueFull}}, "acquire/queue_full"},
		{"pending timeout", Facts{Acquire: &RefusedError{Refusal: pool.PendingTimeout}}, "acquire/timeout"},
		{"pool closed", Facts{Acquire: &RefusedError{Refusal: pool.Closed}}, "acquire/closed"},
		{"exchange's own deadline while waiting", Facts{Acquire: context.DeadlineExceeded}, "acquire/timeout"},
		{"run aborted while waiting", Facts{Acquire: context.Canceled, Aborted: true}, "acquire/aborted"},
		{"no such name", dial(results.PhaseResolve, &net.DNSError{IsNotFound: true}), "resolve/nxdomain"},
		{"slow name server", dial(results.PhaseResolve, &net.DNSError{IsTimeout: true}), "resolve/timeout"},
		{"broken name server", dial(results.PhaseResolve, &net.DNSError{Err: "server misbehaving"}), "resolve/dns"},
		{"refused", dial(results.PhaseConnect, opError("connect", syscall.ECONNREFUSED)), "connect/refused"},
		{"no route", dial(results.PhaseConnect, opError("connect", syscall.EHOSTUNREACH)), "connect/unreachable"},
		{"no network", dial(results.PhaseConnect, opError("connect", syscall.ENETUNREACH)), "connect/unreachable"},
		{"no port", dial(results.PhaseConnect, opError("connect", syscall.EADDRNOTAVAIL)), "connect/port_exhausted"},
		{"no port when bound", dial(results.PhaseConnect, opError("bind", syscall.EADDRINUSE)), "connect/port_exhausted"},
		{"no descriptor", dial(results.PhaseConnect, opError("socket", syscall.EMFILE)), "connect/fd_exhausted"},
		{"SYN unanswered, kernel", dial(results.PhaseConnect, opError("connect", syscall.ETIMEDOUT)), "connect/timeout"},
		{"SYN unanswered, ours", dial(results.PhaseConnect, context.DeadlineExceeded), "connect/timeout"},
		{"bad certificate", dial(results.PhaseTLS, &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}), "tls/certificate"},
		{"wrong name", dial(results.PhaseTLS, x509.HostnameError{}), "tls/certificate"},
		{"alert", dial(results.PhaseTLS, &net.OpError{Op: "remote error", Err: errors.New("x")}), "tls/alert"},
		{"not TLS", dial(results.PhaseTLS, tls.RecordHeaderError{}), "tls/malformed"},
		{"closed in the handshake", dial(results.PhaseTLS, eof), "tls/fin"},
		{"reset in the handshake", dial(results.PhaseTLS, opError("read", syscall.ECONNRESET)), "tls/rst"},
		{"head not sent, broken pipe", Facts{Write: opError("write", syscall.EPIPE), Read: eof}, "write_headers/pipe"},
		{"head not sent, reset", Facts{Write: opError("write", syscall.ECONNRESET), Read: eof}, "write_headers/rst"},
		{"body not sent, reset met by the reader", Facts{HeadWritten: true, Write: opError("write", syscall.EPIPE), Read: opError("read", syscall.ECONNRESET)}, "write_body/rst"},
		{"body not sent, broken pipe", Facts{HeadWritten: true, Write: opError("write", syscall.EPIPE), Read: eof}, "write_body/pipe"},
		{"body not sent, nobody reads", Facts{HeadWritten: true, Write: os.ErrDeadlineExceeded, Read: os.ErrDeadlineExceeded}, "write_body/timeout"},
		{"FIN for an answer", with(func(f *Facts) { f.Read = eof }), "before_response/fin"},
		{"RST for an answer", with(func(f *Facts) { f.Read = opError("read", syscall.ECONNRESET) }), "before_response/rst"},
		{"close_notify for an answer", with(func(f *Facts) { f.Read = transport.ErrCloseNotify }), "before_response/close_notify"},
		{"no answer", with(func(f *Facts) { f.Read = os.ErrDeadlineExceeded }), "before_response/timeout"},
		{"no answer, retransmissions exhausted", with(func(f *Facts) { f.Read = opError("read", syscall.ETIMEDOUT) }), "before_response/timeout"},
		{"head cut", with(func(f *Facts) { f.Bytes, f.Read, f.Parse = 5, eof, io.ErrUnexpectedEOF }), "response_headers/fin"},
		{"head reset", with(func(f *Facts) { f.Bytes, f.Read = 5, opError("read", syscall.ECONNRESET) }), "response_headers/rst"},
		{"head not HTTP", with(func(f *Facts) { f.Bytes, f.Parse = 5, errors.New("x") }), "response_headers/malformed"},
		{"head without end", with(func(f *Facts) { f.Bytes, f.Read, f.Parse = 1<<20, http1.ErrHeadTooLarge, http1.ErrHeadTooLarge }), "response_headers/malformed"},
		{"chunked body cut", with(func(f *Facts) { f.Bytes, f.HeadRead, f.Read = 50, true, eof }), "during_response/fin"},
		{"chunked body cut after close_notify", with(func(f *Facts) { f.Bytes, f.HeadRead, f.Read = 50, true, transport.ErrCloseNotify }), "during_response/close_notify"},
		{"counted body cut", with(func(f *Facts) { f.Bytes, f.HeadRead, f.Length, f.Read = 50, true, 100, eof }), "during_response/truncated"},
		{"body reset", with(func(f *Facts) {
			f.Bytes, f.HeadRead, f.Length, f.Read = 50, true, 100, opError("read", syscall.ECONNRESET)
		}), "during_response/rst"},
		{"body stalls", with(func(f *Facts) { f.Bytes, f.HeadRead, f.Read = 50, true, os.ErrDeadlineExceeded }), "during_response/timeout"},
		{"chunk size is no number", with(func(f *Facts) { f.Bytes, f.HeadRead, f.Parse = 50, true, errors.New("x") }), "during_response/malformed"},
		{"answered early, then reset while we wrote", Facts{HeadWritten: true, Bytes: 50, HeadRead: true, Length: 0, Complete: true, Write: syscall.EPIPE}, "done/"},
		{"run aborted while waiting for the answer", with(func(f *Facts) { f.Read, f.Aborted = os.ErrDeadlineExceeded, true }), "before_response/aborted"},
		{"aborted, but it was whole", with(func(f *Facts) { f.Complete, f.Aborted = true, true }), "done/"},
		{"something else", with(func(f *Facts) { f.Read = opError("read", syscall.ENOMEM) }), "before_response/other"},
	} {
		t.Run(test.name, func(t *testing.T) {
			phase, cause := Classify(test.f)
			if got := fmt.Sprintf("%v/%v", phase, cause); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func BenchmarkClassify(b *testing.B) {
	for name, f := range map[string]Facts{
		"done":  {HeadWritten: true, Written: true, Bytes: 1, HeadRead: true, Complete: true},
		"reset": {HeadWritten: true, Written: true, Read: &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", syscall.ECONNRESET)}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				Classify(f)
			}
		})
	}
}
