package probe

import (
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// take takes what has happened on a connection.
func (s *site) take(e event) {
	c := e.of
	switch e.kind {
	case opened:
		s.dials--
		s.opened(c, e)
	case failed:
		s.dials--
		c.err, c.state, c.next = &dialError{e.err, e.secure}, done, never
		c.seen.Opened = s.since(e.begun)
	case received:
		s.received(c, e)
	case ended:
		s.ended(c, e)
	case gone:
		s.readers--
		if c.state == closing {
			c.state = done
		}
	}
}

// opened begins to read from a new connection.
func (s *site) opened(c *conn, e event) {
	if c.state == done { // the probe has ended meanwhile
		e.wire.close()
		return
	}
	c.wire = e.wire
	c.seen.Opened, c.seen.Ready, c.seen.RoundTrip, c.seen.TLS = s.since(e.begun), s.since(e.at), e.trip, s.config != nil
	c.seen.Server, c.seen.Client = s.addr, addrPort(e.wire.tap.LocalAddr())
	s.readers++
	s.over.Go(func() { e.wire.read(c, func(e event) { s.events <- e }) })
	c.state, c.next = pausing, c.seen.Ready+c.plan.Pause
	if c.plan.Role == Fresh {
		c.state, c.next = idle, never
	}
}

// received takes bytes.
func (s *site) received(c *conn, e event) {
	at := s.since(e.at)
	if c.state == closing || c.state == done {
		return
	}
	if c.state != asking && (len(c.seen.Exchanges) == 0 || c.last().Done != evidence.NotSeen) {
		c.begin(evidence.NotSeen, false, s.request.method) // nobody has asked for it
	}
	c.readAt, c.unstamped = time.Now(), e.slack == unknownSlack
	whole, err := c.receive(e.data, at)
	switch {
	case err != nil:
		c.err = err
		s.note("a response was not understood: %v", err)
		s.finish(c)
	case whole && c.asked:
		s.responded(c)
	default:
		s.stopIfBusy(c)
	}
}

// stopIfBusy ends the probe if the server says that it has too much to do, be the body of
// that response complete or not. It reports whether it did.
func (s *site) stopIfBusy(c *conn) bool {
	status := c.last().Status
	if status == 429 || status == 503 {
		s.stop(&Busy{status})
		return true
	}
	return false
}

// responded goes on after a whole response.
func (s *site) responded(c *conn) {
	e := c.last()
	c.state, c.next = idle, never
	s.noteStatus(c)
	if s.stopIfBusy(c) {
		return
	}
	switch r := c.plan.Role; {
	case c.late && s.known().timer():
		s.finish(c) // answered; another wait for the timer would take too long
	case r == Many && c.sent < c.plan.Requests && !c.response.Close:
		c.state, c.next = pausing, s.now()+betweenMany
	case r == UsedHalf && !c.response.Close:
		c.state, c.next = pausing, e.Done+c.plan.Again
	case r == Used && c.plan.Again > 0 && c.sent < c.plan.Requests:
		c.next = e.Done + c.plan.Again
	case r == Late && !c.late:
		s.aim()
	}
}

// betweenMany is the pause before the next of many requests on a connection: a FIN that
// follows a response arrives within it, so that the request does not cross it.
const betweenMany = 2 * time.Millisecond

// noteStatus says once what a response with such a status means for the probe.
func (s *site) noteStatus(c *conn) {
	switch e := c.last(); {
	case e.Status >= 300 && e.Status < 400 && c.location != "":
		s.note("the server redirects (status %d) to %s; kabench does not follow", e.Status, redactURL(c.location))
	case e.Status >= 400 && e.Status != 429 && e.Status != 503:
		s.note("the server responds with status %d; its connections are measured anyway", e.Status)
	}
}

// ended takes the end of a connection.
func (s *site) ended(c *conn, e event) {
	at := s.since(e.at)
	waited := c.state == asking
	if c.state == closing || c.state == done {
		return
	}
	first := !c.closed()
	if whole := c.ended(e.err, at); whole {
		s.responded(c)
	}
	if first {
		c.endedAt, c.endedTick = e.at, e.slack
		if c.late && waited && c.seen.Close.How == evidence.RST && len(s.known().Idle) == 0 {
			s.lost++
		}
	}
	more := c.seen.Close.How == evidence.Notify && c.seen.Close.FIN == evidence.NotSeen // its FIN is still to come
	switch {
	case c.plan.Role == Late && !c.late && c.carried() && !waited && !c.last().Closing && at-c.last().Done > soon:
		s.aim() // its late request comes behind the close
	case waited || c.state == pausing:
		c.state = idle
		fallthrough
	default:
		c.next = never
		if !more {
			s.finish(c)
		}
		s.aim()
	}
}

// noResponse ends the wait for a response. It waits on if the peer has not acknowledged
// the request: the kernel sends it again after times that double.
func (s *site) noResponse(c *conn) {
	silent, waiting := false, false
	if !c.closed() {
		silent, waiting = c.wire.silent()
	}
	switch {
	case c.closed():
	case silent:
		c.seen.Close = evidence.Close{
			Basis: evidence.Seen, By: evidence.ByMiddle, How: evidence.Silent, At: evidence.NotSeen, FIN: evidence.NotSeen,
			Why: "the request was sent again and again, and nothing came back, no ACK either",
		}
		s.lost++
	case waiting && s.now() < c.last().Sent+s.o.Timeout:
		c.next = s.now() + longestWait
		return
	case !c.late:
		s.note("a request got no response within %v", s.o.Timeout)
	}
	s.finish(c)
	s.aim()
}
