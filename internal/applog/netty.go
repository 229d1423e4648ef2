package applog

import (
	"regexp"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// netty reads the debug log of Reactor Netty, with and without wiretap, and what Netty's
// own LoggingHandler writes.
type netty struct {
	lives   *lives
	keeps   *line // the line that says that the pool closes no connection itself
	timed   bool  // a pool has an idle timeout or a lifetime
	wired   bool  // wiretap shows what is read
	whole   bool  // the log has lines that say that a response is complete
	unasked map[string]bool

	last   *life // the channel of the newest line
	lastAt int64
}

func (n *netty) name() string { return ReactorNetty }

// channel matches [1965a96f-2, L:/127.0.0.1:59768 - R:localhost/127.0.0.1:9090] and
// [id: 0x1965a96f, L:... ! R:...]. ! stands for a channel that is closed.
var channel = regexp.MustCompile(`^\[(?:id: 0x)?([0-9a-f]{6,16})(?:-(\d{1,9}))?(?:, L:([^\s\]]+)(?: ([-!]) R:([^\s\]]+))?)?\]`)

// channelIn finds the first channel in a line.
func channelIn(text string) (from int, m []string) {
	for i := 0; i < len(text); i++ {
		if text[i] != '[' {
			continue
		}
		id := strings.TrimPrefix(text[i+1:min(len(text), i+16)], "id: 0x")
		if len(id) < 6 || strings.Trim(id[:6], "0123456789abcdef") != "" {
			continue
		}
		if m = channel.FindStringSubmatch(text[i:]); m != nil {
			return i, m
		}
	}
	return 0, nil
}

// pool matches the settings of a new pool.
var pool = regexp.MustCompile(`Creating a new \[.*\] client pool \[.*maxIdleTime=(-?\d+).*maxLifeTime=(-?\d+)`)

func (n *netty) line(l *line) bool {
	if m := find(pool, l.text, "] client pool ["); m != nil {
		if m[1] == "-1" && m[2] == "-1" {
			n.keeps = l
		} else {
			n.timed = true
		}
		return true
	}
	from, m := channelIn(l.text)
	if m == nil {
		return n.cause(l)
	}
	event := strings.TrimSpace(l.text[from+len(m[0]):])
	if event == "" || strings.HasPrefix(event, "}") {
		event = before(l.text[:from])
	}
	if !known(event) {
		return false
	}
	c := n.lives.get("n"+m[1], ReactorNetty, l)
	c.ID = m[1]
	if local, remote := address(m[3]), address(m[5]); remote.IsValid() {
		c.Client, c.Server = local, remote
		if c.passive {
			c.Client, c.Server = remote, local
		}
	}
	n.event(c, l, event, m[4] == "!")
	n.last, n.lastAt = c, l.number
	return true
}

// cause reads the line behind "The connection observed an error" and "Received response".
func (n *netty) cause(l *line) bool {
	if n.last == nil || l.number > n.lastAt+1 {
		return false
	}
	switch {
	case strings.HasPrefix(l.text, "HTTP/1.") && len(l.text) >= 12 && n.last.first != nil:
		n.last.answer.Status = max(digits(l.text[9:], 3), 0)
	case strings.Contains(l.text, "Exception: "):
		n.exception(n.last, l, l.text)
	default:
		return false
	}
	return true
}

// before finds the event in front of a channel: [READ] Data received: [id: 0x...].
func before(text string) string {
	for {
		i := strings.LastIndexByte(text, '[')
		if i < 0 {
			return ""
		}
		if word, _, ok := strings.Cut(text[i+1:], "]"); ok && known(strings.ReplaceAll(word, "_", " ")) {
			return strings.ReplaceAll(word, "_", " ")
		}
		text = text[:i]
	}
}

// events are how the known messages about a channel begin.
var events = []string{
	"REGISTERED", "UNREGISTERED", "ACTIVE", "INACTIVE", "CONNECT", "READ", "WRITE", "FLUSH", "CLOSE", "EXCEPTION", "USER_EVENT", "onStateChange(",
	"Handler is being applied", "Received response", "Received last HTTP packet", "Channel ", "Created a new pooled channel", "Connecting to",
	"Registering pool release", "Releasing channel", "The connection observed an error", "SSL", "Last HTTP", "Increasing pending", "Decreasing pending", "Initialized pipeline",
}

func known(event string) bool {
	for _, e := range events {
		if strings.HasPrefix(event, e) {
			return true
		}
	}
	return false
}

// event takes one message about a channel.
func (n *netty) event(c *life, l *line, event string, gone bool) {
	is := func(prefix string) bool { return strings.HasPrefix(event, prefix) }
	c.touch(l)
	switch {
	case is("CONNECT"), is("Connecting to"):
		c.Opened = l.at
		n.unasked[c.key] = true
	case is("ACTIVE"):
		n.ready(c, l)
	case is("SSL"):
		c.TLS = true
	case is("Handler is being applied"):
		c.ask(l, applied(event))
	case is("WRITE"):
		n.wrote(c, l, event)
	case is("READ COMPLETE"):
		c.bare = nil
		if !c.read {
			c.bare = l // nothing was read: the end of the stream, if the channel becomes inactive now
		}
		c.read = false
	case is("FLUSH"), is("USER_EVENT"):
	case is("READ"):
		n.read(c, l, event)
	case is("Received response"):
		c.respond(l, 0)
	case is("Received last HTTP packet"):
		n.whole = true
		c.complete(l)
	case is("onStateChange("):
		n.state(c, l, event, gone)
	case is("EXCEPTION"), is("The connection observed an error"):
		n.exception(c, l, event)
	case is("CLOSE"):
		c.closed(l, evidence.ByClient, evidence.FIN, evidence.Seen, "this end closed the channel")
	case is("INACTIVE"), is("Channel closed"):
		n.gone(c, l)
	case is("UNREGISTERED"):
		n.gone(c, l)
		delete(n.unasked, c.key)
		n.lives.end(c)
	}
}

func (n *netty) ready(c *life, l *line) {
	c.Ready = l.at
	if c.Opened != evidence.NotSeen && l.at != evidence.NotSeen && l.at > c.Opened {
		c.RoundTrip = l.at - c.Opened
	}
}

// applied makes a request line of {uri=http://host/path, method=GET}.
func applied(event string) string {
	_, rest, _ := strings.Cut(event, "{uri=")
	uri, rest, ok := strings.Cut(rest, ", method=")
	if !ok {
		return ""
	}
	if _, after, ok := strings.Cut(uri, "://"); ok {
		uri = "/"
		if i := strings.IndexByte(after, '/'); i >= 0 {
			uri = after[i:]
		}
	}
	return strings.TrimRight(rest, "}") + " " + uri
}

// wrote is data that was written: a request at the client, a response at the server.
func (n *netty) wrote(c *life, l *line, event string) {
	if c.passive {
		c.respond(l, 0)
		c.complete(l)
		return
	}
	if c.asked == nil {
		c.ask(l, requestLine(event))
		return
	}
	c.wrote(l)
}

// requestLine reads the request behind WRITE: 102B, where it is on the same line.
func requestLine(event string) string {
	_, rest, _ := strings.Cut(event, "B ")
	words := strings.Fields(rest)
	if len(words) >= 3 && strings.HasPrefix(words[2], "HTTP/") {
		return words[0] + " " + words[1]
	}
	return ""
}

// read is data that came: a response, or a request at the server.
func (n *netty) read(c *life, l *line, event string) {
	c.read, c.bare, n.wired = true, nil, true
	if c.asked == nil && c.Requests == 0 && !n.unasked[c.key] && !c.passive {
		c.passive = true
		c.Client, c.Server = c.Server, c.Client
	}
	if c.passive {
		c.ask(l, requestLine(event))
		return
	}
	c.respond(l, 0)
}

// state is a change in the life of an exchange.
func (n *netty) state(c *life, l *line, event string, gone bool) {
	i := strings.LastIndex(event, "[")
	state, _, _ := strings.Cut(event[max(i, 0):], "]")
	switch strings.TrimPrefix(state, "[") {
	case "request_sent":
		c.wrote(l)
	case "response_received":
		c.respond(l, 0)
	case "response_completed":
		c.complete(l)
	case "response_incomplete":
		n.gone(c, l)
		c.unsure = false
	case "disconnecting":
		if gone {
			n.gone(c, l)
		}
	}
}

// exception is an error of the connection.
func (n *netty) exception(c *life, l *line, event string) {
	switch text := strings.ToLower(event); {
	case strings.Contains(text, "reset by peer"), strings.Contains(text, "connection reset"):
		c.closed(l, evidence.Nobody, evidence.RST, evidence.Seen, "the log says that the connection was reset")
	case strings.Contains(text, "timeout"):
		c.closed(l, evidence.ByClient, evidence.FIN, evidence.Seen, "the client's timeout ran out")
	}
}

// gone is the end of a channel that this end has not announced.
func (n *netty) gone(c *life, l *line) {
	if c.ended == nil {
		c.unsure = c.first != nil && !n.whole
	}
	how := "; without wiretap, a FIN and a RST look alike"
	c.Vague = c.Vague || c.ended == nil && !n.wired
	if n.wired {
		how = " and without an EXCEPTION, so it read the end of the stream"
	}
	if c.bare != nil && !c.passive && (l.at == c.bare.at || l.at-c.bare.at < bareWithin) {
		l, how = c.bare, ": this READ COMPLETE without a READ is the end of the stream"
	}
	switch {
	case c.passive:
		c.closed(l, evidence.ByServer, evidence.FIN, evidence.Inferred, "the channel of the server became inactive, and it had not responded")
	case c.asked != nil:
		c.closed(l, evidence.ByServer, evidence.FIN, evidence.Inferred, "the channel became inactive during an exchange without a CLOSE of this end"+how)
	case n.keeps != nil && !n.timed:
		c.closed(l, evidence.ByServer, evidence.FIN, evidence.Inferred, "the channel became inactive without a CLOSE of this end, and its pool has no idle timeout and no lifetime"+how)
	case n.timed:
		c.closed(l, evidence.Nobody, evidence.FIN, evidence.Unknown, "the channel became inactive; the pool may have closed it, as it has an idle timeout or a lifetime")
	default:
		c.closed(l, evidence.ByServer, evidence.FIN, evidence.Inferred, "the channel became inactive without a CLOSE of this end"+how+"; whether its pool closes idle connections the log does not say")
	}
}

// bareWithin is how long after a READ COMPLETE without a READ the channel must become
// inactive for it to be the end of the stream.
const bareWithin = 500 * time.Millisecond
