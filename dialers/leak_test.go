//go:build unix

package dialers

import (
	"testing"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// newLeaking returns a Client, for the test to close, whose caller leaves every response of that
// number half-read.
func newLeaking(t *testing.T, every int, policy pool.Policy, dialer *Dialer, requests ...*Request) *Client {
	t.Helper()
	c, err := NewClient(Config{Policy: policy, Dialer: dialer, Requests: requests, Timeout: long, LeakEvery: every})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A caller that leaves every third response half-read keeps that connection leased. When all are,
// the pool has none left, although every request was ok.
func TestLeaks(t *testing.T) {
	for _, secure := range []bool{false, true} {
		server := serve(t, script.Server{Body: 100_000, TLS: secure})
		policy := pool.Default()
		policy.MaxConns, policy.PendingTimeout = 2, time.Second // enough for a connect
		c := newLeaking(t, 3, policy, &Dialer{TLS: trust(server)}, request(t, "GET", server.URL(), nil))
		for i := range 6 {
			if e := c.do(t); !e.OK() || e.Status != 200 || (i%3 == 2) != (e.BytesIn < 100_000) {
				t.Fatalf("%d: %s after %d bytes", i, outcome(e), e.BytesIn)
			}
		}
		// What comes on a leaked connection, the server's end too, is not looked at.
		server.Reload()
		eventually(t, func() bool { return server.Seen().ClosedFirst == 2 })
		if e := c.do(t); outcome(e) != "acquire/timeout" {
			t.Errorf("with all leaked: %s", outcome(e))
		}
		if s := c.Stats(); s.Leased != 2 || s.Idle != 0 || s.Leaked != 2 || s.Opened != 2 {
			t.Errorf("%+v", s)
		}
		c.Close()
		if s := c.Stats(); s.Leased != 0 || s.Evicted[pool.Shutdown] != 2 {
			t.Errorf("closed: %+v", s)
		}
	}
}

// A response without a body leaves nothing to read, and its connection is given back.
func TestNothingLeaksWithoutABody(t *testing.T) {
	server := serve(t, script.Server{})
	c := newLeaking(t, 1, pool.Default(), &Dialer{}, request(t, "GET", server.URL(), nil))
	defer c.Close()
	for range 3 {
		c.do(t)
	}
	if s := c.Stats(); s.Leaked != 0 || s.Idle != 1 || s.Opened != 1 {
		t.Errorf("%+v", s)
	}
}

// response_timeout bounds a lease that nobody ends: the connection is closed, and there is room
// for another.
func TestResponseTimeoutEndsALeak(t *testing.T) {
	for _, clock := range []pool.Clock{pool.ClockTotal, pool.ClockGap} {
		server := serve(t, script.Server{Body: 100_000})
		policy := pool.Default()
		policy.MaxConns, policy.ResponseTimeout, policy.ResponseClock = 1, 100*time.Millisecond, clock
		c := newLeaking(t, 1, policy, &Dialer{}, request(t, "GET", server.URL(), nil))
		var at results.ConnectionEnd
		c.Ended = func(e *results.ConnectionEnd) { at = *e }
		first, second := c.do(t), c.do(t)
		if !first.OK() || !second.OK() || second.Use != 1 {
			t.Fatalf("%s, %s", outcome(first), outcome(second))
		}
		if waited := second.Leased - first.Wrote; waited < 90*time.Millisecond {
			t.Errorf("%v: the lease ended after %v", clock, waited)
		}
		if at.By != results.EndUs || at.Reason != "broken" || at.Idle != results.Never {
			t.Errorf("%+v", at)
		}
		c.Close()
		if s := c.Stats(); s.Leaked != 2 || s.Evicted[pool.Broken] != 1 || s.Evicted[pool.Shutdown] != 1 {
			t.Errorf("%+v", s)
		}
	}
}

// What took response_timeout is sent again as often as a rule says, as long as the budget has
// something left; what took the exchange's own time is not.
func TestResendAfterATimeout(t *testing.T) {
	server := serve(t, script.Server{Fault: script.Silent})
	policy := pool.Default()
	policy.ResponseTimeout = 10 * time.Millisecond
	policy.Resend = []pool.ResendRule{{On: pool.OnAny, After: pool.AfterTimeout, Methods: "idempotent", Max: 3}}
	get, post := request(t, "GET", server.URL(), nil), request(t, "POST", server.URL(), nil)
	c := newClient(t, policy, &Dialer{}, long, get, post)
	if e := c.do(t); outcome(e) != "before_response/timeout" || e.Attempts != 4 || len(e.Tries) != 3 {
		t.Errorf("%s after %d attempts", outcome(e), e.Attempts)
	}
	e := &results.Exchange{}
	e.Reset(0, c.now())
	e.Start, e.Target = e.Due, 1
	if c.Do(t.Context(), e); outcome(e) != "before_response/timeout" || e.Attempts != 1 {
		t.Errorf("POST: %s after %d attempts", outcome(e), e.Attempts)
	}
	policy.ResendBudget = 50
	bound, attempts := newClient(t, policy, &Dialer{}, long, get), 0
	for range 20 {
		attempts += bound.do(t).Attempts
	}
	if want := 20 + 10 + 20/2; attempts < want-5 || attempts > want { // the budget cannot hold what is earned while it is full
		t.Errorf("%d attempts of 20 requests, want up to %d", attempts, want)
	}
	policy.ResponseTimeout = long
	brief := newClient(t, policy, &Dialer{}, time.Second, get)
	if e := brief.do(t); outcome(e) != "before_response/timeout" || e.Attempts != 1 {
		t.Errorf("out of time: %s after %d attempts", outcome(e), e.Attempts)
	}
}
