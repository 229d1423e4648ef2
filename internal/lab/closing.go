package lab

import (
	"crypto/tls"
	"errors"
	"io"
	"time"

	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

// howOf is the way a connection ends when f ends it.
func howOf(f script.Fault) story.How {
	if f.Resets() {
		return story.RST
	}
	return story.FIN
}

// lingers reports whether the server's own manners apply: it ends by FIN, and
// not to do something wrong or because it is told to go.
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

// lost is the ending when reading or writing failed.
func (c *conn) lost(err error) *story.Ending {
	e := story.Lost(err)
	if e.Why == story.WhyShutdown {
		c.bare = true // a close_notify might have to wait behind what was being written
	}
	return e
}

// close tells the story, then ends the connection: once the client sees the
// end, it can be read here.
func (c *conn) close(e *story.Ending) {
	c.story.Closed(e, time.Now())
	c.s.ended(e)
	if lead := c.s.cfg.NotifyLead; lead > 0 && lingers(e) && !c.bare {
		c.notify(lead)
	}
	switch {
	case e.How == story.RST && e.First == story.ByServer:
		c.raw.SetLinger(0)
		c.raw.Close()
	case c.s.cfg.AfterFIN > 0 && lingers(e):
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

var errAlert = errors.New("the script says so")

// alerting is config made to answer every client's hello with a fatal alert.
func alerting(config *tls.Config) *tls.Config {
	c := config.Clone()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errAlert }
	return c
}
