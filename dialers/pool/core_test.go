package pool

import (
	"strings"
	"testing"
	"time"
)

// story drives a Core by names: requests and connections are called by a
// letter or a number, and every decision is compared as text.
type story struct {
	t        *testing.T
	core     *Core
	now      time.Duration
	requests map[string]*Request
	conns    map[string]*Conn
	dials    map[string]*Dial
}

func newStory(t *testing.T, change func(*Policy)) *story {
	policy := Default()
	change(&policy)
	if err := policy.Validate(); err != nil {
		t.Fatal(err)
	}
	s := &story{t: t, core: New(policy, 1), requests: map[string]*Request{}, conns: map[string]*Conn{}, dials: map[string]*Dial{}}
	s.core.AddOrigin()
	return s
}

func (s *story) expect(what string, got []Decision, want ...string) {
	s.t.Helper()
	var have []string
	for _, d := range got {
		line := d.Kind.String()
		if d.Kind == DoDial {
			s.dials[d.Request.Data.(string)] = d.Dial
		}
		if d.Request != nil {
			line += " " + d.Request.Data.(string)
		}
		if d.Conn != nil {
			line += " " + d.Conn.Data.(string)
		}
		switch d.Kind {
		case DoClose:
			line += " " + d.Reason.String()
		case DoRefuse:
			line += " " + d.Refusal.String()
		}
		have = append(have, line)
	}
	if strings.Join(have, "; ") != strings.Join(want, "; ") {
		s.t.Fatalf("at %v, %s:\n got %q\nwant %q\n(%v)", s.now, what, have, want, s.core.Stats())
	}
}

func (s *story) acquire(r string, want ...string) {
	s.t.Helper()
	s.requests[r] = &Request{Data: r}
	s.expect("acquire "+r, s.core.Acquire(s.now, s.requests[r]), want...)
}

// dialed ends the dial for r; the connection, called c, is leased to r unless
// told otherwise.
func (s *story) dialed(r, c string, want ...string) {
	s.t.Helper()
	if want == nil {
		want = []string{"lease " + r + " " + c}
	}
	conn, ds := s.core.Dialed(s.now, s.dials[r], c)
	s.conns[c] = conn
	s.expect("dialed "+c, ds, want...)
}

func (s *story) dialFailed(r string, want ...string) {
	s.t.Helper()
	s.expect("dial failed "+r, s.core.DialFailed(s.now, s.dials[r]), append([]string{"refuse " + r + " dial_failed"}, want...)...)
}

func (s *story) release(c string, want ...string) {
	s.t.Helper()
	s.expect("release "+c, s.core.Release(s.now, s.conns[c], Keep, NoHint), want...)
}

func (s *story) releaseFor(c string, why Reason, want ...string) {
	s.t.Helper()
	s.expect("release "+c, s.core.Release(s.now, s.conns[c], why, NoHint), want...)
}

func (s *story) died(c string, want ...string) {
	s.t.Helper()
	s.expect("died "+c, s.core.Died(s.now, s.conns[c], PeerClosed), want...)
}

func (s *story) after(d time.Duration, want ...string) {
	s.t.Helper()
	s.now += d
	s.expect("tick", s.core.Tick(s.now), want...)
}

func (s *story) gauges(want string) {
	s.t.Helper()
	if got := s.core.Stats().String(); got != want {
		s.t.Fatalf("at %v: %s, want %s", s.now, got, want)
	}
}

// open dials and leases connections named as given, one request each.
func (s *story) open(names ...string) {
	s.t.Helper()
	for _, c := range names {
		s.acquire("for-"+c, "dial for-"+c)
		s.dialed("for-"+c, c)
	}
}

func TestDialFinishReuseExpire(t *testing.T) {
	s := newStory(t, func(p *Policy) { p.IdleTimeout = 3 * time.Second })
	s.open("1")
	s.gauges("idle 0, leased 1, dialing 0, pending 0")
	s.release("1")
	s.now += 2 * time.Second
	s.acquire("b", "lease b 1")
	if c := s.conns["1"]; c.Uses != 2 || c.IdleFor != 2*time.Second {
		t.Fatalf("uses %d, idle for %v; want 2, 2s", c.Uses, c.IdleFor)
	}
	s.release("1")
	s.after(5 * time.Second) // nobody looks but at lease
	s.gauges("idle 1, leased 0, dialing 0, pending 0")
	s.acquire("c", "close 1 expired", "dial c")
}

func TestLeaseOrder(t *testing.T) {
	for _, test := range []struct {
		order Order
		want  string
	}{{LIFO, "1"}, {FIFO, "3"}, {FirstFit, "1"}} {
		t.Run(test.order.String(), func(t *testing.T) {
			s := newStory(t, func(p *Policy) { p.LeaseOrder = test.order })
			s.open("1", "2", "3")
			for _, c := range []string{"3", "2", "1"} {
				s.now += time.Second
				s.release(c)
			}
			s.acquire("x", "lease x "+test.want)
		})
	}
	t.Run("first_fit goes by creation after many uses", func(t *testing.T) {
		s := newStory(t, func(p *Policy) { p.LeaseOrder = FirstFit })
		s.open("1", "2", "3", "4")
		for _, c := range []string{"4", "2", "3"} {
			s.release(c)
		}
		s.acquire("x", "lease x 2")
		s.acquire("y", "lease y 3")
		s.release("2")
		s.acquire("z", "lease z 2")
		s.acquire("w", "lease w 4")
	})
}

func TestQueueIsFIFOAndBounded(t *testing.T) {
	s := newStory(t, func(p *Policy) { p.MaxConns, p.PendingMax = 1, 2 })
	s.open("1")
	s.acquire("a")
	s.acquire("b")
	s.acquire("c", "refuse c queue_full")
	s.gauges("idle 0, leased 1, dialing 0, pending 2")
	s.release("1", "lease a 1")
	s.release("1", "lease b 1")
	s.release("1")
	s.gauges("idle 1, leased 0, dialing 0, pending 0")
	if peak := s.core.Stats().PeakPending; peak != 2 {
		t.Fatalf("peak pending %d, want 2", peak)
	}
}

// The 49th of 49 callers at once fails: 16 connections and 32 places to wait.
func TestReactorNettyBuilderTakesFortyEight(t *testing.T) {
	s := newStory(t, func(p *Policy) { p.MaxConns, p.PendingMax = 16, 32 })
	for i := range 48 {
		if ds := s.core.Acquire(0, &Request{Data: "x"}); len(ds) == 1 && ds[0].Kind == DoRefuse {
			t.Fatalf("caller %d refused", i+1)
		}
	}
	s.acquire("49", "refuse 49 queue_full")
	s.gauges("idle 0, leased 0, dialing 16, pending 32")
}

func TestPendingTimeout(t *testing.T) {
	s := newStory(t, func(p *Policy) { p.MaxConns, p.PendingTimeout = 1, 2*time.Second })
	s.open("1")
	s.acquire("a")
	s.now += time.Second
	s.acquire("b")
	if next, ok := s.core.Next(); !ok || next != 2*time.Second {
		t.Fatalf("next %v %v, want 2s", next, ok)
	}
	s.after(time.Second, "refuse a pending_timeout")
	s.now += time.Second
	// b's time is over too, although no tick has come: the connection is not wasted on it.
	s.release("1", "refuse b pending_timeout")
	s.gauges("idle 1, leased 0, dialing 0, pending 0")
}

// The wait ends at allotment: the dial is not part of pending_timeout.
func TestPendingTimeoutLeavesOutTheDial(t *testing.T) {
	s := newStory(t, func(p *Policy) { p.MaxConns, p.PendingTimeout = 1, time.Second })
	s.open("1")
	s.acquire("a")
	s.releaseFor("1", Broken, "close 1 broken", "dial a")
	s.after(time.Hour)
	s.dialed("a", "2")
}

func TestCancel(t *testing.T) {
	s := newStory(t, func(p *Policy) { p.MaxConns = 1 })
	s.open("1")
	s.acquire("a")
	s.acquire("b")
	if !s.core.Cancel(s.requests["a"]) {
		t.Fatal("a was waiting")
	}
	s.release("1", "lease b 1")
	if s.core.Cancel(s.requests["b"]) {
		t.Fatal("b has a connection and cannot be taken back")
	}
}

func TestFailedDialLetsTheNextOneTry(t *testing.T) {
	s := newStory(t, func(p *Policy) { p.MaxConns = 1 })
	s.acquire("a", "dial a")
	s.acquire("b")
	s.dialFailed("a", "dial b")
	s.dialFailed("b")
	s.gauges("idle 0, leased 0, dialing 0, pending 0")
}

func TestMaxIdleClosesTheNewcomer(t *testing.T) {
	s := newStory(t, func(p *Policy) { p.MaxIdle = 1 })
	s.open("1", "2")
	s.release("1")
	s.release("2", "close 2 surplus")
	t.Run("0 is no keep-alive", func(t *testing.T) {
		s := newStory(t, func(p *Policy) { p.MaxIdle, p.MaxConns = 0, 1 })
		s.open("1")
		s.acquire("a")
		s.release("1", "close 1 surplus", "dial a")
	})
	t.Run("a waiting request comes first", func(t *testing.T) {
		s := newStory(t, func(p *Policy) { p.MaxIdle, p.MaxConns = 1, 2 })
		s.open("1", "2")
		s.acquire("a")
		s.release("1", "lease a 1")
		s.release("2")
		s.release("1", "close 1 surplus")
	})
}

func TestMaxRequestsAndLifetimeActAtRelease(t *testing.T) {
	s := newStory(t, func(p *Policy) { p.MaxRequests = 2 })
	s.open("1")
	s.release("1")
	s.acquire("b", "lease b 1")
	s.release("1", "close 1 max_requests")

	s = newStory(t, func(p *Policy) { p.MaxLifetime, p.Expiry = 10*time.Second, ExpireAtRelease|ExpireAtLease })
	s.open("1")
	s.now = time.Minute // in flight far beyond its lifetime
	s.release("1", "close 1 lifetime")
}

func TestExpiryByTimer(t *testing.T) {
	s := newStory(t, func(p *Policy) {
		p.IdleTimeout, p.MaxLifetime, p.Expiry = 3*time.Second, 10*time.Second, ExpireByTimer
	})
	s.open("1", "2")
	s.now = 5 * time.Second
	s.release("1")
	s.now = 8 * time.Second
	s.release("2")
	if next, ok := s.core.Next(); !ok || next != 8*time.Second {
		t.Fatalf("next %v %v, want 8s", next, ok)
	}
	s.after(0, "close 1 expired")
	s.after(2*time.Second, "close 2 lifetime")
	if _, ok := s.core.Next(); ok {
		t.Fatal("nothing is left to expire")
	}
}

func TestSweep(t *testing.T) {
	s := newStory(t, func(p *Policy) {
		p.IdleTimeout, p.Expiry, p.SweepEvery = time.Second, ExpireBySweep, 10*time.Second
	})
	s.open("1", "2")
	s.release("1")
	s.after(9 * time.Second) // expired, but nobody has looked
	s.acquire("a", "lease a 1")
	s.release("1")
	s.release("2")
	s.after(time.Second, "close 1 expired", "close 2 expired")
}

func TestReap(t *testing.T) {
	t.Run("event", func(t *testing.T) {
		s := newStory(t, func(p *Policy) { p.MaxConns = 1 })
		s.open("1")
		s.release("1")
		s.died("1", "close 1 peer_closed")
		s.gauges("idle 0, leased 0, dialing 0, pending 0")
	})
	// Reactor Netty: the dead connection uses up the cap until it is next met.
	t.Run("lease", func(t *testing.T) {
		s := newStory(t, func(p *Policy) { p.MaxConns, p.Reap = 1, ReapAtLease })
		s.open("1")
		s.release("1")
		s.died("1", "close 1 peer_closed")
		s.gauges("idle 1, leased 0, dialing 0, pending 0")
		s.acquire("b", "dial b")
		if n := s.core.Stats().Evicted[PeerClosed]; n != 1 {
			t.Fatalf("%d evicted as peer_closed, want 1", n)
		}
	})
	t.Run("while leased", func(t *testing.T) {
		s := newStory(t, func(p *Policy) {})
		s.open("1")
		s.died("1")
		s.release("1", "close 1 peer_closed")
	})
}

func TestProbe(t *testing.T) {
	s := newStory(t, func(p *Policy) { p.Liveness, p.ProbeAfter, p.MaxConns = Probe, 2*time.Second, 2 })
	s.open("1", "2")
	s.release("1")
	s.release("2")
	s.now += time.Second
	s.acquire("a", "lease a 2") // idle too short to be looked at
	s.release("2")
	s.now += 2 * time.Second
	s.acquire("b", "probe b 2")
	s.expect("probed", s.core.Probed(s.now, s.conns["2"], s.requests["b"], PeerClosed), "close 2 peer_closed", "probe b 1")
	s.gauges("idle 0, leased 1, dialing 0, pending 0")
	s.expect("probed", s.core.Probed(s.now, s.conns["1"], s.requests["b"], Reset), "close 1 reset", "dial b")
	s.dialed("b", "3")
	s.release("3")
	s.now += 2 * time.Second
	s.acquire("c", "probe c 3")
	s.expect("probed", s.core.Probed(s.now, s.conns["3"], s.requests["c"], Keep), "lease c 3")
}

// With probe_after 0 every lease is preceded by a look, also that of a
// connection handed from one request to the next.
func TestProbeBeforeHandingOver(t *testing.T) {
	s := newStory(t, func(p *Policy) { p.Liveness, p.MaxConns = Probe, 1 })
	s.open("1")
	s.acquire("a")
	s.release("1", "probe a 1")
	s.expect("probed", s.core.Probed(s.now, s.conns["1"], s.requests["a"], PeerClosed), "close 1 peer_closed", "dial a")
}

func TestClose(t *testing.T) {
	s := newStory(t, func(p *Policy) { p.MaxConns = 2 })
	s.open("1", "2")
	s.release("1")
	s.acquire("a", "lease a 1")
	s.acquire("b")
	s.expect("close", s.core.Close(s.now), "refuse b closed")
	s.release("1", "close 1 shutdown")
	s.release("2", "close 2 shutdown")
	s.acquire("c", "refuse c closed")
}

func TestOriginsHaveCapsOfTheirOwn(t *testing.T) {
	s := newStory(t, func(p *Policy) { p.MaxConns = 1 })
	other := s.core.AddOrigin()
	s.open("1")
	s.requests["b"] = &Request{Data: "b", Origin: other}
	s.expect("acquire b", s.core.Acquire(s.now, s.requests["b"]), "dial b")
}

func TestValidateSaysAllAtOnce(t *testing.T) {
	p := Default()
	p.MaxConns, p.PendingMax, p.PendingTimeout, p.SweepEvery, p.ProbeAfter = 0, 0, time.Second, time.Second, time.Second
	p.IdleTimeout, p.MaxLifetime, p.Expiry = time.Second, time.Second, 0
	err := p.Validate()
	if err == nil {
		t.Fatal("want complaints")
	}
	for _, field := range []string{"max_conns:", "pending_timeout:", "sweep_every:", "probe_after:", "idle_timeout:", "max_lifetime:"} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("no complaint about %s in:\n%v", field, err)
		}
	}
	if err := Default().Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	for _, nothing := range []Methods{"", " ", "!", "! "} {
		p := Default()
		p.Resend = []ResendRule{{After: AfterEOF, Methods: nothing}}
		if err := p.Validate(); err == nil || !strings.Contains(err.Error(), "resend.0.methods: ") {
			t.Errorf("methods %q: %v", nothing, err)
		}
	}
}
