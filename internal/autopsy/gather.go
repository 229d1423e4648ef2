package autopsy

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
)

// Request is one request as it was seen, with or without a response. Times are since the
// first packet, NotSeen if they were not observed.
type Request struct {
	Sent       time.Duration // its last byte
	Client     netip.Addr
	Connection int32         // of its server, from 1 in the order in which they were seen
	Nth        int32         // of the requests of its connection
	Idle       time.Duration // how long the connection was idle before
	Took       time.Duration // until the first byte of the response
	Status     int16         // of the response; 0: not known
	Met        evidence.Meeting
	Failed     bool // Met is known
}

// Bounds of a Gatherer. Failures have their own.
const (
	maxRequests = 500_000
	maxKept     = 20_000 // connections
)

// Gatherer keeps the requests and connections of captures, for what a verdict does not
// need: their times. Its Take is an Options.Segment.
type Gatherer struct {
	places []*gathered
	server netip.AddrPort
}

// gathered is what one place has seen.
type gathered struct {
	lives       *segments.Lives
	requests    map[netip.AddrPort][]Request
	count       int
	left        map[netip.AddrPort]int // requests that were not kept
	numbers     map[life]known
	opened      map[netip.AddrPort]int
	connections map[netip.AddrPort][]Lifeline
	kept        int
	last        map[[2]netip.AddrPort]*newest
}

// Lifeline is a connection with its last segments, if a request on it failed.
type Lifeline struct {
	evidence.Connection
	Number int // as Request.Connection
	Last   []Packet
}

// Packet is a segment as a picture shows it.
type Packet struct {
	At         time.Duration
	Number     int64 // in its file
	Len        int
	Flags      segments.Flags
	FromClient bool
}

// newest keeps the newest segments of a connection.
type newest struct {
	list [lastSegments]Packet // FromClient means here: from the smaller end
	n    int                  // of all
}

const (
	lastSegments = 10
	maxFollowed  = 60_000 // connections whose newest segments are kept at a time
)

func (n *newest) add(s *segments.Segment, small netip.AddrPort) {
	n.list[n.n%lastSegments] = Packet{s.At, s.Number, s.Len, s.Flags, s.Src == small}
	n.n++
}

// all returns them in the order of time. small says that the client is the smaller end.
func (n *newest) all(small bool) (list []Packet) {
	for i := max(n.n-lastSegments, 0); i < n.n; i++ {
		one := n.list[i%lastSegments]
		one.FromClient = one.FromClient == small
		list = append(list, one)
	}
	return list
}

// life names a connection that is not over.
type life struct {
	ends  [2]netip.AddrPort
	since time.Duration
}

func lifeOf(c *evidence.Connection) life { return life{pairOf(c.Client, c.Server), c.Since} }

// known has the facts about a connection so far.
type known struct {
	nth  int
	done time.Duration // the newest response, or NotSeen
}

// NewGatherer returns a Gatherer. server, if valid, is the only server that is judged.
func NewGatherer(server netip.AddrPort) *Gatherer { return &Gatherer{server: server} }

// Take takes the next segment of a place.
func (g *Gatherer) Take(place int, s *segments.Segment) {
	for len(g.places) <= place {
		g.places = append(g.places, newGathered(g.server))
	}
	g.places[place].take(s)
}

func (g *gathered) take(s *segments.Segment) {
	g.lives.Add(s)
	key := pairOf(s.Src, s.Dst)
	n := g.last[key]
	if n == nil || s.Flags&(segments.FlagSYN|segments.FlagACK) == segments.FlagSYN {
		if len(g.last) >= maxFollowed {
			clear(g.last)
		}
		n = &newest{}
		g.last[key] = n
	}
	n.add(s, key[0])
}

func pairOf(a, b netip.AddrPort) [2]netip.AddrPort {
	if a.Compare(b) < 0 {
		return [2]netip.AddrPort{a, b}
	}
	return [2]netip.AddrPort{b, a}
}

func newGathered(server netip.AddrPort) *gathered {
	g := &gathered{
		requests: map[netip.AddrPort][]Request{}, left: map[netip.AddrPort]int{}, numbers: map[life]known{},
		opened: map[netip.AddrPort]int{}, connections: map[netip.AddrPort][]Lifeline{}, last: map[[2]netip.AddrPort]*newest{},
	}
	g.lives = segments.NewLives(g.over, g.answered)
	if server.IsValid() {
		g.lives.Server(server)
	}
	return g
}

// known returns the facts about a connection.
func (g *gathered) known(c *evidence.Connection) known {
	n, ok := g.numbers[lifeOf(c)]
	if !ok {
		g.opened[c.Server]++
		n = known{g.opened[c.Server], c.Ready}
	}
	return n
}

func (g *gathered) answered(c *evidence.Connection, e evidence.Exchange, nth int) {
	n := g.known(c)
	if e.Sent != evidence.NotSeen {
		r := Request{Sent: e.Sent, Client: c.Client.Addr(), Connection: int32(n.nth), Nth: int32(nth), Idle: evidence.NotSeen, Took: e.First - e.Sent, Status: int16(e.Status)}
		if n.done != evidence.NotSeen {
			r.Idle = max(e.Sent-n.done, 0)
		}
		g.keep(c.Server, r)
	}
	n.done = e.Done
	g.numbers[lifeOf(c)] = n
}

func (g *gathered) keep(server netip.AddrPort, r Request) {
	if g.count >= maxRequests && !r.Failed || g.count >= maxRequests+maxFailures {
		g.left[server]++
		return
	}
	g.count++
	g.requests[server] = append(g.requests[server], r)
}

// over takes a connection that has ended.
func (g *gathered) over(c *evidence.Connection) {
	n := g.known(c)
	delete(g.numbers, lifeOf(c))
	for _, u := range c.Unanswered {
		if u.Sent != evidence.NotSeen && u.Met != evidence.Waiting {
			g.keep(c.Server, Request{Sent: u.Sent, Client: c.Client.Addr(), Connection: int32(n.nth), Nth: int32(u.Nth), Idle: u.Idle, Took: evidence.NotSeen, Met: u.Met, Failed: true})
		}
	}
	key := pairOf(c.Client, c.Server)
	last := g.last[key]
	delete(g.last, key)
	if g.kept >= maxKept && len(c.Unanswered) == 0 || g.kept >= maxKept+maxFailures {
		return
	}
	g.kept++
	one := Lifeline{Connection: *c, Number: n.nth}
	one.Exchanges = slices.Clone(one.Exchanges)
	if last != nil && len(c.Unanswered) > 0 {
		one.Last = last.all(c.Client == key[0])
	}
	g.connections[c.Server] = append(g.connections[c.Server], one)
}

// Gathered is what was seen of one server. The Requests are in the order of time. Left
// counts those that were not kept.
type Gathered struct {
	Requests    []Request
	Connections []Lifeline
	Left        int
}

func (g *Gathered) sort() {
	slices.SortStableFunc(g.Requests, func(a, b Request) int { return cmp.Compare(a.Sent, b.Sent) })
}

// End ends the connections that are still open, and returns what was seen of a server at
// the place that saw the most of it. If captures saw nothing of it, logs may. It may be
// called once.
func (g *Gatherer) End(v *Verdict, server string) Gathered {
	best := &gathered{}
	address, _ := netip.ParseAddrPort(server)
	for _, place := range g.places {
		place.lives.End()
		if len(place.requests[address]) > len(best.requests[address]) {
			best = place
		}
	}
	out := Gathered{best.requests[address], best.connections[address], best.left[address]}
	if len(out.Requests) == 0 {
		return v.logged[server]
	}
	out.sort()
	return out
}

// add adds the requests of a connection.
func (g *Gathered) add(c *evidence.Connection) {
	n := len(g.Connections) + 1
	done := c.Ready
	for i, e := range c.Exchanges {
		if e.Sent == evidence.NotSeen {
			done = e.Done
			continue
		}
		r := Request{Sent: e.Sent, Client: c.Client.Addr(), Connection: int32(n), Nth: int32(i + 1), Idle: evidence.NotSeen, Took: evidence.NotSeen, Status: int16(e.Status)}
		if done != evidence.NotSeen {
			r.Idle = max(e.Sent-done, 0)
		}
		if e.First != evidence.NotSeen {
			r.Took = e.First - e.Sent
		}
		done = e.Done
		g.Requests = append(g.Requests, r)
	}
	for _, u := range c.Unanswered {
		if u.Sent != evidence.NotSeen && u.Met != evidence.Waiting {
			g.Requests = append(g.Requests, Request{Sent: u.Sent, Client: c.Client.Addr(), Connection: int32(n), Nth: int32(u.Nth), Idle: u.Idle, Took: evidence.NotSeen, Met: u.Met, Failed: true})
		}
	}
	g.Left += max(c.Requests-len(c.Exchanges), 0)
	g.Connections = append(g.Connections, Lifeline{Connection: *c, Number: n})
}

// gathered returns what logs say about each server.
func (c *collector) gathered() map[string]Gathered {
	if len(c.logs) == 0 {
		return nil
	}
	of := map[string]Gathered{}
	for i := range c.list {
		one := &c.list[i]
		if one.log == nil || one.Other {
			continue
		}
		g := of[one.server()]
		g.add(&one.Connection)
		of[one.server()] = g
	}
	for _, g := range of {
		g.sort()
	}
	return of
}
