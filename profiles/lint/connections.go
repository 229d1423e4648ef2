package lint

import (
	"fmt"
	"math"

	"github.com/kabench/kabench/dialers/pool"
)

const saysConnections = "All of the client's connections together fit in what the server accepts."

// checkConnections compares the most connections there can be with what the
// server has room for.
func checkConnections(s *subject, o *outcome) {
	if h := s.nearest(); !h.proxy { // a proxy takes all that come
		s.checkClientConnections(o, h)
	}
	for _, g := range s.legs {
		s.checkLegConnections(o, g)
	}
}

// checkClientConnections is checkConnections for the client.
func (s *subject) checkClientConnections(o *outcome, h hop) {
	each, path, _ := s.cap()
	inFlight := s.inFlight()
	most, mostText := 0, ""
	if each != pool.NoCap {
		most, mostText = times(each, s.shards()), capText(path, each, s.shards())
	}
	if s.loaded() && (each == pool.NoCap || inFlight < each) {
		// Each shard may come to hold as many at its own worst moment, but they
		// get the requests in turn.
		most, mostText = inFlight, fmt.Sprintf("load.max_in_flight %d", inFlight)
	}
	if o.lacks(most == 0, "load.rate") {
		return
	}
	o.checked = false // by what comes now
	room := times(h.MaxConnections, h.workers())
	if !o.lacks(h.MaxConnections == 0, h.path("max_connections")) && !o.lacks(most == math.MaxInt, "load.max_in_flight") && most > room {
		fits := max(room/s.shards(), 1)
		o.found(Finding{
			Path: "pool.max_conns", Says: saysConnections,
			Numbers: [2]string{mostText, capOf(h.path("max_connections"), h.MaxConnections, h.path("workers"), h.workers())},
			Seen:    "new connections wait in the backlog though the server is idle: slow connects, then connect timeouts; idle ones hold the places" + alsoBelow(h, most),
			Set:     fmt.Sprintf("pool.max_conns=%d, or more connections for %s", fits, h.who),
		}, atMost(fits))
	}
	s.checkAtOnce(o, h)
}

// alsoBelow names the limits of what goes on at a time, which cap no connections.
func alsoBelow(h hop, most int) string {
	text := ""
	if room := times(h.Threads, h.workers()); room > 0 && room < most {
		text += fmt.Sprintf("; %d requests at a time are worked on (%s)", room, capOf(h.path("threads"), h.Threads, h.path("workers"), h.workers()))
	}
	if h.Backlog > 0 && h.Backlog < most {
		text += fmt.Sprintf("; %d connections at most can be opened at the same moment (%s)", h.Backlog, h.path("backlog"))
	}
	return text
}

// checkAtOnce compares how many requests are under way at once with how many
// the server works on, and with how many may connect at the same moment. Idle
// connections need neither.
func (s *subject) checkAtOnce(o *outcome, h hop) {
	held, known := s.held()
	for _, room := range []struct {
		field      string
		each, of   int
		says, seen string
	}{
		{"threads", h.Threads, h.workers(), "By Little's law rate x time per request is how many requests are under way; the server must have a thread for each.",
			"requests wait in the server: its own access log shows short times, the client long ones, up to its timeout"},
		{"backlog", h.Backlog, 1, "As many connections as are busy may be opened at once, after a start or a silence; the backlog must have room for them until they are accepted.",
			"when all connect at once some SYNs are dropped: connects that take 1 s, 2 s, 3 s (1 s, 3 s, 7 s before Linux 6.5), ListenOverflows on the server"},
	} {
		path := h.path(room.field)
		if o.lacks(room.each == 0, path) || o.lacks(!s.loaded(), "load.rate") || o.lacks(!known, s.server.path("delay")) {
			continue
		}
		busy := whole(s.busy(held))
		if busy <= times(room.each, room.of) {
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
