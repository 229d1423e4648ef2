package lab

import (
	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

// connectionHeader is the Connection header of a response.
type connectionHeader uint8

const (
	saysNothing connectionHeader = iota
	saysClose
	saysKeepAlive // HTTP/1.0's way to keep a connection
)

// http10 reports whether the exchange follows the rules of HTTP/1.0.
func (x *exchange) http10() bool {
	return x.s.cfg.Version == script.HTTP10 || !x.req.ProtoAtLeast(1, 1)
}

// keeps reports whether the client's request lets its connection be kept: RFC
// 9112, section 9.3, and for HTTP/1.0 the extension of RFC 2068, section
// 19.7.1, in which both sides must say so.
func (x *exchange) keeps() bool {
	if !x.http10() {
		return !x.req.Close
	}
	asked := x.req.Header.Values("Connection")
	return !x.s.cfg.IgnoreKeepAlive && serve.HasToken(asked, "keep-alive") && !serve.HasToken(asked, "close")
}

// after returns the Connection header of the response, and why the connection ends
// after it; "" if it is kept.
func (x *exchange) after() (connectionHeader, story.Why) {
	cfg := x.s.cfg
	last := saysClose
	if cfg.Unannounced || x.http10() && cfg.IgnoreKeepAlive {
		last = saysNothing
	}
	switch {
	case x.use == cfg.MaxRequests:
		return last, story.WhyMaxRequests
	case x.framing == byClose:
		return last, story.WhyUntilClose
	case x.http10() && cfg.IgnoreKeepAlive:
		return saysNothing, story.WhyNotKept
	case cfg.SayClose || !x.keeps():
		return saysClose, story.WhySaidClose
	case x.doomed():
		return saysClose, story.WhyReload
	case x.upload == script.AnswerClose || x.upload == script.ShutInput:
		return saysClose, story.WhySaidClose
	case x.http10():
		return saysKeepAlive, ""
	}
	return saysNothing, ""
}
