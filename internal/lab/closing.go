package lab

import (
	"crypto/tls"
	"io"
	"time"

	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

// howOf returns how a connection ends when f ends it.
func howOf(f script.Fault) story.How {
	if f.Resets() {
		return story.RST
	}
	return story.FIN
}

// lingers reports whether NotifyLead and AfterFIN apply: the server sends a FIN, not
// because of a fault and not because it is being closed.
func lingers(e *story.Ending) bool {
	if e.First != story.ByServer || e.How != story.FIN {
		return false
	}
	switch e.Why {
	case story.WhyIdleTimeout, story.WhyMaxRequests, story.WhySaidClose, story.WhyUntilClose, story.WhyNotKept, story.WhyReload, story.WhyBadRequest:
		return true
	}
	return false
}

// lost returns how the connection ends when reading or writing failed with err.
func (c *conn) lost(err error) *story.Ending {
	e := story.Lost(err)
	if e.Why == story.WhyShutdown {
		c.noCloseNotify = true // a close_notify could have to wait until an earlier write is over
	}
	return e
}

// close records the ending, then ends the connection. So the story is complete when
// the client sees the end.
func (c *conn) close(e *story.Ending) {
	c.story.Closed(e, time.Now())
	c.s.ended(e)
	if lead := c.s.cfg.NotifyLead; lead > 0 && lingers(e) && !c.noCloseNotify {
		c.notify(lead)
	}
	switch {
	case e.How == story.RST && e.First == story.ByServer:
		c.raw.SetLinger(0)
		c.raw.Close()
	case c.s.cfg.AfterFIN > 0 && lingers(e):
		c.drain(time.Duration(c.s.cfg.AfterFIN))
	case c.noCloseNotify:
		c.raw.Close()
	default:
		c.net.Close()
	}
}

// notify sends the close_notify and drops what arrives, until the time of the FIN or
// until the client's FIN.
func (c *conn) notify(lead time.Duration) {
	c.net.(*tls.Conn).CloseWrite()
	c.arm(time.Now().Add(lead))
	io.Copy(io.Discard, c.raw)
}

// drain sends the FIN and drops what arrives, for the time d or until the client's
// FIN. The kernel acknowledges what is dropped.
func (c *conn) drain(d time.Duration) {
	if secure, ok := c.net.(*tls.Conn); ok && !c.noCloseNotify {
		secure.CloseWrite() // sends the close_notify
	}
	c.raw.CloseWrite()
	c.arm(time.Now().Add(d))
	io.Copy(io.Discard, c.raw)
	c.raw.Close()
}
