package lab

import (
	"errors"
	"io"
	"math"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

// exchange is one request on a connection and the response to it.
type exchange struct {
	*conn
	use     int // of the connection, from 1
	req     *http.Request
	id      request
	fault   script.Fault  // that strikes it
	upload  script.Upload // when its body is read
	framing framing       // of the response
}

// exchange is the path of one request: the steps return how the connection ends,
// or nil when it goes on.
func (c *conn) exchange(use int) *story.Ending {
	if e := c.await(use); e != nil {
		return e
	}
	if !enter(c.s.ln.Ctx, c.s.limits.threads) {
		return c.lost(os.ErrDeadlineExceeded)
	}
	defer leave(c.s.limits.threads)
	x := &exchange{conn: c, use: use}
	if e := x.readHead(); e != nil {
		return e
	}
	if x.upload == script.ReadFirst {
		if e := x.readBody(); e != nil {
			return e
		}
	}
	if x.upload == script.ShutInput {
		c.raw.CloseRead()
	}
	if e := x.delay(); e != nil {
		return e
	}
	if e := x.misbehave(); e != nil {
		return e
	}
	says, why := x.after()
	if err := x.respond(says); err != nil {
		return c.lost(err)
	}
	responded := time.Now()
	c.story.Responded(responded)
	c.noCloseNotify = x.fault == script.TLSNoCloseNotify
	if why != "" {
		return story.ServerEnds(story.FIN, why)
	}
	if x.upload == script.AnswerRead {
		if e := x.readBody(); e != nil {
			return e
		}
	}
	c.setIdle(responded, x.fault)
	return nil
}

// readHead reads the request's head and decides what happens to the request.
func (x *exchange) readHead() *story.Ending {
	var err error
	if x.req, err = http.ReadRequest(x.r); err != nil {
		return x.badHead()
	}
	x.in.Left = math.MaxInt64
	struck := x.s.request(x.use)
	if struck {
		x.fault = x.s.cfg.Fault
	}
	x.id = identify(x.req)
	x.s.tally.received(x.id)
	x.story.Read(story.Exchange{ID: x.id.id, Read: time.Now(), Struck: struck, Header: x.record()})
	x.upload = x.whenRead()
	x.framing = x.framed()
	return nil
}

// badHead ends the connection after a head that could not be read. The parser may
// call a head malformed that was in fact cut short.
func (x *exchange) badHead() *story.Ending {
	switch cut := x.in.Err; {
	case cut == nil:
		return x.refuse(http.StatusBadRequest)
	case errors.Is(cut, serve.ErrTooLong):
		return x.refuse(http.StatusRequestHeaderFieldsTooLarge)
	default:
		return x.lost(cut)
	}
}

// record counts and returns the request's headers as they came, including those
// that the parser takes out; nil unless the script asks for it.
func (x *exchange) record() http.Header {
	if !x.s.cfg.RecordHeaders {
		return nil
	}
	h := x.req.Header.Clone()
	if x.req.Host != "" {
		h.Set("Host", x.req.Host)
	}
	for _, coding := range x.req.TransferEncoding {
		h.Add("Transfer-Encoding", coding)
	}
	for name := range x.req.Trailer {
		h.Add("Trailer", name)
	}
	x.s.tally.carried(h)
	return h
}

// whenRead returns whether the body is read before the response, and otherwise what
// happens to it.
func (x *exchange) whenRead() script.Upload {
	if x.req.Body == http.NoBody || x.fault.WhileReading() {
		return script.ReadFirst
	}
	if upload := x.s.cfg.Upload; upload != script.AnswerRead || !x.expects() {
		return upload
	}
	return script.AnswerClose // whether the body still comes is not known
}

// readBody reads all of the request's body, or what the fault reads of it. If the
// response was sent first, the client is not asked for the rest of the body.
func (x *exchange) readBody() *story.Ending {
	if x.s.cfg.Upload == script.ReadFirst && x.expects() {
		x.w.WriteString("HTTP/1.1 100 Continue\r\n\r\n")
		if err := x.w.Flush(); err != nil {
			return x.lost(err)
		}
	}
	if x.fault.WhileReading() {
		if _, err := io.ReadFull(x.req.Body, make([]byte, 1)); err != nil && x.in.Err != nil {
			return x.lost(x.in.Err)
		}
		return story.ServerEnds(howOf(x.fault), story.WhyFault)
	}
	x.drip.single = false
	if _, err := io.Copy(io.Discard, x.req.Body); err != nil {
		if x.in.Err == nil {
			return x.refuse(http.StatusBadRequest)
		}
		return x.lost(x.in.Err)
	}
	x.s.tally.execute(x.id)
	x.story.Executed()
	return nil
}

// expects reports whether the client holds the body back until the server says
// 100 Continue: RFC 9110, section 10.1.1.
func (x *exchange) expects() bool {
	return x.req.Body != http.NoBody && !x.http10() && strings.EqualFold(x.req.Header.Get("Expect"), "100-continue")
}

// delay waits for as long as the script says, and for the end of a stall.
func (x *exchange) delay() *story.Ending {
	if d := x.s.draw(script.Delays, x.s.cfg.Delay); d > 0 {
		due := time.Now().Add(d)
		if !serve.Sleep(x.s.ln.Ctx, d) {
			return x.lost(os.ErrDeadlineExceeded)
		}
		x.s.late.since(due)
	}
	if !x.s.stall.wait(x.s.ln.Ctx) {
		return x.lost(os.ErrDeadlineExceeded)
	}
	return nil
}
