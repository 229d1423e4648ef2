package segments

import (
	"net/netip"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

const (
	// maxLives bounds the connections that are followed at the same time. The one that was
	// seen least recently makes room.
	maxLives = 50_000
	// linger is how long a connection that has ended is kept: copies and the peer's last
	// segments still follow.
	linger = 5 * time.Second
)

// pair is the two ends of a connection, the smaller one first.
type pair struct{ a, b netip.AddrPort }

func pairOf(s *Segment) pair {
	if s.Src.Compare(s.Dst) <= 0 {
		return pair{s.Src, s.Dst}
	}
	return pair{s.Dst, s.Src}
}

// Lives finds the connections in the segments that were seen at one place, and follows
// each of them to its end. Its memory is bounded.
type Lives struct {
	done func(*evidence.Connection)
	each func(*evidence.Connection, evidence.Exchange, int)
	// Asked, if not nil, is called with the line of every request, as far as it was
	// captured, and the time of its first byte. Set it before the first Add.
	Asked func(c *evidence.Connection, line string, begun time.Duration)

	// Begun, Watch and Ended, if not nil, let those watch who cannot wait until a
	// connection is over: Begun is called with each new connection, Watch with each of
	// its requests as it begins, when its head is there and when it is answered, and
	// Ended before done, for strays too. Set them before the first Add. The Connection
	// is not complete before Ended, and may not be changed.
	Begun func(c *evidence.Connection)
	Watch func(c *evidence.Connection, r Request)
	Ended func(*Sight)

	// Bare says that the segments have no payload: only headers were seen. Set it before
	// the first Add.
	Bare bool

	now     time.Duration
	known   map[netip.AddrPort]bool // servers
	shared  map[netip.AddrPort]int  // how many connections without a SYN have this end
	open    map[pair]*life
	weight  int      // bytes that they hold
	live    lifeList // the least recently seen first
	ended   lifeList // the first to end first
	Early   int      // connections that had to make room before they ended
	Copies  int      // segments that were seen twice
	Strays  int      // connections whose last segments only were seen; they are not reported
	Resumed int      // segments whose time is more than a second before an earlier one's
}

// NewLives returns a Lives that calls done with each connection when it has ended, or at
// End. The Connection is done's. each, if not nil, is called with every exchange and
// its number on its connection, from 1; the Connection is not complete then, and may
// not be changed.
func NewLives(done func(*evidence.Connection), each func(*evidence.Connection, evidence.Exchange, int)) *Lives {
	v := &Lives{done: done, each: each, known: map[netip.AddrPort]bool{}, shared: map[netip.AddrPort]int{}, open: map[pair]*life{}}
	v.live.begin()
	v.ended.begin()
	return v
}

// Server says that this address is a server's. It decides which end of a connection
// without a SYN is the client.
func (v *Lives) Server(address netip.AddrPort) { v.known[address] = true }

// Add takes the next segment, in the order of time. It keeps nothing of s.Payload.
func (v *Lives) Add(s *Segment) {
	if s.At < v.now-time.Second {
		v.Resumed++
	}
	v.now = max(v.now, s.At)
	v.expire()
	key := pairOf(s)
	l := v.open[key]
	syn := s.Flags&(FlagSYN|FlagACK) == FlagSYN
	if l != nil && (syn && !l.same(s) || l.ended && l.foreign(s)) {
		v.finish(key, l, s.At)
		l = nil
	}
	if l == nil {
		l = v.begin(key, s, syn)
	}
	l.add(s)
	l.talk.whole = l.flows[client].syn
	v.place(l)
	v.weigh(l)
}

// Pass says that it is now at, while no segment came: connections that ended some time
// ago are reported.
func (v *Lives) Pass(at time.Duration) {
	v.now = max(v.now, at)
	v.expire()
}

// End finishes all connections that are left.
func (v *Lives) End() {
	for _, list := range []*lifeList{&v.ended, &v.live} {
		for l := list.oldest(); l != nil; l = list.oldest() {
			v.finish(l.key(), l, v.now)
		}
	}
}

// same reports whether a SYN of the client belongs to this connection.
func (l *life) same(s *Segment) bool {
	return s.Src == l.c.Client && l.flows[client].syn && l.flows[client].isn == s.Seq
}

// foreign reports whether a segment with data or a SYN, after the end of the connection,
// belongs to a later one that uses the same ports and whose SYN was not observed: its
// number is not one of this connection.
func (l *life) foreign(s *Segment) bool {
	const reach = 1 << 20 // further back than any copy
	side := client
	if s.Src != l.c.Client {
		side = server
	}
	f := &l.flows[side]
	if s.Len == 0 && s.Flags&FlagSYN == 0 || s.Flags&FlagRST != 0 || !f.known {
		return false
	}
	if f.fin.seen && after(s.Seq, f.fin.seq) {
		return true
	}
	ahead := int32(s.Seq - f.next)
	return ahead > reach || ahead < -reach
}

func (l *life) key() pair {
	return pairOf(&Segment{Src: l.c.Client, Dst: l.c.Server})
}

// begin begins to follow a connection.
func (v *Lives) begin(key pair, s *Segment, syn bool) *life {
	if len(v.open) >= maxLives {
		v.evict(nil)
	}
	from, to, guessed := v.ends(s, syn)
	l := newLife(from, to, s.At)
	l.c.Guessed, l.c.Bare, l.talk.bare = guessed, v.Bare, v.Bare
	if v.each != nil {
		l.talk.each = func(e evidence.Exchange, nth int) { v.each(&l.c, e, nth) }
	}
	if v.Asked != nil {
		l.talk.named = func(line string, begun time.Duration) { v.Asked(&l.c, line, begun) }
	}
	if v.Watch != nil {
		l.talk.watch = func(r Request) { v.Watch(&l.c, r) }
	}
	if v.Begun != nil {
		v.Begun(&l.c)
	}
	v.open[key] = l
	return l
}

// maxKnown bounds the servers that are remembered.
const maxKnown = 10_000

// ends says which end is the client.
func (v *Lives) ends(s *Segment, syn bool) (from, to netip.AddrPort, guessed bool) {
	switch {
	case syn:
		if len(v.known) < maxKnown {
			v.known[s.Dst] = true
		}
		return s.Src, s.Dst, false
	case s.Flags&FlagSYN != 0:
		if len(v.known) < maxKnown {
			v.known[s.Src] = true
		}
		return s.Dst, s.Src, false
	case v.known[s.Dst] != v.known[s.Src]:
		if v.known[s.Src] {
			return s.Dst, s.Src, false
		}
		return s.Src, s.Dst, false
	}
	src, dst := v.share(s.Src), v.share(s.Dst)
	switch {
	case src > dst:
		return s.Dst, s.Src, true
	case src < dst:
		return s.Src, s.Dst, true
	case s.Src.Port() < s.Dst.Port(): // servers have the lower ports, mostly
		return s.Dst, s.Src, true
	}
	return s.Src, s.Dst, true
}

// share counts a connection without a SYN for one of its ends, and returns how many that
// end has: a server has many.
func (v *Lives) share(end netip.AddrPort) int {
	n := v.shared[end] + 1
	if n > 1 || len(v.shared) < maxKnown {
		v.shared[end] = n
	}
	return n
}

// turned reports whether what is known by now says that a guess was wrong.
func (v *Lives) turned(c *evidence.Connection) bool {
	if !c.Guessed || v.known[c.Server] {
		return false
	}
	return v.known[c.Client] || v.shared[c.Client] > v.shared[c.Server]
}

// place puts a connection where it belongs after a segment.
func (v *Lives) place(l *life) {
	if l.ended {
		return
	}
	v.live.remove(l)
	if l.closedBoth() {
		l.ended, l.endedAt = true, v.now
		v.ended.add(l)
		return
	}
	v.live.add(l)
}

// expire reports the connections that ended some time ago.
func (v *Lives) expire() {
	for l := v.ended.oldest(); l != nil && v.now-l.endedAt > linger; l = v.ended.oldest() {
		v.finish(l.key(), l, l.at)
	}
}

func (v *Lives) finish(key pair, l *life, until time.Duration) {
	v.live.remove(l)
	delete(v.open, key)
	v.weight -= l.weighs
	var over []Request
	if l.talk.watch = nil; v.Ended != nil {
		l.talk.watch = func(r Request) { over = append(over, r) }
	}
	handshake := l.c.Ready
	c := l.finish(until)
	if v.Ended != nil {
		s := l.sight(c, handshake)
		s.Requests = append(over, s.Requests...)
		v.Ended(s)
	}
	if v.turned(&c) {
		Turn(&c)
	}
	v.Copies += l.copies
	if c.SYNs == 0 && l.talk.count == 0 && len(c.Unanswered) == 0 && l.talk.last == evidence.NotSeen && c.Opened == evidence.NotSeen && !l.tells() {
		v.Strays++
		return
	}
	v.done(&c)
}

// tells reports whether a connection without data says something: a connection that
// was idle when the observation began, and whose close was seen. The last ACK of an
// earlier connection does not.
func (l *life) tells() bool {
	if l.talk.bare {
		return l.closedBoth() || l.flows[client].fin.seen || l.flows[server].fin.seen // one that was idle all the time
	}
	return l.flows[client].fin.seen && l.flows[server].fin.seen
}

// lifeList is a ring of lives in the order in which they were added.
type lifeList struct{ root life }

func (v *lifeList) begin() { v.root.older, v.root.newer = &v.root, &v.root }

func (v *lifeList) oldest() *life {
	if v.root.newer == &v.root {
		return nil
	}
	return v.root.newer
}

func (v *lifeList) add(l *life) {
	last := v.root.older
	last.newer, l.older = l, last
	l.newer, v.root.older = &v.root, l
}

func (v *lifeList) remove(l *life) {
	if l.older == nil {
		return
	}
	l.older.newer, l.newer.older = l.newer, l.older
	l.older, l.newer = nil, nil
}
