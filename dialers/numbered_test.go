package dialers

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// An exchange has its own number in each of its attempts: the server knows a
// request that is sent again, and takes no other for it.
func TestNumbered(t *testing.T) {
	for name, secure := range map[string]bool{"plain": false, "tls": true} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, script.Server{Fault: script.CloseBeforeResponse, FaultOn: script.OnReused, RecordHeaders: true, TLS: secure})
			r, err := NewRequest("POST", server.URL()+"orders", http.Header{"x-request-ID": {"mine"}, "X-Other": {"kept"}}, []byte("one order"))
			if err != nil {
				t.Fatal(err)
			}
			policy := pool.Default()
			policy.Resend = []pool.ResendRule{{On: pool.OnReused, After: pool.AfterEOF | pool.AfterRST, Methods: "all"}}
			c := newClient(t, policy, &Dialer{TLS: trust(server)}, long, r.Numbered())
			const n = 6
			for seq := range uint64(n) {
				e := &results.Exchange{}
				e.Reset(seq, c.now())
				e.Start = e.Due
				if c.Do(t.Context(), e); !e.OK() || e.BytesOut%int64(e.Attempts) != 0 {
					t.Fatalf("%+v", e)
				}
			}
			again := 0
			for _, x := range server.Executions() {
				want := fmt.Sprintf("%020d", numberIn(x.ID))
				if x.ID != want || x.Method != "POST" || x.Target != "/orders" || x.Executed != x.Received {
					t.Errorf("%+v", x)
				}
				again += x.Executed - 1
			}
			if len(server.Executions()) != n || again == 0 || uint64(again) != server.Seen().Duplicates {
				t.Errorf("%d requests, %d sent again; the server saw %+v", len(server.Executions()), again, server.Seen())
			}
			for _, story := range server.Stories() {
				for _, x := range story.Exchanges {
					if x.Header.Get("X-Other") != "kept" || len(x.Header["X-Request-Id"]) != 1 || x.Header.Get("Content-Length") != "9" {
						t.Errorf("headers %v", x.Header)
					}
				}
			}
		})
	}
}

// numberIn is the number in an ID, and one that none has if it is not one.
func numberIn(id string) (n uint64) {
	if _, err := fmt.Sscanf(id, "%d", &n); err != nil {
		return 1 << 60
	}
	return n
}

func TestNumberedStock(t *testing.T) {
	server := serve(t, script.Server{})
	c := NewStock(&Dialer{}, []*Request{request(t, "GET", server.URL(), nil).Numbered()}, long)
	defer c.Close()
	for seq := range uint64(3) {
		e := &results.Exchange{}
		e.Reset(seq, c.now())
		if c.Do(t.Context(), e); !e.OK() {
			t.Fatalf("%+v", e)
		}
	}
	list := server.Executions()
	if len(list) != 3 || strings.TrimLeft(list[2].ID, "0") != "2" || server.Seen().Duplicates != 0 {
		t.Errorf("%+v", list)
	}
}

// The server answers before it has read the body, and its RST follows: a client
// that reads after the write error sees the answer, one that does not does not.
func TestOnWriteError(t *testing.T) {
	for _, on := range []pool.OnWriteError{pool.ReadAtWriteError, pool.StopAtWriteError} {
		server := serve(t, script.Server{Upload: script.AnswerClose})
		policy := pool.Default()
		policy.Liveness, policy.OnWriteError = pool.None, on
		body := make([]byte, 16<<20) // more than the sockets hold
		c := newClient(t, policy, &Dialer{}, long, request(t, "POST", server.URL(), body))
		e := c.do(t)
		stopped := e.Phase == results.PhaseWriteBody && (e.Cause == results.CauseRST || e.Cause == results.CausePipe) && e.Status == 0
		answered := e.OK() && e.Status == 200 && e.BytesOut < int64(len(body))
		if stopped != (on == pool.StopAtWriteError) || answered != (on == pool.ReadAtWriteError) {
			t.Errorf("%v: %v/%v, status %d, %d bytes written", on, e.Phase, e.Cause, e.Status, e.BytesOut)
		}
	}
}

// Only the connection's end ends a response without a length.
func TestUnbounded(t *testing.T) {
	for _, test := range []struct {
		cfg    script.Server
		method string
		want   bool
	}{
		{script.Server{Body: 100}, "GET", false},
		{script.Server{Body: 100, Chunked: true}, "GET", false},
		{script.Server{Body: 100, UntilClose: true}, "GET", true},
		{script.Server{UntilClose: true, Fault: script.CloseDuringResponse, Body: 100}, "GET", true}, // half of it
		{script.Server{Body: 100, UntilClose: true}, "HEAD", false},
		{script.Server{Status: 204}, "GET", false},
	} {
		server := serve(t, test.cfg)
		r := request(t, test.method, server.URL(), nil)
		c := newClient(t, pool.Default(), &Dialer{}, long, r)
		stock := NewStock(&Dialer{}, []*Request{r}, long)
		for who, e := range map[string]*results.Exchange{"client": c.do(t), "stock": do(context.Background(), stock, stock.now)} {
			if !e.OK() || e.Unbounded != test.want {
				t.Errorf("%s, %s of %+v: %v/%v, unbounded %v", who, test.method, test.cfg, e.Phase, e.Cause, e.Unbounded)
			}
		}
		stock.Close()
	}
}
