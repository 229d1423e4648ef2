package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// site is the probe of one address. Its methods are called on one goroutine, except
// those of connections that are opened or read.
type site struct {
	addr    netip.AddrPort
	request messages
	config  *tls.Config // nil: without TLS
	o       Options
	began   time.Time
	canary  *canary
	stop    func(why error) // ends the whole probe
	publish func(Progress)
	told    time.Duration // when progress was last published

	plan    Plan
	from    time.Duration // when the server's first response had come
	conns   []*conn
	dials   int // under way
	readers int
	events  chan event
	over    sync.WaitGroup // the goroutines that open and read
	notes   []string
	silent  int // requests that met silence
	ending  string
}

func newSite(addr netip.AddrPort, request messages, config *tls.Config, o Options, began time.Time, c *canary) *site {
	return &site{addr: addr, request: request, config: config, o: o, began: began, canary: c, events: make(chan event, 256)}
}

func (s *site) now() time.Duration { return s.since(time.Now()) }

func (s *site) since(t time.Time) time.Duration { return t.Sub(s.began) }

// note adds a sentence for people, once.
func (s *site) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(s.notes, text) {
		s.notes = append(s.notes, text)
	}
}

// look opens a connection, sends a request and returns when the server has responded. The
// error says what is wrong with the server; a server that only closes connections
// without a response is none.
func (s *site) look(ctx context.Context) error {
	for range looksBeforeResponse {
		c := newConn(Opening{At: s.now(), Role: Used, Requests: 1})
		s.conns = append(s.conns, c)
		s.loop(ctx, func() bool { return c.carried() || c.state == done || c.state == closing })
		s.from = s.now()
		switch {
		case c.carried():
			s.from = c.last().Done
			return s.wrongPort(ctx, c)
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case c.err != nil:
			return s.explain(c.err)
		case !c.closed():
			return fmt.Errorf("no response within %v", s.o.Timeout)
		case s.config == nil && s.speaksTLS(ctx):
			return errSpeaksTLS
		}
	}
	return nil
}

// looksBeforeResponse is how many connections a server must have closed without a
// response before the probe believes that it does so with all.
const looksBeforeResponse = 3

// measure opens the connections of plan, and returns when what can be known is known.
func (s *site) measure(ctx context.Context, plan Plan) {
	s.plan = plan
	for _, o := range plan.Openings {
		o.At += s.from
		s.conns = append(s.conns, newConn(o))
	}
	s.loop(ctx, s.finished)
}

// close closes all connections and waits for those that are still opened or read.
func (s *site) close() {
	for _, c := range s.conns {
		s.finish(c)
	}
	for s.dials > 0 || s.readers > 0 {
		s.take(<-s.events)
	}
	s.over.Wait()
}

// loop acts on the connections until over reports true or ctx is done.
func (s *site) loop(ctx context.Context, over func() bool) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for ctx.Err() == nil {
		next := s.step(ctx)
		if over() {
			return
		}
		s.tell()
		timer.Reset(max(min(next-s.now(), longestWait), 0))
		select {
		case e := <-s.events:
			s.take(e)
		case <-timer.C:
		case <-ctx.Done():
		}
	}
}

const (
	// longestWait is how long the loop waits for something to happen, so that progress is
	// published.
	longestWait = 250 * time.Millisecond
	// ahead is how long before a request is due the loop stops waiting, because timers are
	// late. It spins for the rest.
	ahead = 1500 * time.Microsecond
)

// step acts on all connections whose time has come, and returns when the next one's does.
func (s *site) step(ctx context.Context) (next time.Duration) {
	next = s.unblock()
	for _, c := range s.conns {
		if c.next == never {
			continue
		}
		due := c.next
		if c.state == idle || c.state == pausing {
			due -= ahead
		}
		if due <= s.now() {
			s.act(ctx, c)
			due = s.now() // there may be more to do on it
		}
		if c.next != never {
			next = min(next, due)
		}
	}
	return next
}

// act does what c's time has come for.
func (s *site) act(ctx context.Context, c *conn) {
	at := c.next
	c.next = never
	switch c.state {
	case planned:
		s.open(ctx, c)
	case pausing, idle:
		for s.now() < at { // see ahead
		}
		if c.plan.Role == Half || c.plan.Role == UsedHalf && c.sent > 0 {
			s.sendHalf(c)
			return
		}
		s.send(c)
	case asking:
		s.noResponse(c)
	case dialing, closing, done:
	}
}

// open begins to connect.
func (s *site) open(ctx context.Context, c *conn) {
	if c.plan.Role != Used && s.known().keepsNone() {
		c.state = done
		return
	}
	c.state = dialing
	s.dials++
	s.over.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, connectTime)
		defer cancel()
		e := dial(ctx, s.addr, s.config)
		e.of = c
		s.events <- e
	})
}

// connectTime bounds a dial.
const connectTime = 5 * time.Second

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

// send sends the next request on c.
func (s *site) send(c *conn) {
	asks, message := c.plan.Asks || s.known().mustAsk(), s.request.plain
	if asks {
		message = s.request.asking
	}
	c.late = c.plan.Role == Late && c.sent > 0
	c.sent++
	at, err := c.wire.send(message)
	c.begin(s.since(at), asks, s.request.method)
	c.state, c.next = asking, s.since(at)+s.o.Timeout
	if c.late {
		c.next = s.since(at) + s.patience()
	}
	if c.closed() || err != nil { // the reader says how it ended, or has said so
		c.next = s.since(at) + afterClose
	}
}

// afterClose is how long a request is followed that was sent when the close had come.
const afterClose = 30 * time.Millisecond

// patience is how long a late request may be without a response.
func (s *site) patience() time.Duration {
	return min(1500*time.Millisecond+2*s.longest(), s.o.Timeout)
}

// sendHalf sends half a request head.
func (s *site) sendHalf(c *conn) {
	at, err := c.wire.send(s.request.half)
	c.sent++
	c.state, c.next = idle, never
	if err == nil {
		c.seen.Half = s.since(at)
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
	whole, err := c.receive(e.data, at)
	switch {
	case err != nil:
		c.err = err
		s.note("a response was not understood: %v", err)
		s.finish(c)
	case whole && c.asked:
		s.responded(c)
	}
}

// responded goes on after a whole response.
func (s *site) responded(c *conn) {
	e := c.last()
	c.state, c.next = idle, never
	s.noteStatus(c)
	if e.Status == 429 || e.Status == 503 {
		s.stop(&Busy{e.Status})
		return
	}
	switch r := c.plan.Role; {
	case c.late && s.known().timer():
		s.finish(c) // answered; another wait for the timer would take too long
	case r == Many && c.sent < c.plan.Requests && !c.response.Close:
		c.state, c.next = pausing, s.now()
	case r == UsedHalf && !c.response.Close:
		c.state, c.next = pausing, e.Done+c.plan.Again
	case r == Used && c.plan.Again > 0 && c.sent < c.plan.Requests:
		c.next = e.Done + c.plan.Again
	case r == Late && !c.late:
		s.aim()
	}
}

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
	}
	more := c.seen.Close.How == evidence.Notify && c.seen.Close.FIN == evidence.NotSeen // its FIN is still to come
	switch {
	case c.plan.Role == Late && !c.late && c.carried() && !waited && !c.last().Closing:
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

// noResponse ends the wait for a response.
func (s *site) noResponse(c *conn) {
	switch {
	case c.closed():
	case c.wire.silent():
		c.seen.Close = evidence.Close{
			Basis: evidence.Seen, By: evidence.ByMiddle, How: evidence.Silent, At: evidence.NotSeen, FIN: evidence.NotSeen,
			Why: "the request was sent again and again, and nothing came back, no ACK either",
		}
		s.silent++
	case !c.late:
		s.note("a request got no response within %v", s.o.Timeout)
	}
	s.finish(c)
	s.aim()
}

// finish closes our end of a connection, if it is open.
func (s *site) finish(c *conn) {
	c.next = never
	if c.seen.Until == evidence.NotSeen {
		c.seen.Until = s.now()
	}
	switch c.state {
	case done, closing:
		return
	case planned, dialing:
		c.state = done
		return
	}
	c.state = closing
	c.wire.close()
}

// errStopped is why a probe ended that a user has stopped.
var errStopped = errors.New("stopped")
