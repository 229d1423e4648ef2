package evidence

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// edges are the ends of the ranges of Server.Late, from the idle timeout's median, if the
// server does not spread its closes. Otherwise they are its first and its last close.
var edges = []time.Duration{
	-100 * time.Millisecond, -30 * time.Millisecond, -10 * time.Millisecond, -3 * time.Millisecond, -time.Millisecond, 0,
	time.Millisecond, 3 * time.Millisecond, 10 * time.Millisecond, 30 * time.Millisecond, 100 * time.Millisecond,
}

// meeting is what one request on an idle connection met.
type meeting struct {
	age      time.Duration // how long the connection had been idle
	met      Kind          // Open: neither a response nor a close
	told     bool          // it is known how the request met the close, so that nothing was forgotten
	answered bool
	status   int
}

// meetings calls each with what every request on an idle connection met. The client's
// own close says nothing about the server.
func meetings(list []Connection, each func(meeting)) {
	for i := range list {
		c := &list[i]
		before := NotSeen
		for i, e := range c.turns() {
			if before != NotSeen && e.Sent >= before && !c.leftOut(i) && !c.waits(e) {
				m := meeting{age: e.Sent - before, answered: e.First != NotSeen, status: e.Status}
				if _, closed := c.end(); !m.answered && (closed || c.Close.How == Silent) {
					m.met, m.told = c.Close.How, c.toldClose()
				}
				each(m)
			}
			if !unasked(e) {
				before = e.Done
			}
		}
	}
}

func (l *Reuse) add(m meeting) {
	switch {
	case m.status == 408:
		l.Status408++
	case m.answered:
		l.Answered++
	case m.met == RST:
		l.RST++
	case m.met == FIN, m.met == Notify:
		l.FIN++
	default:
		l.Nothing++
	}
}

// toldClose reports whether the client got a FIN or a RST, or the server had got the
// request: a machine that forgets connections does neither.
func (c *Connection) toldClose() bool {
	if len(c.Unanswered) == 0 {
		return false
	}
	met := c.Unanswered[0].Met
	return met == Crossed || met == Arrived || met == Late
}

// late sorts what requests met by how long the connection had been idle. Without an
// idle timer the ranges are powers of two from a second on.
func (s *Server) late(list []Connection) {
	at := map[Reuse]*Reuse{}
	meetings(list, func(m meeting) {
		bounds := s.bounds(m.age)
		if at[bounds] == nil {
			at[bounds] = &Reuse{From: bounds.From, To: bounds.To}
		}
		at[bounds].add(m)
	})
	for _, l := range at {
		s.Late = append(s.Late, *l)
	}
	slices.SortFunc(s.Late, func(a, b Reuse) int { return cmp.Compare(a.To, b.To) })
}

// bounds returns the range of age.
func (s *Server) bounds(age time.Duration) Reuse {
	if !s.Idle.Known() {
		to := time.Second
		for to <= age {
			to *= 2
		}
		if to == time.Second {
			return Reuse{To: to}
		}
		return Reuse{From: to / 2, To: to}
	}
	edges := edges
	if t := s.Idle; t.Spread() {
		edges = []time.Duration{t.Min - t.Median, 0, t.Max - t.Median}
	}
	i, exact := slices.BinarySearch(edges, age-s.Idle.Median)
	if exact {
		i++
	}
	switch i {
	case 0:
		return Reuse{From: -s.Idle.Median, To: edges[0]}
	case len(edges):
		return Reuse{From: edges[len(edges)-1], To: farthest}
	}
	return Reuse{From: edges[i-1], To: edges[i]}
}

// farthest is the end of the last range.
const farthest = time.Duration(1<<63 - 1)

// forgets looks for a machine that forgets idle connections: no connection was closed
// while it was idle for as long, and requests after that met silence or a reset.
func (s *Server) forgets(list []Connection) {
	f := Forgets{Until: farthest}
	meetings(list, func(m meeting) {
		switch {
		case m.answered:
			f.After = max(f.After, m.age)
		case m.met == Silent || m.met == RST && !m.told && !s.Idle.Known():
			f.Count++
			f.Until = min(f.Until, m.age)
			if f.How != Silent {
				f.How = m.met
			}
		}
	})
	if f.Count > 0 {
		s.Forgets = &f
	}
}

// hints compares what responses announce with what was measured.
func (s *Server) hints(list []Connection) {
	for i := range list {
		for _, e := range list[i].Exchanges {
			if !responded(e) {
				continue
			}
			n := &s.Hints.Unasked
			if e.Asked {
				n = &s.Hints.Asked
			}
			n.Responses++
			if e.Closing {
				n.Closing++
			}
			if e.Hint == "" {
				continue
			}
			n.KeepAlive++
			timeout, requests := readHint(e.Hint)
			s.Hints.Timeout, s.Hints.Max = max(s.Hints.Timeout, timeout), max(s.Hints.Max, requests)
		}
	}
	s.judgeHint()
}

// readHint reads a Keep-Alive header: timeout in seconds, and max. What it cannot read
// is 0.
func readHint(header string) (timeout time.Duration, requests int) {
	for part := range strings.SplitSeq(header, ",") {
		name, value, _ := strings.Cut(part, "=")
		n, err := strconv.ParseUint(strings.Trim(strings.TrimSpace(value), `"`), 10, 31)
		if err != nil {
			continue
		}
		switch strings.ToLower(strings.TrimSpace(name)) {
		case "timeout":
			timeout = time.Duration(n) * time.Second
		case "max":
			requests = int(n)
		}
	}
	return timeout, requests
}

// hintSlack is how far the close may be from the hint for it to be true. A client must
// leave more than that anyway.
const hintSlack = 50 * time.Millisecond

// judgeHint compares the hint with the idle timer. A server that closes early is the
// one that harms; one that closes a little late, as Node.js with its extra second, does
// not.
func (s *Server) judgeHint() {
	h, t := &s.Hints, s.Idle
	if h.Timeout == 0 {
		return
	}
	h.Verdict = HintUnchecked
	switch {
	case !t.Known():
		if t.LongerThan > h.Timeout+max(2*time.Second, h.Timeout/4) {
			h.Verdict = HintWrong
		}
		return
	case t.Low < h.Timeout-hintSlack:
		h.Verdict = HintWrong
	case t.Median <= h.Timeout+hintSlack:
		h.Verdict = HintTrue
	case t.Median <= h.Timeout+max(2*time.Second, h.Timeout/4):
		h.Verdict = HintLate
	default:
		h.Verdict = HintWrong
	}
	h.Off = t.Median - h.Timeout
}

// backends tells the servers behind one address apart, if their responses name them.
// Their timers are known if each connection stays with one server.
func (s *Server) backends(list []kept) {
	of := map[string][]kept{}
	for _, k := range list {
		names := k.backends()
		s.Unsettled = s.Unsettled || len(names) > 1
		for _, name := range names {
			of[name] = append(of[name], k)
		}
	}
	if len(of) < 2 {
		return
	}
	for name, own := range of {
		b := Backend{Name: name, Connections: len(own)}
		if !s.Unsettled {
			closes, open := idleSpans(own)
			b.Idle = timerOf(append(closes, open...))
		}
		s.Backends = append(s.Backends, b)
	}
	slices.SortFunc(s.Backends, func(a, b Backend) int { return cmp.Compare(a.Name, b.Name) })
}

// backends returns the names of the servers that responded on the connection.
func (k kept) backends() (names []string) {
	for _, e := range k.c.Exchanges {
		if responded(e) && !slices.Contains(names, e.Backend) {
			names = append(names, e.Backend)
		}
	}
	return names
}

// fewArrived is how many closes an idle timer is inferred from that all met a request.
const fewArrived = 3

// idleOfArrived infers the idle timer if no idle connection was seen to be closed, because a
// request came each time just before the close. That the timer closed, and not the request,
// follows from when: always after the same idle time, sooner than the server ever responds, and
// never after a shorter idle time or on a fresh connection.
func (s *Server) idleOfArrived(lives []kept) {
	if s.Idle.Known() || s.Unanswered > 0 {
		return
	}
	var spans []span
	least, most, survived := farthest, time.Duration(0), time.Duration(0)
	for _, l := range lives {
		survived = max(survived, l.c.survived())
		c := &l.c.Close
		if len(l.c.Unanswered) == 0 || l.c.Unanswered[0].Met != Arrived || c.By != ByServer {
			continue
		}
		if after := c.At - l.c.Unanswered[0].Sent; after < 0 || 2*after >= s.Response.Min {
			return
		}
		age := max(c.At-l.last.Done, 0)
		least, most = min(least, age), max(most, age)
		spans = append(spans, span{age: age, closed: true, late: l.c.Slack, early: l.c.responseSlack(), close: c, with: l.c})
	}
	if len(spans) < fewArrived || survived >= least || most-least > max(20*time.Millisecond, most/50) {
		return
	}
	s.Idle = timerOf(spans)
	s.Idle.Basis = Inferred
	s.Idle.Why = "no idle connection was seen to be closed: a request came just before each close"
}

// survived is the longest time for which c was idle before a request that was answered.
func (c *Connection) survived() time.Duration {
	longest := c.LongestIdle
	for i, e := range c.Exchanges {
		if i > 0 && !c.leftOut(i) && responded(e) && c.Exchanges[i-1].Done != NotSeen {
			longest = max(longest, e.Sent-c.Exchanges[i-1].Done)
		}
	}
	return longest
}
