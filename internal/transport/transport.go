// Package transport moves bytes over TCP connections for a loop that must never
// wait, and asks the kernel how they ended.
//
// A [Socket] needs no goroutine: the kernel says by events when it can be read
// or written. A [Secure] is TLS over a Socket; only its handshake waits, on a goroutine.
// A [Stream] has goroutines that wait in its place; it carries every connection
// where package poll has no sockets. All are a [Transport], and work for a [Loop].
//
// [FirstToClose], [Peek] and [Info] ask the kernel about a connection: who ended
// it, whether something has come, and its TCP_INFO.
package transport

import (
	"errors"
	"net/netip"
	"syscall"
	"time"

	"github.com/kabench/kabench/internal/poll"
	"github.com/kabench/kabench/results"
)

// Transport is a byte stream that never waits. After ErrAgain the Owner's methods
// are called, or the Listener's for a Socket, when it is worth another try.
type Transport interface {
	// Read implements io.Reader. Its error may also be ErrAgain or ErrCloseNotify.
	Read(b []byte) (int, error)
	// More reports, after a Read that has filled a part of b, that another Read may find
	// something although nothing has come in the meantime.
	More() bool
	// Write implements io.Writer. After ErrAgain call it with the rest.
	Write(b []byte) (int, error)
	// Peek reports whether bytes are waiting, without taking them. The error says
	// how the peer has ended the stream: see the function Peek.
	Peek() (waiting bool, err error)
	// Info is the kernel's TCP_INFO, if the kernel has one.
	Info() (results.TCPInfo, bool)
	// Local is our address; not valid when it is not known.
	Local() netip.AddrPort
	// Close closes the connection and then calls owner.Closed, at once or later.
	// seen is who ended it, as reads and writes have shown; CloserNone: they have not.
	Close(seen Closer, owner Owner)
}

// Owner is the connection that a Transport belongs to. Its methods are called on
// the loop.
type Owner interface {
	// Readable says that something has come, and with ended that the stream's end
	// is, or is behind, what has come.
	Readable(ended bool)
	// Writable says that a Write that failed with ErrAgain may go on.
	Writable()
	// Closed says that the connection is closed, who ended it first, and whose
	// close_notify alert was first.
	Closed(first Closer, notified CloseNotify)
}

// Loop is the goroutine for which transports work, as they see it.
type Loop interface {
	// Go runs f on another goroutine.
	Go(f func())
	// Post has the loop run f soon. It may be called from any goroutine.
	Post(f func())
	// Watch has l.Event called for each event on a socket, until Forget. Forget
	// the token after an error too.
	Watch(fd int, l Listener) (token uint64, err error)
	// Forget ends what Watch began.
	Forget(token uint64)
}

// Listener receives the events on a Socket.
type Listener interface{ Event(poll.Event) }

// ErrAgain says that nothing can be read or written now.
var ErrAgain = errors.New("not now")

// ErrCloseNotify is the error of a read when the peer has ended a TLS stream by
// its close_notify alert. crypto/tls says io.EOF for that and for a bare FIN
// alike.
var ErrCloseNotify = errors.New("the peer sent close_notify")

// Options are what a Socket is set to before it connects.
type Options struct {
	Nagle     bool          // TCP_NODELAY stays off
	KeepAlive time.Duration // the period of TCP keep-alive probes; 0: none
	Source    netip.Addr    // the local address; not valid: the kernel chooses
	// Control, if set, is called before the socket is bound, as in net.Dialer.
	Control func(network, address string, c syscall.RawConn) error
	// Closings, if set, closes the socket if the peer has ended the connection first.
	Closings *Closings
}

// OneWrite is how many bytes an idle connection takes in one write without
// making it wait.
const OneWrite = 16 << 10
