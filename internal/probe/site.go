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

	looks   int // how many connections look may open
	plan    Plan
	from    time.Duration // when the server's first response had come
	conns   []*conn
	dials   int // under way
	readers int
	events  chan event
	over    sync.WaitGroup // the goroutines that open and read
	notes   []string
	lost    int // requests that met silence or an RST although the server had closed nothing
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
	for range s.looks {
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
	// ahead is how long before a late request is due the loop stops waiting, because timers
	// are late. It spins for the rest.
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
		if c.isLate() {
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
		for c.isLate() && s.now() < at { // see ahead
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
