package conform

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Difference is something in which a client and its preset differ.
type Difference struct {
	What   string `json:"what"` // such as "request 2", or "connections opened"
	Client string `json:"client"`
	Preset string `json:"preset"`
}

// Compare returns where two plays of a story differ. Both plays must be undisturbed. The
// period of a sweep is added to the tolerance for the times at which connections are
// closed, because a sweep has no fixed place in the story.
func Compare(story Story, client, preset Seen, sweep time.Duration) []Difference {
	c := comparison{}
	if story.Looks.Totals {
		c.totals(client, preset)
	} else {
		c.requests(story, client, preset)
	}
	if story.Looks.Closes > 0 {
		c.closes(client, preset, story.Looks.Closes+sweep)
	}
	if story.Looks.Ends > 0 {
		c.ends(client, preset, story.Looks.Ends)
	}
	return c.found
}

type comparison struct{ found []Difference }

// texts notes a difference if the texts differ.
func (c *comparison) texts(what, client, preset string) {
	if client != preset {
		c.found = append(c.found, Difference{what, client, preset})
	}
}

func (c *comparison) requests(story Story, client, preset Seen) {
	for i := range max(len(client.Requests), len(preset.Requests)) {
		c.texts(fmt.Sprintf("request %d", i+1), client.Text(i, story.Looks.Which), preset.Text(i, story.Looks.Which))
	}
}

// Text describes request number i, from 0: its outcome, and for each arrival whether the
// connection was fresh or reused; with which, the connection's number.
func (s Seen) Text(i int, which bool) string {
	if i >= len(s.Requests) {
		return "not sent"
	}
	r := s.Requests[i]
	var ways []string
	for _, a := range r.Arrivals {
		ways = append(ways, a.text(which))
	}
	text := "failed"
	if r.OK {
		text = itoa(r.Status)
	}
	text = r.Method + " " + text
	if len(ways) == 0 {
		return text + ", never arrived"
	}
	return text + ", " + strings.Join(ways, " + ")
}

func (a Arrival) text(which bool) string {
	text := "fresh"
	if a.Use > 1 {
		text = "reused"
	}
	if which {
		text = fmt.Sprintf("connection %d", a.Conn)
	}
	if !a.Whole {
		text += " in part"
	}
	return text
}

// Totals are figures of a whole play.
type Totals struct {
	Opened   int `json:"opened"`   // connections
	AtOnce   int `json:"at_once"`  // the most connections at a time
	Requests int `json:"requests"` // the most requests at the server at a time
	Arrivals int `json:"arrivals"`
	OK       int `json:"ok"`
	Failed   int `json:"failed"`  // after they had arrived
	Refused  int `json:"refused"` // failed without an arrival
}

// Totals counts what the play showed.
func (s Seen) Totals() Totals {
	t := Totals{Opened: len(s.Conns)}
	var conns, requests []span
	for _, c := range s.Conns {
		conns = append(conns, span{c.Opened, c.left()})
	}
	for _, r := range s.Requests {
		switch {
		case r.OK:
			t.OK++
		case len(r.Arrivals) > 0:
			t.Failed++
		default:
			t.Refused++
		}
		t.Arrivals += len(r.Arrivals)
		for _, a := range r.Arrivals {
			requests = append(requests, span{a.At, a.Responded})
		}
	}
	t.AtOnce, t.Requests = peak(conns), peak(requests)
	return t
}

// overlap is how much later the server may see the end of a connection than the beginning
// of the one that the client opened in its place. The two come to it in any order.
const overlap = 100 * time.Millisecond

// left is when the client may have closed the connection; 0: it did not.
func (c Conn) left() time.Duration {
	if c.Closed == 0 || c.By != ByClient {
		return c.Closed
	}
	return max(c.Closed-overlap, c.Opened+1)
}

// span is a time from one offset to another; 0: it has no end.
type span struct{ from, to time.Duration }

// peak is the most spans at a time.
func peak(spans []span) int {
	type edge struct {
		at time.Duration
		by int
	}
	var edges []edge
	for _, s := range spans {
		edges = append(edges, edge{s.from, 1})
		if s.to > 0 {
			edges = append(edges, edge{s.to, -1})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int {
		if a.at != b.at {
			return int(a.at - b.at)
		}
		return a.by - b.by
	})
	most, now := 0, 0
	for _, e := range edges {
		now += e.by
		most = max(most, now)
	}
	return most
}

func (c *comparison) totals(client, preset Seen) {
	a, b := client.Totals(), preset.Totals()
	for _, one := range []struct {
		what           string
		client, preset int
	}{
		{"connections opened", a.Opened, b.Opened},
		{"connections at once", a.AtOnce, b.AtOnce},
		{"requests at once", a.Requests, b.Requests},
		{"arrivals", a.Arrivals, b.Arrivals},
		{"responses", a.OK, b.OK},
		{"failures after an arrival", a.Failed, b.Failed},
		{"failures without an arrival", a.Refused, b.Refused},
	} {
		c.texts(one.what, itoa(one.client), itoa(one.preset))
	}
}

// closes compares when each connection was closed by the client, since its last response.
func (c *comparison) closes(client, preset Seen, tolerance time.Duration) {
	for i := range max(len(client.Conns), len(preset.Conns)) {
		a, b := closedAfter(client, i), closedAfter(preset, i)
		if a < 0 && b < 0 || a >= 0 && b >= 0 && (a-b).Abs() <= tolerance {
			continue
		}
		c.found = append(c.found, Difference{fmt.Sprintf("connection %d", i+1), closedText(a), closedText(b)})
	}
}

// closedAfter is how long after the last response on connection number i the client closed
// it; -1: it did not.
func closedAfter(s Seen, i int) time.Duration {
	if i >= len(s.Conns) || s.Conns[i].By != ByClient {
		return -1
	}
	return s.Conns[i].Closed - max(s.Conns[i].Last, s.Conns[i].Opened)
}

func closedText(after time.Duration) string {
	if after < 0 {
		return "not closed by the client"
	}
	return "closed by the client after " + seconds(after)
}

// ends compares how long the requests took that failed: the first and the last to end.
func (c *comparison) ends(client, preset Seen, tolerance time.Duration) {
	a, b := failed(client), failed(preset)
	if len(a) == 0 || len(b) == 0 {
		return // who failed is compared already
	}
	for _, one := range []struct {
		what           string
		client, preset time.Duration
	}{
		{"the first failure", slices.Min(a), slices.Min(b)},
		{"the last failure", slices.Max(a), slices.Max(b)},
	} {
		if (one.client - one.preset).Abs() > tolerance {
			c.texts(one.what, "after "+seconds(one.client), "after "+seconds(one.preset))
		}
	}
}

func failed(s Seen) (took []time.Duration) {
	for _, r := range s.Requests {
		if !r.OK {
			took = append(took, r.Took)
		}
	}
	return took
}
