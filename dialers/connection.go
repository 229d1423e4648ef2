package dialers

import (
	"errors"
	"io"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/poll"
	"github.com/kabench/kabench/internal/transport"
	"github.com/kabench/kabench/results"
)

// connection is a connection of a Client. It reads and writes for the exchange on
// it, and notes how the peer ends it. With Liveness events whatever comes on it
// is read at once, so that its end is noticed while it is idle. Otherwise nothing
// is read between exchanges, nor while a request is being written.
//
// It is a transport.Listener and a transport.Owner. Its methods are called with
// Client.mu held.
type connection struct {
	id     uint64
	client *Client
	shard  *shard
	dialed *dialing // the dial that made it
	entry  *pool.Conn

	wire     transport.Transport
	exchange *exchange // the one on it, if any

	unread  bool        // there may be something to read
	ended   bool        // among that is the end
	peerEnd pool.Reason // PeerClosed or Reset when that was read
	fin     bool        // the kernel has said that the peer's FIN has come; the rules see what is read
	closed  bool        // our half, by us
	reason  pool.Reason // why, once closed

	idleSince time.Duration // when its last exchange ended; 0: it has had none
	idleEnded bool          // the peer ended it while it was idle
	leaked    *timer        // in engine.responseTimers, if there is response_timeout: its caller has left a response half-read; nil: none has

	traced connectionTrace // if there is a Tracer
	end    connectionEnd   // if somebody wants to know
}

// connectionEnd is what is kept about a connection to say how it ended.
type connectionEnd struct {
	peerAt   time.Duration // the peer's end was noticed; 0: it was not
	busy     bool          // an exchange was on the connection then
	closedAt time.Duration // by us
	local    netip.AddrPort
	unread   bool // we closed with unread data: an RST
	failed   bool // its last exchange
}

// Event implements transport.Listener.
func (c *connection) Event(e poll.Event) {
	c.noteFin(e)
	if e.Readable {
		c.Readable(e.Ended)
	}
	if e.Writable {
		c.Writable()
	}
}

// noteFin remembers that the peer's FIN has come, if e says so. Our half is open as long
// as there are events, so the peer was the first to end the connection, even if its RST
// comes too.
func (c *connection) noteFin(e poll.Event) {
	c.fin = c.fin || e.Ended && !e.Failed
	if e.Ended {
		c.notePeerAt()
	}
}

// notePeerAt notes when the peer's end was noticed, the first time.
func (c *connection) notePeerAt() {
	if c.client.Ended == nil || c.end.peerAt != 0 {
		return
	}
	c.end.peerAt, c.end.busy = c.client.clock(), c.exchange != nil
}

// Writable implements transport.Owner.
func (c *connection) Writable() {
	if x := c.exchange; x != nil && x.out.writing {
		x.send()
	}
}

// Readable implements transport.Owner. It reads what has come if the exchange waits
// for it, or if the policy watches idle connections.
func (c *connection) Readable(ended bool) {
	c.unread = true
	c.ended = c.ended || ended
	if c.leaked != nil { // nobody reads
		return
	}
	if ended {
		c.endedIdle()
	}
	x := c.exchange
	if c.client.watchesIdle || x != nil && (!x.out.writing || x.out.awaitingContinue) {
		c.receive()
	}
	if c.client.Tracer != nil && ended && c.exchange == nil && !c.closed {
		traceUnseenEnd(c)
	}
}

// receive reads until there is nothing more, and hands what has come to the
// exchange.
func (c *connection) receive() {
	for c.unread && !c.closed {
		b, err := c.read()
		x := c.exchange
		switch {
		case err == transport.ErrAgain:
		case x == nil && err == nil && c.client.policy.Unasked == pool.UnaskedDrop:
		case x == nil:
			c.unsolicited(err)
			return
		case x.reading != stillReading: // the request is still being written
			x.in.surplus = x.in.surplus || len(b) > 0
			if err != nil {
				c.notePeerEnd(err)
				return
			}
		case err != nil:
			c.notePeerEnd(err)
			x.streamEnded(err)
			return
		default:
			x.received(b)
			if c.exchange == nil {
				return
			}
		}
	}
}

// read reads once.
func (c *connection) read() ([]byte, error) {
	buf := c.client.buf
	n, err := c.wire.Read(buf)
	if err == transport.ErrAgain || err == nil && n < len(buf) && !c.ended && !c.wire.More() {
		c.unread = false
	}
	return buf[:n], err
}

// unsolicited takes the connection out of the pool, because bytes or its end have
// come while no request was under way on it.
func (c *connection) unsolicited(err error) {
	c.unread = false
	reason := pool.Broken
	if err != nil {
		c.notePeerEnd(err)
		if c.peerEnd != pool.Keep {
			reason = c.peerEnd
		}
	}
	c.client.decide(c.shard, c.shard.core.Died(c.client.clock(), c.entry, reason), nil)
}

// notePeerEnd remembers how the peer ended the connection, if err, of a read or a
// write, says so. The first one counts: after a reset that a write has met, a
// read says that the stream is at its end.
func (c *connection) notePeerEnd(err error) {
	switch {
	case c.peerEnd != pool.Keep:
		return
	case errors.Is(err, io.EOF), errors.Is(err, transport.ErrCloseNotify):
		c.peerEnd = pool.PeerClosed
	case errors.Is(err, syscall.ECONNRESET):
		c.peerEnd = pool.Reset
	}
	if c.peerEnd == pool.Keep {
		return
	}
	c.notePeerAt()
	c.endedIdle() // a close_notify has no event of its own
	if c.client.Tracer != nil {
		tracePeerEnd(c, c.peerEnd, CauseOf(err))
	}
}

// reclaim closes the connection, whose caller has left a response half-read, and ends its lease.
func (c *connection) reclaim() {
	s := c.shard
	s.leaked = slices.DeleteFunc(s.leaked, func(l *connection) bool { return l == c })
	c.client.decide(s, s.core.Release(c.client.clock(), c.entry, pool.Broken, pool.NoHint), nil)
}

// probe looks whether the peer has ended the idle connection.
func (c *connection) probe() pool.Reason {
	waiting, err := c.wire.Peek()
	c.notePeerEnd(err)
	switch {
	case c.peerEnd != pool.Keep:
		return c.peerEnd
	case waiting || err != nil:
		return pool.Broken
	}
	return pool.Keep
}

// endedIdle counts, once, how long the connection had been idle when the peer
// ended it.
func (c *connection) endedIdle() {
	if c.exchange != nil || c.closed || c.idleEnded || c.idleSince == 0 {
		return
	}
	c.idleEnded = true
	idle := c.client.clock() - c.idleSince
	c.client.idles.add(idle)
	c.client.idles.peer.Add(idle)
}

// close closes the connection for the reason.
func (c *connection) close(reason pool.Reason) {
	if c.closed {
		return
	}
	if c.exchange == nil && !c.idleEnded && c.idleSince > 0 {
		c.client.idles.add(c.client.clock() - c.idleSince)
	}
	c.closed, c.reason = true, reason
	seen := transport.CloserNone
	switch {
	case c.fin || c.peerEnd == pool.PeerClosed:
		seen = transport.CloserPeer
	case c.peerEnd == pool.Reset:
		seen = transport.CloserReset
	}
	if c.client.Ended != nil {
		c.end.closedAt = c.client.clock()
		if c.end.peerAt > 0 || reason == pool.ServerSaidClose || reason == pool.Broken { // else we are the first, and nobody asks
			c.end.local = c.wire.Local()
		}
		if c.unread && seen == transport.CloserNone {
			c.end.unread, _ = c.wire.Peek()
		}
	}
	c.wire.Close(seen, c)
}

// Closed implements transport.Owner: it counts who ended the connection first.
func (c *connection) Closed(first transport.Closer, notify transport.CloseNotify) {
	c.shard.closed[first]++
	switch notify {
	case transport.NotifiedByUs:
		c.shard.notified.us++
	case transport.NotifiedByPeer:
		c.shard.notified.peer++
	}
	if c.client.Tracer != nil {
		c.trace(TraceEvent{At: c.client.clock(), State: Unregistered, Reason: c.reason, First: first})
	}
	if c.client.Ended != nil {
		c.client.Ended(c.howEnded(first, notify))
	}
}

// howEnded describes the end of the connection, which is closed. The next call overwrites it.
func (c *connection) howEnded(first transport.Closer, notify transport.CloseNotify) *results.ConnectionEnd {
	e := &c.client.end
	*e = results.ConnectionEnd{
		Conn: c.id, Opened: max(c.dialed.connected, c.dialed.secured), Ended: c.end.closedAt, Closed: c.end.closedAt, Uses: c.entry.Uses,
		By: enders[first], Reason: c.reason.String(), ServerAt: results.Never, Local: c.end.local, Failed: c.end.failed,
	}
	since := c.idleSince
	if since == 0 {
		since = e.Opened
	}
	switch {
	case notify == transport.NotifiedByPeer:
		e.By, e.How = results.EndPeer, results.HowCloseNotify
	case notify == transport.NotifiedByUs && first == transport.CloserPeer && c.end.peerAt == 0:
		e.By, e.How = results.EndUs, results.HowCloseNotify // its FIN answered our close_notify, and was before ours
	case first == transport.CloserPeer:
		e.How = results.HowFIN
	case first == transport.CloserReset, c.end.unread:
		e.How = results.HowRST
	case first == transport.CloserUs && notify == transport.NotifiedByUs:
		e.How = results.HowCloseNotify
	case first == transport.CloserUs:
		e.How = results.HowFIN
	}
	busy := c.end.failed || c.leaked != nil
	if e.By != results.EndUs && c.end.peerAt > 0 {
		e.Ended, busy = c.end.peerAt, c.end.busy
	}
	if e.Idle = max(e.Ended-since, 0); busy {
		e.Idle = results.Never
	}
	return e
}

// enders are the sides by what the kernel says.
var enders = [transport.NumClosers]results.Ender{transport.CloserUs: results.EndUs, transport.CloserPeer: results.EndPeer, transport.CloserReset: results.EndReset}

// trace calls the Tracer, which there is, with a change to the connection.
func (c *connection) trace(e TraceEvent) {
	e.Conn, e.Port = c.id, c.traced.port
	if x := c.exchange; x != nil {
		e.On, e.Seq = true, x.record.Seq
	}
	c.client.Tracer(e)
}
