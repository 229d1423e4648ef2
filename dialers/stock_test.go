package dialers

import (
	"bufio"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles/script"
)

func newStock(t *testing.T, server *lab.Server, timeout time.Duration, r *Request) *Stock {
	t.Helper()
	s := NewStock(&Dialer{TLS: trust(server)}, []*Request{r}, timeout)
	t.Cleanup(s.Close)
	return s
}

// A server that closes every connection at its second request: the Transport
// re-sends the GETs and reports success, and the POSTs fail. This is what makes
// it unfit to measure the incident, and Attempts show it.
func TestStockCountsHiddenAttempts(t *testing.T) {
	const rounds = 20
	for _, test := range []struct {
		method string
		tls    bool
		resent bool
		want   string
	}{
		{"GET", false, true, "done/"}, {"GET", true, true, "done/"},
		{"POST", false, false, "before_response/fin"}, {"POST", true, false, "before_response/close_notify"},
	} {
		t.Run(test.method, func(t *testing.T) {
			server := serve(t, script.Server{Fault: script.CloseBeforeResponse, FaultOn: script.OnReused, TLS: test.tls})
			s := newStock(t, server, long, request(t, test.method, server.URL(), nil))
			attempts, failed := 0, 0
			for range rounds {
				e := do(t.Context(), s, s.now)
				attempts += e.Attempts
				if !e.OK() {
					failed++
					if outcome(e) != test.want || !e.Reused() {
						t.Errorf("got %s (reused %v), want %s: %v", outcome(e), e.Reused(), test.want, e.Err)
					}
				}
			}
			if seen := server.Seen().Requests; uint64(attempts) != seen {
				t.Errorf("%d attempts counted, %d requests arrived", attempts, seen)
			}
			if test.resent && (attempts != 2*rounds-1 || failed != 0) {
				t.Errorf("%d attempts and %d failures for %d exchanges, want %d and 0", attempts, failed, rounds, 2*rounds-1)
			}
			if !test.resent && (attempts != rounds || failed != rounds/2) {
				t.Errorf("%d attempts and %d failures for %d exchanges", attempts, failed, rounds)
			}
		})
	}
}

func TestStockOutcomes(t *testing.T) {
	for _, test := range []struct {
		cfg  script.Server
		want string
	}{
		{script.Server{Body: 100}, "done/"},
		{script.Server{Fault: script.CloseBeforeResponse}, "before_response/fin"},
		{script.Server{Fault: script.ResetBeforeResponse}, "before_response/rst"},
		{script.Server{Fault: script.CloseDuringResponse, Body: 1000}, "during_response/truncated"},
		{script.Server{Fault: script.CloseDuringResponse, Body: 1000, Chunked: true}, "during_response/fin"},
		{script.Server{Fault: script.ResetDuringResponse, Body: 1000}, "during_response/rst"},
		{script.Server{Fault: script.Silent}, "before_response/timeout"},
		{script.Server{Fault: script.EndlessBody}, "during_response/timeout"},
	} {
		t.Run(test.want, func(t *testing.T) {
			server := serve(t, test.cfg)
			timeout := long
			if test.cfg.Fault == script.Silent || test.cfg.Fault == script.EndlessBody {
				timeout = 200 * time.Millisecond
			}
			s := newStock(t, server, timeout, request(t, "GET", server.URL(), nil))
			e := do(t.Context(), s, s.now)
			if outcome(e) != test.want {
				t.Errorf("got %s: %v", outcome(e), e.Err)
			}
			if e.BytesOut == 0 || e.Attempts != 1 || e.Conn == 0 {
				t.Errorf("not counted: %+v", e)
			}
		})
	}
	t.Run("re-sent to nobody", func(t *testing.T) {
		ln := listen(t)
		go func() {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			for i := range 2 { // the second request is read, and not answered
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
					return
				}
				if i == 0 {
					io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				}
				ln.Close()
			}
		}()
		s := NewStock(&Dialer{}, []*Request{request(t, "GET", "http://"+ln.Addr().String(), nil)}, long)
		if e := do(t.Context(), s, s.now); !e.OK() {
			t.Fatalf("%s: %v", outcome(e), e.Err)
		}
		if e := do(t.Context(), s, s.now); outcome(e) != "connect/refused" {
			t.Errorf("got %s: %v, want the failure of the attempt that ended it", outcome(e), e.Err)
		}
	})
	t.Run("refused", func(t *testing.T) {
		ln := listen(t)
		ln.Close()
		s := NewStock(&Dialer{}, []*Request{request(t, "GET", "http://"+ln.Addr().String(), nil)}, long)
		if e := do(t.Context(), s, s.now); outcome(e) != "connect/refused" {
			t.Errorf("got %s: %v", outcome(e), e.Err)
		}
	})
}
