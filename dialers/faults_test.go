package dialers

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// doer is what Client and Stock have in common.
type doer interface {
	Do(context.Context, *results.Exchange)
}

// long is a timeout that only a hang can reach.
const long = time.Minute

func serve(t *testing.T, cfg script.Server) *lab.Server {
	t.Helper()
	server, err := lab.Start(cfg, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return server
}

func trust(server *lab.Server) *tls.Config {
	if server.CertPEM() == nil {
		return nil
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(server.CertPEM())
	return &tls.Config{RootCAs: roots}
}

func request(t *testing.T, method, url string, body []byte) *Request {
	t.Helper()
	r, err := NewRequest(method, url, http.Header{}, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func newClient(t *testing.T, policy pool.Policy, dialer *Dialer, timeout time.Duration, requests ...*Request) *Client {
	t.Helper()
	c, err := NewClient(Config{Policy: policy, Dialer: dialer, Requests: requests, Timeout: timeout})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// do performs one exchange, due now.
func do(ctx context.Context, d doer, now func() time.Duration) *results.Exchange {
	e := &results.Exchange{}
	e.Reset(0, now())
	e.Start = e.Due
	d.Do(ctx, e)
	return e
}

func (c *Client) do(t *testing.T) *results.Exchange { return do(t.Context(), c, c.now) }

func outcome(e *results.Exchange) string { return fmt.Sprintf("%v/%v", e.Phase, e.Cause) }

// Every fault of the lab, met by real sockets under each way of noticing dead
// connections, on a fresh connection and on a reused one.
func TestOutcomeOfEveryFault(t *testing.T) {
	upload := []byte(strings.Repeat("x", 24<<20)) // more than the socket buffers of both ends may grow to
	for _, test := range []struct {
		fault script.Server
		body  []byte
		want  string // on a plain connection
		tls   string // over TLS; "": the same
	}{
		{fault: script.Server{Fault: script.CloseBeforeResponse}, want: "before_response/fin", tls: "before_response/close_notify"},
		{fault: script.Server{Fault: script.ResetBeforeResponse}, want: "before_response/rst"},
		{fault: script.Server{Fault: script.CloseInHeaders}, want: "response_headers/fin", tls: "response_headers/close_notify"},
		{fault: script.Server{Fault: script.ResetInHeaders}, want: "response_headers/rst"},
		{fault: script.Server{Fault: script.CloseDuringResponse, Body: 1000}, want: "during_response/truncated"},
		{fault: script.Server{Fault: script.CloseDuringResponse, Body: 1000, Chunked: true}, want: "during_response/fin", tls: "during_response/close_notify"},
		{fault: script.Server{Fault: script.ResetDuringResponse, Body: 1000}, want: "during_response/rst"},
		{fault: script.Server{Fault: script.ResetDuringResponse, Body: 1000, Chunked: true}, want: "during_response/rst"},
		{fault: script.Server{Fault: script.Garbage}, want: "response_headers/malformed"},
		{fault: script.Server{Fault: script.EndlessHeaders}, want: "response_headers/malformed"},
		{fault: script.Server{Fault: script.CloseWhileReading}, body: upload, want: "write_body/rst|write_body/pipe", tls: "write_body/rst|write_body/pipe"},
		{fault: script.Server{Fault: script.ResetWhileReading}, body: upload, want: "write_body/rst|write_body/pipe"},
	} {
		for _, secure := range []bool{false, true} {
			for _, liveness := range []pool.Liveness{pool.Events, pool.Probe, pool.None} {
				for _, on := range []script.FaultOn{script.OnFresh, script.OnReused} {
					want := test.want
					if secure && test.tls != "" {
						want = test.tls
					}
					cfg := test.fault
					cfg.TLS, cfg.FaultOn = secure, on
					t.Run(fmt.Sprintf("%v chunked=%v tls=%v %v %v", cfg.Fault, cfg.Chunked, secure, liveness, on), func(t *testing.T) {
						t.Parallel()
						server := serve(t, cfg)
						policy := pool.Default()
						policy.Liveness = liveness
						c := newClient(t, policy, &Dialer{TLS: trust(server)}, long, request(t, "POST", server.URL(), test.body))
						if on == script.OnReused {
							if e := c.do(t); !e.OK() {
								t.Fatalf("the first exchange: %s: %v", outcome(e), e.Err)
							}
						}
						e := c.do(t)
						if !strings.Contains("|"+want+"|", "|"+outcome(e)+"|") {
							t.Errorf("got %s (%v), want %s", outcome(e), e.Err, want)
						}
						if e.Reused() != (on == script.OnReused) {
							t.Errorf("reused %v", e.Reused())
						}
						if e.Err == nil || e.Done < e.Leased || e.BytesOut == 0 {
							t.Errorf("the exchange is not stamped: %+v", e)
						}
						if s := c.Stats(); s.Leased != 0 || s.Idle != 0 || s.Evicted[pool.Broken] != 1 {
							t.Errorf("a broken connection was kept: %v, evicted %v", s.Stats, s.Evicted)
						}
					})
				}
			}
		}
	}
}

// A peer that says nothing is given up when the time is over, in the phase in
// which it is over.
func TestTimeouts(t *testing.T) {
	const short = 200 * time.Millisecond
	t.Run("before the response", func(t *testing.T) {
		server := serve(t, script.Server{Fault: script.Silent})
		e := newClient(t, pool.Default(), &Dialer{}, short, request(t, "GET", server.URL(), nil)).do(t)
		if outcome(e) != "before_response/timeout" || e.ResponseTime() < short {
			t.Errorf("got %s after %v", outcome(e), e.ResponseTime())
		}
	})
	t.Run("during an endless body", func(t *testing.T) {
		server := serve(t, script.Server{Fault: script.EndlessBody})
		e := newClient(t, pool.Default(), &Dialer{}, short, request(t, "GET", server.URL(), nil)).do(t)
		if outcome(e) != "during_response/timeout" || e.Status != 200 {
			t.Errorf("got %s, status %d", outcome(e), e.Status)
		}
	})
	t.Run("while nobody reads the request", func(t *testing.T) {
		ln := listen(t)
		c := newClient(t, pool.Default(), &Dialer{}, short, request(t, "POST", "http://"+ln.Addr().String(), make([]byte, 16<<20)))
		if e := c.do(t); outcome(e) != "write_body/timeout" {
			t.Errorf("got %s", outcome(e))
		}
	})
	t.Run("response_timeout begins when the request is written", func(t *testing.T) {
		server := serve(t, script.Server{Fault: script.Silent})
		policy := pool.Default()
		policy.ResponseTimeout = short
		e := newClient(t, policy, &Dialer{}, long, request(t, "GET", server.URL(), nil)).do(t)
		if outcome(e) != "before_response/timeout" || e.Done-e.Wrote < short {
			t.Errorf("got %s, %v after the request was written", outcome(e), e.Done-e.Wrote)
		}
	})
	t.Run("waiting for a connection", func(t *testing.T) {
		server := serve(t, script.Server{Fault: script.Silent})
		policy := pool.Default()
		policy.MaxConns, policy.PendingTimeout = 1, short
		c := newClient(t, policy, &Dialer{}, long, request(t, "GET", server.URL(), nil))
		ctx, cancel := context.WithCancel(t.Context())
		held := make(chan *results.Exchange)
		go func() { held <- do(ctx, c, c.now) }()
		eventually(t, func() bool { return c.Stats().Leased == 1 })
		e := c.do(t)
		if refused, ok := errors.AsType[*RefusedError](e.Err); outcome(e) != "acquire/timeout" || !ok || refused.Refusal != pool.PendingTimeout || e.ServiceTime() < short {
			t.Errorf("got %s: %v after %v", outcome(e), e.Err, e.ServiceTime())
		}
		cancel()
		if e := <-held; outcome(e) != "before_response/aborted" || !e.Unfinished() {
			t.Errorf("the aborted one: %s", outcome(e))
		}
	})
	t.Run("in the TLS handshake", func(t *testing.T) {
		ln := listen(t)
		e := newClient(t, pool.Default(), &Dialer{Timeout: short}, long, request(t, "GET", "https://"+ln.Addr().String(), nil)).do(t)
		if outcome(e) != "tls/timeout" || e.Connected == results.Never || e.Secured != results.Never {
			t.Errorf("got %s: %v", outcome(e), e.Err)
		}
	})
}

func TestQueueFull(t *testing.T) {
	server := serve(t, script.Server{Fault: script.Silent})
	policy := pool.Default()
	policy.MaxConns, policy.PendingMax = 1, 0
	c := newClient(t, policy, &Dialer{}, long, request(t, "GET", server.URL(), nil))
	ctx, cancel := context.WithCancel(t.Context())
	held := make(chan *results.Exchange)
	go func() { held <- do(ctx, c, c.now) }()
	eventually(t, func() bool { return c.Stats().Leased == 1 })
	if e := c.do(t); outcome(e) != "acquire/queue_full" || e.Conn != 0 || e.Attempts != 0 {
		t.Errorf("got %s on connection %d", outcome(e), e.Conn)
	}
	cancel()
	<-held
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// eventually waits for what another goroutine is about to do.
func eventually(t *testing.T, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(long); !cond(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not happen")
		}
	}
}
