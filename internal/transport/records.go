package transport

import (
	"errors"
	"net"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/kabench/kabench/internal/poll"
)

// records is the net.Conn below crypto/tls: it carries the records of a Secure.
//
// During the handshake its calls wait, on the goroutine of that. Afterwards they are
// called on the loop and return at once. A read that finds too little returns errNotYet.
// A write is kept here until flush has the socket take it, because crypto/tls goes on
// after an error of a read that is temporary, and never after an error of a write.
type records struct {
	sock *Socket

	// Of the handshake.
	waits bool
	turns Turns
	again chan struct{} // an event has come: it is worth another try
	quit  chan struct{} // closed by Close
	once  sync.Once

	ended bool // the loop's: there was an event that the peer has ended its side

	// Owned by the goroutine of the handshake, then by the loop.
	out      []byte // what was written and has not left whole
	left     int    // how much of out the socket has taken
	drained  bool   // the socket was empty after the last read
	readErr  error  // of the first read that failed
	writeErr error  // of the first write that failed
	reset    bool   // a read or a write has met the peer's RST, which the kernel reports once
}

const (
	// maxStuck is how many bytes may wait in out before nothing more is read: so a peer
	// that asks for new keys again and again, and does not read ours, is not read either.
	maxStuck = 64 << 10
	// keepOut is how large a buffer a connection keeps for its next request.
	keepOut = 4 << 10
)

// errNotYet says to crypto/tls that a record has not come whole.
var errNotYet net.Error = notYet{}

type notYet struct{}

func (notYet) Error() string   { return ErrAgain.Error() }
func (notYet) Timeout() bool   { return true }
func (notYet) Temporary() bool { return true }

// Turns bound how many handshakes compute at a time. A handshake that waits for the
// peer leaves its turn to others.
type Turns chan struct{}

// NewTurns returns turns for all processors but one, which is left for the loop, and for
// one handshake at least.
func NewTurns() Turns { return make(Turns, max(1, runtime.GOMAXPROCS(0)-1)) }

func newRecords(sock *Socket, turns Turns) *records {
	return &records{sock: sock, waits: true, turns: turns, again: make(chan struct{}, 1), quit: make(chan struct{})}
}

// begin ends the handshake: from now on the loop calls.
func (r *records) begin() { r.waits = false }

// event says to the handshake that another try is worth it.
func (r *records) event(e poll.Event) {
	r.ended = r.ended || e.Ended
	select {
	case r.again <- struct{}{}:
	default:
	}
}

// wait waits for an event, or for Close.
func (r *records) wait() error {
	<-r.turns
	defer func() { r.turns <- struct{}{} }()
	select {
	case <-r.again:
		return nil
	case <-r.quit:
		return net.ErrClosed
	}
}

// more says that the socket may have something to read. With ended, the end of the peer's
// side is behind it.
func (r *records) more(ended bool) {
	r.drained = false
	r.ended = r.ended || ended
}

// stuck reports whether too much waits for room in the socket.
func (r *records) stuck() bool { return len(r.out)-r.left > maxStuck }

// Read implements io.Reader.
func (r *records) Read(b []byte) (int, error) {
	for !r.drained {
		n, err := r.sock.Read(b)
		switch {
		case err == ErrAgain && r.waits:
			if err := r.wait(); err != nil {
				return 0, err
			}
		case err == ErrAgain:
			r.drained = true
		case err != nil:
			if r.readErr == nil {
				r.readErr = err
			}
			r.met(err)
			return n, err
		default:
			r.drained = n < len(b) && !r.waits && !r.ended // less than asked for: there is no more
			return n, nil
		}
	}
	return 0, errNotYet
}

// Write implements io.Writer.
func (r *records) Write(b []byte) (int, error) {
	if r.writeErr != nil {
		return 0, r.writeErr
	}
	r.out = append(r.out, b...)
	if !r.waits {
		return len(b), nil
	}
	for {
		err := r.flush()
		if err != ErrAgain {
			return len(b), err
		}
		if err := r.wait(); err != nil {
			return 0, err
		}
	}
}

// flush has the socket take what was written. It returns ErrAgain while that has no room,
// and then the error of the first write that failed.
func (r *records) flush() error {
	for r.writeErr == nil && r.left < len(r.out) {
		n, err := r.sock.Write(r.out[r.left:])
		if err == ErrAgain {
			return err
		}
		r.left += n
		r.writeErr = err
		r.met(err)
		if err != nil {
			r.drained = false // behind what made the write fail there may be a response, or the end
		}
	}
	if r.left = 0; cap(r.out) > keepOut {
		r.out = nil
	}
	r.out = r.out[:0]
	return r.writeErr
}

func (r *records) met(err error) { r.reset = r.reset || errors.Is(err, syscall.ECONNRESET) }

// Close ends the handshake, whose context is done.
func (r *records) Close() error {
	r.once.Do(func() { close(r.quit) })
	return nil
}

// LocalAddr implements net.Conn.
func (r *records) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(r.sock.Local()) }

// RemoteAddr implements net.Conn.
func (r *records) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(r.sock.Remote()) }

// SetDeadline does nothing: no call waits, but those of the handshake, which has a context.
func (r *records) SetDeadline(time.Time) error { return nil }

// SetReadDeadline does nothing.
func (r *records) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing.
func (r *records) SetWriteDeadline(time.Time) error { return nil }
