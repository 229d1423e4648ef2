package lab

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

const (
	defaultIdle = 20 * time.Millisecond

	// blind is how long before its idle timer a server does not read that lets
	// the timer win: what comes then is unread when the timer fires.
	blind = time.Millisecond
)

// conn is one connection, used by its goroutine alone.
type conn struct {
	s     *Server
	raw   *net.TCPConn
	drip  *drip         // between raw and the rest
	net   net.Conn      // raw with the drip, or TLS over it
	in    *serve.Reader // between net and r
	r     *bufio.Reader
	w     *bufio.Writer
	story *story.Writer

	idleUntil time.Time     // when waiting for the next request ends; zero: never
	readUntil time.Time     // until when it is read meanwhile
	idleEnd   *story.Ending // and how
	bare      bool          // close without close_notify
	use       int           // the exchange at hand, from 1

	idleMu sync.Mutex
	idle   bool // it waits for its second request or a later one; guarded by idleMu
	doomed bool // the server was reloaded since it was accepted; guarded by idleMu
}

func newConn(s *Server, raw *net.TCPConn) *conn {
	d := &drip{TCPConn: raw}
	c := &conn{s: s, raw: raw, drip: d, net: d, story: s.stories.Begin(raw.RemoteAddr(), raw.LocalAddr(), time.Now())}
	d.single = c.sips()
	if s.cfg.Nagle {
		raw.SetNoDelay(false)
	}
	c.attach(d)
	s.opened(c)
	return c
}

func (c *conn) attach(nc net.Conn) {
	c.net = nc
	c.in = &serve.Reader{From: nc}
	c.r = bufio.NewReader(c.in)
	c.w = bufio.NewWriter(nc)
}

// serve is the life of the connection.
func (c *conn) serve() {
	stop := context.AfterFunc(c.s.ln.Ctx, func() { c.raw.SetDeadline(serve.LongAgo) })
	defer stop()
	defer giveBack(c.s.limits.connections)
	e := c.run()
	c.s.gone(c)
	c.close(e)
}

func (c *conn) run() *story.Ending {
	cfg := c.s.cfg
	struck := cfg.Fault.OnConnection() && cfg.FaultOn.Strikes(1, c.story.ID)
	if struck && cfg.Fault != script.TLSAlert {
		return story.ServerEnds(howOf(cfg.Fault), story.WhyFault)
	}
	if cfg.TLS {
		if e := c.handshake(struck); e != nil {
			return e
		}
	}
	for use := 1; ; use++ {
		if e := c.exchange(use); e != nil {
			return e
		}
	}
}

// handshake, like the steps after it, returns how the connection ends, or nil
// when it goes on.
func (c *conn) handshake(alert bool) *story.Ending {
	config := c.s.tls
	if alert {
		config = alerting(config)
	}
	secure := tls.Server(c.net, config)
	c.attach(secure)
	if err := secure.Handshake(); err != nil {
		switch e := c.lost(err); {
		case alert && errors.Is(err, errAlert):
			return story.ServerEnds(story.FIN, story.WhyFault)
		case e.Why == story.WhyBadRequest: // not the connection's end but the handshake's
			return story.ServerEnds(story.FIN, story.WhyHandshake)
		default:
			return e
		}
	}
	c.story.Secured(secure.ConnectionState().DidResume)
	return nil
}

// exchange is the path of one request.
func (c *conn) exchange(use int) *story.Ending {
	c.use = use
	if e := c.await(); e != nil {
		return e
	}
	if !take(c.s.ln.Ctx, c.s.limits.threads) {
		return c.lost(os.ErrDeadlineExceeded)
	}
	defer giveBack(c.s.limits.threads)
	req, e := c.readHead()
	if e != nil {
		return e
	}
	struck := c.s.request(use)
	id := identify(req)
	c.s.tally.received(id)
	c.story.Read(story.Exchange{Read: time.Now(), Struck: struck, Header: c.record(req)})
	fault := script.FaultNone
	if struck {
		fault = c.s.cfg.Fault
	}
	upload := c.early(req, fault)
	if upload == script.ReadFirst {
		if e := c.readBody(req, fault, id); e != nil {
			return e
		}
	}
	if upload == script.ShutInput {
		c.raw.CloseRead()
	}
	if d := c.s.draw(c.s.cfg.Delay); d > 0 {
		due := time.Now().Add(d)
		if !serve.Sleep(c.s.ln.Ctx, d) {
			return c.lost(os.ErrDeadlineExceeded)
		}
		c.s.late.since(due)
	}
	if e := c.misbehave(req, fault); e != nil {
		return e
	}
	f := c.framing(req)
	say, why := c.after(req, f, use)
	if why == "" && (upload == script.AnswerClose || upload == script.ShutInput) {
		say, why = closing, story.WhySaidClose
	}
	if err := c.answer(req, f, say); err != nil {
		return c.lost(err)
	}
	answered := time.Now()
	c.story.Answered(answered)
	c.bare = fault == script.TLSNoCloseNotify
	if why != "" {
		return story.ServerEnds(story.FIN, why)
	}
	if upload == script.AnswerRead {
		if e := c.readBody(req, fault, id); e != nil {
			return e
		}
	}
	c.setIdle(answered, fault)
	return nil
}

// record counts and returns what came of the request's headers, those included
// that the parser takes out; nil unless the script asks for it.
func (c *conn) record(req *http.Request) http.Header {
	if !c.s.cfg.RecordHeaders {
		return nil
	}
	h := req.Header.Clone()
	if req.Host != "" {
		h.Set("Host", req.Host)
	}
	for _, coding := range req.TransferEncoding {
		h.Add("Transfer-Encoding", coding)
	}
	for name := range req.Trailer {
		h.Add("Trailer", name)
	}
	c.s.tally.carried(h)
	return h
}

// setIdle says how long the wait for the next request may be from now on.
func (c *conn) setIdle(now time.Time, fault script.Fault) {
	idle := c.s.cfg.IdleTimeout
	c.idleEnd = story.ServerEnds(story.FIN, story.WhyIdleTimeout)
	if fault == script.CloseOnIdle || fault == script.ResetOnIdle {
		c.idleEnd = story.ServerEnds(howOf(fault), story.WhyFault)
		if idle == 0 {
			idle = defaultIdle
		}
	}
	c.idleUntil, c.readUntil = time.Time{}, time.Time{}
	if idle <= 0 {
		return
	}
	idle += c.s.draw(c.s.cfg.IdleLate)
	c.idleUntil = now.Add(idle)
	c.readUntil = c.idleUntil
	if v := c.s.cfg.TimerVsData; v == script.TimerFIN || v == script.TimerRST {
		c.readUntil = c.idleUntil.Add(-min(blind, idle/10))
	}
}

// await waits for the first byte of a request. When it comes in the instant in
// which the timer fires, TimerVsData says which wins. With the timer the byte
// stays unread; after a close that makes a RST, as in nginx. With the byte the
// request is served, as in net/http.
func (c *conn) await() *story.Ending {
	c.in.Left = serve.MaxHead
	c.drip.single = c.sips()
	c.rest(c.readUntil)
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
	case c.timedOut(err) && serve.Sleep(c.s.ln.Ctx, time.Until(c.idleUntil)):
		c.s.late.since(c.idleUntil)
		return c.idleEnd
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

// arm sets the deadline of reads; see [serve.Listener.SetReadDeadline].
func (c *conn) arm(t time.Time) { c.s.ln.SetReadDeadline(c.raw, t) }

func (c *conn) readHead() (*http.Request, *story.Ending) {
	req, err := http.ReadRequest(c.r)
	if err == nil {
		c.in.Left = math.MaxInt64
		return req, nil
	}
	// The parser may call a head malformed that was in fact cut short.
	switch cut := c.in.Err; {
	case cut == nil:
		return nil, c.refuse(http.StatusBadRequest)
	case errors.Is(cut, serve.ErrTooLong):
		return nil, c.refuse(http.StatusRequestHeaderFieldsTooLarge)
	default:
		return nil, c.lost(cut)
	}
}

// readBody reads all of the request's body, or what the fault reads of it.
// The rest of one that was answered first is not asked for.
func (c *conn) readBody(req *http.Request, fault script.Fault, id request) *story.Ending {
	if c.s.cfg.Upload == script.ReadFirst && c.expects(req) {
		c.w.WriteString("HTTP/1.1 100 Continue\r\n\r\n")
		if err := c.w.Flush(); err != nil {
			return c.lost(err)
		}
	}
	if fault.WhileReading() {
		if _, err := io.ReadFull(req.Body, make([]byte, 1)); err != nil && c.in.Err != nil {
			return c.lost(c.in.Err)
		}
		return story.ServerEnds(howOf(fault), story.WhyFault)
	}
	c.drip.single = false
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		if c.in.Err == nil {
			return c.refuse(http.StatusBadRequest)
		}
		return c.lost(c.in.Err)
	}
	c.s.tally.execute(id)
	c.story.Executed()
	return nil
}

// expects reports whether the client waits with the body for a word of the
// server's: RFC 9110, section 10.1.1.
func (c *conn) expects(req *http.Request) bool {
	return req.Body != http.NoBody && !c.old(req) && strings.EqualFold(req.Header.Get("Expect"), "100-continue")
}
