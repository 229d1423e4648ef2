package applog

import (
	"regexp"
	"strings"

	"github.com/kabench/kabench/internal/evidence"
)

// node reads NODE_DEBUG=http and net. Its lines name the process and the server, never
// the connection, so only a process with one request at a time can be followed.
type node struct {
	lives *lives
	idle  idlePool
	of    map[string]*talk
}

// talk is what a process does.
type talk struct {
	server  string
	current *life
	fresh   bool
	since   *line
	ready   *line
	timeout bool
	busy    int
}

func newNode(s *lives) *node {
	return &node{lives: s, idle: idlePool{lives: s, format: Node}, of: map[string]*talk{}}
}

func (n *node) name() string { return Node }

var (
	nodeLine = regexp.MustCompile(`\b(HTTP|NET) (\d{1,10}): (.*)$`)
	agentKey = regexp.MustCompile(`^(?:createConnection|sockets|agent\.on\(free\)|removeSocket) (\S+?):(?::\S*)?(?:\s|$)`)
)

func (n *node) line(l *line) bool {
	if !strings.Contains(l.text, "HTTP ") && !strings.Contains(l.text, "NET ") {
		return false
	}
	m := nodeLine.FindStringSubmatch(l.text)
	if m == nil {
		return false
	}
	t := n.of[m[2]]
	if t == nil {
		if len(n.of) > maxServers {
			n.of = map[string]*talk{}
		}
		t = &talk{}
		n.of[m[2]] = t
	}
	if key := agentKey.FindStringSubmatch(m[3]); key != nil {
		t.server = key[1]
	}
	if m[1] == "NET" {
		return n.net(t, m[3], l)
	}
	return n.http(t, m[3], l)
}

func (n *node) net(t *talk, text string, l *line) bool {
	switch {
	case strings.HasPrefix(text, "connect: attempting"):
		t.since = l
	case text == "afterConnect":
		t.ready = l
		if t.current != nil && t.fresh {
			t.current.Ready = l.at
			if d := l.at - t.since.orNone(); t.since.orNone() != evidence.NotSeen && d > 0 {
				t.current.Opened, t.current.RoundTrip = t.since.at, d
			}
		}
	}
	return true
}

func (n *node) http(t *talk, text string, l *line) bool {
	is := func(prefix string) bool { return strings.HasPrefix(text, prefix) }
	switch {
	case is("createConnection"), is("call onSocket"):
		t.fresh = true
	case is("have free socket"):
		t.fresh = false
	case is("outgoing message end"):
		n.sent(t, l)
	case is("AGENT incoming response"), is("Incoming response"):
		if t.current != nil {
			t.current.respond(l, 0)
		}
	case is("AGENT socket keep-alive"), is("CLIENT socket onFree"):
		n.free(t, l)
	case is("CLIENT socket onTimeout"):
		t.timeout = true
	case is("SOCKET ERROR: "):
		n.broken(t, text, l)
	case is("HTTP socket close"):
		n.broken(t, "socket hang up", l)
	case is("CLIENT socket onClose"):
		n.closed(t, l)
	}
	return true
}

// sent is a whole request.
func (n *node) sent(t *talk, l *line) {
	if t.current != nil && t.current.asked != nil { // another one is on the way
		t.current.Guessed, t.current.doubt = true, true
		n.lives.end(t.current)
	}
	if t.fresh {
		t.current = n.idle.fresh(t.server, l)
	} else {
		t.current = n.idle.take(t.server, l)
	}
	t.current.ask(l, "")
}

// free is the end of an exchange.
func (n *node) free(t *talk, l *line) {
	if t.current == nil {
		return
	}
	if t.current.asked != nil {
		t.current.complete(l)
	}
	n.idle.give(t.server, t.current)
	t.current = nil
}

// broken is an error of the current request.
func (n *node) broken(t *talk, text string, l *line) {
	if t.current != nil && t.current.asked != nil {
		n.idle.failed(t.current, l, text)
	}
	t.current = nil
}

// closed is the close of a socket. Without a request on it, it is an idle one.
func (n *node) closed(t *talk, l *line) {
	if t.current != nil {
		return // what follows says more
	}
	list := n.idle.free[t.server]
	if len(list) == 0 {
		return
	}
	c := list[0]
	n.idle.free[t.server] = list[1:]
	switch {
	case t.timeout:
		c.closed(l, evidence.ByClient, evidence.FIN, evidence.Inferred, "the agent's timeout ran out")
	case len(list) > 1:
		c.closed(l, evidence.Nobody, evidence.FIN, evidence.Unknown, "one of several idle sockets was closed; which one, and by whom, the log does not say")
	default:
		c.closed(l, evidence.ByServer, evidence.FIN, evidence.Inferred, "the idle socket was closed and no timeout of the agent was logged; an agent that is destroyed looks alike")
	}
	t.timeout = false
	n.lives.end(c)
}
