package lint

import (
	"fmt"
	"math"

	"github.com/kabench/kabench/dialers/pool"
)

const saysConnections = "The server must accept as many connections as the client can open."

// checkConnections compares the most connections that clients can open with the
// server's limit.
func checkConnections(s *subject, o *outcome) {
	if h := s.nearest(); !h.proxy { // a proxy accepts all connections
		s.checkClientConnections(o, h)
	}
	for _, g := range s.legs {
		s.checkLegConnections(o, g)
	}
}

// checkClientConnections checks the connections that the client opens to h.
func (s *subject) checkClientConnections(o *outcome, h hop) {
	each, path, _ := s.cap()
	inFlight := s.inFlight()
	most, mostText := 0, ""
	if each != pool.NoCap {
		most, mostText = multiply(each, s.shards()), capText(path, each, s.shards())
	}
	if s.loaded() && (each == pool.NoCap || inFlight < each) {
		// Each shard may reach its own maximum at its own worst moment, but the requests in
		// flight are dealt out to the shards in turn.
		most, mostText = inFlight, s.inFlightText()
	}
	if o.lacks(most == 0, "load.rate") {
		return
	}
	o.checked = false // what follows decides whether the rule was checked
	room := multiply(h.MaxConnections, h.workers())
	if !o.lacks(h.MaxConnections == 0, h.path("max_connections")) && !o.lacks(most == math.MaxInt, "load.max_in_flight") && most > room {
		fits := max(room/s.shards(), 1)
		o.found(Finding{
			Path: "pool.max_conns", Says: saysConnections,
			Numbers: [2]string{mostText, capOf(h.path("max_connections"), h.MaxConnections, h.path("workers"), h.workers())},
			Seen:    "idle connections use up the server's limit, and new ones wait in the backlog: slow connects, then connect timeouts" + alsoBelow(h, most),
			Set:     fmt.Sprintf("pool.max_conns=%d, or a higher limit for %s", fits, h.who),
		}, atMost(fits))
	}
	s.checkAtOnce(o, h)
}

// alsoBelow names the server's other limits that most exceeds: threads and backlog.
// They do not cap connections.
func alsoBelow(h hop, most int) string {
	text := ""
	if room := multiply(h.Threads, h.workers()); room > 0 && room < most {
		text += fmt.Sprintf("; the server handles %d requests at a time (%s)", room, capOf(h.path("threads"), h.Threads, h.path("workers"), h.workers()))
	}
	if h.Backlog > 0 && h.Backlog < most {
		text += fmt.Sprintf("; at most %d connections can be opened at the same moment (%s)", h.Backlog, h.path("backlog"))
	}
	return text
}

// checkAtOnce compares the number of requests in progress with the server's threads,
// and the number of connections that may be opened at once with its backlog. Idle
// connections need neither.
func (s *subject) checkAtOnce(o *outcome, h hop) {
	held, known := s.held()
	for _, room := range []struct {
		field      string
		each, of   int
		says, seen string
	}{
		{"threads", h.Threads, h.workers(), "The server needs a thread for each request in progress. Their number is rate x time per request (Little's law).",
			"requests wait in the server: its access log shows short times, the client long ones, up to its timeout"},
		{"backlog", h.Backlog, 1, "After a start or a pause, the client may open all the connections it needs at the same moment. The backlog must hold them until the server accepts them.",
			"when all connect at once some SYNs are dropped: connects that take 1 s, 2 s, 3 s (1 s, 3 s, 7 s before Linux 6.5), ListenOverflows on the server"},
	} {
		path := h.path(room.field)
		if o.lacks(room.each == 0, path) || o.lacks(!s.loaded(), "load.rate") || o.lacks(!known, s.server.path("delay")) {
			continue
		}
		busy := roundUp(s.busy(held))
		if busy <= multiply(room.each, room.of) {
			continue
		}
		enough := (busy-1)/room.of + 1
		o.found(Finding{
			Path: path, Says: room.says, Seen: room.seen,
			Numbers: [2]string{fmt.Sprintf("%s x %v = %d connections", perSecond(s.peak()), held, busy), capOf(path, room.each, h.path("workers"), room.of)},
			Set:     fmt.Sprintf("%s=%d, or more", path, enough),
		}, atLeast(enough))
	}
}
