package witness

import (
	"net/netip"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
)

const (
	maxConns  = 50_000 // whose ends are remembered
	maxFailed = 1000   // see conns.failed
	maxSealed = 64     // requests of a TLS connection that can still be asked for; a story keeps as many
)

// ends are the two ends of a connection.
type ends struct{ client, server netip.AddrPort }

// conns are the connections that were seen.
type conns struct {
	all    []*conn                  // the first maxConns
	opened uint64                   // all
	open   map[ends]*conn           // those that segments still follows
	newest map[netip.AddrPort]*conn // by the client's end
	stats  dialers.Stats
	sealed bool    // some are TLS
	failed []*conn // of TLS, the newest of those that are over and on which a request had no response
	now    int     // connections that nobody has closed
}

// conn is a connection.
type conn struct {
	ends
	n       uint64 // from 1
	since   time.Duration
	opened  time.Duration
	ready   time.Duration
	secured time.Duration
	sealed  bool            // it is TLS
	pending []*attempt      // without a response
	recent  []*attempt      // of TLS, the newest ones
	first   closing         // as seen in passing; Stats counts it
	fin     uint32          // the number after the first FIN
	shut    time.Duration   // when first was seen
	blamed  bool            // a request that found it reset was found
	last    uint64          // in kept: its newest packet
	sight   *segments.Sight // once segments no longer follows it, without its exchanges
	done    time.Duration   // the last byte of its last response, or NotSeen
	served  int             // responses
}

// closing is the first FIN or RST.
type closing uint8

const (
	notClosed closing = iota
	byClient
	byServer
	byReset
	crossed
)

// begun takes a new connection. One that was opened before the witness listened is left
// out: it is another client's, or what an earlier run has left. It is taken if its SYN may
// have been lost.
func (w *Witness) begun(c *evidence.Connection) {
	v := &w.conns
	if w.segment.Flags&segments.FlagSYN == 0 && w.lost == 0 {
		delete(v.open, ends{c.Client, c.Server})
		return
	}
	v.opened++
	one := &conn{
		ends: ends{c.Client, c.Server}, n: v.opened, since: c.Since,
		opened: evidence.NotSeen, ready: evidence.NotSeen, secured: evidence.NotSeen, done: evidence.NotSeen,
	}
	if len(v.all) < maxConns {
		v.all = append(v.all, one)
	}
	v.open[one.ends], v.newest[one.client] = one, one
	v.now++
	v.stats.Opened++
	v.stats.MaxOpen = max(v.stats.MaxOpen, v.now)
}

// closes notes the first FIN or RST of a connection.
func (w *Witness) closes(c *conn, s *segments.Segment) {
	v, fromClient, reset := &w.conns, s.Src == c.client, s.Flags&segments.FlagRST != 0
	switch {
	case s.Flags&(segments.FlagFIN|segments.FlagRST) == 0:
	case c.first == notClosed:
		v.now--
		c.first, c.fin, c.shut = byServer, s.Seq+uint32(s.Len)+1, s.At
		switch {
		case fromClient:
			c.first = byClient
			v.stats.ClosedByUs++
		case reset:
			c.first = byReset
			v.stats.ClosedReset++
		default:
			v.stats.ClosedByPeer++
		}
	case !reset && int32(s.Ack-c.fin) < 0: // the two FINs crossed
		switch {
		case c.first == byClient && !fromClient:
			v.stats.ClosedByUs--
		case c.first == byServer && fromClient:
			v.stats.ClosedByPeer--
		default:
			return
		}
		c.first = crossed
		v.stats.ClosedUnknown++
	}
}

// over takes a connection that segments no longer follows.
func (w *Witness) over(s *segments.Sight) {
	key := ends{s.Client, s.Server}
	c := w.conns.open[key]
	if c == nil {
		return
	}
	delete(w.conns.open, key)
	if c.first == notClosed {
		w.conns.now--
		w.conns.stats.ClosedUnknown++
	}
	w.learn(c, s)
	for _, a := range append(c.recent, c.pending...) {
		a.update(s)
		if !a.settled() {
			a.verdict = w.judge(a, s)
		}
	}
	if len(c.pending) > 0 && c.sealed {
		if w.conns.failed = append(w.conns.failed, c); len(w.conns.failed) > maxFailed {
			w.conns.failed = w.conns.failed[1:]
		}
	}
	c.pending = nil
	s.Exchanges, s.Requests = nil, nil
	c.sight = s
	if len(w.conns.all) == maxConns && c.n > maxConns {
		delete(w.conns.newest, c.client)
	}
}

// learn takes the facts about the connection's beginning.
func (w *Witness) learn(c *conn, s *segments.Sight) {
	c.opened, c.ready, c.secured = s.Opened, s.Handshake, s.Secured
	c.sealed = c.sealed || s.TLS
	w.conns.sealed = w.conns.sealed || s.TLS
}

// look returns the facts about a connection until now.
func (w *Witness) look(c *conn) *segments.Sight {
	if c.sight != nil {
		return c.sight
	}
	s, ok := w.lives.Look(c.client, c.server)
	if !ok {
		return nil
	}
	w.learn(c, s)
	return s
}

// Conn is a connection. Times are offsets from an epoch, results.Never if there was none.
type Conn struct {
	N              uint64 // from 1, in the order in which connections were opened
	Client, Server netip.AddrPort
	Opened         time.Duration // the SYN
	Ready          time.Duration // its TCP handshake was over
	Secured        time.Duration // its TLS handshake was over
	SYNs           int
	Requests       int // that were answered
	Close          evidence.Close
	Idle           time.Duration // before it was closed, if no request was under way; Never otherwise
	Refused        bool          // a RST answered the SYN
}

// Conns returns the first 50,000 connections, in the order in which they were opened.
func (w *Witness) Conns(epoch time.Time) []Conn {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drain()
	all := make([]Conn, 0, len(w.conns.all))
	for _, c := range w.conns.all {
		all = append(all, w.conn(c, epoch))
	}
	return all
}

func (w *Witness) conn(c *conn, epoch time.Time) Conn {
	at := w.offsets(epoch)
	out := Conn{N: c.n, Client: c.client, Server: c.server, Opened: at(evidence.NotSeen), Ready: at(evidence.NotSeen), Secured: at(evidence.NotSeen), Idle: evidence.NotSeen}
	s := w.look(c)
	if s == nil {
		return out
	}
	out.Opened, out.Ready, out.Secured = at(s.Opened), at(s.Handshake), at(s.Secured)
	out.SYNs, out.Requests, out.Close, out.Refused = s.SYNs, s.Connection.Requests, s.Close, refused(s)
	if s.Close.At != evidence.NotSeen && len(s.Unanswered) == 0 {
		since := s.Connection.Ready
		if c.done != evidence.NotSeen {
			since = c.done
		}
		if since != evidence.NotSeen && since <= s.Close.At {
			out.Idle = s.Close.At - since
		}
	}
	out.Close.At, out.Close.FIN = at(s.Close.At), at(s.Close.FIN)
	return out
}

// refused reports whether a RST answered the SYN of a connection.
func refused(s *segments.Sight) bool {
	return s.SYNs > 0 && !s.Answers && s.Rejected != evidence.NotSeen
}

// Stats counts connections as a client of kabench's own does: those opened, and closed by
// whose FIN or RST was first. A connection with a request under way is leased.
func (w *Witness) Stats() dialers.Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drain()
	s := w.conns.stats
	for _, c := range w.conns.open {
		switch {
		case c.first != notClosed:
		case w.busy(c):
			s.Leased++
		default:
			s.Idle++
		}
	}
	return s
}

// busy reports whether a request is under way on a connection.
func (w *Witness) busy(c *conn) bool {
	if len(c.pending) == 0 || !c.sealed {
		return len(c.pending) > 0
	}
	s := w.look(c)
	return s == nil || len(s.Requests) == 0 || !s.Requests[0].Answered
}

// offsets returns a function that turns times of packets into offsets from epoch.
func (w *Witness) offsets(epoch time.Time) func(time.Duration) time.Duration {
	began := w.clock.Base.Sub(epoch)
	return func(at time.Duration) time.Duration {
		if at == evidence.NotSeen {
			return evidence.NotSeen // results.Never is the same number
		}
		return at + began
	}
}
