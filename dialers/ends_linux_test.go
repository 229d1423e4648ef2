package dialers

import (
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// endings keeps the ends of connections.
type endings struct {
	mu   sync.Mutex
	list []results.ConnectionEnd
}

func (l *endings) add(e *results.ConnectionEnd) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, *e)
}

// only waits for the end of one connection, and returns it.
func (l *endings) only(t *testing.T) results.ConnectionEnd {
	t.Helper()
	eventually(t, func() bool { l.mu.Lock(); defer l.mu.Unlock(); return len(l.list) > 0 })
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.list) != 1 {
		t.Errorf("%d connections ended: %+v", len(l.list), l.list)
	}
	return l.list[0]
}

// Each way in which a connection can end is reported once: by whom, how, why, and after which
// idle time. Where two sides may be first, the test says so.
func TestEnds(t *testing.T) {
	const idle = 60 * time.Millisecond
	const busy = results.Never // as Idle
	slow, err := script.ParseDelay("10s")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		policy func(*pool.Policy)
		server script.Server
		leave  bool // close the client when the exchange is over
		by     []results.Ender
		how    results.EndedHow
		reason pool.Reason
		idle   time.Duration
	}{
		"our idle timer": {
			policy: func(p *pool.Policy) { p.IdleTimeout, p.Expiry = idle, pool.ExpireByTimer },
			by:     []results.Ender{results.EndUs}, how: results.HowFIN, reason: pool.Expired, idle: idle,
		},
		"our idle timer over TLS": {
			policy: func(p *pool.Policy) { p.IdleTimeout, p.Expiry = idle, pool.ExpireByTimer }, server: script.Server{TLS: true},
			by: []results.Ender{results.EndUs}, how: results.HowCloseNotify, reason: pool.Expired, idle: idle,
		},
		"our cap of requests": {
			policy: func(p *pool.Policy) { p.MaxRequests = 1 },
			by:     []results.Ender{results.EndUs}, how: results.HowFIN, reason: pool.MaxRequests,
		},
		"surplus": {
			policy: func(p *pool.Policy) { p.MaxIdle = 0 },
			by:     []results.Ender{results.EndUs}, how: results.HowFIN, reason: pool.Surplus,
		},
		"the server's idle timer": {
			server: script.Server{IdleTimeout: idle},
			by:     []results.Ender{results.EndPeer}, how: results.HowFIN, reason: pool.PeerClosed, idle: idle,
		},
		"the server's idle timer over TLS": {
			server: script.Server{IdleTimeout: idle, TLS: true},
			by:     []results.Ender{results.EndPeer}, how: results.HowCloseNotify, reason: pool.PeerClosed, idle: idle,
		},
		"a reset while idle": {
			server: script.Server{IdleTimeout: idle, Fault: script.ResetOnIdle},
			by:     []results.Ender{results.EndReset}, how: results.HowRST, reason: pool.Reset, idle: idle,
		},
		"a FIN instead of a response": {
			server: script.Server{Fault: script.CloseBeforeResponse},
			by:     []results.Ender{results.EndPeer}, how: results.HowFIN, reason: pool.Broken, idle: busy,
		},
		"a timeout": {
			policy: func(p *pool.Policy) { p.ResponseTimeout = idle }, server: script.Server{Delay: slow},
			by: []results.Ender{results.EndUs}, how: results.HowFIN, reason: pool.Broken, idle: busy,
		},
		"the server says close": {
			server: script.Server{MaxRequests: 1},
			by:     []results.Ender{results.EndUs, results.EndPeer}, how: results.HowFIN, reason: pool.ServerSaidClose,
		},
		"the end of the run": {
			leave: true,
			by:    []results.Ender{results.EndUs}, how: results.HowFIN, reason: pool.Shutdown,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, c.server)
			policy := pool.Default()
			if c.policy != nil {
				c.policy(&policy)
			}
			var l endings
			client, err := NewClient(Config{Policy: policy, Dialer: &Dialer{TLS: trust(server)}, Timeout: long, Requests: []*Request{request(t, "GET", server.URL(), nil)}})
			if err != nil {
				t.Fatal(err)
			}
			leave := sync.OnceFunc(client.Close)
			t.Cleanup(leave)
			client.Ended = l.add
			exchange := client.do(t)
			if c.leave {
				leave()
			}
			e := l.only(t)
			// The FIN of a peer that answers ours at once may be there before the kernel is asked.
			if by := c.by; e.By != by[0] && e.By != by[len(by)-1] && !(by[0] == results.EndUs && e.By == results.EndUnknown) {
				t.Errorf("by %v, want %v", e.By, by)
			}
			if e.How != c.how && e.By != results.EndUnknown || e.Reason != c.reason.String() {
				t.Errorf("%v, %v, want %v, %v", e.How, e.Reason, c.how, c.reason)
			}
			if c.idle == busy && (e.Idle != busy || !e.Failed) || c.idle != busy && e.Failed ||
				c.idle > 0 && (e.Idle <= 0 || e.Idle < c.idle && e.By == results.EndUs) { // the server's timer begins before ours
				t.Errorf("idle for %v, failed %v; want at least %v", e.Idle, e.Failed, c.idle)
			}
			if e.Conn != 1 || e.Uses != 1 || e.Opened <= 0 || e.Opened > exchange.Wrote || e.Ended < e.Opened || e.Closed < e.Ended {
				t.Errorf("connection %d, %d uses, opened %v (wrote %v), ended %v, closed %v", e.Conn, e.Uses, e.Opened, exchange.Wrote, e.Ended, e.Closed)
			}
			if e.By == results.EndPeer && !e.Local.IsValid() {
				t.Error("the client's address is not known")
			}
		})
	}
}

// The ends of net/http's connections: it does not say why, and who was first is seen below it.
func TestEndsOfStock(t *testing.T) {
	for name, c := range map[string]struct {
		server script.Server
		by     results.Ender
		how    results.EndedHow
		busy   bool
	}{
		"the server's idle timer":     {script.Server{IdleTimeout: 60 * time.Millisecond}, results.EndPeer, results.HowFIN, false},
		"a reset while idle":          {script.Server{IdleTimeout: 60 * time.Millisecond, Fault: script.ResetOnIdle}, results.EndReset, results.HowRST, false},
		"a FIN instead of a response": {script.Server{Fault: script.CloseBeforeResponse}, results.EndPeer, results.HowFIN, true},
		"the end of the run":          {script.Server{}, results.EndUs, results.HowFIN, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, c.server)
			s := newStock(t, server, long, request(t, "POST", server.URL(), nil))
			var l endings
			s.Ended = l.add
			do(t.Context(), s, s.now)
			if c.by == results.EndUs {
				s.Close()
			}
			e := l.only(t)
			if e.By != c.by && !(c.by == results.EndUs && e.By == results.EndUnknown) || e.How != c.how && e.By != results.EndUnknown || e.Reason != "" || e.Uses != 1 {
				t.Errorf("by %v, %v, %q, %d uses", e.By, e.How, e.Reason, e.Uses)
			}
			if c.busy != (e.Idle == results.Never) || e.Opened <= 0 || e.Ended < e.Opened || e.Closed < e.Ended || !e.Local.IsValid() {
				t.Errorf("idle %v, opened %v, ended %v, closed %v, at %v", e.Idle, e.Opened, e.Ended, e.Closed, e.Local)
			}
		})
	}
}
