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
	"syscall"
	"time"
)

const (
	maxHead     = 64 << 10 // bytes of a request's head, give or take a buffer
	defaultIdle = 20 * time.Millisecond

	// blind is how long before its idle timer a server does not read that lets
	// the timer win: what comes then is unread when the timer fires.
	blind = time.Millisecond
)

var longAgo = time.Unix(1, 0)

// ending is how a connection ends.
type ending struct {
	first Side
	how   How
	why   Why
}

// lingers reports whether the server's own manners apply: it ends by FIN, and
// not to do something wrong or because it is told to go.
func (e ending) lingers() bool {
	if e.first != ByServer || e.how != FIN {
		return false
	}
	switch e.why {
	case WhyIdleTimeout, WhyMaxRequests, WhySaidClose, WhyBadRequest:
		return true
	}
	return false
}

// conn is one connection, used by its goroutine alone.
type conn struct {
	s     *Server
	raw   *net.TCPConn
	drip  *drip    // between raw and the rest
	net   net.Conn // raw with the drip, or TLS over it
	in    *intake  // between net and r
	r     *bufio.Reader
	w     *bufio.Writer
	story *story

	idleUntil time.Time // when waiting for the next request ends; zero: never
	readUntil time.Time // until when it is read meanwhile
	idleEnd   ending    // and how
	bare      bool      // close without close_notify
}

func newConn(s *Server, raw *net.TCPConn) *conn {
	d := &drip{TCPConn: raw, single: s.cfg.Fault.whileReading()}
	c := &conn{s: s, raw: raw, drip: d, net: d, story: s.stories.begin(raw.RemoteAddr().String(), time.Now())}
	c.attach(d)
	return c
}

func (c *conn) attach(nc net.Conn) {
	c.net = nc
	c.in = &intake{from: nc}
	c.r = bufio.NewReader(c.in)
	c.w = bufio.NewWriter(nc)
}

// serve is the life of the connection.
func (c *conn) serve() {
	stop := context.AfterFunc(c.s.ln.ctx, func() { c.raw.SetDeadline(longAgo) })
	defer stop()
	c.close(c.run())
}

func (c *conn) run() ending {
	cfg := c.s.cfg
	struck := cfg.Fault.onConnection() && cfg.FaultOn.strikes(1, c.story.ID)
	if struck && cfg.Fault != TLSAlert {
		return ending{ByServer, cfg.Fault.how(), WhyFault}
	}
	if cfg.TLS {
		if e := c.handshake(struck); e != nil {
			return *e
		}
	}
	for use := 1; ; use++ {
		if e := c.exchange(use); e != nil {
			return *e
		}
	}
}

// handshake, like the steps after it, returns how the connection ends, or nil
// when it goes on.
func (c *conn) handshake(alert bool) *ending {
	config := c.s.tls
	if alert {
		config = alerting(config)
	}
	secure := tls.Server(c.net, config)
	c.attach(secure)
	if err := secure.Handshake(); err != nil {
		switch e := c.lost(err); {
		case alert && errors.Is(err, errAlert):
			return &ending{ByServer, FIN, WhyFault}
		case e.why == WhyBadRequest: // not the connection's end but the handshake's
			return &ending{ByServer, FIN, WhyHandshake}
		default:
			return e
		}
	}
	c.story.secured(secure.ConnectionState().DidResume)
	return nil
}

// exchange is the path of one request.
func (c *conn) exchange(use int) *ending {
	if e := c.await(); e != nil {
		return e
	}
	req, e := c.readHead()
	if e != nil {
		return e
	}
	struck := c.s.request(use)
	c.story.read(struck, time.Now())
	fault := FaultNone
	if struck {
		fault = c.s.cfg.Fault
	}
	if e := c.readBody(req, fault); e != nil {
		return e
	}
	if !sleep(c.s.ln.ctx, c.s.delay()) {
		return c.lost(os.ErrDeadlineExceeded)
	}
	if e := c.misbehave(req, fault); e != nil {
		return e
	}
	cfg := c.s.cfg
	last := use == cfg.MaxRequests
	say := cfg.SayClose || req.Close || last && !cfg.Unannounced
	if err := c.answer(req, say); err != nil {
		return c.lost(err)
	}
	answered := time.Now()
	c.story.answered(answered)
	c.bare = fault == TLSNoCloseNotify
	switch {
	case last:
		return &ending{ByServer, FIN, WhyMaxRequests}
	case say:
		return &ending{ByServer, FIN, WhySaidClose}
	}
	c.setIdle(answered, fault)
	return nil
}

// setIdle says how long the wait for the next request may be from now on.
func (c *conn) setIdle(now time.Time, fault Fault) {
	idle := c.s.cfg.IdleTimeout
	c.idleEnd = ending{ByServer, FIN, WhyIdleTimeout}
	if fault == CloseOnIdle || fault == ResetOnIdle {
		c.idleEnd = ending{ByServer, fault.how(), WhyFault}
		if idle == 0 {
			idle = defaultIdle
		}
	}
	c.idleUntil, c.readUntil = time.Time{}, time.Time{}
	if idle <= 0 {
		return
	}
	idle += c.s.late()
	c.idleUntil = now.Add(idle)
	c.readUntil = c.idleUntil
	if v := c.s.cfg.TimerVsData; v == TimerFIN || v == TimerRST {
		c.readUntil = c.idleUntil.Add(-min(blind, idle/10))
	}
}

// await waits for the first byte of a request. When it comes in the instant in
// which the timer fires, TimerVsData says which wins. With the timer the byte
// stays unread; after a close that makes a RST, as in nginx. With the byte the
// request is served, as in net/http.
func (c *conn) await() *ending {
	c.in.left = maxHead
	c.drip.single = c.s.cfg.Fault.whileReading()
	c.arm(c.readUntil)
	_, err := c.r.Peek(1)
	if c.timedOut(err) && c.s.cfg.TimerVsData == TimerServe && waiting(c.raw) {
		c.arm(time.Time{})
		_, err = c.r.Peek(1)
	}
	switch {
	case err == nil:
		c.arm(time.Time{})
		return nil
	case c.timedOut(err) && sleep(c.s.ln.ctx, time.Until(c.idleUntil)):
		return &c.idleEnd
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &ending{ByServer, FIN, WhyShutdown}
	}
	return c.lost(err)
}

// timedOut reports whether err is that of the idle timer and not of
// Server.Close, which passes a deadline too.
func (c *conn) timedOut(err error) bool {
	return errors.Is(err, os.ErrDeadlineExceeded) && c.s.ln.ctx.Err() == nil
}

// arm sets the deadline of reads, unless the server is being closed: then it
// has passed. The check comes after, since the deadline that Server.Close sets
// may have come before.
func (c *conn) arm(t time.Time) {
	c.raw.SetReadDeadline(t)
	if c.s.ln.ctx.Err() != nil {
		c.raw.SetReadDeadline(longAgo)
	}
}

func (c *conn) readHead() (*http.Request, *ending) {
	req, err := http.ReadRequest(c.r)
	if err == nil {
		c.in.left = math.MaxInt64
		return req, nil
	}
	// The parser may call a head malformed that was in fact cut short.
	switch cut := c.in.err; {
	case cut == nil:
		return nil, c.refuse(http.StatusBadRequest)
	case errors.Is(cut, errHeadTooLong):
		return nil, c.refuse(http.StatusRequestHeaderFieldsTooLarge)
	default:
		return nil, c.lost(cut)
	}
}

// readBody reads all of the request's body, or what the fault reads of it.
func (c *conn) readBody(req *http.Request, fault Fault) *ending {
	if req.Body != http.NoBody && req.ProtoAtLeast(1, 1) && strings.EqualFold(req.Header.Get("Expect"), "100-continue") {
		c.w.WriteString("HTTP/1.1 100 Continue\r\n\r\n")
		if err := c.w.Flush(); err != nil {
			return c.lost(err)
		}
	}
	if fault.whileReading() {
		if _, err := io.ReadFull(req.Body, make([]byte, 1)); err != nil && c.in.err != nil {
			return c.lost(c.in.err)
		}
		return &ending{ByServer, fault.how(), WhyFault}
	}
	c.drip.single = false
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		if c.in.err == nil {
			return c.refuse(http.StatusBadRequest)
		}
		return c.lost(c.in.err)
	}
	return nil
}

// lost is the ending when reading or writing failed.
func (c *conn) lost(err error) *ending {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded): // only Server.Close sets one
		c.bare = true // a close_notify might have to wait behind what was being written
		return &ending{ByServer, FIN, WhyShutdown}
	case errors.Is(err, syscall.ECONNRESET):
		return &ending{ByClient, RST, WhyClient}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		// EPIPE, not ECONNRESET: the FIN came before the RST.
		return &ending{ByClient, FIN, WhyClient}
	}
	return &ending{ByServer, FIN, WhyBadRequest}
}

// close tells the story, then ends the connection: once the client sees the
// end, it can be read here.
func (c *conn) close(e ending) {
	c.story.closed(e, time.Now())
	c.s.ended(e)
	switch {
	case e.how == RST && e.first == ByServer:
		c.raw.SetLinger(0)
		c.raw.Close()
	case c.s.cfg.AfterFIN > 0 && e.lingers():
		c.drain(time.Duration(c.s.cfg.AfterFIN))
	case c.bare:
		c.raw.Close()
	default:
		c.net.Close()
	}
}

// drain sends the FIN and throws away what comes, for as long as d or until the
// client's FIN. The client's kernel sees it acknowledged.
func (c *conn) drain(d time.Duration) {
	if secure, ok := c.net.(*tls.Conn); ok && !c.bare {
		secure.CloseWrite() // its close_notify
	}
	c.raw.CloseWrite()
	c.arm(time.Now().Add(d))
	io.Copy(io.Discard, c.raw)
	c.raw.Close()
}

// drip is a TCP connection that, when single, is read byte by byte. So a body
// that came along with the head, or with the end of the TLS handshake, stays in
// the kernel: without it there would be nothing unread to close on.
type drip struct {
	*net.TCPConn
	single bool
}

func (d *drip) Read(p []byte) (int, error) {
	if d.single && len(p) > 1 {
		p = p[:1]
	}
	return d.TCPConn.Read(p)
}

var errHeadTooLong = errors.New("the head of the request is too long")

// intake bounds how much is read and remembers why reading ended.
type intake struct {
	from io.Reader
	left int64
	err  error
}

func (in *intake) Read(p []byte) (n int, err error) {
	if in.left <= 0 {
		in.err = errHeadTooLong
		return 0, in.err
	}
	n, err = in.from.Read(p[:min(int64(len(p)), in.left)])
	in.left -= int64(n)
	if err != nil {
		in.err = err
	}
	return n, err
}
