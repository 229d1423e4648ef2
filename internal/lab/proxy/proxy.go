// Package proxy has HTTP/1 proxies that follow a script: [Proxy] forwards requests to
// servers over a pool of its own, and keeps the stories of the connections on both
// sides.
package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

// Proxy is an HTTP/1 proxy in front of one or more servers. It keeps connections on both
// sides, each side with its own timers, and treats requests, responses and failures as
// its script says. It sends requests to the servers in turn.
//
// It reads a request's body, up to 16 MiB, before it forwards the request with a
// length. It forwards responses while they arrive. It notices only when it writes to a
// client that the client is gone.
type Proxy struct {
	cfg       script.Proxy
	connect   Connect
	backends  []string
	ln        *serve.Listener
	tls       *tls.Config // nil: plain
	cert      []byte      // PEM; nil: plain
	clients   story.Log
	upstreams story.Log
	workers   []*workerPool
	turn      atomic.Uint64 // counts requests, to choose the servers in turn

	requests, attempts, retries, stale, badGateways, unavailable, timeouts, silent, truncated atomic.Uint64
	closedByClient, closedByProxy, closedByServer, closedUpstream                             atomic.Uint64
	saidClose, connectTimeouts, slowConnects                                                  atomic.Uint64
}

// Seen counts what a Proxy saw since its start. A connection is counted as closed as
// soon as it is closed.
type Seen struct {
	Requests    uint64 // requests of clients whose head was read
	Attempts    uint64 // times that a request was sent to a server, or that this failed
	Retries     uint64 // of Attempts, those that sent a request again
	Stale       uint64 // of Attempts, those that failed on a reused connection
	BadGateways uint64 // the proxy's own responses with 502
	Unavailable uint64 // the proxy's own responses with 503
	Timeouts    uint64 // the proxy's own responses with 504
	Silent      uint64 // requests whose connection was closed instead of a response
	Truncated   uint64 // responses that a server, and so the proxy, cut short

	Connections    uint64 // accepted connections of clients
	ClosedByClient uint64 // of Connections, those that the client closed first
	ClosedByProxy  uint64 // of Connections, those that the proxy closed first

	Upstream               uint64 // connections made to servers
	UpstreamClosedByProxy  uint64 // of Upstream, those that the proxy closed first
	UpstreamClosedByServer uint64 // of Upstream, those that the server closed first
	UpstreamSaidClose      uint64 // of Upstream, those that ended because the server's response said close
	UpstreamSlow           uint64 // of Upstream, those whose connect took slowConnect or more: the SYN was sent again
	ConnectTimeouts        uint64 // connects that the proxy gave up after ConnectTimeout; not in Upstream
}

// slowConnect is the time after which Linux first sends a SYN again (TCP_TIMEOUT_INIT,
// include/net/tcp.h), minus the granularity of its timers.
const slowConnect = 950 * time.Millisecond

// Start listens on addr ("" is a free port of 127.0.0.1) and forwards requests to the
// backends, each written as host:port, until Close. It fails if cfg is not valid or if
// it cannot listen on addr. If a server cannot be reached, Start succeeds and clients
// get an error response.
func Start(cfg script.Proxy, addr string, backends ...string) (*Proxy, error) {
	return StartFrom(dialHere, cfg, addr, backends...)
}

// Connect makes a connection with d, as net.Dialer's DialContext does.
type Connect func(ctx context.Context, d *net.Dialer, network, addr string) (net.Conn, error)

func dialHere(ctx context.Context, d *net.Dialer, network, addr string) (net.Conn, error) {
	return d.DialContext(ctx, network, addr)
}

// StartFrom is Start for a proxy whose connections to the servers begin at another place
// of the network: connect makes them. They must be TCP connections.
func StartFrom(connect Connect, cfg script.Proxy, addr string, backends ...string) (*Proxy, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	if err := checkBackends(backends); err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	ln, err := serve.Listen(addr)
	if err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	p := &Proxy{cfg: cfg, connect: connect, backends: backends, ln: ln}
	if cfg.TLS {
		if p.tls, p.cert, err = serve.SelfSigned(ln.TCP.Addr()); err != nil {
			ln.Close()
			return nil, fmt.Errorf("proxy: certificate: %w", err)
		}
	}
	for range max(cfg.Workers, 1) {
		p.workers = append(p.workers, &workerPool{p: p})
	}
	next := 0
	ln.Serve(nil, func(raw *net.TCPConn) func() {
		pool := p.workers[next%len(p.workers)]
		next++
		return newClientConn(p, pool, raw).serve
	})
	return p, nil
}

// Addr returns where the proxy listens, as host:port.
func (p *Proxy) Addr() string { return p.ln.TCP.Addr().String() }

// URL returns the address of the first page. If the proxy listens on every address of
// the machine, it is the one on the loopback.
func (p *Proxy) URL() string { return serve.PageURL(p.ln.TCP.Addr(), p.tls != nil) }

// CertPEM returns the certificate that a client must trust. It is valid for localhost
// and the loopback addresses. nil without TLS.
func (p *Proxy) CertPEM() []byte { return p.cert }

// Close closes the listener and every connection, and waits until they are closed. It
// may be called again.
func (p *Proxy) Close() error {
	err := p.ln.Close()
	for _, pool := range p.workers {
		pool.closeIdle()
	}
	return err
}

// backend returns the server for a request: first is the number of the request, again
// how often it was sent already.
func (p *Proxy) backend(first uint64, again int) int {
	return int((first + uint64(again)) % uint64(len(p.backends)))
}

// Stories returns the stories of the last 10,000 connections of clients, in the order
// of accept. A story has its connection's end before the client can see that end.
func (p *Proxy) Stories() []story.Story { return p.clients.Stories() }

// Follow indexes the requests that are read from clients from now on, for Find and Reads.
func (p *Proxy) Follow() { p.clients.Follow() }

// Find returns where the requests with this X-Request-Id were read from clients; see
// [story.Log.Find].
func (p *Proxy) Find(id string) []story.Found { return p.clients.Find(id) }

// Reads returns how many requests were read on a client's newest connection from remote;
// see [story.Log.Reads].
func (p *Proxy) Reads(remote string) (n int, ok bool) { return p.clients.Reads(remote) }

// Ending returns how a client's newest connection from remote ended; see [story.Log.Ending].
func (p *Proxy) Ending(remote string) (story.Ending, time.Time, bool) {
	return p.clients.Ending(remote)
}

// Upstream returns the stories of the last 10,000 connections to servers, in the order
// in which they were made. The proxy is their client.
func (p *Proxy) Upstream() []story.Story { return p.upstreams.Stories() }

// Seen returns the counters so far.
func (p *Proxy) Seen() Seen {
	return Seen{
		Requests: p.requests.Load(), Attempts: p.attempts.Load(), Retries: p.retries.Load(), Stale: p.stale.Load(),
		BadGateways: p.badGateways.Load(), Unavailable: p.unavailable.Load(), Timeouts: p.timeouts.Load(),
		Silent: p.silent.Load(), Truncated: p.truncated.Load(),
		Connections: p.clients.Count(), ClosedByClient: p.closedByClient.Load(), ClosedByProxy: p.closedByProxy.Load(),
		Upstream: p.upstreams.Count(), UpstreamClosedByProxy: p.closedUpstream.Load(), UpstreamClosedByServer: p.closedByServer.Load(),
		UpstreamSaidClose: p.saidClose.Load(), UpstreamSlow: p.slowConnects.Load(), ConnectTimeouts: p.connectTimeouts.Load(),
	}
}

func (p *Proxy) clientEnded(e *story.Ending) {
	if e.First == story.ByClient {
		p.closedByClient.Add(1)
	} else {
		p.closedByProxy.Add(1)
	}
}

func (p *Proxy) upstreamEnded(e *story.Ending) {
	if e.Why == story.WhySaidClose {
		p.saidClose.Add(1)
	}
	if e.First == story.ByClient {
		p.closedUpstream.Add(1)
	} else {
		p.closedByServer.Add(1)
	}
}

func checkBackends(backends []string) error {
	if len(backends) == 0 {
		return errors.New("there is no server; name at least one as host:port")
	}
	for _, b := range backends {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return fmt.Errorf("server %q: %w", b, err)
		}
	}
	return nil
}
