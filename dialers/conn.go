package dialers

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

// Conn is a connection of a Pool. While it is leased, the lease holder may
// perform one exchange after another on it.
//
// With Liveness events a goroutine of its own is always reading: it notices a
// close while idle, and reads the responses. Otherwise nobody reads between
// exchanges, and the lease holder reads its response itself.
type Conn struct {
	id      uint64
	shard   *shard
	made    *attempt // the dial that made it
	entry   *pool.Conn
	conn    net.Conn // TLS, or the wire itself
	wire    *wire
	in      input
	br      *bufio.Reader
	watched bool // a reader goroutine exists
	over    chan struct{}

	mu      sync.Mutex
	turn    *turn       // the exchange whose response is awaited; guarded by mu
	died    error       // how reading ended while no response was awaited; guarded by mu
	closing bool        // we are closing it; guarded by mu
	end     pool.Reason // PeerClosed or Reset when the peer's close was seen; guarded by mu
}

// turn is one exchange on a connection: what the writer and the reader of it
// share. The reader fills its part and then signals Conn.over.
type turn struct {
	req      *Request
	e        *results.Exchange
	facts    Facts
	writing  bool          // the request is still being written; guarded by Conn.mu
	aborted  bool          // guarded by Conn.mu
	deadline time.Time     // of the exchange; guarded by Conn.mu, set when it is written
	reusable bool          // the response leaves the connection fit for another exchange
	endsConn bool          // the response said that it is the last
	hint     time.Duration // what it promised in Keep-Alive, or pool.NoHint
}

// end is what became of an exchange and is to become of its connection.
type end struct {
	facts  Facts
	unsent bool // no byte of the request was written
	reason pool.Reason
	hint   time.Duration
}

// roundTrip performs one exchange and returns what was seen, and what is to
// become of the connection. The deadline covers all of it; the zero time is no
// deadline.
func (c *Conn) roundTrip(ctx context.Context, req *Request, e *results.Exchange, deadline time.Time) end {
	t := &turn{req: req, e: e, writing: true, hint: pool.NoHint}
	alive := c.begin(t, deadline)
	if !alive && c.policy().ResendsUnsent() {
		return c.unsent(t)
	}
	stop := context.AfterFunc(ctx, func() { c.abort(t) })
	defer stop()

	written, err := c.write(t)
	c.wrote(t, deadline, err)
	switch {
	case !alive: // its end was noticed between lease and now; there is nothing more to read
	case c.watched:
		<-c.over
	default:
		c.awaitResponse(t)
	}

	c.mu.Lock()
	t.facts.Aborted = t.aborted
	seen := c.end
	c.mu.Unlock()
	t.facts.HeadWritten = written >= req.head
	t.facts.Written = written == len(req.bytes)
	t.facts.Write = err
	reason := c.verdict(t)
	if !alive && seen != pool.Keep {
		reason = seen // nobody broke it: it was dead
	}
	return end{t.facts, written == 0, reason, t.hint}
}

// unsent ends an exchange before a byte of it was written, on a connection that
// was found dead after it had been leased.
func (c *Conn) unsent(t *turn) end {
	c.mu.Lock()
	defer c.mu.Unlock()
	reason := c.end
	if reason == pool.Keep {
		reason = pool.Broken
	}
	t.e.Attempts++
	return end{t.facts, true, reason, pool.NoHint}
}

func (c *Conn) policy() *pool.Policy { return &c.shard.pool.policy }

func (c *Conn) now() time.Duration { return c.shard.pool.now() }

// verdict is Keep when the connection can carry another exchange.
func (c *Conn) verdict(t *turn) pool.Reason {
	switch {
	case t.endsConn && t.facts.Complete:
		return pool.ServerSaidClose
	case !t.reusable || !t.facts.Written || t.facts.Aborted:
		return pool.Broken
	}
	return pool.Keep
}

// begin makes t the exchange that the next bytes belong to. It reports false
// when the connection is known to be dead already; t then has the reason.
func (c *Conn) begin(t *turn, deadline time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn.SetDeadline(deadline)
	if c.died != nil {
		t.facts.Read = c.died
		return false
	}
	c.turn = t
	return true
}

// abort makes whoever reads or writes for t return at once.
func (c *Conn) abort(t *turn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.aborted = true
	if c.turn == t || t.writing {
		c.conn.SetDeadline(longAgo)
	}
}

// longAgo as a deadline ends reads and writes at once.
var longAgo = time.Unix(1, 0)

// oneWrite is how much of a body leaves in one write with the head.
const oneWrite = 16 << 10

// write sends the request and returns how many bytes of it left.
func (c *Conn) write(t *turn) (int, error) {
	req, e := t.req, t.e
	e.Attempts++
	first := min(len(req.bytes), req.head+oneWrite)
	n, err := c.conn.Write(req.bytes[:first])
	if n >= req.head {
		e.WroteHeaders = c.now()
		e.Wrote = e.WroteHeaders
	}
	if err == nil && first < len(req.bytes) {
		var m int
		m, err = c.conn.Write(req.bytes[first:])
		n += m
		e.Wrote = c.now()
	}
	e.BytesOut += int64(n)
	if n < len(req.bytes) {
		e.Wrote = results.Never
	}
	return n, err
}

// wrote ends the writing of t and starts the clock of response_timeout.
func (c *Conn) wrote(t *turn, deadline time.Time, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t.writing = false
	limit := c.policy().ResponseTimeout
	if err != nil || limit == 0 || c.turn != t || t.aborted {
		return
	}
	t.deadline = deadline
	c.limitRead(t, limit)
}

// limitRead lets the reading go on for d at most; mu is held.
func (c *Conn) limitRead(t *turn, d time.Duration) {
	if at := time.Now().Add(d); t.deadline.IsZero() || at.Before(t.deadline) {
		c.conn.SetReadDeadline(at)
	}
}

// eachRead gives the next read of t's response the whole of a response_timeout
// that is measured between reads.
func (c *Conn) eachRead(t *turn) func() {
	if p := c.policy(); p.ResponseTimeout == 0 || p.ResponseClock != pool.ClockGap {
		return nil
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if !t.writing && !t.aborted {
			c.limitRead(t, c.policy().ResponseTimeout)
		}
	}
}

// awaitResponse reads the response of t from its first byte on.
func (c *Conn) awaitResponse(t *turn) {
	before := c.in.read
	if _, err := c.br.Peek(1); err == nil {
		t.e.FirstByte = c.now()
		c.readResponse(t)
	}
	c.endOfReading(t, before)
}

// endOfReading completes t's facts and makes the connection idle again, if it
// still can be.
func (c *Conn) endOfReading(t *turn, before int64) {
	t.facts.Bytes = c.in.read - before
	t.e.BytesIn += t.facts.Bytes
	if !t.facts.Complete {
		t.facts.Read = c.in.err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn = nil
	if !t.reusable {
		c.noteEnd(c.in.err)
		if t.writing && t.facts.Bytes > 0 {
			c.conn.SetWriteDeadline(longAgo) // answered early: the rest of the request is of no use
		}
		return
	}
	// The deadline was this exchange's. The next one sets its own; until then
	// the reader must not be woken by it.
	c.conn.SetReadDeadline(time.Time{})
}

// noteEnd remembers how the peer ended the connection; mu is held.
func (c *Conn) noteEnd(err error) {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, errCloseNotify):
		c.end = pool.PeerClosed
	case errors.Is(err, syscall.ECONNRESET):
		c.end = pool.Reset
	}
}

// watch is the reader goroutine of a watched connection.
func (c *Conn) watch() {
	defer c.shard.running.Done()
	for {
		before := c.in.read
		_, err := c.br.Peek(1)
		at := c.now()
		t := c.takeTurn(err)
		if t == nil {
			return
		}
		if err == nil {
			t.e.FirstByte = at
			c.readResponse(t)
		}
		goOn := t.reusable
		c.endOfReading(t, before)
		c.over <- struct{}{}
		if !goOn {
			return
		}
	}
}

// takeTurn is the exchange for which something has come. When there is none
// the connection has died idle, or was closed by us, and it is nil.
func (c *Conn) takeTurn(err error) *turn {
	c.mu.Lock()
	if c.turn != nil || c.closing {
		defer c.mu.Unlock()
		return c.turn
	}
	c.died = errUnasked
	reason := pool.Broken
	if err != nil {
		c.died = c.in.err
		c.noteEnd(c.in.err)
		if c.end != pool.Keep {
			reason = c.end
		}
	}
	c.mu.Unlock()
	c.shard.connDied(c, reason)
	return nil
}

// errUnasked is bytes on a connection on which no request is under way.
var errUnasked = errors.New("the server sent bytes nobody had asked for")

// close closes the socket. It reports who ended the connection first, as far
// as can be seen from here.
func (c *Conn) close() pool.Reason {
	_, err := peek(c.wire.Conn)
	c.mu.Lock()
	c.closing = true
	if c.end == pool.Keep {
		c.noteEnd(err)
	}
	end := c.end
	c.mu.Unlock()
	c.conn.Close()
	return end
}

// probe looks whether the peer has ended the idle connection.
func (c *Conn) probe() pool.Reason {
	waiting, err := peek(c.wire.Conn)
	if waiting && c.conn != net.Conn(c.wire) {
		err = c.readThroughTLS()
		waiting = err == nil
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil // session tickets and the like, which TLS has taken
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.noteEnd(err)
	switch {
	case c.end != pool.Keep:
		return c.end
	case waiting || err != nil:
		return pool.Broken
	}
	return pool.Keep
}

// readThroughTLS lets TLS take what is waiting on the socket. It returns nil
// when that was application data.
func (c *Conn) readThroughTLS() error {
	c.conn.SetReadDeadline(time.Now().Add(time.Millisecond))
	defer c.conn.SetReadDeadline(time.Time{})
	_, err := c.br.Peek(1)
	if err != nil {
		err, c.in.err = c.in.err, nil
	}
	return err
}
