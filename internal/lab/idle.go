package lab

import (
	"errors"
	"os"
	"sync"
	"time"

	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

const (
	defaultIdle = 20 * time.Millisecond

	// blind is for how long before its idle timer a server does not read if the
	// timer is to win: what arrives then is unread when the timer fires.
	blind = time.Millisecond
)

// idleWait is a connection's wait for its next request.
type idleWait struct {
	until     time.Time     // when the wait ends; zero: never
	readUntil time.Time     // until when the socket is read meanwhile
	end       *story.Ending // how the connection ends then

	mu     sync.Mutex
	idle   bool // the connection waits for its second request or a later one; guarded by mu
	doomed bool // the server was reloaded since it was accepted; guarded by mu
}

// setIdle says how long the wait for the next request may be from now on.
func (c *conn) setIdle(now time.Time, fault script.Fault) {
	idle, w := c.s.cfg.IdleTimeout, &c.idle
	w.end = story.ServerEnds(story.FIN, story.WhyIdleTimeout)
	if fault == script.CloseOnIdle || fault == script.ResetOnIdle {
		w.end = story.ServerEnds(howOf(fault), story.WhyFault)
		if idle == 0 {
			idle = defaultIdle
		}
	}
	w.until, w.readUntil = time.Time{}, time.Time{}
	if idle <= 0 {
		return
	}
	idle += c.s.draw(script.LateTimers, c.s.cfg.IdleLate)
	w.until = now.Add(idle)
	w.readUntil = w.until
	if v := c.s.cfg.TimerVsData; v == script.TimerFIN || v == script.TimerRST {
		w.readUntil = w.until.Add(-min(blind, idle/10))
	}
}

// await waits for the first byte of the use-th request. When it comes in the
// instant in which the timer fires, TimerVsData says which wins. If the timer
// does, the byte stays unread, which makes the close a RST, as in nginx. If the
// byte does, the request is served, as in net/http.
func (c *conn) await(use int) *story.Ending {
	c.in.Left = serve.MaxHead
	c.drip.single = byteWise(c.s.cfg)
	c.rest(use > 1)
	_, err := c.r.Peek(1)
	if reloaded := c.rise(); reloaded && c.timedOut(err) {
		return story.ServerEnds(story.FIN, story.WhyReload)
	}
	if c.timedOut(err) && c.s.cfg.TimerVsData == script.TimerServe && waiting(c.raw) {
		c.arm(time.Time{})
		_, err = c.r.Peek(1)
	}
	switch {
	case err == nil:
		c.arm(time.Time{})
		return nil
	case c.timedOut(err) && serve.Sleep(c.s.ln.Ctx, time.Until(c.idle.until)):
		c.s.late.since(c.idle.until)
		return c.idle.end
	case errors.Is(err, os.ErrDeadlineExceeded):
		return story.ServerEnds(story.FIN, story.WhyShutdown)
	}
	return c.lost(err)
}

// timedOut reports whether err is that of the idle timer and not of
// Server.Close, which passes a deadline too.
func (c *conn) timedOut(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) && c.s.ln.Ctx.Err() == nil
}

// rest begins the wait; a reload may end it if the connection has served a
// request before. The wait is over with rise.
func (c *conn) rest(served bool) {
	c.idle.mu.Lock()
	defer c.idle.mu.Unlock()
	c.idle.idle = served
	until := c.idle.readUntil
	if served && c.idle.doomed && c.s.cfg.Reload == script.CloseIdle {
		until = serve.LongAgo
	}
	c.arm(until)
}

// rise ends the wait: no reload interrupts the connection any more. It reports
// whether one has.
func (c *conn) rise() (reloaded bool) {
	c.idle.mu.Lock()
	defer c.idle.mu.Unlock()
	reloaded = c.idle.idle && c.idle.doomed && c.s.cfg.Reload == script.CloseIdle
	c.idle.idle = false
	return reloaded
}

// doom tells the connection of a reload, and wakes it if it is idle.
func (c *conn) doom() {
	c.idle.mu.Lock()
	defer c.idle.mu.Unlock()
	c.idle.doomed = true
	if c.idle.idle && c.s.cfg.Reload == script.CloseIdle {
		c.raw.SetReadDeadline(serve.LongAgo)
	}
}

func (c *conn) doomed() bool {
	c.idle.mu.Lock()
	defer c.idle.mu.Unlock()
	return c.idle.doomed
}
