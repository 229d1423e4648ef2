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

const maxForwardedBody = 16 << 20 // bytes of a request's body that a proxy takes

// guest is a client's connection to a proxy, used by its goroutine alone.
type guest struct {
	p     *Proxy
	pool  *workerPool
	raw   *net.TCPConn
	net   net.Conn      // raw, or TLS over it
	in    *serve.Reader // between net and r
	r     *bufio.Reader
	w     *bufio.Writer
	story *story.Writer
	use   int // the request at hand, from 1
}

// asked is a client's request.
type asked struct {
	*message
	old   bool // HTTP/1.0
	keep  bool // the client lets the connection be kept
	sized bool // it has a body, be it empty
	body  []byte
}

func (a *asked) method() string { return a.words[0] }

func newGuest(p *Proxy, pool *workerPool, raw *net.TCPConn) *guest {
	g := &guest{p: p, pool: pool, raw: raw}
	g.attach(raw)
	g.story = p.clients.Begin(raw.RemoteAddr(), raw.LocalAddr(), time.Now())
	return g
}

func (g *guest) attach(conn net.Conn) {
	g.net, g.in, g.w = conn, &serve.Reader{From: conn}, bufio.NewWriter(conn)
	g.r = bufio.NewReader(g.in)
}

// serve is the life of the connection.
func (g *guest) serve() {
	stop := context.AfterFunc(g.p.ln.Ctx, func() { g.raw.SetDeadline(serve.LongAgo) })
	defer stop()
	e := g.run()
	g.story.Closed(e, time.Now())
	g.p.clientEnded(e)
	if g.p.cfg.NoCloseNotify || e.Why == story.WhyShutdown { // then it might have to wait behind what was being written
		g.raw.Close()
	} else {
		g.net.Close()
	}
}

func (g *guest) run() *story.Ending {
	if g.p.tls != nil {
		if e := g.handshake(); e != nil {
			return e
		}
	}
	for g.use = 1; ; g.use++ {
		if e := g.await(); e != nil {
			return e
		}
		req, e := g.read()
		if e != nil {
			return e
		}
		if e := g.pass(req); e != nil {
			return e
		}
	}
}

// handshake, like the steps after it, returns how the connection ends, or nil
// when it goes on.
func (g *guest) handshake() *story.Ending {
	secure := tls.Server(g.raw, g.p.tls)
	g.attach(secure)
	if err := secure.Handshake(); err != nil {
		e := story.Lost(err)
		if e.Why == story.WhyBadRequest { // not the connection's end but the handshake's
			e.Why = story.WhyHandshake
		}
		return e
	}
	g.story.Secured(secure.ConnectionState().DidResume)
	return nil
}

// await waits for the first byte of a request.
func (g *guest) await() *story.Ending {
	g.in.Left = serve.MaxHead
	idle := time.Time{}
	if d := g.p.cfg.IdleTimeout; d > 0 && g.use > 1 {
		idle = time.Now().Add(d)
	}
	g.arm(idle)
	if _, err := g.r.Peek(1); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) && g.p.ln.Ctx.Err() == nil {
			return story.ServerEnds(story.FIN, story.WhyIdleTimeout)
		}
		return story.Lost(err)
	}
	g.arm(time.Time{})
	return nil
}

func (g *guest) arm(t time.Time) { g.p.ln.SetReadDeadline(g.raw, t) }

// read reads a request, body and all.
func (g *guest) read() (*asked, *story.Ending) {
	m, err := readMessage(g.in, g.r)
	if err != nil {
		return nil, g.refuse(err)
	}
	v, known := version(m.words[2])
	body, err := m.extent(extent{framing: byLength})
	if !known || err != nil {
		return nil, g.refuse(errMalformed)
	}
	g.p.requests.Add(1)
	g.story.Read(story.Exchange{Read: time.Now()})
	req := &asked{message: m, old: v == script.HTTP10, sized: m.header.Get("Content-Length") != "" || body.framing == byChunks}
	req.keep = g.keeps(req)
	if req.sized && !req.old && m.says("Expect", "100-continue") {
		g.w.WriteString("HTTP/1.1 100 Continue\r\n\r\n")
		if err := g.w.Flush(); err != nil {
			return nil, story.Lost(err)
		}
	}
	g.in.Left = maxForwardedBody
	if body.length > maxForwardedBody {
		return nil, g.refuse(serve.ErrTooLong)
	}
	if req.body, err = io.ReadAll(body.open(g.r)); err != nil {
		if g.in.Err == nil {
			err = errMalformed
		} else {
			err = g.in.Err
		}
		return nil, g.refuse(err)
	}
	g.story.Executed()
	return req, nil
}

// keeps reports whether the client lets its connection be kept.
func (g *guest) keeps(req *asked) bool {
	says := func(word string) bool {
		return req.says("Connection", word) ||
			g.p.cfg.ProxyConnection == script.Understood && req.says("Proxy-Connection", word)
	}
	return !says("close") && (!req.old || says("keep-alive"))
}

// refuse ends the connection, with an answer if the request was bad.
func (g *guest) refuse(err error) *story.Ending {
	status := http.StatusBadRequest
	switch {
	case errors.Is(err, serve.ErrTooLong):
		status = http.StatusRequestEntityTooLarge
	case !errors.Is(err, errMalformed):
		return story.Lost(err)
	}
	if err := g.say(status, false, false); err != nil {
		return story.Lost(err)
	}
	return story.ServerEnds(story.FIN, story.WhyBadRequest)
}

// pass gets the request answered.
func (g *guest) pass(req *asked) *story.Ending {
	if g.p.cfg.HopByHop == script.Blind {
		return g.tunnel(req)
	}
	up, answer, failed := g.fetch(req)
	if failed != nil {
		return g.fail(req, *failed)
	}
	return g.relay(req, up, answer)
}

// last reports whether the connection ends after this answer, and why.
func (g *guest) last(req *asked) (bool, story.Why) {
	if g.use == g.p.cfg.MaxRequests {
		return true, story.WhyMaxRequests
	}
	return !req.keep, story.WhySaidClose
}

// fail tells the client that the servers failed.
func (g *guest) fail(req *asked, f failure) *story.Ending {
	if g.p.ln.Ctx.Err() != nil {
		return story.ServerEnds(story.FIN, story.WhyShutdown)
	}
	if g.p.cfg.Errors == script.LikeHAProxy && f.reused && !f.timeout && g.use > 1 {
		g.p.silent.Add(1)
		return story.ServerEnds(story.FIN, story.WhyUpstream)
	}
	status := f.status(g.p.cfg.Errors)
	switch status {
	case http.StatusBadGateway:
		g.p.badGateways.Add(1)
	case http.StatusServiceUnavailable:
		g.p.unavailable.Add(1)
	case http.StatusGatewayTimeout:
		g.p.timeouts.Add(1)
	}
	last, why := g.last(req)
	if err := g.say(status, !last, req.old); err != nil {
		return story.Lost(err)
	}
	g.story.Answered(time.Now())
	if last {
		return story.ServerEnds(story.FIN, why)
	}
	return nil
}

// say writes an answer of the proxy's own.
func (g *guest) say(status int, keep, old bool) error {
	reason, headers, body := errorPage(g.p.cfg.Errors, status)
	fmt.Fprintf(g.w, "HTTP/1.1 %s\r\n%s", reason, headers)
	switch {
	case !keep:
		g.w.WriteString("Connection: close\r\n")
	case old:
		g.w.WriteString("Connection: keep-alive\r\n")
	}
	g.w.WriteString("\r\n" + body)
	return g.w.Flush()
}
