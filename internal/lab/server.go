package lab

import (
	"crypto/tls"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"

	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

// Server is a scripted HTTP/1.1 server. Each connection is served by one
// goroutine on a raw socket, so that what the script says is what the kernel
// is asked to do: close(2), and shutdown(2) only with AfterFIN.
//
// What reaches a connection after the server closed it is answered by the
// kernel with a RST; the server never learns of it.
type Server struct {
	cfg     script.Server
	ln      *serve.Listener
	tls     *tls.Config // nil: plain
	cert    []byte      // PEM; nil: plain
	stories story.Log
	limits  limits
	tally   tally
	late    lateness

	mu  sync.Mutex
	rng *rand.Rand // of the delays, lateness and pauses; guarded by mu

	openMu sync.Mutex
	open   map[*conn]struct{} // guarded by openMu

	accepted                                                 atomic.Bool // a connection was
	reloads, requests, closedIdle, closedFirst, clientClosed atomic.Uint64
}

// Start listens on addr ("" is a free port of 127.0.0.1) and serves cfg until
// Close. It fails when cfg is not valid or addr cannot be listened on.
//
// Random delays follow one fixed seed, so servers with the same script draw the
// same delays in the order of the requests.
func Start(cfg script.Server, addr string) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("lab: %w", err)
	}
	ln, err := serve.Listen(addr)
	if err != nil {
		return nil, err
	}
	if cfg.Backlog > 0 {
		if err := setBacklog(ln.TCP, cfg.Backlog); err != nil {
			ln.Close()
			return nil, fmt.Errorf("lab: backlog: %w", err)
		}
	}
	s := &Server{cfg: cfg, ln: ln, limits: newLimits(cfg), tally: tally{most: keepIDs},
		rng: rand.New(rand.NewPCG(1, 2)), open: map[*conn]struct{}{}}
	if cfg.TLS {
		if s.tls, s.cert, err = serve.SelfSigned(ln.TCP.Addr()); err != nil {
			ln.Close()
			return nil, fmt.Errorf("lab: certificate: %w", err)
		}
	}
	ln.Serve(s.admit, func(raw *net.TCPConn) func() {
		s.accepted.Store(true)
		return newConn(s, raw).serve
	})
	if cfg.ReloadEvery > 0 {
		ln.Go(func() { s.reloadEvery(cfg.ReloadEvery) })
	}
	return s, nil
}

// Addr is where the server listens, as host:port.
func (s *Server) Addr() string { return s.ln.TCP.Addr().String() }

// URL is the address of the server's only page. For a server on every address
// of the machine it is that of the loopback.
func (s *Server) URL() string { return serve.PageURL(s.ln.TCP.Addr(), s.cfg.TLS) }

// CertPEM is the certificate a client must trust, good for localhost and the
// loopback addresses; nil without TLS.
func (s *Server) CertPEM() []byte { return s.cert }

// Close closes the listener and every connection and waits until they are
// closed. It may be called again.
func (s *Server) Close() error { return s.ln.Close() }

// Stories are those of the last 10,000 connections, in the order of accept. A
// connection's end is in them before the client can see it.
func (s *Server) Stories() []story.Story { return s.stories.Stories() }

// Executions says how often each of the first 100,000 different requests came.
func (s *Server) Executions() []Execution { return s.tally.told() }

// Headers says, for each header by its name in canonical form, how many requests
// came with it; nil without Config.RecordHeaders. It counts the first 1000 names.
func (s *Server) Headers() map[string]uint64 {
	if !s.cfg.RecordHeaders {
		return nil
	}
	s.tally.mu.Lock()
	defer s.tally.mu.Unlock()
	counts := maps.Clone(s.tally.headers)
	if counts == nil {
		counts = map[string]uint64{}
	}
	return counts
}

// Seen are the counters so far.
func (s *Server) Seen() Seen {
	s.tally.mu.Lock()
	executed, duplicates := s.tally.executed, s.tally.duplicates
	s.tally.mu.Unlock()
	return Seen{
		Executed:     executed,
		Duplicates:   duplicates,
		Reloads:      s.reloads.Load(),
		Connections:  s.stories.Count(),
		Requests:     s.requests.Load(),
		ClosedIdle:   s.closedIdle.Load(),
		ClosedFirst:  s.closedFirst.Load(),
		ClientClosed: s.clientClosed.Load(),
	}
}

// request counts a request and reports whether the fault strikes it.
func (s *Server) request(use int) bool {
	nth := s.requests.Add(1)
	f := s.cfg.Fault
	return f != script.FaultNone && !f.OnConnection() && s.cfg.FaultOn.Strikes(use, nth)
}

func (s *Server) ended(e *story.Ending) {
	if e.First == story.ByClient {
		s.clientClosed.Add(1)
		return
	}
	s.closedFirst.Add(1)
	if e.Why == story.WhyIdleTimeout {
		s.closedIdle.Add(1)
	}
}

// Late is by how much its answers came after Config.Delay, and the ends of idle
// connections after Config.IdleTimeout.
func (s *Server) Late() Late { return s.late.seen() }
