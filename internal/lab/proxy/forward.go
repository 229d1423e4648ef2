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

// fetch sends the request to a server, and again as the script says, until the
// head of an answer is there.
func (g *guest) fetch(req *asked) (*upstream, *message, *failure) {
	p := g.p
	wire := g.outgoing(req)
	first := p.turn.Add(1) - 1
	failedFresh, freshly := 0, p.cfg.Upstream.PerRequest
	for again := 0; ; again++ {
		p.attempts.Add(1)
		up, answer, f := g.attempt(req, wire, p.backend(first, again), freshly)
		if f == nil {
			return up, answer, nil
		}
		if f.reused {
			p.stale.Add(1)
		} else {
			failedFresh++
		}
		if !p.again(req.method(), *f, again, failedFresh) {
			return nil, nil, f
		}
		p.retries.Add(1)
		freshly = freshly || p.cfg.Upstream.RetryFresh
	}
}

// again reports whether a request is sent again that has been so often before,
// and has failed so often on a fresh connection.
func (p *Proxy) again(method string, f failure, before, failedFresh int) bool {
	u := p.cfg.Upstream
	allowed := u.Retry == script.RetryAlways || u.Retry != script.RetryNone && f.unsent ||
		u.Retry == script.RetryIdempotent && !slices.Contains([]string{"POST", "LOCK", "PATCH"}, method)
	switch {
	case !allowed || f.answer || p.ln.Ctx.Err() != nil:
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

// attempt sends the request once and waits for the head of the answer.
func (g *guest) attempt(req *asked, wire []byte, backend int, fresh bool) (*upstream, *message, *failure) {
	p := g.p
	up, err := g.pool.lease(backend, fresh)
	if err != nil {
		return nil, nil, unreached(err)
	}
	reused := up.uses > 0
	up.uses++
	up.story.Read(story.Exchange{Read: time.Now()})
	up.pace.within = p.cfg.Upstream.Timeout
	n, wrote := up.pace.Write(wire)
	answer, err := up.readAnswer(req.method())
	if err == nil {
		if wrote != nil {
			answer.header.Set("Connection", "close") // it did not take the request whole
		}
		return up, answer, nil
	}
	if wrote != nil && errors.Is(err, io.EOF) {
		err = wrote // the reset was told to the write
	}
	end := up.lost(err)
	up.close(end)
	return nil, nil, &failure{
		err: err, reused: reused, unsent: wrote != nil && n == 0,
		timeout: errors.Is(err, os.ErrDeadlineExceeded), answer: end.Why == story.WhyBadAnswer,
	}
}

// readAnswer reads the head of the answer; of what comes before it, of status
// 100 to 199, nothing is passed on.
func (up *upstream) readAnswer(method string) (*message, error) {
	for {
		up.in.Left = serve.MaxHead
		m, err := readMessage(up.in, up.r)
		if err != nil {
			return nil, err
		}
		if _, known := version(m.words[0]); !known || len(m.words[1]) != 3 {
			return nil, errMalformed
		}
		if _, err := m.answerExtent(method); err != nil {
			return nil, err
		}
		if m.words[1][0] != '1' {
			return m, nil
		}
	}
}

// answerExtent is that of the body of an answer to the method.
func (m *message) answerExtent(method string) (extent, error) {
	status, err := strconv.Atoi(m.words[1])
	if err != nil || status < 100 {
		return extent{}, errMalformed
	}
	if method == http.MethodHead || status < 200 || script.Bodyless(status) {
		return extent{framing: byLength}, nil
	}
	return m.extent(extent{framing: byClose})
}

// outgoing is the request as the servers get it.
func (g *guest) outgoing(req *asked) []byte {
	cfg := g.p.cfg
	out := &message{words: req.words, header: req.header.Clone()}
	if cfg.HopByHop != script.Blind {
		out.words[2] = cfg.Upstream.Version.Protocol()
	}
	chunks := req.says("Transfer-Encoding", "chunked")
	if cfg.HopByHop == script.Removed {
		out.header = req.endToEnd()
		out.header.Del("Expect") // was answered here
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
	g.via(out.header, req.words[2])
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

// via adds the proxy to the Via header of a message that came in that version
// of the protocol: RFC 9110, section 7.6.3.
func (g *guest) via(h http.Header, version string) {
	if name := g.p.cfg.Via; name != "" {
		_, number, _ := bytes.Cut([]byte(version), []byte("/"))
		h.Add("Via", string(number)+" "+name)
	}
}

// relay passes an answer on. The server's connection is given back before the
// client can know that the answer is over.
func (g *guest) relay(req *asked, up *upstream, answer *message) *story.Ending {
	from, _ := answer.answerExtent(req.method()) // was looked at in readAnswer
	to := g.reframed(req, from)
	last, why := g.last(req)
	if to.framing == byClose {
		last, why = true, story.WhyUntilClose
	}
	g.w.Write(g.incoming(req, answer, to, last).writeHead(nil))
	up.in.Left = 1 << 62
	end, gone := g.copyBody(up, from, to)
	switch {
	case end != nil:
		up.close(end)
		if gone == nil {
			g.p.truncated.Add(1)
			g.w.Flush() // what there is
			if g.p.ln.Ctx.Err() != nil {
				return story.ServerEnds(story.FIN, story.WhyShutdown)
			}
			return story.ServerEnds(story.FIN, story.WhyUpstream)
		}
		return story.Lost(gone)
	case answer.kept() && from.framing != byClose && !g.p.cfg.Upstream.PerRequest:
		up.story.Answered(time.Now())
		g.pool.giveBack(up)
	default:
		up.story.Answered(time.Now())
		up.close(answer.farewell(from))
	}
	if err := g.w.Flush(); err != nil {
		return story.Lost(err)
	}
	g.story.Answered(time.Now())
	if last {
		return story.ServerEnds(story.FIN, why)
	}
	return nil
}

// reframed is how the client gets to know where an answer ends. A proxy that
// sends on all headers can say it only as the server did.
func (g *guest) reframed(req *asked, from extent) extent {
	if from.framing == byLength || g.p.cfg.HopByHop == script.Forwarded {
		return from
	}
	if req.old {
		return extent{framing: byClose}
	}
	return extent{framing: byChunks}
}

// kept reports whether the server keeps the connection.
func (m *message) kept() bool {
	v, _ := version(m.words[0])
	return !m.says("Connection", "close") && (v == script.HTTP11 || m.says("Connection", "keep-alive"))
}

// farewell is how a connection ends that is not kept: the server has closed it
// if only that ended the answer.
func (m *message) farewell(e extent) *story.Ending {
	if e.framing == byClose {
		return story.ServerEnds(story.FIN, story.WhyServer)
	}
	return story.ClientEnds(story.FIN, story.WhySaidClose)
}

// incoming is the head of the answer as the client gets it.
func (g *guest) incoming(req *asked, answer *message, to extent, last bool) *message {
	cfg := g.p.cfg
	out := &message{words: answer.words, header: answer.header.Clone()}
	if cfg.HopByHop == script.Removed {
		out.words[0] = script.HTTP11.Protocol()
		out.header = answer.endToEnd()
		switch {
		case last:
			out.header.Set("Connection", "close")
		case cfg.Hint != "":
			out.header.Set("Connection", "keep-alive")
			out.header.Set("Keep-Alive", cfg.Hint)
		case req.old:
			out.header.Set("Connection", "keep-alive")
		}
		if to.framing == byChunks {
			out.header.Del("Content-Length")
			out.header.Set("Transfer-Encoding", "chunked")
		}
	}
	g.via(out.header, answer.words[0])
	return out
}

// copyBody passes a body on as it comes, all but its end. end is how the
// server's connection ended if that went wrong, and gone the error if it was
// the client's.
func (g *guest) copyBody(up *upstream, from, to extent) (end *story.Ending, gone error) {
	body := from.open(up.r)
	var out io.Writer = g.w
	var chunks io.WriteCloser
	if to.framing == byChunks {
		chunks = httputil.NewChunkedWriter(g.w)
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
				g.w.WriteString("\r\n")
			}
			return nil, nil
		case err != nil:
			if up.in.Err != nil {
				err = up.in.Err
			}
			return up.lost(err), nil
		case up.r.Buffered() == 0 && (from.framing != byLength || left > 0):
			if gone := g.w.Flush(); gone != nil {
				return story.ClientEnds(story.FIN, story.WhyAbandoned), gone
			}
		}
	}
}

// tunnel is what a proxy does that knows nothing of keep-alive: it sends the
// request on as it came, and passes back what comes, until the server closes.
// It does not look at what the client sends meanwhile.
func (g *guest) tunnel(req *asked) *story.Ending {
	p := g.p
	p.attempts.Add(1)
	req.keep = false
	up, err := p.dial(p.backend(p.turn.Add(1)-1, 0))
	if err != nil {
		return g.fail(req, *unreached(err))
	}
	up.uses++
	up.story.Read(story.Exchange{Read: time.Now()})
	up.pace.within = p.cfg.Upstream.Timeout
	up.in.Left = 1 << 62
	_, err = up.pace.Write(g.outgoing(req))
	poured := false
	if err == nil {
		poured, err = g.pour(up)
	}
	var gone *clientGone
	if errors.As(err, &gone) {
		up.close(story.ClientEnds(story.FIN, story.WhyAbandoned))
		return story.Lost(gone.error)
	}
	if poured && err == io.EOF {
		up.story.Answered(time.Now())
	}
	up.close(up.lost(err))
	switch {
	case !poured:
		return g.fail(req, failure{err: err, timeout: errors.Is(err, os.ErrDeadlineExceeded)})
	case p.ln.Ctx.Err() != nil:
		return story.ServerEnds(story.FIN, story.WhyShutdown)
	}
	return story.ServerEnds(story.FIN, story.WhyUpstream)
}

// unreached is the failure to connect to a server.
func unreached(err error) *failure {
	var network net.Error
	return &failure{err: err, connect: true, unsent: true, timeout: errors.As(err, &network) && network.Timeout()}
}

// clientGone is the error of writing to the client.
type clientGone struct{ error }

// pour passes on what comes, and reports whether anything did, until reading
// ends: io.EOF is the server's FIN.
func (g *guest) pour(up *upstream) (some bool, err error) {
	buf := make([]byte, 32<<10)
	for {
		n, err := up.r.Read(buf)
		if n > 0 {
			some = true
			if _, err := g.net.Write(buf[:n]); err != nil {
				return some, &clientGone{err}
			}
		}
		if err != nil {
			return some, err
		}
	}
}
