package applog

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"github.com/kabench/kabench/internal/evidence"
)

// nginx reads the error log of nginx and access logs in the common and combined forms,
// also with further fields.
type nginx struct {
	lives *lives
	made  int
}

func (n *nginx) name() string { return Nginx }

var (
	// nginxError matches 29#29: *16 MESSAGE, client: ADDRESS.
	nginxError = regexp.MustCompile(`\[(?:error|warn|info|crit|alert|notice)\] \d{1,10}#\d{1,10}: (?:\*(\d{1,15}) )?(.*)$`)
	nginxPart  = regexp.MustCompile(`, (upstream|request|client|host): "?([^"]+?)(?:"|,|$)`)
	accessLine = regexp.MustCompile(`^(\S{3,64}) \S+ .+? ?\[[^\]]{20,30}\] "([A-Z]{1,20}) (\S+) HTTP/[\d.]{1,3}" (\d{3}) (\d{1,20}|-)(.*)$`)
	upstreams  = regexp.MustCompile(`((?:\d{1,3}\.){3}\d{1,3}:\d{1,5}|\[[0-9a-f:]{2,45}\]:\d{1,5})(, (?:\d{1,3}\.){3}\d{1,3}:\d{1,5})?`)
)

func (n *nginx) line(l *line) bool {
	if m := find(nginxError, l.text, "#"); m != nil {
		return n.failure(m[1], m[2], l)
	}
	if !dayIn(l.text) {
		return false
	}
	if m := accessLine.FindStringSubmatch(l.text); m != nil {
		n.access(m, l)
		return true
	}
	return false
}

// one makes the connection that a line is about.
func (n *nginx) one(l *line, id string) *life {
	n.made++
	c := n.lives.get("nginx "+strconv.Itoa(n.made), Nginx, l)
	c.known, c.Alone, c.ID = false, true, id
	return c
}

// failure reads a line of the error log.
func (n *nginx) failure(id, text string, l *line) bool {
	fields := map[string]string{}
	for _, m := range nginxPart.FindAllStringSubmatch(text, 10) {
		fields[m[1]] = m[2]
	}
	upstream := fields["upstream"]
	if upstream == "" {
		return strings.Contains(text, "keepalive connection") || strings.Contains(text, "upstream")
	}
	c := n.one(l, id)
	if host := hostOf(upstream); address(host).IsValid() {
		c.Server = address(host)
	} else {
		c.Host = host
	}
	c.TLS = strings.HasPrefix(upstream, "https:")
	request, _, _ := strings.Cut(fields["request"], " HTTP/")
	message, _, _ := strings.Cut(text, ", client:")
	n.judge(c, l, message, request)
	n.lives.end(c)
	return true
}

// judge says what the message of the error log means. Its time is that of the end; when
// the request was sent it does not say.
func (n *nginx) judge(c *life, l *line, message, request string) {
	if strings.Contains(message, "while connecting to upstream") || strings.Contains(message, "while SSL handshaking to upstream") {
		c.SYNs = 1
		if strings.Contains(message, "refused") {
			c.Close = evidence.Close{Basis: evidence.Seen, By: evidence.ByServer, How: evidence.RST, At: l.at, FIN: evidence.NotSeen, Why: "the connect was refused"}
		}
		return
	}
	c.ask(l, request)
	c.request.Begun, c.request.Sent = evidence.NotSeen, evidence.NotSeen
	if strings.Contains(message, "while reading upstream") {
		c.respond(l, 0)
	}
	switch by, how, basis, why := causeOf(message); {
	case strings.Contains(message, "client prematurely closed"):
		c.closed(l, evidence.ByClient, evidence.FIN, evidence.Seen, "nginx closed it because its own client had left")
	case strings.Contains(message, "upstream prematurely closed"):
		c.closed(l, evidence.ByServer, evidence.FIN, evidence.Seen, "nginx read the end of the stream")
	default:
		c.closed(l, by, how, basis, strings.Replace(why, "the client's", "nginx's", 1))
	}
}

// access reads a line of an access log. The line is written at the end of the response.
func (n *nginx) access(m []string, l *line) {
	c := n.one(l, "")
	c.Host = "nginx"
	if a, err := netip.ParseAddr(m[1]); err == nil {
		c.Client = netip.AddrPortFrom(a, 0)
	}
	status, _ := strconv.Atoi(m[4])
	upstream := upstreams.FindStringSubmatch(m[6])
	if upstream != nil && status != 499 {
		c.Host, c.Server, c.Client = "", address(upstream[1]), netip.AddrPort{}
	}
	c.ask(l, m[2]+" "+m[3])
	if status == 499 {
		c.request.Begun, c.request.Sent = evidence.NotSeen, evidence.NotSeen
		c.closed(l, evidence.ByClient, evidence.FIN, evidence.Seen, "the client had closed before nginx had a response (status 499)")
		n.lives.end(c)
		return
	}
	c.request.Sent = evidence.NotSeen
	c.respond(l, status)
	c.complete(l)
	n.lives.count(status, upstream != nil && upstream[2] != "")
	n.lives.end(c)
}

// dayIn reports whether a line has a date in brackets, as [28/Nov/2026:...].
func dayIn(text string) bool {
	for i := 0; i+8 < len(text); i++ {
		if text[i] == '[' && text[i+3] == '/' && text[i+7] == '/' {
			return true
		}
	}
	return false
}
