package dialers

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/kabench/kabench/internal/transport"
	"github.com/kabench/kabench/results"
)

// stockConn is a connection below the Transport. It counts bytes, and keeps the
// errors of its reads and writes. The Transport passes on only one error of
// several, some without their cause, and after a timeout the error of its own
// close.
type stockConn struct {
	net.Conn
	stock *Stock
	id    uint64
	born  time.Duration
	uses  atomic.Int64

	once     sync.Once // Close
	closeErr error
	peerSeen atomic.Bool // that the peer has ended it was traced

	// Held during a call, so that Close can wait for the call's error.
	reading, writing sync.Mutex

	written atomic.Int64

	mu       sync.Mutex
	read     int64    // guarded by mu
	readEnd  error    // guarded by mu: the first error of a Read; nil: there was none before our own close
	writeEnd error    // guarded by mu: of a Write, likewise
	last     error    // guarded by mu: the end that the kernel reported when we closed it; nil: none
	closing  bool     // guarded by mu: our own close has begun
	cut      bool     // guarded by mu: a Write did not take all its bytes, for whatever reason
	use      stockUse // guarded by mu

	idleSince time.Duration // guarded by mu: its last exchange ended; 0: it has had none
	peerAt    time.Duration // guarded by mu: a Read or Write met the peer's end; 0: none has
	busy      bool          // guarded by mu: an exchange was on it then
	closedAt  time.Duration // guarded by mu
}

// stockUse is whether an exchange is on a connection, for the gauges.
type stockUse uint8

const (
	unused stockUse = iota // dialed, and not leased yet
	inUse
	unleased
	ended
)

func (c *stockConn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	c.written.Add(int64(len(b))) // before: the response may be read sooner than this goroutine goes on
	n, err := c.Conn.Write(b)
	c.written.Add(int64(n - len(b)))
	if err != nil {
		c.mu.Lock()
		c.cut = true
		c.keep(&c.writeEnd, err)
		c.mu.Unlock()
		c.tracePeer(err)
	}
	return n, err
}

func (c *stockConn) Read(b []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	c.read += int64(n)
	c.keep(&c.readEnd, err)
	c.mu.Unlock()
	c.tracePeer(err)
	return n, err
}

// keep keeps the first error that we have not caused: by a close, by a FIN that
// answers ours, or by the deadline that crypto/tls sets for its close_notify. A
// reset is always kept: the kernel reports it to one call only. mu is held.
func (c *stockConn) keep(first *error, err error) {
	if c.closing && !errors.Is(err, syscall.ECONNRESET) {
		return
	}
	if *first == nil && err != nil && !errors.Is(err, net.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
		*first = err
		if c.peerAt == 0 {
			c.peerAt, c.busy = c.stock.now(), c.use == inUse
		}
	}
}

// received is how many bytes have been read.
func (c *stockConn) received() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.read
}

// sentWhole reports whether every Write so far took all its bytes.
func (c *stockConn) sentWhole() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.cut
}

// endErrors returns the errors by which reads and writes have met the connection's
// end; nil: they have not. The kernel reports a reset once, to the first call.
// After that a read finds the stream's end and a write a broken pipe, so a reset
// that either of them has met is what ended both.
func (c *stockConn) endErrors() (read, write error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.readEnd == nil && c.writeEnd == nil {
		return nil, nil
	}
	if reset := c.reset(); reset != nil {
		return reset, c.writeEnd
	}
	return c.readEnd, c.writeEnd
}

// reset returns the error of the peer's reset, nil if there was none; mu is held.
func (c *stockConn) reset() error {
	for _, err := range []error{c.readEnd, c.writeEnd, c.last} {
		if errors.Is(err, syscall.ECONNRESET) {
			return err
		}
	}
	return nil
}

// peerEnded returns how the peer ended the connection, as far as is known: the error
// of a reset, io.EOF for a FIN, or nil. A broken pipe without a reset is an RST that
// came after a FIN (tcp_reset in net/ipv4/tcp_input.c).
func (c *stockConn) peerEnded() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if reset := c.reset(); reset != nil {
		return reset
	}
	for _, err := range []error{c.readEnd, c.writeEnd, c.last} {
		if errors.Is(err, io.EOF) || errors.Is(err, syscall.EPIPE) {
			return io.EOF
		}
	}
	return nil
}

// turnTo notes a change of use. After ended there is none.
func (c *stockConn) turnTo(use stockUse) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.use == use || c.use == ended {
		return
	}
	was := c.use
	c.use = use
	if was == inUse {
		c.idleSince = c.stock.now()
	}
	c.stock.change(func(st *Stats) {
		for change, u := range map[int]stockUse{-1: was, 1: use} {
			switch u {
			case inUse:
				st.Leased += change
			case unleased:
				st.Idle += change
			}
		}
	})
}

// Close closes the connection and counts who ended it. That depends on the errors
// of a Read and a Write under way; the close makes both return.
func (c *stockConn) Close() error {
	c.once.Do(func() {
		first := c.closeBelow()
		c.reading.Lock()
		defer c.reading.Unlock()
		c.writing.Lock()
		defer c.writing.Unlock()
		c.counted(first)
	})
	return c.closeErr
}

// closeBelow closes the connection and returns who was first, as far as the kernel
// knows. During a Write there is no shutdown, because it would end the Write with an
// error of our own making. Our FIN then waits behind that Write, so that we cannot
// know what the peer does first.
func (c *stockConn) closeBelow() (first Closer) {
	c.mu.Lock()
	c.closing, c.closedAt = true, c.stock.now()
	c.mu.Unlock()
	if c.writing.TryLock() {
		defer c.writing.Unlock()
		first = transport.FirstToClose(c.Conn)
	} else if first = transport.EndedBy(c.Conn); first == CloserUs {
		first = CloserUnknown
	}
	c.closeErr = c.Conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	switch first {
	case CloserPeer:
		c.last = io.EOF
	case CloserReset:
		c.last = syscall.ECONNRESET
	}
	return first
}

// counted counts the connection among the closed ones. The errors of its reads and
// writes decide who ended it. If there are none, first does: it is what the kernel
// said when we closed it.
func (c *stockConn) counted(first Closer) {
	if end := c.peerEnded(); end != nil {
		first = transport.CloserOf(end)
	}
	switch first {
	case CloserPeer:
		c.tracePeerEnd(io.EOF)
	case CloserReset:
		c.tracePeerEnd(syscall.ECONNRESET)
	}
	if c.stock.Ended != nil {
		c.stock.Ended(c.howEnded(first))
	}
	c.turnTo(ended)
	c.trace(TraceEvent{State: Unregistered, First: first})
	c.stock.change(func(st *Stats) {
		c.stock.openNow--
		switch first {
		case CloserUs:
			st.ClosedByUs++
		case CloserPeer:
			st.ClosedByPeer++
		case CloserReset:
			st.ClosedReset++
		default:
			st.ClosedUnknown++
		}
	})
}

// howEnded describes the end of the connection, which is closed. net/http does not say
// why it closes one. What TLS said is not seen here.
func (c *stockConn) howEnded(first Closer) *results.ConnectionEnd {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := &results.ConnectionEnd{
		Conn: c.id, Opened: c.born, Ended: c.closedAt, Closed: c.closedAt, Uses: int(c.uses.Load()), By: enders[first], ServerAt: results.Never,
	}
	if tcp, ok := c.LocalAddr().(*net.TCPAddr); ok {
		e.Local = tcp.AddrPort()
	}
	switch first {
	case CloserReset:
		e.How = results.HowRST
	case CloserPeer, CloserUs:
		e.How = results.HowFIN
	}
	busy := c.use == inUse
	if e.By != results.EndUs && c.peerAt > 0 {
		e.Ended, busy = c.peerAt, c.busy
	}
	since := c.idleSince
	if since == 0 {
		since = c.born
	}
	if e.Idle, e.Failed = max(e.Ended-since, 0), busy; busy {
		e.Idle = results.Never
	}
	return e
}

// endedByReset reports whether an RST has ended conn, whichever call has met it. A
// FIN alone leaves conn in CLOSE_WAIT.
func endedByReset(conn net.Conn) bool {
	info, known := transport.Info(conn)
	return known && info.State == "CLOSE"
}

func (c *stockConn) trace(e TraceEvent) {
	if c.stock.Tracer != nil {
		e.Conn, e.Port = c.id, portOf(c.LocalAddr())
		c.stock.trace(e)
	}
}

// tracePeer traces that the peer has ended the connection, if err, of a Read or
// Write, says so. Where err leaves open how, Close will know.
func (c *stockConn) tracePeer(err error) {
	if err == nil || c.stock.Tracer == nil || errors.Is(err, io.EOF) && endedByReset(c.Conn) {
		return
	}
	c.tracePeerEnd(err)
}

// tracePeerEnd traces, the first time, that the peer has ended the connection: by a
// FIN (io.EOF), or by a reset.
func (c *stockConn) tracePeerEnd(end error) {
	e := TraceEvent{State: ClosedByPeer}
	switch {
	case errors.Is(end, io.EOF):
	case errors.Is(end, syscall.ECONNRESET):
		e.State = ResetByPeer
	default:
		return // the peer has not ended it
	}
	if c.stock.Tracer != nil && c.peerSeen.CompareAndSwap(false, true) {
		c.trace(e)
	}
}
