// Package proxy is HTTP/1 proxies that behave, and misbehave, on script: [Proxy]
// passes requests to servers over a pool of its own and remembers the stories of
// the connections on both sides.
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

// Proxy is an HTTP/1 proxy in front of one or more servers: it keeps
// connections on both sides, by timers of their own, and does to requests,
// answers and failures what its script says. Requests are dealt to the servers
// in turn.
//
// It reads a request's body, up to 16 MiB, before it passes the request on, and
// sends it with a length; answers are passed on as they come. That a client is
// gone it notices when it writes to it.
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
	turn      atomic.Uint64 // of the servers

	requests, attempts, retries, stale, badGateways, unavailable, timeouts, silent, truncated atomic.Uint64
	closedByClient, closedByProxy, closedByServer, closedUpstream                             atomic.Uint64
	saidClose, connectTimeouts, slowConnects                                                  atomic.Uint64
}

// Seen counts what a Proxy saw since its start. Connections are counted as
// closed when they are.
type Seen struct {
	Requests    uint64 // of clients, whose head was read
	Attempts    uint64 // requests passed to a server or failed on the way there, those sent again included
	Retries     uint64 // of them, those that sent a request again
	Stale       uint64 // attempts that failed on a connection that had been kept
	BadGateways uint64 // answers of its own: 502
	Unavailable uint64 // 503
	Timeouts    uint64 // 504
	Silent      uint64 // requests whose connection was closed instead of an answer
	Truncated   uint64 // answers cut short by the server, and so for the client

	Connections    uint64 // of clients, accepted
	ClosedByClient uint64 // of them, by the client first
	ClosedByProxy  uint64 // of them, by the proxy first

	Upstream               uint64 // connections made to servers
	UpstreamClosedByProxy  uint64 // of them, by the proxy first
	UpstreamClosedByServer uint64 // of them, by the server first
	UpstreamSaidClose      uint64 // of them, those that ended because the server's answer said close
	UpstreamSlow           uint64 // of them, those whose connect took slowConnect or more: its SYN was sent again
	ConnectTimeouts        uint64 // connects to servers given up after ConnectTimeout; they are not in Upstream
}

// slowConnect is Linux's first wait before it sends a SYN again (TCP_TIMEOUT_INIT,
// include/net/tcp.h), less what its timers' granularity may take off.
const slowConnect = 950 * time.Millisecond

// Start listens on addr ("" is a free port of 127.0.0.1) and passes requests
// to the backends, each as host:port, until Close. It fails when cfg is not
// valid or addr cannot be listened on; that a server cannot be reached is for
// the clients.
func Start(cfg script.Proxy, addr string, backends ...string) (*Proxy, error) {
	return StartFrom(dialHere, cfg, addr, backends...)
}

// Connect makes a connection with d, as net.Dialer's DialContext does.
type Connect func(ctx context.Context, d *net.Dialer, network, addr string) (net.Conn, error)

func dialHere(ctx context.Context, d *net.Dialer, network, addr string) (net.Conn, error) {
	return d.DialContext(ctx, network, addr)
}

// StartFrom is Start with connections to the servers made by connect,
// which must make TCP connections: for a proxy whose place in a network is
// another than the caller's.
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
		return newGuest(p, pool, raw).serve
	})
	return p, nil
}

// Addr is where the proxy listens, as host:port.
func (p *Proxy) Addr() string { return p.ln.TCP.Addr().String() }

// URL is the address of the first page. For a proxy on every address of the
// machine it is that of the loopback.
func (p *Proxy) URL() string { return serve.PageURL(p.ln.TCP.Addr(), p.tls != nil) }

// CertPEM is the certificate a client must trust, good for localhost and the
// loopback addresses; nil without TLS.
func (p *Proxy) CertPEM() []byte { return p.cert }

// Close closes the listener and every connection and waits until they are
// closed. It may be called again.
func (p *Proxy) Close() error {
	err := p.ln.Close()
	for _, pool := range p.workers {
		pool.closeIdle()
	}
	return err
}

// backend is the server whose turn it is, of a request sent again so often.
func (p *Proxy) backend(first uint64, again int) int {
	return int((first + uint64(again)) % uint64(len(p.backends)))
}

// Stories are those of the last 10,000 connections of clients, in the order of
// accept. A connection's end is in them before the client can see it.
func (p *Proxy) Stories() []story.Story { return p.clients.Stories() }

// Upstream are the stories of the last 10,000 connections to servers, in the
// order in which they were made. The proxy is the client in them.
func (p *Proxy) Upstream() []story.Story { return p.upstreams.Stories() }

// Seen are the counters so far.
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
