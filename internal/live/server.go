package live

import (
	"bytes"
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/net/netutil"

	"github.com/kabench/kabench/internal/serving"
	"github.com/kabench/kabench/results/page"
)

const (
	maxClients = 32 // connections at the same time; others wait
	// polling is how often a page asks for newer data, with time for it to arrive.
	polling = 1500 * time.Millisecond
	// grace is how long the server waits at the end for an open page to get the final
	// data.
	grace = 5 * time.Second
)

// Server serves the page of a Feed to browsers.
type Server struct {
	feed     *Feed
	http     *http.Server
	place    *serving.Place
	served   chan struct{} // closed when Serve has returned
	last     chan struct{} // closed when a page has got the final data
	lastOnce sync.Once

	mu    sync.Mutex
	asked time.Time // guarded by mu: when a page last asked for data
}

// Start serves feed at an address such as ":8080" or "0.0.0.0:8080". Without a host it
// is only on the loopback; with port 0 it is on any free port.
func Start(given string, feed *Feed) (*Server, error) {
	place, err := serving.Listen(given)
	if err != nil {
		return nil, err
	}
	s := &Server{feed: feed, place: place, served: make(chan struct{}), last: make(chan struct{})}
	s.http = &http.Server{
		Handler: http.HandlerFunc(s.serve), MaxHeaderBytes: 16 << 10,
		ReadTimeout: 5 * time.Second, WriteTimeout: time.Minute, IdleTimeout: time.Minute,
	}
	go func() {
		defer close(s.served)
		_ = s.http.Serve(netutil.LimitListener(place, maxClients)) // returns when it is closed
	}()
	return s, nil
}

// URL returns the address to open in a browser.
func (s *Server) URL() string { return s.place.URL() }

// Alone reports whether only this machine can reach the server.
func (s *Server) Alone() bool { return s.place.Alone() }

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Security-Policy", "frame-ancestors 'none'") // in addition to the policy in the page
	switch {
	case !s.place.Welcome(r.Host):
		http.Error(w, "this server is "+s.URL()+" and does not serve other names", http.StatusMisdirectedRequest)
		return
	case r.Method != http.MethodGet:
		h.Set("Allow", http.MethodGet)
		http.Error(w, "only GET is allowed here", http.StatusMethodNotAllowed)
		return
	}
	switch r.URL.Path {
	case "/":
		s.page(w)
	case "/data.json":
		s.data(w)
	case "/favicon.ico":
		w.WriteHeader(http.StatusNoContent)
	default:
		http.Error(w, "there is no such page; the report is at "+s.URL(), http.StatusNotFound)
	}
}

func (s *Server) page(w http.ResponseWriter) {
	data, over := s.newest()
	d, err := decoded(data)
	var b bytes.Buffer
	if err == nil {
		err = page.Write(&b, d)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	s.give(w, b.Bytes(), over)
}

func (s *Server) data(w http.ResponseWriter) {
	data, over := s.newest()
	w.Header().Set("Content-Type", "application/json")
	s.give(w, data, over)
}

// newest returns the data, and notes that a page asked.
func (s *Server) newest() (data []byte, over bool) {
	s.mu.Lock()
	s.asked = time.Now()
	s.mu.Unlock()
	return s.feed.Data()
}

func (s *Server) give(w http.ResponseWriter, body []byte, over bool) {
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if _, err := w.Write(body); err == nil && over {
		s.lastOnce.Do(func() { close(s.last) })
	}
}

// Close ends the server when the run is over. If stay is above 0, it first serves the
// final data for that long; otherwise it waits a few seconds until open pages have got
// the final data. When ctx is done it ends at once.
func (s *Server) Close(ctx context.Context, stay time.Duration) {
	s.mu.Lock()
	watched := time.Since(s.asked) < 2*polling
	s.mu.Unlock()
	switch {
	case stay > 0:
		wait(ctx, stay, nil)
	case watched && wait(ctx, grace, s.last):
		wait(ctx, polling, nil) // the other pages
	}
	ending, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if s.http.Shutdown(ending) != nil {
		_ = s.http.Close()
	}
	<-s.served
}

// wait waits for d or for event, and reports whether event happened.
func wait(ctx context.Context, d time.Duration, event <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-event:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}
