package watch

import (
	"net/netip"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
)

// How many connections are followed at the same time.
const (
	maxLives = 100_000
	maxEnded = 50_000          // connections that have ended and wait for what other layers say
	maxEnds  = 10_000          // servers that are known by name
	wait     = 3 * time.Second // for what other layers say about a connection that has ended
)

// Watch follows the connections of a service, from what the layers see of them. Its
// memory is bounded. Its methods must not be called at the same time.
type Watch struct {
	Sum Sum

	// Skip, if not nil, says which connections are left out. Set it before the first Look.
	Skip func(Flow) bool

	done    func(*evidence.Connection)
	mine    func(Flow) (accepted, ok bool)
	open    map[Flow]*life
	ended   []*life
	at      map[Flow]*life         // the newest ones of ended
	cookies map[uint64]Flow        // of open
	told    map[Flow]time.Duration // connections that were reported before their packets were over, by their beginning
	sights  map[Flow]sighting      // connections that were reported with their packets, the newest of their ports
	forgot  time.Duration          // when sights were looked through
	ending  bool
	later   []question
	asked   int // servers that were known when the questions were asked last
	lives   *segments.Lives
	wire    bool // packets are seen
	now     time.Duration
	looks   int
	before  time.Duration // of the last look
	last    *Look
	servers map[netip.AddrPort]bool // that the service uses
	own     map[netip.AddrPort]bool // at which the service accepts
	pools   pools
	series  Series
	ports   []PortSample // towards the target that takes most, a second apart
}

// New returns a Watch that calls done with each connection that has ended. mine, if not
// nil, says whether a connection that no look has shown is the service's, and whether the
// service accepted it; otherwise it is if it goes to a server that the service uses, or comes to one of its ports.
func New(done func(*evidence.Connection), mine func(Flow) (accepted, ok bool)) *Watch {
	w := &Watch{done: done, mine: mine, open: map[Flow]*life{}, at: map[Flow]*life{}, cookies: map[uint64]Flow{}, told: map[Flow]time.Duration{}, sights: map[Flow]sighting{}, servers: map[netip.AddrPort]bool{}, own: map[netip.AddrPort]bool{}}
	w.Sum.begin()
	w.lives = segments.NewLives(func(*evidence.Connection) {}, nil)
	w.lives.Ended = w.captured
	return w
}

// pass notes the time.
func (w *Watch) pass(at time.Duration) { w.now = max(w.now, at) }

// server notes a server, so that the ends of a connection are known to the packets too.
func (w *Watch) server(l *life) {
	address, known := l.flow.Remote, w.servers
	if l.accepted {
		address, known = l.flow.Local, w.own
	}
	if !known[address] && len(known) < maxEnds {
		known[address] = true
		w.lives.Server(address)
	}
}

// Server reports whether the service is connected to a server at this address, or is one.
func (w *Watch) Server(a netip.AddrPort) bool { return w.servers[a] || w.own[a] }

// belongs says whether a flow that no look has shown is the service's, and whether the
// service accepted it.
func (w *Watch) belongs(f Flow) (accepted, ok bool) {
	switch {
	case w.Skip != nil && w.Skip(f):
		return false, false
	case w.mine != nil:
		return w.mine(f)
	}
	opened := w.servers[f.Remote]
	return !opened, opened || w.own[f.Local]
}

// Look takes one look at the sockets.
func (w *Watch) Look(look *Look) {
	w.pass(look.At)
	gap := look.At - w.before
	first := w.looks == 0
	if first {
		gap = 0
	}
	waits := map[Flow]bool{}
	for i := range look.Sockets {
		s := &look.Sockets[i]
		if s.State == "LISTEN" || w.Skip != nil && w.Skip(s.Flow) {
			continue
		}
		if s.State == "TIME_WAIT" || s.Cookie == 0 && s.State == "FIN_WAIT2" {
			waits[s.Flow] = true
			continue
		}
		w.socket(s, look.At, gap, first)
	}
	for flow, l := range w.open {
		if l.looked == look.At {
			continue
		}
		if waits[flow] {
			l.close(ending{evidence.Seen, ours, evidence.FIN, w.momentOf(l), gap, "its socket is in TIME_WAIT: this end closed first"})
			w.finish(l)
			continue
		}
		if l.looked == notSeen && look.At-l.since < time.Second {
			continue // its last word came after this look had begun
		}
		if !l.closed() {
			l.close(w.vanished(l, gap))
		}
		w.finish(l)
	}
	w.ask()
	w.looks++
	w.before, w.last = look.At, look
	w.pools.look(w, look)
	w.usePorts(look)
	w.series.add(w.point())
	w.expire()
}

// momentOf is when a socket ended: the kernel said so, or it is the newest look.
func (w *Watch) momentOf(l *life) time.Duration {
	if l.gone != nil {
		return l.gone.At
	}
	return w.now
}

// vanished says how a connection was closed whose socket is no longer there, and not in
// TIME_WAIT either.
func (w *Watch) vanished(l *life, gap time.Duration) ending {
	e := ending{evidence.Inferred, theirs, evidence.FIN, w.now, gap, "its socket ended between two looks, and no TIME_WAIT is left here: the other end closed first, or it was reset"}
	g := l.gone
	if g == nil {
		return e
	}
	e.at, e.slack = g.At, 0
	fin := g.Written > 0 && acked(&g.Socket) > g.Written
	switch {
	case l.carried && g.Bytes == [2]uint64{} && g.Written == 0:
		e.by, e.how, e.why = ours, evidence.RST, "this end gave it up, and sent a RST: the kernel had cleared its counters"
	case fin:
		e.why = "this end's FIN was acknowledged, and no TIME_WAIT is left here: the other end closed first"
	case g.Bytes[1] == l.bytes[theirs]+1:
		e.why = "the other end's FIN had come when the socket ended"
	case l.retries >= 3 && l.waiting != notSeen:
		e.how, e.by, e.why = evidence.Silent, ours, "data was sent again and again, and no ACK came back"
	case g.Written > 0:
		e.how, e.why = evidence.RST, "its socket ended at once, without a FIN of this end: the other end reset it, or this end gave it up"
	}
	return e
}

// socket takes one socket of a look.
func (w *Watch) socket(s *Socket, at, gap time.Duration, first bool) {
	l := w.open[s.Flow]
	if l != nil && l.cookie != 0 && s.Cookie != 0 && l.cookie != s.Cookie {
		l.close(w.vanished(l, gap))
		w.finish(l)
		l = nil
	}
	if l == nil {
		if l = w.begin(s.Flow, s.Accepted, at); l == nil {
			return
		}
		if first {
			w.Sum.Older++
		}
	}
	if l.accepted != s.Accepted {
		l.accepted = s.Accepted
	}
	w.server(l)
	if s.Cookie != 0 {
		l.cookie = s.Cookie
		w.cookies[s.Cookie] = s.Flow
	}
	l.looked, l.state = at, s.State
	l.update(s, at, closing(s.State))
	switch s.State {
	case "CLOSE_WAIT", "LAST_ACK":
		why := "its socket is in " + s.State + ": the other end closed first"
		l.close(ending{evidence.Seen, theirs, evidence.FIN, at, gap, why})
	case "FIN_WAIT1", "FIN_WAIT2":
		l.close(ending{evidence.Seen, ours, evidence.FIN, at, gap, "its socket is in " + s.State + ": this end closed first"})
	case "CLOSING":
		l.close(ending{evidence.Inferred, ours, evidence.FIN, at, gap, "its socket is in CLOSING: both ends closed at the same time"})
	}
}

// begin begins to follow a connection; nil: there are too many.
func (w *Watch) begin(f Flow, accepted bool, at time.Duration) *life {
	if len(w.open) >= maxLives {
		w.Sum.Unfollowed++
		return nil
	}
	l := newLife(f, accepted, at)
	w.open[f] = l
	w.Sum.Connections++
	return l
}

// Gone takes the last word of the kernel about a socket. The next look shows whether
// TIME_WAIT is left of it.
func (w *Watch) Gone(g *Gone) {
	w.pass(g.At)
	if g.Flow.Remote.Port() == 0 { // this end gave it up, and the kernel has forgotten its peer
		known := false
		if g.Flow, known = w.cookies[g.Cookie]; !known {
			return
		}
	}
	l := w.open[g.Flow]
	if l != nil && l.cookie != 0 && g.Cookie != 0 && l.cookie != g.Cookie {
		return // an earlier one
	}
	if l == nil {
		if over := w.at[g.Flow]; over != nil && over.gone == nil && (over.cookie == 0 || over.cookie == g.Cookie) {
			over.lastWord(g)
			w.again(over)
			return
		}
		one := *g
		w.unsure(func() bool {
			accepted, ok := w.belongs(one.Flow)
			if ok && w.open[one.Flow] == nil {
				w.freed(w.begin(one.Flow, accepted, one.At), &one)
			}
			return ok
		})
		return
	}
	w.freed(l, g)
}

// freed notes that the kernel has freed the socket of a life.
func (w *Watch) freed(l *life, g *Gone) {
	if l == nil {
		return // there was no room
	}
	l.cookie, l.state = g.Cookie, ""
	l.lastWord(g)
}

// again judges the end of a life again, after its last word: a look had noticed it first.
func (w *Watch) again(l *life) {
	switch {
	case l.end.slack == 0:
	case l.end.basis == evidence.Inferred:
		l.end = w.vanished(l, 0)
	case l.end.by == ours && l.end.how == evidence.FIN && l.gone.At < l.end.at:
		l.end.at, l.end.slack = l.gone.At, 0
	}
	l.over = l.gone.At
}

// lastWord takes what the kernel says about the socket as it frees it.
func (l *life) lastWord(g *Gone) {
	g.Accepted = l.accepted
	l.gone = g
	s := g.Socket
	if n := acked(&s); g.Written > 0 && n > g.Written {
		s.Bytes[0] -= n - g.Written // the FIN
	}
	l.update(&s, g.At, true)
}

// unsure does something as soon as it can be done: what is seen of a connection counts when
// it is known that its server is the service's.
func (w *Watch) unsure(do func() bool) {
	if do() {
		return
	}
	if len(w.later) >= maxUnsure {
		w.later = slices.Delete(w.later, 0, maxUnsure/10)
	}
	w.later = append(w.later, question{w.now, do})
}

// question waits for its answer.
type question struct {
	at time.Duration
	do func() bool
}

const (
	maxUnsure  = 10_000
	unsureTime = 30 * time.Second
)

// ask asks again what could not be answered, if a server has become known.
func (w *Watch) ask() {
	n := len(w.servers) + len(w.own)
	fresh := n > w.asked
	w.asked = n
	w.later = slices.DeleteFunc(w.later, func(q question) bool {
		return w.now-q.at > unsureTime || fresh && q.do()
	})
}
