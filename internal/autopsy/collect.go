package autopsy

import (
	"net/netip"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/capture"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
)

// Bounds of the connections that are kept. Further ones are counted, and their failures kept.
const (
	maxConnections = 100_000
	maxExchanges   = 500_000 // beyond, a connection keeps its newest four
	maxFailures    = 50_000
)

// slowFrom is the response time above which responses count as slow.
const slowFrom = time.Second

// Options choose what is examined.
type Options struct {
	Files  []string
	Server netip.AddrPort // the only server that is judged; the zero value: all

	// Segment, if not nil, is called with every segment that is judged and the index of
	// its place. The segment is valid during the call.
	Segment func(place int, s *segments.Segment)
}

// seen is a connection at one place.
type seen struct {
	evidence.Connection
	place int
	twin  bool // it is another view of a connection that is in the list already
}

// collector gathers the connections of all places.
type collector struct {
	o         Options
	places    []*segments.Lives
	list      []seen
	exchanges int
	left      int // connections that were not kept
	copies    int
	strays    int
	early     int
	slow      []Slow // by place
}

// Examine reads the captures and judges them.
func Examine(o Options) (*Verdict, error) {
	c := &collector{o: o}
	sum, err := capture.Read(o.Files, c.take)
	if err != nil {
		return nil, err
	}
	for _, lives := range c.places {
		lives.End()
		c.copies += lives.Copies
		c.strays += lives.Strays
		c.early += lives.Early
	}
	return c.judge(sum), nil
}

// take passes a segment to its place.
func (c *collector) take(place int, s *segments.Segment) {
	if c.o.Server.IsValid() && s.Src != c.o.Server && s.Dst != c.o.Server {
		return
	}
	for len(c.places) <= place {
		c.places = append(c.places, c.follow(len(c.places)))
		c.slow = append(c.slow, Slow{})
	}
	c.places[place].Add(s)
	if c.o.Segment != nil {
		c.o.Segment(place, s)
	}
}

func (c *collector) follow(place int) *segments.Lives {
	lives := segments.NewLives(func(one *evidence.Connection) { c.keep(one, place) }, func(_ *evidence.Connection, e evidence.Exchange, nth int) {
		if e.Sent == evidence.NotSeen || e.First-e.Sent < slowFrom {
			return
		}
		s := &c.slow[place]
		s.Responses++
		if nth == 1 {
			s.Fresh++
		}
		s.Longest = max(s.Longest, (e.First - e.Sent).Seconds())
	})
	if c.o.Server.IsValid() {
		lives.Server(c.o.Server)
	}
	return lives
}

// keep keeps a connection that has ended.
func (c *collector) keep(one *evidence.Connection, place int) {
	if len(c.list) >= maxConnections && len(one.Unanswered) == 0 || len(c.list) >= maxConnections+maxFailures {
		c.left++
		return
	}
	if c.exchanges > maxExchanges && len(one.Exchanges) > 4 {
		one.Exchanges = one.Exchanges[len(one.Exchanges)-4:]
	}
	one.Exchanges = slices.Clone(one.Exchanges)
	c.exchanges += len(one.Exchanges)
	c.list = append(c.list, seen{Connection: *one, place: place})
}
