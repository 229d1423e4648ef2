package applog

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/kabench/kabench/internal/evidence"
)

// undici reads NODE_DEBUG=undici (or fetch). It names no connection; a response belongs
// to the oldest request with the same line.
type undici struct {
	lives   *lives
	idle    idlePool
	since   map[string]*line // connects that have begun, by server
	ready   map[string][]*life
	pending map[string][]*life // by process and request
	waiting int

	held  *life // the newest failure, whose local port comes in the fields of its error
	until int64
}

func newUndici(s *lives) *undici {
	return &undici{
		lives: s, idle: idlePool{lives: s, format: Undici}, since: map[string]*line{}, ready: map[string][]*life{}, pending: map[string][]*life{},
	}
}

func (u *undici) name() string { return Undici }

var undiciLine = regexp.MustCompile(`\b(?:UNDICI|FETCH|WEBSOCKET) (\d{1,10}): (.*)$`)

// localPort is a field of the error that an application prints after a failure.
var localPort = regexp.MustCompile(`^\s*localPort: (\d{1,5}),?\s*$`)

// errorFields is how many lines after a failure its fields are looked for.
const errorFields = 40

func (u *undici) line(l *line) bool {
	var m []string
	if strings.Contains(l.text, "UNDICI ") || strings.Contains(l.text, "FETCH ") || strings.Contains(l.text, "WEBSOCKET ") {
		m = undiciLine.FindStringSubmatch(l.text)
	}
	if m == nil {
		return u.port(l)
	}
	pid, text := m[1], m[2]
	switch verb, rest, _ := strings.Cut(text, " "); verb {
	case "connecting":
		u.connecting(server(rest), l)
	case "connected":
		u.connected(server(rest), l)
	case "sending":
		u.sending(pid, strings.TrimPrefix(rest, "request to "), l)
	case "received":
		request, status, _ := strings.Cut(strings.TrimPrefix(rest, "response to "), " - HTTP ")
		u.received(pid, request, status, l)
	case "trailers":
		u.complete(pid, strings.TrimPrefix(rest, "received from "), l)
	case "request":
		request, cause, ok := strings.Cut(strings.TrimPrefix(rest, "to "), " errored - ")
		if ok {
			u.errored(pid, request, cause, l)
		}
	default:
		return verb == "connection"
	}
	return true
}

// server reads "to 127.0.0.1:8080:8080 using http:h1", which has the port twice in some
// versions.
func server(text string) string {
	text, _, _ = strings.Cut(strings.TrimPrefix(text, "to "), " using ")
	if i := strings.LastIndexByte(text, ':'); i > 0 && strings.HasSuffix(text[:i], text[i:]) {
		text = text[:i]
	}
	return text
}

func (u *undici) connecting(server string, l *line) {
	if len(u.since) < maxServers {
		u.since[server] = l
	}
}

func (u *undici) connected(server string, l *line) {
	c := u.idle.fresh(server, l)
	c.Opened, c.Ready = u.since[server].orNone(), l.at
	if d := c.Ready - c.Opened; c.Opened != evidence.NotSeen && d > 0 {
		c.RoundTrip = d
	}
	delete(u.since, server)
	if len(u.ready) < maxServers && len(u.ready[server]) < maxFree {
		u.ready[server] = append(u.ready[server], c)
	}
}

func (u *undici) sending(pid, request string, l *line) {
	method, url, _ := strings.Cut(request, " ")
	host := hostOf(url)
	c := u.take(host, l)
	c.ask(l, method+" "+strings.Replace(target(url), "//", "/", 1))
	key := pid + " " + request
	if u.waiting++; u.waiting > maxLives {
		u.pending, u.waiting = map[string][]*life{}, 0
	}
	u.pending[key] = append(u.pending[key], c)
}

// take is a connection that has just been made, or an idle one.
func (u *undici) take(host string, l *line) *life {
	if list := u.ready[host]; len(list) > 0 {
		u.ready[host] = list[1:]
		return list[0]
	}
	return u.idle.take(host, l)
}

// oldest is the oldest of the requests that wait for their response.
func (u *undici) oldest(key string, remove bool) *life {
	list := u.pending[key]
	if len(list) == 0 {
		return nil
	}
	if remove {
		u.waiting--
		if u.pending[key] = list[1:]; len(list) == 1 {
			delete(u.pending, key)
		}
	}
	if len(list) > 1 {
		list[0].Guessed, list[0].doubt = true, true
	}
	return list[0]
}

func (u *undici) received(pid, request, status string, l *line) {
	if c := u.oldest(pid+" "+request, false); c != nil {
		code, _ := strconv.Atoi(status)
		c.respond(l, code)
	}
}

func (u *undici) complete(pid, request string, l *line) {
	c := u.oldest(pid+" "+request, true)
	if c == nil {
		return
	}
	c.complete(l)
	host := c.Host
	if host == "" {
		host = c.Server.String()
	}
	u.idle.give(host, c)
}

func (u *undici) errored(pid, request, cause string, l *line) {
	c := u.oldest(pid+" "+request, true)
	if c == nil {
		return
	}
	by, how, basis, why := causeOf(cause)
	c.closed(l, by, how, basis, why)
	u.release()
	u.held, u.until = c, l.number+errorFields
}

// release passes on the newest failure.
func (u *undici) release() {
	if u.held != nil && u.lives.open[u.held.key] == u.held {
		u.lives.end(u.held)
	}
	u.held = nil
}

// port takes the local port out of the fields of an error.
func (u *undici) port(l *line) bool {
	if u.held == nil {
		return false
	}
	if m := localPort.FindStringSubmatch(l.text); m != nil && u.held.Server.IsValid() {
		if n, err := strconv.ParseUint(m[1], 10, 16); err == nil {
			from := netip.IPv4Unspecified()
			if u.held.Server.Addr().IsLoopback() {
				from = u.held.Server.Addr()
			}
			u.held.Client = netip.AddrPortFrom(from, uint16(n))
		}
		u.release()
		return true
	}
	if l.number > u.until {
		u.release()
	}
	return false
}
