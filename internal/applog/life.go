package applog

import (
	"net/netip"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// maxIdleQuotes and maxFailedQuotes are how many closes and failures of a log are quoted.
const (
	maxIdleQuotes   = 20
	maxFailedQuotes = 2000
)

// maxLives is how many connections may be open at a time in a log.
const maxLives = 50_000

// lives are the connections that the log has not ended.
type lives struct {
	take      func(*Connection)
	open      map[string]*life
	slack     time.Duration
	took      map[string][]time.Duration // the newest response times of each server
	forgotten int
	idle      int         // closes of idle connections that are quoted
	failed    int         // failures that are quoted
	statuses  map[int]int // of access logs
	again     int         // requests that a proxy sent to a second server
}

// count notes the status of a request in a proxy's log, and whether it was sent again.
func (s *lives) count(status int, again bool) {
	if s.statuses == nil {
		s.statuses = map[int]int{}
	}
	if status >= 100 && status < 600 {
		s.statuses[status]++
	}
	if again {
		s.again++
	}
}

func newLives(take func(*Connection)) *lives {
	return &lives{take: take, open: map[string]*life{}, took: map[string][]time.Duration{}}
}

// life is a connection that is being followed.
type life struct {
	Connection
	key     string
	asked   *line // the request that has no response yet
	request evidence.Unanswered
	first   *line // of the response that is not complete
	tail    *line // the last line of that response so far
	answer  evidence.Exchange
	done    *line // the end of the last response
	doneAt  time.Duration
	ended   *line // the line that shows the end
	doubt   bool  // which of several connections it is follows from their order only
	known   bool  // the log shows whether this is its first request
	passive bool  // it was logged by the server
	unsure  bool  // whether the response was complete when the connection ended
	read    bool  // since the newest READ COMPLETE
	bare    *line // a READ COMPLETE without a READ
}

// get returns the connection with this key, and makes it if there is none.
func (s *lives) get(key, format string, l *line) *life {
	if one := s.open[key]; one != nil {
		return one
	}
	if len(s.open) >= maxLives {
		s.forgetOldest()
	}
	one := newLife(key, format, l)
	s.open[key] = one
	return one
}

// newLife begins a connection. Nothing is known about it yet.
func newLife(key, format string, l *line) *life {
	one := &life{key: key, known: true, doneAt: evidence.NotSeen}
	one.Format = format
	one.Opened, one.Ready, one.Half, one.Since = evidence.NotSeen, evidence.NotSeen, evidence.NotSeen, l.at
	one.Close = evidence.Close{At: evidence.NotSeen, FIN: evidence.NotSeen}
	one.Until = l.at
	return one
}

// forgetOldest ends half of the connections, those whose last line is oldest.
func (s *lives) forgetOldest() {
	all := make([]*life, 0, len(s.open))
	for _, one := range s.open {
		all = append(all, one)
	}
	slices.SortFunc(all, func(a, b *life) int { return int(a.Until - b.Until) })
	for _, one := range all[:len(all)/2] {
		s.forgotten++
		s.end(one)
	}
}

// touch notes that a line was about the connection.
func (c *life) touch(l *line) {
	if l.at != evidence.NotSeen {
		c.Until, c.Timed = max(c.Until, l.at), true
	}
}

// ask notes a request. A request before it that had no response yet stays without one.
func (c *life) ask(l *line, text string) {
	c.touch(l)
	if c.first != nil {
		c.complete(c.tail)
	}
	if c.asked != nil {
		c.request.Sent = l.at
		if c.request.Line == "" {
			c.request.Line = text
		}
		return
	}
	c.asked = l
	c.request = evidence.Unanswered{
		Line: text, Number: l.number, Nth: c.Requests + 1, Begun: l.at, Sent: l.at, Whole: true,
		First: evidence.NotSeen, Idle: evidence.NotSeen, Reused: c.Requests > 0,
	}
	if !c.known {
		c.request.Nth = 0
	}
	if c.doneAt != evidence.NotSeen && l.at >= c.doneAt && !c.doubt {
		c.request.Idle = l.at - c.doneAt
	}
}

// wrote notes that more of the request was written.
func (c *life) wrote(l *line) {
	c.touch(l)
	if c.asked != nil && c.first == nil && l.at != evidence.NotSeen {
		c.request.Sent = l.at
	}
}

// respond notes the beginning of a response.
func (c *life) respond(l *line, status int) {
	c.touch(l)
	if c.asked != nil {
		c.tail = l
	}
	if c.asked == nil || c.first != nil {
		return
	}
	c.first = l
	c.answer = evidence.Exchange{Sent: c.request.Sent, First: l.at, Done: l.at, Status: status}
	c.request.First = max(l.at, 0)
}

// complete notes the end of the response.
func (c *life) complete(l *line) {
	c.touch(l)
	if c.asked == nil {
		return
	}
	if c.first == nil {
		c.respond(l, 0)
	}
	c.answer.Done = max(l.at, c.answer.First)
	if c.request.Idle > c.LongestIdle {
		c.LongestIdle = c.request.Idle
	}
	c.Requests++
	if e := c.answer; e.Sent != evidence.NotSeen && e.First >= e.Sent && e.Done >= e.First { // a line may lack its time, and a clock go back
		if len(c.Exchanges) <= evidence.KeptFirst {
			c.Exchanges = append(c.Exchanges, c.answer)
		} else {
			c.Exchanges[evidence.KeptFirst] = c.answer
		}
	}
	c.done, c.doneAt = l, c.answer.Done
	c.asked, c.first = nil, nil
}

// closed notes the end of the connection.
func (c *life) closed(l *line, by evidence.Side, how evidence.Kind, basis evidence.Basis, why string) {
	c.touch(l)
	if c.ended != nil {
		return
	}
	c.ended = l
	c.Close = evidence.Close{Basis: basis, By: by, How: how, At: l.at, FIN: evidence.NotSeen, Why: why}
}

// endAll ends all connections at the end of the log.
func (s *lives) endAll(at time.Duration) {
	keys := make([]string, 0, len(s.open))
	for key := range s.open {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		one := s.open[key]
		if one.Timed && one.ended == nil && one.Format == ReactorNetty { // others may not notice a close, or not log it
			one.Until = max(one.Until, at)
		}
		s.end(one)
	}
}

// end passes a connection on.
func (s *lives) end(c *life) {
	delete(s.open, c.key)
	if c.unsure && c.first != nil {
		c.complete(c.tail)
	}
	switch {
	case c.asked != nil && c.ended != nil:
		s.unanswered(c)
	case s.idle < maxIdleQuotes && c.ended != nil && c.done != nil:
		s.idle++
		c.idleQuotes()
	}
	c.Since, c.Until = max(c.Since, 0), max(c.Until, 0)
	c.Slack = max(s.slack, time.Millisecond) // threads write late
	s.note(c)
	s.take(&c.Connection)
}

// server names the server.
func (c *life) server() string {
	if c.Host != "" {
		return c.Host
	}
	return c.Server.String()
}

// maxTook is how many response times of a server are kept.
const maxTook = 64

// note keeps the response times of a connection.
func (s *lives) note(c *life) {
	name := c.server()
	if _, known := s.took[name]; !known && len(s.took) >= maxServers {
		return
	}
	list := s.took[name]
	for _, e := range c.Exchanges {
		if len(list) >= maxTook {
			list = list[1:]
		}
		list = append(list, e.First-e.Sent)
	}
	if len(list) > 0 {
		s.took[name] = slices.Clone(list)
	}
}

// usual returns the response time of a server that a tenth of its responses do not
// reach, and the one in the middle. A single time may be wrong: a program that adds the
// times to lines may add the same to many.
func (s *lives) usual(c *life) (low, middle time.Duration, ok bool) {
	list := slices.Clone(s.took[c.server()])
	for _, e := range c.Exchanges {
		list = append(list, e.First-e.Sent)
	}
	if len(list) == 0 {
		return 0, 0, false
	}
	slices.Sort(list)
	return list[len(list)/10], list[len(list)/2], true
}

// idleQuotes quotes the lines between which the connection was idle until its end.
func (c *life) idleQuotes() {
	c.Quotes = []Quote{quote(c.done, "the connection became idle"), quote(c.ended, "it was closed: "+c.Close.Why)}
}

// address reads host/ip:port, /ip:port, ip:port, [v6]:port.
func address(text string) netip.AddrPort {
	for i := len(text) - 1; i >= 0; i-- {
		if text[i] == '/' {
			text = text[i+1:]
			break
		}
	}
	if a, err := netip.ParseAddrPort(text); err == nil {
		return netip.AddrPortFrom(a.Addr().Unmap().WithZone(""), a.Port())
	}
	// Java writes IPv6 without brackets: 0:0:0:0:0:0:0:1:8080.
	for i := len(text) - 1; i > 0; i-- {
		if text[i] == ':' {
			if a, err := netip.ParseAddrPort("[" + text[:i] + "]" + text[i:]); err == nil {
				return a
			}
			break
		}
	}
	return netip.AddrPort{}
}
