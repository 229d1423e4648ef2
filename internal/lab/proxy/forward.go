package proxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"os"
	"slices"
	"strconv"
	"time"

	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

// fetch sends the request to a server, and again if the script says so, until it has
// the head of a response.
func (c *clientConn) fetch(req *clientRequest) (*upstream, *message, *failure) {
	p := c.p
	wire := c.outgoing(req)
	first := p.turn.Add(1) - 1
	failedFresh, freshly := 0, p.cfg.Upstream.PerRequest
	for again := 0; ; again++ {
		p.attempts.Add(1)
		up, response, f := c.attempt(req, wire, p.backend(first, again), freshly)
		if f == nil {
			return up, response, nil
		}
		if f.reused {
			p.stale.Add(1)
		} else {
			failedFresh++
		}
		if !p.sendsAgain(req.method(), *f, again, failedFresh) {
			return nil, nil, f
		}
		p.retries.Add(1)
		freshly = freshly || p.cfg.Upstream.RetryFresh
	}
}

// sendsAgain reports whether a request is sent sendsAgain that has been so often before,
// and has failed so often on a fresh connection.
func (p *Proxy) sendsAgain(method string, f failure, before, failedFresh int) bool {
	u := p.cfg.Upstream
	allowed := u.Retry == script.RetryAlways || u.Retry != script.RetryNone && f.unsent ||
		u.Retry == script.RetryIdempotent && !slices.Contains([]string{"POST", "LOCK", "PATCH"}, method)
	switch {
	case !allowed || f.malformed || p.ln.Ctx.Err() != nil:
		return false
	case f.timeout && len(p.backends) == 1:
		return false
	case u.Retries > 0:
		return before < u.Retries
	case f.timeout && f.reused:
		return before+1 < len(p.backends)
	}
	return failedFresh < len(p.backends)
}

// attempt sends the request once and waits for the head of the response.
func (c *clientConn) attempt(req *clientRequest, wire []byte, backend int, fresh bool) (*upstream, *message, *failure) {
	p := c.p
	up, err := c.pool.lease(backend, fresh)
	if err != nil {
		return nil, nil, unreached(err)
	}
	reused := up.uses > 0
	up.uses++
	up.story.Read(story.Exchange{Read: time.Now()})
	up.pace.within = p.cfg.Upstream.Timeout
	n, wrote := up.pace.Write(wire)
	response, err := up.readResponse(req.method())
	if err == nil {
		if wrote != nil {
			response.header.Set("Connection", "close") // the server did not read the whole request
		}
		return up, response, nil
	}
	if wrote != nil && errors.Is(err, io.EOF) {
		err = wrote // the write got the error of the reset
	}
	end := up.lost(err)
	up.close(end)
	return nil, nil, &failure{
		err: err, reused: reused, unsent: wrote != nil && n == 0,
		timeout: errors.Is(err, os.ErrDeadlineExceeded), malformed: end.Why == story.WhyBadResponse,
	}
}

// readResponse reads the head of the response. It skips interim responses with status
// 100 to 199.
func (up *upstream) readResponse(method string) (*message, error) {
	for {
		up.in.Left = serve.MaxHead
		m, err := readMessage(up.in, up.r)
		if err != nil {
			return nil, err
		}
		if _, known := version(m.words[0]); !known || len(m.words[1]) != 3 {
			return nil, errMalformed
		}
		if _, err := m.responseExtent(method); err != nil {
			return nil, err
		}
		if m.words[1][0] != '1' {
			return m, nil
		}
	}
}

// responseExtent returns the extent of the body of a response to the method.
func (m *message) responseExtent(method string) (extent, error) {
	status, err := strconv.Atoi(m.words[1])
	if err != nil || status < 100 {
		return extent{}, errMalformed
	}
	if method == http.MethodHead || status < 200 || script.Bodyless(status) {
		return extent{framing: byLength}, nil
	}
	return m.extent(extent{framing: byClose})
}

// outgoing returns the request as it is sent to a server.
func (c *clientConn) outgoing(req *clientRequest) []byte {
	cfg := c.p.cfg
	out := &message{words: req.words, header: req.header.Clone()}
	if cfg.HopByHop != script.Blind {
		out.words[2] = cfg.Upstream.Version.Protocol()
	}
	chunks := req.hasToken("Transfer-Encoding", "chunked")
	if cfg.HopByHop == script.Removed {
		out.header = req.endToEnd()
		out.header.Del("Expect") // the proxy itself has sent 100 Continue
		if cfg.ProxyConnection == script.PassedOn {
			if v, has := req.header["Proxy-Connection"]; has {
				out.header["Proxy-Connection"] = v
			}
		}
		switch {
		case cfg.Upstream.PerRequest:
			out.header.Set("Connection", "close")
		case cfg.Upstream.Version == script.HTTP10:
			out.header.Set("Connection", "keep-alive")
		}
		if chunks = false; req.sized {
			out.header.Set("Content-Length", strconv.Itoa(len(req.body)))
		}
	}
	c.via(out.header, req.words[2])
	wire := out.writeHead(nil)
	if !chunks {
		return append(wire, req.body...)
	}
	body := bytes.NewBuffer(wire)
	w := httputil.NewChunkedWriter(body)
	w.Write(req.body)
	w.Close()
	body.WriteString("\r\n")
	return body.Bytes()
}

// via adds the proxy to the Via header of a message that it received in this version of
// the protocol: RFC 9110, section 7.6.3.
func (c *clientConn) via(h http.Header, version string) {
	if name := c.p.cfg.Via; name != "" {
		_, number, _ := bytes.Cut([]byte(version), []byte("/"))
		h.Add("Via", string(number)+" "+name)
	}
}

// relay forwards a response. It releases the server's connection before the client can
// see the end of the response.
func (c *clientConn) relay(req *clientRequest, up *upstream, response *message) *story.Ending {
	from, _ := response.responseExtent(req.method()) // readResponse has checked it
	to := c.reframed(req, from)
	last, why := c.last(req)
	if to.framing == byClose {
		last, why = true, story.WhyUntilClose
	}
	c.w.Write(c.incoming(req, response, to, last).writeHead(nil))
	up.in.Left = 1 << 62
	end, gone := c.copyBody(up, from, to)
	switch {
	case end != nil:
		up.close(end)
		if gone == nil {
			c.p.truncated.Add(1)
			c.w.Flush() // what has arrived
			if c.p.ln.Ctx.Err() != nil {
				return story.ServerEnds(story.FIN, story.WhyShutdown)
			}
			return story.ServerEnds(story.FIN, story.WhyUpstream)
		}
		return story.Lost(gone)
	case response.keepsConnection() && from.framing != byClose && !c.p.cfg.Upstream.PerRequest:
		up.story.Responded(time.Now())
		c.pool.release(up)
	default:
		up.story.Responded(time.Now())
		up.close(response.endAfter(from))
	}
	if err := c.w.Flush(); err != nil {
		return story.Lost(err)
	}
	c.story.Responded(time.Now())
	if last {
		return story.ServerEnds(story.FIN, why)
	}
	return nil
}

// reframed returns how the response to the client says where its body ends. A proxy that
// forwards all headers must use the server's framing.
func (c *clientConn) reframed(req *clientRequest, from extent) extent {
	if from.framing == byLength || c.p.cfg.HopByHop == script.Forwarded {
		return from
	}
	if req.http10 {
		return extent{framing: byClose}
	}
	return extent{framing: byChunks}
}

// keepsConnection reports whether the server keeps the connection.
func (m *message) keepsConnection() bool {
	v, _ := version(m.words[0])
	return !m.hasToken("Connection", "close") && (v == script.HTTP11 || m.hasToken("Connection", "keep-alive"))
}

// endAfter returns how a connection that is not kept ends. If the end of the connection
// was the end of the response, the server has closed it.
func (m *message) endAfter(e extent) *story.Ending {
	if e.framing == byClose {
		return story.ServerEnds(story.FIN, story.WhyServer)
	}
	return story.ClientEnds(story.FIN, story.WhySaidClose)
}

// incoming returns the head of the response as it is sent to the client.
func (c *clientConn) incoming(req *clientRequest, response *message, to extent, last bool) *message {
	cfg := c.p.cfg
	out := &message{words: response.words, header: response.header.Clone()}
	if cfg.HopByHop == script.Removed {
		out.words[0] = script.HTTP11.Protocol()
		out.header = response.endToEnd()
		switch {
		case last:
			out.header.Set("Connection", "close")
		case cfg.Hint != "":
			out.header.Set("Connection", "keep-alive")
			out.header.Set("Keep-Alive", cfg.Hint)
		case req.http10:
			out.header.Set("Connection", "keep-alive")
		}
		if to.framing == byChunks {
			out.header.Del("Content-Length")
			out.header.Set("Transfer-Encoding", "chunked")
		}
	}
	c.via(out.header, response.words[0])
	return out
}

// copyBody forwards a body while it arrives. If the server's connection fails, end is
// how it ended. If writing to the client fails, gone is the error.
func (c *clientConn) copyBody(up *upstream, from, to extent) (end *story.Ending, gone error) {
	body := from.open(up.r)
	var out io.Writer = c.w
	var chunks io.WriteCloser
	if to.framing == byChunks {
		chunks = httputil.NewChunkedWriter(c.w)
		out = chunks
	}
	buf := make([]byte, 32<<10)
	for left := from.length; ; {
		n, err := body.Read(buf)
		left -= int64(n)
		if n > 0 {
			if _, gone := out.Write(buf[:n]); gone != nil {
				return story.ClientEnds(story.FIN, story.WhyAbandoned), gone
			}
		}
		switch {
		case err == io.EOF:
			if chunks != nil {
				chunks.Close()
				c.w.WriteString("\r\n")
			}
			return nil, nil
		case err != nil:
			if up.in.Err != nil {
				err = up.in.Err
			}
			return up.lost(err), nil
		case up.r.Buffered() == 0 && (from.framing != byLength || left > 0):
			if gone := c.w.Flush(); gone != nil {
				return story.ClientEnds(story.FIN, story.WhyAbandoned), gone
			}
		}
	}
}

// tunnel is what a proxy does that does not know keep-alive: it forwards the request
// unchanged, and forwards what the server sends until the server closes. It does not
// read what the client sends meanwhile.
func (c *clientConn) tunnel(req *clientRequest) *story.Ending {
	p := c.p
	p.attempts.Add(1)
	req.keep = false
	up, err := p.dial(p.backend(p.turn.Add(1)-1, 0))
	if err != nil {
		return c.failed(req, *unreached(err))
	}
	up.uses++
	up.story.Read(story.Exchange{Read: time.Now()})
	up.pace.within = p.cfg.Upstream.Timeout
	up.in.Left = 1 << 62
	_, err = up.pace.Write(c.outgoing(req))
	poured := false
	if err == nil {
		poured, err = c.pour(up)
	}
	var gone *clientGone
	if errors.As(err, &gone) {
		up.close(story.ClientEnds(story.FIN, story.WhyAbandoned))
		return story.Lost(gone.error)
	}
	if poured && err == io.EOF {
		up.story.Responded(time.Now())
	}
	up.close(up.lost(err))
	switch {
	case !poured:
		return c.failed(req, failure{err: err, timeout: errors.Is(err, os.ErrDeadlineExceeded)})
	case p.ln.Ctx.Err() != nil:
		return story.ServerEnds(story.FIN, story.WhyShutdown)
	}
	return story.ServerEnds(story.FIN, story.WhyUpstream)
}

// unreached returns the failure to connect to a server.
func unreached(err error) *failure {
	var network net.Error
	return &failure{err: err, connect: true, unsent: true, timeout: errors.As(err, &network) && network.Timeout()}
}

// clientGone is the error of writing to the client.
type clientGone struct{ error }

// pour forwards what the server sends until reading ends. It returns whether there was
// anything, and the error of reading: io.EOF after the server's FIN.
func (c *clientConn) pour(up *upstream) (some bool, err error) {
	buf := make([]byte, 32<<10)
	for {
		n, err := up.r.Read(buf)
		if n > 0 {
			some = true
			if _, err := c.net.Write(buf[:n]); err != nil {
				return some, &clientGone{err}
			}
		}
		if err != nil {
			return some, err
		}
	}
}
