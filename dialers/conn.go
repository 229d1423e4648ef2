package dialers

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"syscall"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/http1"
	"github.com/kabench/kabench/internal/poll"
	"github.com/kabench/kabench/results"
)

// Conn is a connection of a Client. With Liveness events whatever comes on it is
// read at once, so that its end is noticed while it is idle. Otherwise nothing
// is read between exchanges, nor while a request is being written. Its methods
// are called with Client.mu held.
type Conn struct {
	id    uint64
	c     *Client
	shard *shard
	made  *dialing // the dial that made it
	entry *pool.Conn

	wire  transport
	reply http1.Response
	task  *task // the exchange on it, if any

	unread bool        // there may be something to read
	ended  bool        // among that is the end
	end    pool.Reason // PeerClosed or Reset when that was seen
	closed bool        // our half, by us
	reason pool.Reason // why, once closed

	idleFrom  time.Duration // when its last exchange ended; 0: it has had none
	idleEnded bool          // the peer ended it while it was idle

	// Of the tracer, if there is one.
	port      uint16
	told      bool // of how the peer ended the connection
	idleSince time.Duration
}

// transport is a byte stream that never waits. Whoever is behind it calls
// Conn.readable and Conn.writable when what failed with errAgain may be tried
// again.
type transport interface {
	// read is that of io.Reader, but that its error may be errAgain and
	// errCloseNotify.
	read(b []byte) (int, error)
	// write is that of io.Writer, but that its error may be errAgain. It is called
	// again with the rest.
	write(b []byte) (int, error)
	// peek looks whether bytes are waiting, and how the peer has ended the
	// stream if it has, as peek(net.Conn) does.
	peek() (waiting bool, err error)
	// info is what the kernel says of the connection, if it says anything.
	info() (results.TCPInfo, bool)
	// local is our address; not valid when it is not known.
	local() netip.AddrPort
	// close closes the connection, and tells owner.gone once that is done.
	close(owner *Conn)
}

// errAgain says that nothing can be read or written now.
var errAgain = errors.New("not now")

// oneWrite is how much of a request leaves in one write, if its head is not longer
// and the request is not one to split.
const oneWrite = 16 << 10

// begin writes t's request.
func (c *Conn) begin(t *task) {
	c.task = t
	c.reply.Reset(t.req.method)
	t.answers = t.req.answers
	t.writing, t.waits = true, t.req.expects
	t.e.Attempts++
	if c.c.Tracer != nil {
		c.trace(TraceEvent{At: c.c.clock(), State: RequestPrepared, Text: t.req.method, Bytes: int64(len(t.req.bytes))})
	}
	c.write()
}

// bodyHeldBack is how long a request with Expect: 100-continue waits for a word
// of the server's before its body is sent all the same, as RFC 9110, section
// 10.1.1, wants: a server may not know that header. It is what curl waits.
const bodyHeldBack = time.Second

// goOn writes the body that was held back.
func (t *task) goOn() {
	t.waits = false
	t.c.byWord.remove(&t.word)
	t.conn.write()
}

// write writes as much of the request as the socket takes.
func (c *Conn) write() {
	t := c.task
	req, e := t.req, t.e
	until := len(t.bytes)
	if t.waits {
		until = req.head
	}
	first := min(until, max(req.head, oneWrite))
	if req.split {
		first = req.head
	}
	for t.written < until {
		end := until
		if t.written < first {
			end = first
		}
		n, err := c.wire.write(t.bytes[t.written:end])
		if n > 0 {
			t.written += n
			e.BytesOut += int64(n)
			now := c.c.clock()
			if t.written >= req.head && e.WroteHeaders == results.Never {
				e.WroteHeaders = now
			}
			if t.written == len(t.bytes) {
				e.Wrote = now
			}
		}
		if err == errAgain {
			return
		}
		if err != nil {
			t.facts.Write = err
			c.note(err) // the kernel tells of a reset once
			break
		}
	}
	if t.waits && t.facts.Write == nil {
		if !c.c.byWord.holds(&t.word) {
			c.c.byWord.add(&t.word, c.c.at+bodyHeldBack)
		}
		if c.unread { // from before: it does not come again
			c.receive()
		}
		return
	}
	c.wrote(t)
}

// wrote follows when the request is written whole or cannot be.
func (c *Conn) wrote(t *task) {
	t.writing = false
	if c.c.Tracer != nil && t.facts.Write == nil {
		c.trace(TraceEvent{At: t.e.Wrote, State: RequestSent, Bytes: int64(t.written)})
	}
	if t.read != goesOn {
		t.end()
		return
	}
	if limit := c.c.policy.ResponseTimeout; limit > 0 && t.facts.Write == nil {
		c.c.byAnswer.add(&t.answer, c.c.at+limit)
	}
	stops := c.c.policy.OnWriteError == pool.StopAtWriteError
	// A write that was given up says nothing of the peer, who may never answer.
	if t.facts.Write != nil && (stops || errors.Is(t.facts.Write, os.ErrDeadlineExceeded)) {
		t.end()
		return
	}
	if t.facts.Write != nil {
		c.unread = true // why it failed, it may be
	}
	if c.unread {
		c.receive()
	}
}

// event is that of listener.
func (c *Conn) event(e poll.Event) {
	if e.Readable {
		c.readable(e.Ended)
	}
	if e.Writable {
		c.writable()
	}
}

func (c *Conn) writable() {
	if t := c.task; t != nil && t.writing {
		c.write()
	}
}

// readable notes that something has come, and its end if ended, and reads it if
// anybody is to see it now.
func (c *Conn) readable(ended bool) {
	c.unread = true
	c.ended = c.ended || ended
	if ended {
		c.peerEnded()
	}
	if c.c.watched || c.task != nil && (!c.task.writing || c.task.waits) {
		c.receive()
	}
	if c.c.Tracer != nil && ended && c.task == nil && !c.closed {
		c.traceUnseen()
	}
}

// receive reads until there is nothing more, or nobody who wants it.
func (c *Conn) receive() {
	for c.unread && !c.closed {
		b, err := c.take()
		t := c.task
		switch {
		case err == errAgain:
		case t == nil:
			c.unasked(err)
			return
		case t.read != goesOn: // the request is still being written
			t.surplus = t.surplus || len(b) > 0
			if err != nil {
				c.note(err)
				return
			}
		case err != nil:
			c.note(err)
			t.endOfStream(err)
			return
		default:
			t.response(b)
			if c.task == nil {
				return
			}
		}
	}
}

// take reads once.
func (c *Conn) take() ([]byte, error) {
	buf := c.c.buf
	n, err := c.wire.read(buf)
	if err == errAgain || err == nil && n < len(buf) && !c.ended {
		c.unread = false
	}
	return buf[:n], err
}

// unasked follows when something comes on a connection on which no request is
// under way: bytes, or its end.
func (c *Conn) unasked(err error) {
	c.unread = false
	reason := pool.Broken
	if err != nil {
		c.note(err)
		if c.end != pool.Keep {
			reason = c.end
		}
	}
	c.c.decide(c.shard, c.shard.core.Died(c.c.clock(), c.entry, reason), nil)
}

// note remembers how the peer ended the connection, first: after a reset that a
// write has met, a read says that the stream is at its end.
func (c *Conn) note(err error) {
	switch {
	case c.end != pool.Keep:
		return
	case errors.Is(err, io.EOF), errors.Is(err, errCloseNotify):
		c.end = pool.PeerClosed
	case errors.Is(err, syscall.ECONNRESET):
		c.end = pool.Reset
	}
	if c.c.Tracer != nil && c.end != pool.Keep {
		c.tracePeer(c.end, CauseOf(err))
	}
}

// response takes bytes of the response.
func (t *task) response(b []byte) {
	conn, e, f := t.conn, t.e, &t.facts
	now := t.c.clock()
	if e.FirstByte == results.Never {
		e.FirstByte = now
	}
	f.Bytes += int64(len(b))
	e.BytesIn += int64(len(b))
	if p := &t.c.policy; p.ResponseClock == pool.ClockGap && t.c.byAnswer.holds(&t.answer) {
		t.c.byAnswer.remove(&t.answer)
		t.c.byAnswer.add(&t.answer, now+p.ResponseTimeout)
	}
	before := conn.reply.InterimBytes
	used, err := conn.reply.Feed(b)
	for err == nil && conn.reply.Done && t.answers > 1 && !conn.reply.Close {
		t.gotHead(now)
		t.answers--
		conn.reply.Reset(t.req.method)
		b = b[used:]
		used, err = conn.reply.Feed(b)
	}
	word := t.req.expects && conn.reply.InterimBytes > before
	if word { // it is no part of the response, too late for the body or not
		f.Bytes -= int64(conn.reply.InterimBytes - before)
		if e.FirstByte = now; f.Bytes == 0 {
			e.FirstByte = results.Never
		}
	}
	t.gotHead(now)
	if err == nil && conn.reply.Done && t.answers > 1 { // and there will be no other
		f.Read = io.EOF
		t.end()
		return
	}
	switch {
	case err == nil && word && !conn.reply.HeadRead:
		if t.waits {
			t.goOn()
		}
	case err != nil:
		f.Parse = err
		t.end()
	case conn.reply.Done:
		f.Complete = true
		t.surplus = used < len(b)
		t.whole()
	}
}

// gotHead notes the head of the first response, when it has been read.
func (t *task) gotHead(now time.Duration) {
	conn, e, f := t.conn, t.e, &t.facts
	if !conn.reply.HeadRead || f.HeadRead {
		return
	}
	f.HeadRead, f.Length = true, conn.reply.Length
	e.GotHeaders, e.Status = now, conn.reply.Status
	if t.c.Tracer != nil {
		conn.trace(TraceEvent{At: now, State: ResponseReceived, Status: e.Status, Took: max(now-e.Wrote, 0)})
	}
}

// whole follows when the response is.
func (t *task) whole() {
	conn := t.conn
	if t.waits { // the server does not want the body
		t.end()
		return
	}
	if conn.unread && conn.c.watched && !t.endsConn() {
		// Something has come right behind it, and is known before the connection is
		// given back.
		b, err := conn.take()
		t.surplus = t.surplus || len(b) > 0
		if err != errAgain {
			conn.note(err)
		}
	}
	if t.writing && !t.surplus && !t.endsConn() && conn.end == pool.Keep {
		t.read = complete
		return
	}
	t.end() // answered early, if the request is not written: the rest of it is of no use
}

// endsConn reports whether the connection ends after this response.
func (t *task) endsConn() bool { return t.conn.reply.Close || t.req.last }

// endOfStream follows when the stream ends before the response is whole, unless
// that is the end of the response.
func (t *task) endOfStream(err error) {
	f := &t.facts
	t.c.clock()
	if (err == io.EOF || err == errCloseNotify) && t.answers == 1 && t.conn.reply.End() == nil {
		f.Complete, t.e.Unbounded = true, true
		t.end()
		return
	}
	f.Read = err
	if t.writing && !t.waits && f.Bytes == 0 {
		t.read = failed
		return
	}
	t.end()
}

// finish takes the exchange off the connection, and says what is to become of
// that and what the response promised.
func (c *Conn) finish(t *task) (pool.Reason, time.Duration) {
	f := &t.facts
	c.task, c.idleFrom = nil, c.c.at
	switch {
	case f.Complete && t.endsConn():
		return pool.ServerSaidClose, c.hint()
	case !f.Complete || t.surplus || !f.Written || f.Aborted:
		return pool.Broken, c.hint()
	}
	return c.end, c.hint()
}

// probe looks whether the peer has ended the idle connection.
func (c *Conn) probe() pool.Reason {
	waiting, err := c.wire.peek()
	c.note(err)
	switch {
	case c.end != pool.Keep:
		return c.end
	case waiting || err != nil:
		return pool.Broken
	}
	return pool.Keep
}

// hint is what the response announced with `Keep-Alive: timeout=`.
func (c *Conn) hint() time.Duration {
	if c.reply.KeepAlive == http1.NoKeepAlive {
		return pool.NoHint
	}
	return c.reply.KeepAlive
}
