package applog

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/kabench/kabench/internal/evidence"
)

// apache reads the connection, header and wire logs of Apache HttpClient 4 and 5.
type apache struct {
	lives   *lives
	opening string // the address of the newest connect
	since   *line
	local   string // its local address
	framed  map[string]bool
	over    map[string]string // connections by exchange
	reactor bool              // the asynchronous client logs what it reads
}

func (a *apache) name() string { return HttpClient }

// outgoing matches the name of a connection and what is said about it: HttpClient 5's
// asynchronous client names them c-0000000001.
var outgoing = regexp.MustCompile(`^(http-outgoing-\d{1,10}|c-\d{10})(?:\[[A-Z]+\]\[[a-z:]*\])?:? (.*)`)

// named returns the text from the name of a connection on; "" if there is none.
func named(text string) string {
	for _, name := range []string{"http-outgoing-", "c-0"} {
		if i := strings.Index(text, name); i >= 0 {
			return text[i:]
		}
	}
	return ""
}

// byID matches the pool's name of a connection in HttpClient 4.
var byID = regexp.MustCompile(`Connection \[id: (\d{1,10})\].* can be kept alive`)

// pair matches the addresses of a new connection.
var pair = regexp.MustCompile(`([0-9a-fA-F.:\[\]/]{3,64}:\d{1,5})<->(\S{3,80}:\d{1,5})`)

// operator matches HttpClient 5's "connected null->/127.0.0.1:8080 as http-outgoing-1".
var operator = regexp.MustCompile(`connected (\S+?)->(\S+) as (http-outgoing-\d{1,10}|c-\d{10})`)

// over matches the connection of an exchange of HttpClient 5, and failed its error.
var (
	over   = regexp.MustCompile(`executing exchange (ex-\d{1,12}) over (http-outgoing-\d{1,10}|c-\d{10})`)
	failed = regexp.MustCompile(`(ex-\d{1,12}): execution failed: (.*)`)
)

func (a *apache) line(l *line) bool {
	if a.connecting(l) || a.exchange(l) {
		return true
	}
	if m := find(byID, l.text, "Connection [id: "); m != nil {
		if c := a.lives.open["http-outgoing-"+m[1]]; c != nil && c.first != nil {
			c.complete(c.tail)
		}
		return true
	}
	m := outgoing.FindStringSubmatch(named(l.text))
	if m == nil {
		return false
	}
	c := a.lives.open[m[1]]
	if c == nil {
		if !strings.HasPrefix(m[2], ">>") {
			return false // what is left to say about a connection that has ended
		}
		c = a.lives.get(m[1], HttpClient, l)
		c.ID, c.Lazy = m[1], strings.HasPrefix(m[1], "http")
		a.opened(c, l)
	}
	return a.event(c, l, m[2])
}

// exchange reads the lines that name an exchange of HttpClient 5.
func (a *apache) exchange(l *line) bool {
	if m := find(over, l.text, "executing exchange ex-"); m != nil {
		if a.over == nil || len(a.over) > maxLives {
			a.over = map[string]string{}
		}
		a.over[m[1]] = m[2]
		return true
	}
	m := find(failed, l.text, "execution failed: ")
	if m == nil {
		return false
	}
	if c := a.lives.open[a.over[m[1]]]; c != nil && c.asked != nil {
		by, how, basis, why := causeOf(m[2])
		c.closed(l, by, how, basis, why)
	}
	return true
}

// connecting reads the lines about a connect, which come before the connection has a
// name.
func (a *apache) connecting(l *line) bool {
	if m := find(operator, l.text, " as "); m != nil {
		c := a.lives.open[m[3]]
		if c == nil {
			c = a.lives.get(m[3], HttpClient, l)
			c.ID, c.Lazy = m[3], strings.HasPrefix(m[3], "http")
		}
		a.opening, a.local = m[2], m[1]
		a.opened(c, l)
		return true
	}
	if m := find(pair, l.text, "<->"); m != nil {
		a.local, a.opening = m[1], m[2]
		return true
	}
	if !strings.Contains(l.text, "onnecting ") {
		return false
	}
	for _, words := range []string{"Connecting to ", "connecting null->", "connecting endpoint to "} {
		if _, to, ok := strings.Cut(l.text, words); ok && strings.Contains(l.text, "Connection") {
			to, _, _ = strings.Cut(to, " ")
			if server := address(to); server.IsValid() {
				a.opening, a.since, a.local = server.String(), l, ""
			}
			return true
		}
	}
	return false
}

// opened gives a new connection the addresses of the newest connect.
func (a *apache) opened(c *life, l *line) {
	if a.opening == "" {
		return
	}
	c.Server, c.Client = address(a.opening), address(a.local)
	if a.since != nil {
		c.Opened, c.Ready = a.since.at, l.at
	}
	a.since, a.opening, a.local = nil, "", ""
}

// event takes what is said about a connection.
func (a *apache) event(c *life, l *line, event string) bool {
	c.touch(l)
	switch dir, rest, _ := strings.Cut(event, " "); {
	case dir == ">>":
		a.out(c, l, rest)
	case dir == "<<":
		a.in(c, l, rest)
	case strings.HasSuffix(event, "bytes read"):
		a.reactor = true
		if event == "-1 bytes read" {
			a.eof(c, l)
		}
	case strings.Contains(event, "can be kept alive"):
		if c.first != nil {
			c.complete(c.tail)
		}
	case strings.HasPrefix(strings.ToLower(event), "close "), strings.HasPrefix(event, "Shutdown connection"), strings.HasPrefix(event, "shutdown connection"):
		a.closing(c, l)
	case strings.Contains(event, "is stale"):
		c.closed(l, evidence.ByServer, evidence.FIN, evidence.Inferred, "the client found it closed")
	default:
		return strings.HasPrefix(event, "set socket timeout") || strings.HasPrefix(event, "Connection") || strings.HasPrefix(event, "connection")
	}
	return true
}

// wire returns the text of a line of the wire log, which is quoted.
func wire(text string) string {
	return strings.TrimSuffix(strings.Trim(text, `"`), `[\r][\n]`)
}

func (a *apache) out(c *life, l *line, rest string) {
	text := wire(rest)
	words := strings.Fields(text)
	if len(words) == 3 && strings.HasPrefix(words[2], "HTTP/1") {
		if c.asked == nil || c.first != nil {
			a.sent(c)
		}
		c.ask(l, words[0]+" "+words[1])
		return
	}
	if name, value, ok := strings.Cut(text, ":"); ok && strings.EqualFold(name, "Host") && !c.Server.IsValid() && c.Host == "" {
		c.Host = strings.TrimSpace(value)
	}
	if c.asked == nil && strings.HasPrefix(c.ID, "c-") {
		a.sent(c)
		c.ask(l, "") // the wire log of the asynchronous client cuts lines after 16 bytes
		return
	}
	c.wrote(l)
}

// sent forgets how the response before was framed.
func (a *apache) sent(c *life) { delete(a.framed, c.key) }

func (a *apache) in(c *life, l *line, rest string) {
	text := wire(rest)
	switch {
	case text == "end of stream":
		a.eof(c, l)
		return
	case strings.HasPrefix(text, "[read] I/O error: "), strings.HasPrefix(text, "[write] I/O error: "):
		a.broken(c, l, strings.ToLower(text))
		return
	}
	status := 0
	if words := strings.Fields(text); len(words) >= 2 && strings.HasPrefix(words[0], "HTTP/1") && len(words[1]) == 3 {
		status, _ = strconv.Atoi(words[1])
	}
	lower := strings.ToLower(text[:min(len(text), 20)])
	if strings.HasPrefix(lower, "content-length:") || strings.HasPrefix(lower, "transfer-encoding:") {
		if a.framed == nil || len(a.framed) > maxLives {
			a.framed = map[string]bool{}
		}
		a.framed[c.key] = true
	}
	c.respond(l, status)
}

// eof is the end of the stream that the server sends.
func (a *apache) eof(c *life, l *line) {
	if c.first != nil && !a.framed[c.key] {
		c.complete(l) // a response without a length ends so
	}
	c.closed(l, evidence.ByServer, evidence.FIN, evidence.Seen, "the client read the end of the stream")
}

// broken is an error of a read. A read that times out says nothing if no response was
// expected: HttpClient tests idle connections so.
func (a *apache) broken(c *life, l *line, text string) {
	switch {
	case strings.Contains(text, "reset"), strings.Contains(text, "broken pipe"), strings.Contains(text, "aborted"):
		c.closed(l, evidence.Nobody, evidence.RST, evidence.Seen, "the log says that the connection was reset")
	case c.asked != nil && strings.Contains(text, "timed out"):
		c.closed(l, evidence.ByClient, evidence.FIN, evidence.Seen, "the client's timeout ran out")
	}
}

// closing is the close by the client, or its reaction to the end.
func (a *apache) closing(c *life, l *line) {
	if c.ended == nil && c.first != nil {
		c.complete(c.tail)
	}
	if c.Lazy || a.reactor {
		c.closed(l, evidence.ByClient, evidence.FIN, evidence.Seen, "the client closed the connection")
	} else {
		c.closed(l, evidence.Nobody, evidence.FIN, evidence.Unknown, "the client closed the connection; whether the server had before, the logger org.apache.hc.core5 would say")
	}
	a.sent(c)
	a.lives.end(c)
}
