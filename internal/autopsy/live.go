package autopsy

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/kabench/kabench/internal/capture"
	"github.com/kabench/kabench/internal/evidence"
)

// Live is what was seen of connections while it happened: by looks at their sockets, by
// events of the kernel, and by the headers of their packets.
type Live struct {
	Begin       time.Time
	Length      time.Duration
	Connections []evidence.Connection
	Left        map[netip.AddrPort][2]int // further connections and their requests, which were only counted, by server
	Segments    int                       // whose headers were read
	Notes       []string
	Cannot      []string // what the ways of looking that were left out would have shown
}

// Judge judges what was seen live as Examine judges captures.
func Judge(l Live) *Verdict {
	c := &collector{live: true, left: map[netip.AddrPort]tally{}, slow: []Slow{{}}}
	for i := range l.Connections {
		one := &l.Connections[i]
		for nth, e := range one.Exchanges {
			c.slowly(&c.slow[0], e, nth+1)
		}
		c.keep(one, 0)
	}
	for address, n := range l.Left {
		t := c.left[address]
		c.left[address] = tally{t.connections + n[0], t.requests + n[1]}
	}
	sum := &capture.Summary{Begin: l.Begin, End: l.Begin.Add(l.Length), Segments: l.Segments, Notes: l.Notes, Places: []capture.Place{{Segments: l.Segments}}}
	v := c.judge(sum)
	v.Places = []Place{}
	v.Cannot = append(v.Cannot, l.Cannot...)
	return v
}

// Gathered returns the requests to one server and its connections, as many as a Gatherer
// keeps.
func (l *Live) Gathered(server string) (g Gathered) {
	for i := range l.Connections {
		c := &l.Connections[i]
		if c.Server.String() == server && (len(g.Connections) < maxKept || len(c.Unanswered) > 0) {
			g.add(c)
		}
	}
	g.sort()
	return g
}

// slowly counts a response that took long.
func (c *collector) slowly(s *Slow, e evidence.Exchange, nth int) {
	if e.Sent == evidence.NotSeen || e.First-e.Sent < slowFrom {
		return
	}
	s.Responses++
	if nth == 1 {
		s.Fresh++
	}
	s.Longest = max(s.Longest, (e.First - e.Sent).Seconds())
}

// cannotLive lists what no live view can say about these connections.
func (c *collector) cannotLive(list []Failure) (says []string) {
	met := metBy(list)
	if met[evidence.Crossed] || met[evidence.Late] {
		says = append(says, "When the server's close left: it was seen at the client. Watch the server at the same time, or capture there.")
	}
	says = append(says, met.unseen()...)
	if len(c.list) > 0 {
		says = append(says, "What the requests were, and which status the responses had: no payload is read. Where one response ends and the next request begins follows from the directions of the data.")
	}
	left := 0
	for _, n := range c.left {
		left += n.connections
	}
	if left > 0 {
		says = append(says, fmt.Sprintf("Timers from more than %s connections: %s earlier ones were only counted.", number(len(c.list)), number(left)))
	}
	return says
}
