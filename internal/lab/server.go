package lab

import (
	"crypto/tls"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

// Server is an HTTP/1.1 server that follows a script. One goroutine serves each
// connection on a raw socket, so that the server asks the kernel for exactly what the
// script says: close(2), and shutdown(2) only with AfterFIN.
//
// If data arrives on a connection that the server has closed, the kernel sends a RST;
// the server does not notice it.
type Server struct {
	cfg     script.Server
	ln      *serve.Listener
	tls     *tls.Config // nil: plain
	cert    []byte      // PEM; nil: plain
	stories story.Log
	limits  limits
	tally   tally
	late    lateness
	stall   stall

	mu    sync.Mutex
	draws map[script.Stream]*rand.Rand // guarded by mu

	openMu  sync.Mutex
	open    map[*conn]struct{} // guarded by openMu
	stopped bool               // by Stop; guarded by openMu

	accepted                                                 atomic.Bool // a connection was
	reloads, requests, closedIdle, closedFirst, clientClosed atomic.Uint64
}

// Start listens on addr ("" is a free port of 127.0.0.1) and serves cfg until Close. It
// fails if cfg is not valid or if it cannot listen on addr.
//
// Random delays have a fixed seed: servers with the same script draw the same delays,
// in the order of the requests.
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
		draws: map[script.Stream]*rand.Rand{}, open: map[*conn]struct{}{}}
	for _, stream := range []script.Stream{script.Delays, script.LateTimers, script.Pauses} {
		s.draws[stream] = stream.Random()
	}
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

// Addr returns where the server listens, as host:port.
func (s *Server) Addr() string { return s.ln.TCP.Addr().String() }

// URL returns the address of the server's only page. If the server listens on every
// address of the machine, it is the one on the loopback.
func (s *Server) URL() string { return serve.PageURL(s.ln.TCP.Addr(), s.cfg.TLS) }

// CertPEM returns the certificate that a client must trust. It is valid for localhost
// and the loopback addresses. nil without TLS.
func (s *Server) CertPEM() []byte { return s.cert }

// Close closes the listener and every connection, and waits until they are closed. It
// may be called again.
func (s *Server) Close() error { return s.ln.Close() }

// Stories returns the stories of the last 10,000 connections, in the order of accept.
// A story has its connection's end before the client can see that end.
func (s *Server) Stories() []story.Story { return s.stories.Stories() }

// Follow indexes the requests that are read from now on, for Find and Reads.
func (s *Server) Follow() { s.stories.Follow() }

// Find returns where the requests with this X-Request-Id were read; see [story.Log.Find].
func (s *Server) Find(id string) []story.Found { return s.stories.Find(id) }

// Reads returns how many requests were read on the newest connection from remote; see
// [story.Log.Reads].
func (s *Server) Reads(remote string) (n int, ok bool) { return s.stories.Reads(remote) }

// Ending returns how the newest connection from remote ended; see [story.Log.Ending].
func (s *Server) Ending(remote string) (story.Ending, time.Time, bool) {
	return s.stories.Ending(remote)
}

// Executions returns how often each of the first 100,000 different requests arrived.
func (s *Server) Executions() []Execution { return s.tally.executions() }

// Headers returns, by the name of a header in canonical form, how many requests had
// it; nil unless the script has RecordHeaders. It counts the first 1000 names.
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

// Seen returns the counters so far.
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

// Late returns how late the server responded, counted from the end of the script's
// Delay, and how late it closed idle connections, counted from IdleTimeout.
func (s *Server) Late() Late { return s.late.seen() }

// Seen counts what a Server saw since its start. A connection is counted as closed as
// soon as it is closed.
type Seen struct {
	Connections  uint64 // accepted connections
	Requests     uint64 // requests whose head was read
	ClosedIdle   uint64 // connections closed by the idle timeout
	ClosedFirst  uint64 // connections that the server closed before the client did, by the idle timeout and Server.Close too
	ClientClosed uint64 // connections that the client closed or reset first
	Executed     uint64 // requests that were read completely, and so had their effect, even without a response
	Duplicates   uint64 // of Executed, those whose X-Request-Id had been executed before; see Server.Executions
	Reloads      uint64 // reloads of the server
}
