package lab

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

// conn is one connection, used by its goroutine alone. Its stages: the handshake,
// then for each request the wait (idle.go) and the exchange (exchange.go), then
// the close (closing.go).
type conn struct {
	s *Server
	socket
	story         *story.Writer
	idle          idleWait
	noCloseNotify bool // end without close_notify
}

// socket is what a connection is read from and written to, from the kernel
// upwards.
type socket struct {
	raw  *net.TCPConn
	drip *drip         // between raw and the rest
	net  net.Conn      // drip, or TLS over it
	in   *serve.Reader // between net and r
	r    *bufio.Reader
	w    *bufio.Writer
}

func newConn(s *Server, raw *net.TCPConn) *conn {
	c := &conn{s: s, story: s.stories.Begin(raw.RemoteAddr(), raw.LocalAddr(), time.Now())}
	c.raw = raw
	c.drip = &drip{TCPConn: raw, single: byteWise(s.cfg)}
	if s.cfg.Nagle {
		raw.SetNoDelay(false)
	}
	c.attach(c.drip)
	s.opened(c)
	return c
}

func (s *socket) attach(nc net.Conn) {
	s.net = nc
	s.in = &serve.Reader{From: nc}
	s.r = bufio.NewReader(s.in)
	s.w = bufio.NewWriter(nc)
}

// serve is the life of the connection.
func (c *conn) serve() {
	stop := context.AfterFunc(c.s.ln.Ctx, func() { c.raw.SetDeadline(serve.LongAgo) })
	defer stop()
	defer leave(c.s.limits.connections)
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
		case e.Why == story.WhyBadRequest: // the handshake failed; the connection did not end
			return story.ServerEnds(story.FIN, story.WhyHandshake)
		default:
			return e
		}
	}
	c.story.Secured(secure.ConnectionState().DidResume)
	return nil
}

var errAlert = errors.New("the script says so")

// alerting returns config changed to answer every client's hello with a fatal
// alert.
func alerting(config *tls.Config) *tls.Config {
	c := config.Clone()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errAlert }
	return c
}

// arm sets the deadline of reads; see [serve.Listener.SetReadDeadline].
func (c *conn) arm(t time.Time) { c.s.ln.SetReadDeadline(c.raw, t) }
