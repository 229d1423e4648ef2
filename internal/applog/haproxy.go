package applog

import (
	"regexp"
	"strconv"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// haproxy reads HAProxy's HTTP log (option httplog).
type haproxy struct {
	lives *lives
	made  int
}

func (h *haproxy) name() string { return HAProxy }

var haproxyLine = regexp.MustCompile(`(\S{3,64}:\d{1,5}) \[\d\d/[A-Z][a-z]{2}/\d{4}:[\d:.]{8,15}\] (\S+) (\S+)/(\S+) ` +
	`(-?\d{1,12})/(-?\d{1,12})/(-?\d{1,12})/(-?\d{1,12})/\+?(-?\d{1,12}) (-?\d{1,3}) \+?(-?\d{1,20}) \S+ \S+ ([A-Za-z-]{4}) ` +
	`\d{1,10}/\d{1,10}/\d{1,10}/\d{1,10}/(\+?\d{1,10}) \d{1,10}/\d{1,10} (?:\{.*\} )*"([^"]*)`)

func (h *haproxy) line(l *line) bool {
	if !dayIn(l.text) {
		return false
	}
	m := haproxyLine.FindStringSubmatch(l.text)
	if m == nil {
		return false
	}
	ms := func(i int) time.Duration {
		n, _ := strconv.ParseInt(m[i], 10, 64)
		return time.Duration(n) * time.Millisecond
	}
	h.made++
	c := h.lives.get("haproxy "+strconv.Itoa(h.made), HAProxy, l)
	c.known, c.Alone, c.Host = false, true, m[3]+"/"+m[4]
	status, _ := strconv.Atoi(m[10])
	request, _, _ := cutLast(m[14], " HTTP/")
	h.judge(c, l, m[12], request, status, [5]time.Duration{ms(5), ms(6), ms(7), ms(8), ms(9)})
	if status > 0 {
		h.lives.count(status, m[13] != "0")
	}
	h.lives.end(c)
	return true
}

// cutLast cuts around the last separator.
func cutLast(s, separator string) (before, after string, ok bool) {
	for i := len(s) - len(separator); i >= 0; i-- {
		if s[i:i+len(separator)] == separator {
			return s[:i], s[i+len(separator):], true
		}
	}
	return s, "", false
}

// judge reads the state at the end of the session: who ended it, and in which phase. The
// times are those of the request's head, the queue, the connect, the response's head,
// and all together, since the time of the line.
func (h *haproxy) judge(c *life, l *line, state, request string, status int, t [5]time.Duration) {
	after := func(d time.Duration) *line {
		moved := *l
		if l.at != evidence.NotSeen {
			moved.at = l.at + d
		}
		return &moved
	}
	sent := after(max(t[0], 0) + max(t[1], 0) + max(t[2], 0))
	end := after(max(t[4], 0))
	who, phase := state[0], state[1]
	if phase == 'C' && (who == 'S' || who == 's') {
		c.SYNs = 1
		if who == 'S' {
			c.Close = evidence.Close{Basis: evidence.Inferred, By: evidence.ByServer, How: evidence.RST, At: end.at, FIN: evidence.NotSeen, Why: "the connect failed (state " + state + ")"}
		}
		return
	}
	if request == "" || phase == 'R' || t[2] < 0 && who != '-' {
		return // no request was passed on
	}
	c.ask(sent, request)
	if t[3] >= 0 {
		c.respond(after(max(t[0], 0)+max(t[1], 0)+max(t[2], 0)+t[3]), status)
	}
	switch who {
	case 'S':
		c.Vague = true
		c.closed(end, evidence.ByServer, evidence.FIN, evidence.Inferred, "the server ended the connection (state "+state+"); a FIN and a RST look alike here")
	case 's':
		c.closed(end, evidence.ByClient, evidence.FIN, evidence.Seen, "HAProxy's timeout for the server ran out (state "+state+")")
	case 'C', 'c':
		c.closed(end, evidence.ByClient, evidence.FIN, evidence.Seen, "HAProxy closed it because its own client had left (state "+state+")")
	default:
		c.complete(end)
	}
}
