package autopsy

import (
	"cmp"
	"fmt"
	"hash/maphash"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/applog"
	"github.com/kabench/kabench/internal/capture"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
)

// Bounds of the connections that are kept. Further ones are counted, and their failures kept.
const (
	maxConnections = 50_000
	maxExchanges   = 300_000 // beyond, a connection keeps its newest four
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

	log       *logged        // what a log says about it; nil: it was captured
	quoted    []applog.Quote // the lines of a log about its failure
	strayedTo netip.AddrPort // a server that got segments of the connection and not its SYN
}

// collector gathers the connections of all places.
type collector struct {
	o         Options
	places    []*segments.Lives
	list      []seen
	exchanges int
	failed    int                      // requests without a response in list
	left      map[netip.AddrPort]tally // connections that were not kept, by server
	copies    int
	strays    int
	early     int
	back      int     // segments whose time is before that of earlier ones
	slow      []Slow  // by place
	asks      []*asks // by place
	again     map[way]resend
	logs      []*applog.Summary
	others    map[netip.AddrPort]int // SYNs to servers that are not judged
	live      bool                   // it was not captured, but seen while it happened
}

// Examine reads captures and logs, and judges them.
func Examine(o Options) (*Verdict, error) {
	c := &collector{o: o, others: map[netip.AddrPort]int{}, left: map[netip.AddrPort]tally{}, again: map[way]resend{}}
	captures, logs, err := kinds(o.Files)
	if err != nil {
		return nil, err
	}
	sum := &capture.Summary{}
	if len(logs) == 0 || len(captures) > 0 {
		if sum, err = capture.Read(captures, c.take); err != nil {
			return nil, err
		}
		if len(c.places) == 0 {
			return nil, c.absent()
		}
	}
	for _, lives := range c.places {
		lives.End()
		c.copies += lives.Copies
		c.strays += lives.Strays
		c.early += lives.Early
		c.back += lives.Resumed
	}
	if err := c.readLogs(logs, len(sum.Places)); err != nil {
		return nil, err
	}
	return c.judge(sum), nil
}

// absent is the error of a capture without the server that was asked for.
func (c *collector) absent() error {
	list := slices.SortedFunc(maps.Keys(c.others), func(a, b netip.AddrPort) int {
		return cmp.Or(cmp.Compare(c.others[b], c.others[a]), a.Compare(b))
	})
	var names []string
	for _, a := range list[:min(len(list), 10)] {
		names = append(names, a.String())
	}
	there := "the capture has no SYN that would name another one"
	if len(names) > 0 {
		there = "servers there are " + strings.Join(names, ", ")
	}
	return fmt.Errorf("no segment to or from %s was captured; %s", c.o.Server, there)
}

// maxOthers bounds the servers that absent can name.
const maxOthers = 1000

// take passes a segment to its place.
func (c *collector) take(place int, s *segments.Segment) {
	if c.o.Server.IsValid() && s.Src != c.o.Server && s.Dst != c.o.Server {
		if s.Flags&(segments.FlagSYN|segments.FlagACK) == segments.FlagSYN && len(c.others) < maxOthers {
			c.others[s.Dst]++
		}
		return
	}
	for len(c.places) <= place {
		c.asks = append(c.asks, &asks{seed: maphash.MakeSeed()})
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
		c.slowly(&c.slow[place], e, nth)
	})
	lives.Asked = func(one *evidence.Connection, line string, begun time.Duration) {
		c.asks[place].add(one.Client, line, begun)
	}
	if c.o.Server.IsValid() {
		lives.Server(c.o.Server)
	}
	return lives
}

// keep keeps a connection that has ended.
func (c *collector) keep(one *evidence.Connection, place int) {
	if len(c.again) < maxOthers && place < len(c.asks) {
		c.resends(one, place)
	}
	if len(c.list) >= maxConnections && len(one.Unanswered) == 0 || len(c.list) >= maxConnections+maxFailures || c.failed >= 2*maxFailures {
		c.leave(one)
		return
	}
	if c.exchanges > maxExchanges && len(one.Exchanges) > 4 {
		one.Exchanges = one.Exchanges[len(one.Exchanges)-4:]
	}
	one.Exchanges = slices.Clone(one.Exchanges)
	c.exchanges, c.failed = c.exchanges+len(one.Exchanges), c.failed+len(one.Unanswered)
	c.list = append(c.list, seen{Connection: *one, place: place})
}

// tally counts connections that are not kept.
type tally struct{ connections, requests int }

// leave counts a connection that is not kept. Servers beyond maxOthers are counted as
// one, the zero address.
func (c *collector) leave(one *evidence.Connection) {
	address := one.Server
	if _, known := c.left[address]; !known && len(c.left) >= maxOthers {
		address = netip.AddrPort{}
	}
	n := c.left[address]
	n.connections++
	n.requests += one.Requests + len(one.Unanswered)
	c.left[address] = n
}
