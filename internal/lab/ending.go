package lab

import (
	"crypto/tls"
	"errors"
	"io"
	"os"
	"syscall"
	"time"

	"github.com/kabench/kabench/profiles/script"
)

// ending is how a connection ends.
type ending struct {
	first Side
	how   How
	why   Why
}

// howOf is the way a connection ends when f ends it.
func howOf(f script.Fault) How {
	switch f {
	case script.ResetBeforeResponse, script.ResetInHeaders, script.ResetDuringResponse,
		script.ResetWhileReading, script.ResetOnIdle, script.ResetOnAccept:
		return RST
	}
	return FIN
}

// lingers reports whether the server's own manners apply: it ends by FIN, and
// not to do something wrong or because it is told to go.
func (e ending) lingers() bool {
	if e.first != ByServer || e.how != FIN {
		return false
	}
	switch e.why {
	case WhyIdleTimeout, WhyMaxRequests, WhySaidClose, WhyUntilClose, WhyNotKept, WhyReload, WhyBadRequest:
		return true
	}
	return false
}

// lost is the ending when reading or writing failed.
func (c *conn) lost(err error) *ending {
	e := lost(err)
	if e.why == WhyShutdown {
		c.bare = true // a close_notify might have to wait behind what was being written
	}
	return &e
}

// lost is how a client's connection ends when reading or writing failed.
func lost(err error) ending {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded): // only closing a server or proxy sets one
		return ending{ByServer, FIN, WhyShutdown}
	case errors.Is(err, syscall.ECONNRESET):
		return ending{ByClient, RST, WhyClient}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		// EPIPE, not ECONNRESET: the FIN came before the RST.
		return ending{ByClient, FIN, WhyClient}
	}
	return ending{ByServer, FIN, WhyBadRequest}
}

// close tells the story, then ends the connection: once the client sees the
// end, it can be read here.
func (c *conn) close(e ending) {
	c.story.closed(e, time.Now())
	c.s.ended(e)
	if lead := c.s.cfg.NotifyLead; lead > 0 && e.lingers() && !c.bare {
		c.notify(lead)
	}
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

// notify sends the close_notify and throws away what comes until the FIN is due,
// or until the client's.
func (c *conn) notify(lead time.Duration) {
	c.net.(*tls.Conn).CloseWrite()
	c.arm(time.Now().Add(lead))
	io.Copy(io.Discard, c.raw)
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
