package scrape

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"github.com/kabench/kabench/internal/serving"
	"github.com/kabench/kabench/internal/telemetry"
)

const (
	maxClients = 16 // connections at the same time; others wait
	// ending is how long an answer that is under way at the end may take.
	ending = 2 * time.Second
	path   = "metrics"
)

// Server serves metrics.
type Server struct {
	place   *serving.Place
	http    *http.Server
	metrics http.Handler
	served  chan struct{} // closed when Serve has returned
	over    atomic.Bool   // the figures are final
	last    chan struct{} // closed when the final figures were served
	once    sync.Once     // closes last
}

// Start serves the metrics of a source at an address such as ":9464" or "0.0.0.0:9464".
// Without a host it is only on the loopback; with port 0 it is on any free port.
func Start(given string, metrics func() []telemetry.Metric) (*Server, error) {
	place, err := serving.Listen(given)
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(&collector{metrics})
	s := &Server{
		place: place, served: make(chan struct{}), last: make(chan struct{}),
		metrics: promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true}),
	}
	s.http = &http.Server{
		Handler: http.HandlerFunc(s.serve), MaxHeaderBytes: 16 << 10,
		ReadTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute,
	}
	go func() {
		defer close(s.served)
		_ = s.http.Serve(netutil.LimitListener(place, maxClients)) // returns when it is closed
	}()
	return s, nil
}

// URL is the address to scrape.
func (s *Server) URL() string { return s.place.URL() + path }

// Alone reports whether only this machine can reach the server.
func (s *Server) Alone() bool { return s.place.Alone() }

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	switch {
	case s.Alone() && !s.place.Welcome(r.Host): // a server for everybody is reached by any name
		http.Error(w, "this server is "+s.place.URL()+" and does not serve other names", http.StatusMisdirectedRequest)
	case r.Method != http.MethodGet:
		h.Set("Allow", http.MethodGet)
		http.Error(w, "only GET is allowed here", http.StatusMethodNotAllowed)
	case r.URL.Path != "/"+path:
		http.Error(w, "there is no such page; the metrics are at "+s.URL(), http.StatusNotFound)
	default:
		s.answer(w, r)
	}
}

// answer makes the whole answer before it writes any of it, with its length, so that a
// scraper notices if one is cut off.
func (s *Server) answer(w http.ResponseWriter, r *http.Request) {
	final := s.over.Load() // before the figures are read
	whole := &buffer{header: w.Header(), status: http.StatusOK}
	s.metrics.ServeHTTP(whole, r)
	w.Header().Set("Content-Length", strconv.Itoa(whole.body.Len()))
	w.WriteHeader(whole.status)
	if _, err := w.Write(whole.body.Bytes()); err != nil || whole.status != http.StatusOK {
		return
	}
	if err := http.NewResponseController(w).Flush(); err == nil && final {
		s.once.Do(func() { close(s.last) })
	}
}

// buffer is an http.ResponseWriter that keeps what is written.
type buffer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (b *buffer) Header() http.Header         { return b.header }
func (b *buffer) WriteHeader(status int)      { b.status = status }
func (b *buffer) Write(p []byte) (int, error) { return b.body.Write(p) }

// Final says that the figures are final: a scrape from here on is the last one.
func (s *Server) Final() { s.over.Store(true) }

// Last waits after Final until the figures were served once, for at most wait. It reports
// whether they were. It returns early when ctx is done.
func (s *Server) Last(ctx context.Context, wait time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	select {
	case <-s.last:
		return true
	case <-ctx.Done():
	}
	select {
	case <-s.last:
		return true
	default:
		return false
	}
}

// Close ends the server. Answers that are under way are finished, for at most two seconds;
// after that their connections are closed, short of the length that they have announced.
func (s *Server) Close() {
	limited, cancel := context.WithTimeout(context.Background(), ending)
	defer cancel()
	if s.http.Shutdown(limited) != nil {
		_ = s.http.Close()
	}
	<-s.served
}
