package autopsy

import (
	"bytes"
	"cmp"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/applog"
	"github.com/kabench/kabench/internal/capture"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/unpack"
)

// logged is what a log says about a connection besides its life.
type logged struct {
	format string
	host   string // the server by its name, where the log has no address
	quotes []applog.Quote
	timed  bool
	alone  bool
	lazy   bool
	early  bool // the end was no reaction to the request
	vague  bool // a FIN and a RST look alike
}

// kinds distinguishes captures and logs by their first bytes.
func kinds(files []string) (captures, logs []string, err error) {
	for i, name := range files {
		if slices.Contains(files[:i], name) {
			return nil, nil, fmt.Errorf("%s is named twice", unpack.Label(name))
		}
		head, err := unpack.Head(name)
		switch {
		case err != nil:
			return nil, nil, err
		case capture.Is(head), len(head) > 0 && !text(head), len(head) == 0 && looksCaptured(name):
			captures = append(captures, name)
		default:
			logs = append(logs, name)
		}
	}
	return captures, logs, nil
}

// text reports whether the beginning of a file is that of a text.
func text(head []byte) bool {
	odd := 0
	for _, b := range head {
		if b < ' ' && b != '\n' && b != '\r' && b != '\t' && b != 0x1b {
			odd++
		}
	}
	return odd*20 <= len(head) && bytes.IndexByte(head, 0) < 0
}

// looksCaptured reports whether an empty file is named as a capture, or has no name.
func looksCaptured(name string) bool {
	return name == unpack.Stdin || strings.Contains(filepath.Base(name), ".pcap") || filepath.Ext(name) == ".cap"
}

// readLogs reads the logs. Their places come after those of the captures.
func (c *collector) readLogs(files []string, places int) error {
	for i, name := range files {
		file := ""
		if len(files) > 1 || places > 0 {
			file = name
		}
		sum, err := applog.Read(name, func(one *applog.Connection) {
			if c.o.Server.IsValid() && one.Server != c.o.Server {
				return
			}
			c.keepLogged(one, places+i, file)
		})
		if err != nil {
			return err
		}
		c.logs = append(c.logs, sum)
	}
	if c.o.Server.IsValid() && places == 0 && len(c.list) == 0 {
		return fmt.Errorf("no line of %s is about %s", strings.Join(files, ", "), c.o.Server)
	}
	return nil
}

func (c *collector) keepLogged(one *applog.Connection, place int, file string) {
	if !one.Server.IsValid() && one.Host == "" {
		if one.Requests == 0 && len(one.Unanswered) == 0 {
			return // it was not connected yet
		}
		one.Host = "a server that the log does not name"
	}
	before := len(c.list)
	c.keep(&one.Connection, place)
	if len(c.list) == before {
		return
	}
	for i := range one.Quotes {
		one.Quotes[i].File = file
	}
	c.list[before].log = &logged{one.Format, one.Host, one.Quotes, one.Timed, one.Alone, one.Lazy, one.Early, one.Vague}
	c.list[before].Unanswered = slices.Clone(one.Unanswered)
}

// server names the server of a connection.
func (s *seen) server() string {
	if s.log != nil && s.log.host != "" {
		return s.log.host
	}
	return s.Server.String()
}

// client names the client of a connection; "" if a log does not say.
func (s *seen) client() string {
	switch {
	case !s.Client.IsValid():
		return ""
	case s.Client.Port() == 0:
		return s.Client.Addr().String()
	case s.Client.Addr().IsUnspecified():
		return fmt.Sprintf("port %d", s.Client.Port())
	}
	return s.Client.String()
}

// pooled reports whether the connections of a client can be told apart, so that they
// show something about its pool.
func (s *seen) pooled() bool {
	return s.log == nil || s.Client.IsValid() && s.Server.IsValid() && s.log.timed && !s.log.alone && !s.Guessed
}

// facts returns what of a connection says something about the server's timers. The end
// that a log shows to a request without a response may be older than it looks.
func (s *seen) facts() evidence.Connection {
	one := s.Connection
	if s.log == nil {
		return one
	}
	one.RoundTrip = 0 // a log shows when the program noticed, which may be much later
	n := len(one.Exchanges)
	if n == 0 && one.Requests == 0 && s.log.timed {
		return one
	}
	if len(one.Unanswered) > 0 || s.log.lazy && one.Close.By == evidence.ByServer || !s.log.timed || s.log.alone || s.Guessed {
		one.Unanswered = nil
		one.Close = evidence.Close{At: evidence.NotSeen, FIN: evidence.NotSeen}
		one.Until = max(one.Since, 0)
		if n > 0 {
			one.Until = one.Exchanges[n-1].Done
		}
	}
	return one
}

// joinLogs puts the times of logs on the clock of the captures, or of the first log, and
// marks what the captures show as well.
func (c *collector) joinLogs(v *Verdict, sum *capture.Summary) {
	if len(c.logs) == 0 {
		return
	}
	v.Logs = c.logs
	captured := len(sum.Places) > 0
	if !captured {
		for _, log := range c.logs {
			if log.Timed && (v.Begin.IsZero() || log.Begin.Before(v.Begin)) {
				v.Begin = log.Begin
			}
		}
	}
	for i, log := range c.logs {
		v.Notes = append(v.Notes, log.Notes...)
		place := len(sum.Places) + i
		shift := time.Duration(0)
		if log.Timed && log.Dated {
			shift = log.Begin.Sub(v.Begin)
		}
		if captured {
			if ahead, n := c.logClock(place, shift); n > 0 {
				seconds := ahead.Seconds()
				log.Clock, log.ClockFrom = &seconds, n
				shift -= ahead
			}
		}
		for j := range c.list {
			if c.list[j].place == place {
				c.list[j].move(shift)
			}
		}
		v.Length = max(v.Length, (log.End.Sub(log.Begin) + shift).Seconds())
		if captured {
			c.matchLog(v, place, log)
		}
	}
	c.quoteCloses(v)
}

// move adds d to all times of a connection of a log.
func (s *seen) move(d time.Duration) {
	if !s.log.timed {
		return
	}
	moved := func(list ...*time.Duration) {
		for _, t := range list {
			if *t != evidence.NotSeen {
				*t += d
			}
		}
	}
	moved(&s.Opened, &s.Ready, &s.Half, &s.Close.At, &s.Close.FIN, &s.Until, &s.Since)
	for i := range s.Exchanges {
		e := &s.Exchanges[i]
		moved(&e.Sent, &e.First, &e.Done)
	}
	for i := range s.Unanswered {
		u := &s.Unanswered[i]
		moved(&u.Begun, &u.Sent, &u.First)
	}
}

// firstSent is the time of the first request of a connection, or evidence.NotSeen.
func (s *seen) firstSent() time.Duration {
	switch {
	case len(s.Exchanges) > 0:
		return s.Exchanges[0].Sent
	case len(s.Unanswered) > 0:
		return s.Unanswered[0].Sent
	}
	return evidence.NotSeen
}

// same reports whether a connection of a log is the captured one, by its ports.
func (s *seen) same(captured *seen) bool {
	return s.Client.IsValid() && s.Client.Port() != 0 && s.Client.Port() == captured.Client.Port() && s.Server.Port() == captured.Server.Port() &&
		(s.Client.Addr() == captured.Client.Addr() || s.Server.Addr() == captured.Server.Addr())
}

// logClock says how far the clock of a log is ahead of the captures', from the first
// requests of connections that both show.
func (c *collector) logClock(place int, shift time.Duration) (ahead time.Duration, n int) {
	ports := c.capturedPorts()
	var found []time.Duration
	for i := range c.list {
		one := &c.list[i]
		if one.place != place || one.firstSent() == evidence.NotSeen {
			continue
		}
		best, ok := time.Duration(0), false
		for _, j := range ports[one.Client.Port()] {
			other := &c.list[j]
			if at := other.firstSent(); one.same(other) && at != evidence.NotSeen {
				if d := one.firstSent() + shift - at; !ok || d.Abs() < best.Abs() {
					best, ok = d, true
				}
			}
		}
		if ok {
			found = append(found, best)
		}
	}
	if len(found) == 0 {
		return 0, 0
	}
	slices.Sort(found)
	return found[len(found)/2], len(found)
}

// capturedPorts lists the captured connections by the port of the client.
func (c *collector) capturedPorts() map[uint16][]int {
	ports := map[uint16][]int{}
	for i := range c.list {
		if one := &c.list[i]; one.log == nil && !one.twin {
			ports[one.Client.Port()] = append(ports[one.Client.Port()], i)
		}
	}
	return ports
}

// withLogs adds the failures that only logs show.
func (c *collector) withLogs(list []Failure) []Failure {
	if len(c.logs) == 0 {
		return list
	}
	for i := range c.list {
		one := &c.list[i]
		if one.log == nil || one.twin {
			continue
		}
		for _, u := range one.Unanswered {
			u.Line = redacted(u.Line)
			list = append(list, Failure{
				Unanswered: u, Client: one.client(), Server: one.server(), TLS: one.TLS, Close: one.Close, Lines: one.log.quotes, logged: true, early: one.log.early, place: one.place, leg: i,
			})
		}
	}
	for i := range list {
		if list[i].Lines == nil && c.list[list[i].leg].quoted != nil {
			list[i].Lines = c.list[list[i].leg].quoted
		}
	}
	slices.SortStableFunc(list, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(a.when(), b.when()), cmp.Compare(a.Number, b.Number))
	})
	return list
}

// maxCloses is how many closes of idle connections are quoted.
const maxCloses = 3

// quoteCloses quotes the lines of the first closes of idle connections.
func (c *collector) quoteCloses(v *Verdict) {
	n := 0
	for i := range c.list {
		if one := &c.list[i]; one.log != nil && one.Close.By == evidence.ByServer && len(one.Unanswered) == 0 && len(one.log.quotes) > 0 && n < maxCloses {
			v.Closes = append(v.Closes, one.log.quotes...)
			n++
		}
	}
}
