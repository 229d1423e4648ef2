package lab

import (
	"net/http"

	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

// said is what the Connection header of an answer says.
type said uint8

const (
	nothing said = iota
	closing
	keeping // HTTP/1.0's way to keep a connection
)

// old reports whether the exchange goes by the rules of HTTP/1.0.
func (c *conn) old(req *http.Request) bool {
	return c.s.cfg.Version == script.HTTP10 || !req.ProtoAtLeast(1, 1)
}

// keeps reports whether the client's request lets its connection be kept: RFC
// 9112, section 9.3, and for HTTP/1.0 the extension of RFC 2068, section
// 19.7.1, in which both sides must say so.
func (c *conn) keeps(req *http.Request) bool {
	if !c.old(req) {
		return !req.Close
	}
	asked := req.Header.Values("Connection")
	return !c.s.cfg.IgnoreKeepAlive && serve.HasToken(asked, "keep-alive") && !serve.HasToken(asked, "close")
}

// after is what the answer to the use-th request of the connection says of the
// connection, and why it ends after it; "" when it is kept.
func (c *conn) after(req *http.Request, f framing, use int) (said, story.Why) {
	cfg := c.s.cfg
	say := closing
	if cfg.Unannounced || c.old(req) && cfg.IgnoreKeepAlive {
		say = nothing
	}
	switch {
	case use == cfg.MaxRequests:
		return say, story.WhyMaxRequests
	case f == byClose:
		return say, story.WhyUntilClose
	case c.old(req) && cfg.IgnoreKeepAlive:
		return nothing, story.WhyNotKept
	case cfg.SayClose || !c.keeps(req):
		return closing, story.WhySaidClose
	case c.condemned():
		return closing, story.WhyReload
	case c.old(req):
		return keeping, ""
	}
	return nothing, ""
}
