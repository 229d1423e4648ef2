package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

// upstream is a connection to a server. It belongs to the exchange that leased it; while
// it is idle, it belongs to the pool and its watch.
type upstream struct {
	p            *Proxy
	backend      int
	raw          *net.TCPConn
	pace         *pace
	in           *serve.Reader // over pace
	r            *bufio.Reader
	story        *story.Writer
	unwatchClose func() bool // ends the wait for the proxy's Close
	born         time.Time
	uses         int

	until time.Time     // when its idle timeout is over; zero: never
	woken chan struct{} // closed when its watch has ended
	end   *story.Ending // how it ended during its watch; nil: it did not; read after woken
}

// workerPool holds the idle connections of one worker.
type workerPool struct {
	p    *Proxy
	mu   sync.Mutex
	idle []*upstream // longest idle first; guarded by mu
}

// lease returns an idle connection to the server, or a fresh one.
func (w *workerPool) lease(backend int, fresh bool) (*upstream, error) {
	for !fresh {
		up := w.pick(backend)
		if up == nil {
			break
		}
		if e := up.wake(); e != nil {
			up.close(e)
			continue
		}
		return up, nil
	}
	return w.p.dial(backend)
}

// pick takes an idle connection out of the pool; nil: there is none.
func (w *workerPool) pick(backend int) *upstream {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := range w.idle {
		if w.p.cfg.Upstream.Order == script.LIFO {
			i = len(w.idle) - 1 - i
		}
		if up := w.idle[i]; up.backend == backend {
			w.idle = slices.Delete(w.idle, i, i+1)
			return up
		}
	}
	return nil
}

// release keeps the connection for the next request, or closes it.
func (w *workerPool) release(up *upstream) {
	cfg := w.p.cfg.Upstream
	switch {
	case cfg.MaxRequests > 0 && up.uses >= cfg.MaxRequests:
		up.close(story.ClientEnds(story.FIN, story.WhyMaxRequests))
		return
	case cfg.MaxLifetime > 0 && time.Since(up.born) >= cfg.MaxLifetime:
		up.close(story.ClientEnds(story.FIN, story.WhyLifetime))
		return
	}
	up.until = time.Time{}
	if cfg.IdleTimeout > 0 {
		up.until = time.Now().Add(cfg.IdleTimeout)
	}
	up.woken, up.end, up.pace.within = make(chan struct{}), nil, 0
	up.arm(up.until) // before another request can take it and end its watch with another deadline
	w.mu.Lock()
	w.idle = append(w.idle, up)
	var surplus *upstream
	if cfg.MaxIdle > 0 && len(w.idle) > cfg.MaxIdle {
		surplus = w.idle[0]
		w.idle = slices.Delete(w.idle, 0, 1)
	}
	w.mu.Unlock()
	if cfg.Unwatched {
		close(up.woken)
	} else {
		w.p.ln.Go(func() { w.watch(up) })
	}
	if surplus != nil {
		if e := surplus.wake(); e != nil {
			surplus.close(e)
		} else {
			surplus.close(story.ClientEnds(story.FIN, story.WhySurplus))
		}
	}
}

// closeIdle closes the idle connections that have no watch when the proxy is closed.
func (w *workerPool) closeIdle() {
	w.mu.Lock()
	idle := w.idle
	w.idle = nil
	w.mu.Unlock()
	for _, up := range idle {
		up.close(story.ClientEnds(story.FIN, story.WhyShutdown))
	}
}

// watch reads an idle connection until it ends, its idle timeout is over, or a request
// takes it out of the pool.
func (w *workerPool) watch(up *upstream) {
	_, err := up.r.Peek(1)
	e := up.idled(err)
	w.mu.Lock()
	i := slices.Index(w.idle, up)
	if i >= 0 {
		w.idle = slices.Delete(w.idle, i, i+1)
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		e = nil // a request took it
	}
	w.mu.Unlock()
	up.end = e
	close(up.woken)
	if i >= 0 {
		up.close(e)
	}
}

// idled returns how an idle connection ended: err is the error of its watch.
func (up *upstream) idled(err error) *story.Ending {
	switch {
	case err == nil:
		return story.ClientEnds(story.FIN, story.WhyBadResponse)
	case up.p.ln.Ctx.Err() != nil:
		return story.ClientEnds(story.FIN, story.WhyShutdown)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return story.ClientEnds(story.FIN, story.WhyIdleTimeout)
	}
	return up.lost(err)
}

// wake ends the watch of a connection that was taken out of the pool. It returns how the
// connection ended meanwhile; nil: it did not, as far as the proxy can know.
func (up *upstream) wake() *story.Ending {
	up.raw.SetReadDeadline(serve.LongAgo)
	<-up.woken
	up.arm(time.Time{})
	if up.end == nil && up.p.cfg.Upstream.Unwatched && !up.until.IsZero() && !time.Now().Before(up.until) {
		return story.ClientEnds(story.FIN, story.WhyIdleTimeout)
	}
	return up.end
}

// arm sets the deadline of reads, unless the proxy is being closed: then all deadlines
// have passed.
func (up *upstream) arm(t time.Time) {
	up.raw.SetReadDeadline(t)
	if up.p.ln.Ctx.Err() != nil {
		up.raw.SetDeadline(serve.LongAgo)
	}
}

// lost returns how the connection ends when reading or writing failed with err.
func (up *upstream) lost(err error) *story.Ending {
	switch {
	case up.p.ln.Ctx.Err() != nil:
		return story.ClientEnds(story.FIN, story.WhyShutdown)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return story.ClientEnds(story.FIN, story.WhyTimeout)
	case errors.Is(err, syscall.ECONNRESET):
		return story.ServerEnds(story.RST, story.WhyServer)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		return story.ServerEnds(story.FIN, story.WhyServer)
	}
	return story.ClientEnds(story.FIN, story.WhyBadResponse)
}

// close records the ending, then ends the connection.
func (up *upstream) close(e *story.Ending) {
	up.story.Closed(e, time.Now())
	up.p.upstreamEnded(e)
	up.unwatchClose()
	up.raw.Close()
}

// dial makes a connection to the server.
func (p *Proxy) dial(backend int) (*upstream, error) {
	dialer := net.Dialer{Timeout: p.cfg.Upstream.ConnectTimeout, KeepAlive: -1}
	dialer.SetMultipathTCP(false)
	begun := time.Now()
	conn, err := p.connect(p.ln.Ctx, &dialer, "tcp", p.backends[backend])
	now := time.Now()
	switch {
	case err != nil:
		if unreached(err).timeout {
			p.connectTimeouts.Add(1)
		}
		return nil, err
	case now.Sub(begun) >= slowConnect:
		p.slowConnects.Add(1)
	}
	raw := conn.(*net.TCPConn)
	up := &upstream{p: p, backend: backend, raw: raw, born: now, story: p.upstreams.Begin(raw.RemoteAddr(), raw.LocalAddr(), now)}
	up.pace = &pace{conn: raw, ctx: p.ln.Ctx}
	up.in = &serve.Reader{From: up.pace}
	up.r = bufio.NewReader(up.in)
	up.unwatchClose = context.AfterFunc(p.ln.Ctx, func() { raw.SetDeadline(serve.LongAgo) })
	return up, nil
}

// pace is a connection on which each read and write must transfer something within a
// time, unless that is 0.
type pace struct {
	conn   *net.TCPConn
	ctx    context.Context // when it is done, every deadline has passed
	within time.Duration
}

func (p *pace) Read(b []byte) (int, error) {
	p.arm(p.conn.SetReadDeadline)
	return p.conn.Read(b)
}

func (p *pace) Write(b []byte) (n int, err error) {
	const most = 64 << 10 // so that a deadline holds for a piece and not for everything
	for len(b) > 0 && err == nil {
		p.arm(p.conn.SetWriteDeadline)
		var some int
		some, err = p.conn.Write(b[:min(len(b), most)])
		n, b = n+some, b[some:]
	}
	return n, err
}

func (p *pace) arm(set func(time.Time) error) {
	if p.within <= 0 {
		return
	}
	set(time.Now().Add(p.within))
	if p.ctx.Err() != nil {
		set(serve.LongAgo)
	}
}
