//go:build unix

package dialers

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// tracer keeps the events that it gets.
type tracer struct {
	mu     sync.Mutex
	events []TraceEvent
}

func (r *tracer) add(e TraceEvent) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
}

func (r *tracer) all() []TraceEvent {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// states are those of the events of connection conn, each with the number of
// its exchange if there is one.
func (r *tracer) states(conn uint64) []string {
	var list []string
	for _, e := range r.all() {
		text := e.State.String()
		if e.On {
			text += fmt.Sprint(" #", e.Seq)
		}
		if e.Conn == conn {
			list = append(list, text)
		}
	}
	return list
}

func (r *tracer) of(state TraceState) (TraceEvent, bool) {
	for _, e := range r.all() {
		if e.State == state {
			return e, true
		}
	}
	return TraceEvent{}, false
}

func traced(t *testing.T, policy pool.Policy, dialer *Dialer, request *Request) (*Client, *tracer) {
	t.Helper()
	r := &tracer{}
	c := newClient(t, policy, dialer, long, request)
	c.Tracer = r.add
	return c, r
}

// The life of one connection, as the log of a pool with metrics on has it: one
// connection, two that may wait, an answer after a while, and a server that
// keeps an idle connection for three times as long as that.
func TestTraceOfALife(t *testing.T) {
	const answer, keepAlive = 50 * time.Millisecond, 150 * time.Millisecond
	delay, err := script.ParseDelay(answer.String())
	if err != nil {
		t.Fatal(err)
	}
	for name, secure := range map[string]bool{"tcp": false, "tls": true} {
		t.Run(name, func(t *testing.T) {
			server := serve(t, script.Server{Delay: delay, IdleTimeout: keepAlive, TLS: secure})
			policy := pool.Default()
			policy.MaxConns, policy.PendingMax = 1, 2
			c, r := traced(t, policy, &Dialer{TLS: trust(server)}, request(t, "GET", server.URL(), nil))
			if e := c.do(t); !e.OK() {
				t.Fatalf("%s: %v", outcome(e), e.Err)
			}
			eventually(t, func() bool { _, gone := r.of(Unregistered); return gone })
			want := []string{
				"registered", "connected", "configured #0", "request_prepared #0", "request_sent #0", "response_received #0",
				"response_completed #0", "disconnecting #0", "idle", "closed by peer", "unregistered",
			}
			if diff := cmp.Diff(want, r.states(1)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			events := r.all()
			for i, e := range events {
				if i > 0 && e.At < events[i-1].At {
					t.Errorf("%v at %v comes after %v at %v", e.State, e.At, events[i-1].State, events[i-1].At)
				}
				if e.Port == 0 || e.Port != events[0].Port {
					t.Errorf("%v on port %d", e.State, e.Port)
				}
			}
			prepared, _ := r.of(RequestPrepared)
			received, _ := r.of(ResponseReceived)
			closed, _ := r.of(ClosedByPeer)
			gone, _ := r.of(Unregistered)
			if received.At-prepared.At < answer || closed.At-prepared.At < answer+keepAlive {
				t.Errorf("prepared at %v, answered at %v, closed at %v; the server takes %v and keeps for %v", prepared.At, received.At, closed.At, answer, keepAlive)
			}
			if gone.Reason != pool.PeerClosed || received.Status != 200 || closed.Took <= 0 {
				t.Errorf("left for %v, status %d, closed after %v of idleness", gone.Reason, received.Status, closed.Took)
			}
		})
	}
}

// A connection that is used again, and one nobody looks at while it dies.
func TestTraceOfReuseAndOfAStaleConnection(t *testing.T) {
	twice := make(chan struct{})
	url := raw(t, func(conn net.Conn) {
		requests := bufio.NewReader(conn)
		for range 2 {
			if _, err := http.ReadRequest(requests); err != nil {
				return
			}
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
		<-twice
	})
	policy := pool.Default()
	policy.Liveness = pool.None
	c, r := traced(t, policy, &Dialer{}, request(t, "GET", url, nil))
	for range 2 {
		if e := c.do(t); !e.OK() {
			t.Fatalf("%s: %v", outcome(e), e.Err)
		}
	}
	close(twice)
	eventually(t, func() bool { _, seen := r.of(ClosedByPeer); return seen })
	if s := c.Stats(); s.Idle != 1 {
		t.Errorf("%v: looking for the trace changed what the pool knows", s.Stats)
	}
	if e := c.do(t); outcome(e) != "before_response/fin" {
		t.Errorf("%s: looking for the trace changed the outcome", outcome(e))
	}
	once := func(first ...string) []string {
		return append(first, "configured #0", "request_prepared #0", "request_sent #0")
	}
	answered := []string{"response_received #0", "response_completed #0", "disconnecting #0", "idle"}
	want := slices.Concat(once("registered", "connected"), answered, once("acquired #0"), answered,
		[]string{"closed by peer"}, once("acquired #0"), []string{"request_failed #0", "disconnecting #0", "unregistered"})
	if diff := cmp.Diff(want, r.states(1)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	failed, _ := r.of(RequestFailed)
	if failed.Phase != results.PhaseBeforeResponse || failed.Cause != results.CauseFIN {
		t.Errorf("failed as %v/%v", failed.Phase, failed.Cause)
	}
}

func TestTraceOfFailures(t *testing.T) {
	for name, test := range map[string]struct {
		cfg  script.Server
		want []string // after request_sent
	}{
		"reset before":  {script.Server{Fault: script.ResetBeforeResponse}, []string{"reset by peer #0", "request_failed #0", "disconnecting #0", "unregistered"}},
		"closed during": {script.Server{Fault: script.CloseDuringResponse, Body: 1000}, []string{"response_received #0", "closed by peer #0", "response_incomplete #0", "disconnecting #0", "unregistered"}},
		"said close":    {script.Server{SayClose: true}, []string{"response_received #0", "response_completed #0", "disconnecting #0"}},
	} {
		t.Run(name, func(t *testing.T) {
			c, r := traced(t, pool.Default(), &Dialer{}, request(t, "POST", serve(t, test.cfg).URL(), []byte("x")))
			c.do(t)
			want := append([]string{"registered", "connected", "configured #0", "request_prepared #0", "request_sent #0"}, test.want...)
			got := r.states(1)
			if len(got) > len(want) && name == "said close" {
				got = got[:len(want)] // whether its FIN was seen before we closed, nobody can tell
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestTraceOfNoConnection(t *testing.T) {
	c, r := traced(t, pool.Default(), &Dialer{}, request(t, "GET", refusing(t), nil))
	c.do(t)
	got := r.all()
	if len(got) != 1 || got[0].State != ConnectFailed || got[0].Conn != 0 || got[0].Phase != results.PhaseConnect || got[0].Cause != results.CauseRefused {
		t.Errorf("%+v", got)
	}
}

// What can be seen of the Transport, whose goroutines have no order among
// themselves: of each the first of all, and the last.
func TestTraceOfStock(t *testing.T) {
	server := serve(t, script.Server{IdleTimeout: 50 * time.Millisecond})
	s := newStock(t, server, long, request(t, "GET", server.URL(), nil))
	r := &tracer{}
	s.Tracer = r.add
	if e := do(t.Context(), s, s.now); !e.OK() {
		t.Fatalf("%s: %v", outcome(e), e.Err)
	}
	eventually(t, func() bool { _, gone := r.of(Unregistered); return gone })
	got := r.states(1)
	if len(got) < 3 || !slices.Equal(got[:3], []string{"registered", "connected", "configured #0"}) {
		t.Errorf("it begins as %v", got)
	}
	slices.Sort(got)
	want := []string{
		"closed by peer", "configured #0", "connected", "idle", "registered", "request_sent #0", "response_completed #0",
		"response_received #0", "unregistered",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
