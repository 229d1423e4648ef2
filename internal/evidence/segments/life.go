package segments

import (
	"net/netip"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// The sides of a life's arrays.
const (
	client = 0
	server = 1
)

// sides are the names of the two ends.
var sides = [2]evidence.Side{evidence.ByClient, evidence.ByServer}

// life gathers what is seen of one connection at one place.
type life struct {
	c     evidence.Connection
	flows [2]flow
	talk  talk

	order    int           // of the newest segment: 2, 4, ...; odd ones are of segments that were not observed
	at       time.Duration // of the newest segment
	synAt    time.Duration // the newest SYN of the client
	synAckAt time.Duration // the first SYN of the server, or NotSeen
	third    time.Duration // from the server's SYN to the client's ACK; 0: not known
	shaken   bool          // third is known
	rst      mark          // the first RST
	rstSide  int
	silent   bool // the client had sent data again and again without an ACK when it gave up
	past     [8]sight
	copies   int // segments that were seen twice

	looked bool // this is a copy, whose connection may go on

	older, newer *life // neighbours in a list of Lives
	weighs       int   // as counted in Lives.weight
	ended        bool
	endedAt      time.Duration
}

// sight is what tells a copy of a segment from the segment sent again.
type sight struct {
	at       time.Duration
	seq, ack uint32
	length   int
	flags    Flags
	id       uint16
	hasID    bool
	client   bool
}

// sameMoment is how far apart two sights of one segment without an IP id may be: a
// sender waits longer before it sends again.
const sameMoment = time.Millisecond

func newLife(from, to netip.AddrPort, at time.Duration) *life {
	l := &life{
		c: evidence.Connection{
			Client: from, Server: to, Opened: evidence.NotSeen, Ready: evidence.NotSeen, Half: evidence.NotSeen, Since: at,
			Close: evidence.Close{At: evidence.NotSeen, FIN: evidence.NotSeen},
		},
		synAckAt: evidence.NotSeen,
	}
	l.flows[client].gap, l.flows[server].gap = evidence.NotSeen, evidence.NotSeen
	l.talk.begin()
	return l
}

// swap exchanges the two ends: what was taken for the client is the server.
func (l *life) swap() {
	l.c.Client, l.c.Server = l.c.Server, l.c.Client
	l.flows[client], l.flows[server] = l.flows[server], l.flows[client]
	l.talk.swap()
	l.rstSide = 1 - l.rstSide
}

// Turn says that a guess was wrong, after the bytes were read: the client is the server.
// Who closed is known the other way round; what was asked is not.
func Turn(c *evidence.Connection) {
	c.Client, c.Server, c.Guessed = c.Server, c.Client, false
	c.Exchanges, c.Requests, c.LongestIdle, c.Unasked, c.Unanswered = nil, 0, 0, 0, nil
	c.Half, c.Ready = evidence.NotSeen, evidence.NotSeen
	c.Close.Why = strings.NewReplacer("client", "server", "server", "client").Replace(c.Close.Why)
	c.Resent, c.ResentBack = c.ResentBack, c.Resent
	c.Near, c.TimeWait, c.Close.By = c.Near.Other(), c.TimeWait.Other(), c.Close.By.Other()
	for i := range c.Resets {
		c.Resets[i].From, c.Resets[i].Origin = c.Resets[i].From.Other(), c.Resets[i].Origin.Other()
	}
}

// copied reports whether the segment is a second sight of an earlier one: it passed two
// interfaces of this place.
func (l *life) copied(s *Segment) bool {
	now := sight{s.At, s.Seq, s.Ack, s.Len, s.Flags, s.ID, s.HasID && s.ID != 0, s.Src == l.c.Client}
	for _, old := range l.past {
		if old.seq != now.seq || old.ack != now.ack || old.length != now.length || old.flags != now.flags ||
			old.client != now.client || old.hasID != now.hasID || old.id != now.id || old.flags == 0 {
			continue
		}
		if gap := now.at - old.at; gap <= sameMoment || now.hasID && gap < time.Second {
			l.copies++
			return true
		}
	}
	copy(l.past[1:], l.past[:])
	l.past[0] = now
	return false
}

// add takes the next segment of the connection.
func (l *life) add(s *Segment) {
	if l.copied(s) {
		return
	}
	l.order += 2
	l.at = s.At
	l.settle(false)
	side := client
	if s.Src != l.c.Client {
		side = server
	}
	f, peer := &l.flows[side], &l.flows[1-side]
	if s.Flags&FlagRST != 0 {
		l.reset(side, s)
		return
	}
	peer.tries = 0
	if s.Flags&FlagSYN != 0 {
		l.opening(side, s)
	}
	f.ttl, f.id, f.hasID = s.TTL, s.ID, s.HasID && s.ID != 0
	if s.Flags&FlagACK != 0 {
		l.established(side, s)
		peer.acked(s.Ack, s.At, l.order)
		if !f.acks || after(s.Ack, f.ack) {
			f.ack, f.acks = s.Ack, true
		}
	}
	if s.Flags&FlagFIN != 0 {
		l.fin(side, s)
	}
	l.data(side, s)
}

// opening takes a SYN of either side.
func (l *life) opening(side int, s *Segment) {
	f := &l.flows[side]
	f.known, f.guessed, f.syn, f.isn, f.next = true, false, true, s.Seq, max(f.next, s.Seq+1)
	if len(f.held) == 0 && f.missing == 0 {
		f.next = s.Seq + 1
	}
	if side == client {
		l.c.SYNs++
		if l.c.SYNs == 1 {
			l.c.Opened, l.c.Start = s.At, s.Seq
		}
		l.synAt = s.At
		return
	}
	if l.synAckAt == evidence.NotSeen {
		l.synAckAt = s.At
		if l.c.SYNs == 1 {
			l.c.RoundTrip = s.At - l.synAt
		}
	}
}

// established notes when the client's ACK completes the handshake.
func (l *life) established(side int, s *Segment) {
	if side == client && l.synAckAt != evidence.NotSeen && l.c.Ready == evidence.NotSeen && s.Flags&FlagSYN == 0 {
		l.c.Ready = s.At
		l.third, l.shaken = s.At-l.synAckAt, true
	}
}

// data takes the payload of a segment, and what waited for it.
func (l *life) data(side int, s *Segment) {
	f := &l.flows[side]
	seq := s.Seq
	if s.Flags&FlagSYN != 0 {
		seq++
	}
	if s.Len > 0 && f.known && (!l.flows[1-side].acks || f.next == l.flows[1-side].ack) {
		f.since = s.At
	}
	p := piece{
		seq: seq, length: s.Len, payload: s.Payload[:min(len(s.Payload), s.Len)], begin: true,
		order: l.order, at: s.At, ack: s.Ack, acks: s.Flags&FlagACK != 0, number: s.Number,
	}
	for p, ok := f.take(p); ok; p, ok = f.release() {
		l.deliver(side, p)
	}
	if len(f.held) >= maxHeld {
		l.skip(side, f.lost(0, false, true), s.At)
	}
}

// deliver passes a piece in order on to the talk. Where which end is the client was
// guessed, the first recognised bytes decide.
func (l *life) deliver(side int, p piece) {
	if l.c.Guessed && l.talk.fresh() && l.talk.wrongSide(side, p) {
		l.swap()
		side = 1 - side
	}
	if f := &l.flows[client]; side == server && f.gap != evidence.NotSeen && l.talk.holdsRequest(int(l.flows[server].ack-f.next)) {
		l.talk.missed = true // the request was not observed, or is observed later
	}
	l.talk.take(side, p)
	if l.c.Guessed && l.talk.protocol == overHTTP {
		l.c.Guessed = false
	}
}

// skip gives up n bytes of a direction, which had been sent at the time at or before,
// and goes on behind them.
func (l *life) skip(side, n int, at time.Duration) {
	if n == 0 {
		return
	}
	f := &l.flows[side]
	f.gap = evidence.NotSeen
	f.next += uint32(n)
	f.missing += n
	l.talk.miss(side, n, at, f.next)
	for p, ok := f.release(); ok; p, ok = f.release() {
		l.deliver(side, p)
	}
}

// settle gives up bytes that the other end has acknowledged and that were not observed
// in time; with force, all that is missing.
func (l *life) settle(force bool) {
	for side := range l.flows {
		f, peer := &l.flows[side], &l.flows[1-side]
		if f.gap == evidence.NotSeen && !force || !force && l.at-f.gap < settleAfter {
			continue
		}
		at := f.gap
		if at == evidence.NotSeen {
			at = l.at
		}
		n := f.lost(peer.ack, peer.acks, force)
		if n == 1 && !f.fin.seen && len(f.held) == 0 && peer.ack == f.next+1 {
			// One byte more than was seen, and nothing behind it: the FIN.
			f.fin = mark{seen: true, order: f.gapOrder - 1, at: at, seq: f.next + 1, guess: true}
			n = 0
		}
		f.gap = evidence.NotSeen
		for ; n > 0; n = f.lost(peer.ack, peer.acks, force) {
			l.skip(side, n, at)
		}
	}
}

// fin notes the first FIN of a side.
func (l *life) fin(side int, s *Segment) {
	f := &l.flows[side]
	if f.fin.seen {
		f.tries++ // of a FIN that was not observed, a copy does not say when it left first
		return
	}
	if side == client && f.tries >= 2 {
		l.silent = true
	}
	f.fin = mark{
		seen: true, order: l.order, at: s.At, seq: s.next(), ack: s.Ack, acks: s.Flags&FlagACK != 0, number: s.Number,
	}
}

// closedBoth reports whether the connection is over: nothing but copies can follow.
func (l *life) closedBoth() bool {
	return l.rst.seen || l.flows[client].fin.seen && l.flows[server].fin.seen
}
