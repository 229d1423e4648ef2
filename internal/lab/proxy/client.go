package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

const maxForwardedBody = 16 << 20 // most bytes that a proxy accepts as a request's body

// clientConn is a client's connection to a proxy. Only its goroutine uses it.
type clientConn struct {
	p     *Proxy
	pool  *workerPool
	raw   *net.TCPConn
	net   net.Conn      // raw, or TLS over it
	in    *serve.Reader // between net and r
	r     *bufio.Reader
	w     *bufio.Writer
	story *story.Writer
	use   int // number of the current request, counted from 1
}

// clientRequest is a client's request.
type clientRequest struct {
	*message
	http10 bool // HTTP/1.0
	keep   bool // the client lets the connection be kept
	sized  bool // it has a body, which may be empty
	body   []byte
}

func (a *clientRequest) method() string { return a.words[0] }

func newClientConn(p *Proxy, pool *workerPool, raw *net.TCPConn) *clientConn {
	c := &clientConn{p: p, pool: pool, raw: raw}
	c.attach(raw)
	c.story = p.clients.Begin(raw.RemoteAddr(), raw.LocalAddr(), time.Now())
	return c
}

func (c *clientConn) attach(conn net.Conn) {
	c.net, c.in, c.w = conn, &serve.Reader{From: conn}, bufio.NewWriter(conn)
	c.r = bufio.NewReader(c.in)
}

// serve is the life of the connection.
func (c *clientConn) serve() {
	stop := context.AfterFunc(c.p.ln.Ctx, func() { c.raw.SetDeadline(serve.LongAgo) })
	defer stop()
	e := c.run()
	c.story.Closed(e, time.Now())
	c.p.clientEnded(e)
	if c.p.cfg.NoCloseNotify || e.Why == story.WhyShutdown { // a close_notify could have to wait until an earlier write is over
		c.raw.Close()
	} else {
		c.net.Close()
	}
}

func (c *clientConn) run() *story.Ending {
	if c.p.tls != nil {
		if e := c.handshake(); e != nil {
			return e
		}
	}
	for c.use = 1; ; c.use++ {
		if e := c.await(); e != nil {
			return e
		}
		req, e := c.read()
		if e != nil {
			return e
		}
		if e := c.forward(req); e != nil {
			return e
		}
	}
}

// handshake, like the steps after it, returns how the connection ends, or nil
// when it goes on.
func (c *clientConn) handshake() *story.Ending {
	secure := tls.Server(c.raw, c.p.tls)
	c.attach(secure)
	if err := secure.Handshake(); err != nil {
		e := story.Lost(err)
		if e.Why == story.WhyBadRequest { // the handshake failed; the connection did not end
			e.Why = story.WhyHandshake
		}
		return e
	}
	c.story.Secured(secure.ConnectionState().DidResume)
	return nil
}

// await waits for the first byte of a request.
func (c *clientConn) await() *story.Ending {
	c.in.Left = serve.MaxHead
	idle := time.Time{}
	if d := c.p.cfg.IdleTimeout; d > 0 && c.use > 1 {
		idle = time.Now().Add(d)
	}
	c.arm(idle)
	if _, err := c.r.Peek(1); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) && c.p.ln.Ctx.Err() == nil {
			return story.ServerEnds(story.FIN, story.WhyIdleTimeout)
		}
		return story.Lost(err)
	}
	c.arm(time.Time{})
	return nil
}

func (c *clientConn) arm(t time.Time) { c.p.ln.SetReadDeadline(c.raw, t) }

// read reads a request with its body.
func (c *clientConn) read() (*clientRequest, *story.Ending) {
	m, err := readMessage(c.in, c.r)
	if err != nil {
		return nil, c.refuse(err)
	}
	v, known := version(m.words[2])
	body, err := m.extent(extent{framing: byLength})
	if !known || err != nil {
		return nil, c.refuse(errMalformed)
	}
	c.p.requests.Add(1)
	c.story.Read(story.Exchange{ID: m.header.Get("X-Request-Id"), Read: time.Now()})
	req := &clientRequest{message: m, http10: v == script.HTTP10, sized: m.header.Get("Content-Length") != "" || body.framing == byChunks}
	req.keep = c.keeps(req)
	if req.sized && !req.http10 && m.hasToken("Expect", "100-continue") {
		c.w.WriteString("HTTP/1.1 100 Continue\r\n\r\n")
		if err := c.w.Flush(); err != nil {
			return nil, story.Lost(err)
		}
	}
	c.in.Left = maxForwardedBody
	if body.length > maxForwardedBody {
		return nil, c.refuse(serve.ErrTooLong)
	}
	if req.body, err = io.ReadAll(body.open(c.r)); err != nil {
		if c.in.Err == nil {
			err = errMalformed
		} else {
			err = c.in.Err
		}
		return nil, c.refuse(err)
	}
	c.story.Executed()
	return req, nil
}

// keeps reports whether the client lets its connection be kept.
func (c *clientConn) keeps(req *clientRequest) bool {
	says := func(word string) bool {
		return req.hasToken("Connection", word) ||
			c.p.cfg.ProxyConnection == script.Understood && req.hasToken("Proxy-Connection", word)
	}
	return !says("close") && (!req.http10 || says("keep-alive"))
}

// refuse ends the connection, with an error response if the request was bad.
func (c *clientConn) refuse(err error) *story.Ending {
	status := http.StatusBadRequest
	switch {
	case errors.Is(err, serve.ErrTooLong):
		status = http.StatusRequestEntityTooLarge
	case !errors.Is(err, errMalformed):
		return story.Lost(err)
	}
	if err := c.respond(status, false, false); err != nil {
		return story.Lost(err)
	}
	return story.ServerEnds(story.FIN, story.WhyBadRequest)
}

// forward gets a response to the request and sends it to the client.
func (c *clientConn) forward(req *clientRequest) *story.Ending {
	if c.p.cfg.HopByHop == script.Blind {
		return c.tunnel(req)
	}
	up, response, failed := c.fetch(req)
	if failed != nil {
		return c.failed(req, *failed)
	}
	return c.relay(req, up, response)
}

// last reports whether the connection ends after this response, and why.
func (c *clientConn) last(req *clientRequest) (bool, story.Why) {
	if c.use == c.p.cfg.MaxRequests {
		return true, story.WhyMaxRequests
	}
	return !req.keep, story.WhySaidClose
}

// failed sends the client an error response, because the servers failed.
func (c *clientConn) failed(req *clientRequest, f failure) *story.Ending {
	if c.p.ln.Ctx.Err() != nil {
		return story.ServerEnds(story.FIN, story.WhyShutdown)
	}
	if c.p.cfg.Errors == script.LikeHAProxy && f.reused && !f.timeout && c.use > 1 {
		c.p.silent.Add(1)
		return story.ServerEnds(story.FIN, story.WhyUpstream)
	}
	status := f.status(c.p.cfg.Errors)
	switch status {
	case http.StatusBadGateway:
		c.p.badGateways.Add(1)
	case http.StatusServiceUnavailable:
		c.p.unavailable.Add(1)
	case http.StatusGatewayTimeout:
		c.p.timeouts.Add(1)
	}
	last, why := c.last(req)
	if err := c.respond(status, !last, req.http10); err != nil {
		return story.Lost(err)
	}
	c.story.Responded(time.Now())
	if last {
		return story.ServerEnds(story.FIN, why)
	}
	return nil
}

// respond writes a response of the proxy's own.
func (c *clientConn) respond(status int, keep, old bool) error {
	reason, headers, body := errorPage(c.p.cfg.Errors, status)
	fmt.Fprintf(c.w, "HTTP/1.1 %s\r\n%s", reason, headers)
	switch {
	case !keep:
		c.w.WriteString("Connection: close\r\n")
	case old:
		c.w.WriteString("Connection: keep-alive\r\n")
	}
	c.w.WriteString("\r\n" + body)
	return c.w.Flush()
}
