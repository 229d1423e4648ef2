package pool

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// world is the truth a Core is compared with: what it has handed out.
type world struct {
	policy  Policy
	core    *Core
	now     time.Duration
	waiting []*Request // in order of arrival
	dialing []*Request
	probing map[*Conn]*Request
	leased  map[*Conn]bool
	open    map[*Conn]bool // dialed, and no DoClose yet
}

func (w *world) take(t *rapid.T, asked *Request, ds []Decision) {
	answered := false
	for _, d := range ds {
		switch d.Kind {
		case DoClose:
			if !w.open[d.Conn] {
				t.Fatalf("closed twice")
			}
			delete(w.open, d.Conn)
			delete(w.leased, d.Conn)
			continue
		case DoLease:
			if w.leased[d.Conn] || !w.open[d.Conn] {
				t.Fatalf("leased twice, or after its close")
			}
			w.leased[d.Conn] = true
		case DoProbe:
			w.probing[d.Conn] = d.Request
		case DoDial:
			w.dialing = append(w.dialing, d.Request)
		}
		if d.Request == asked {
			answered = true
			continue
		}
		if len(w.waiting) == 0 || w.waiting[0] != d.Request {
			t.Fatalf("%v for a request that is not the first in the queue", d.Kind)
		}
		w.waiting = w.waiting[1:]
	}
	if asked != nil && !answered {
		w.waiting = append(w.waiting, asked)
	}
	w.check(t)
}

func (w *world) check(t *rapid.T) {
	s := w.core.Stats()
	if s.Pending != len(w.waiting) || s.Dialing != len(w.dialing) || s.Leased != len(w.leased)+len(w.probing) {
		t.Fatalf("%v; seen pending %d, dialing %d, leased %d, probing %d", s, len(w.waiting), len(w.dialing), len(w.leased), len(w.probing))
	}
	if total := s.Dialing + s.Leased + s.Idle; w.policy.MaxConns > 0 && total > w.policy.MaxConns {
		t.Fatalf("%v is above the cap of %d", s, w.policy.MaxConns)
	}
	if w.policy.PendingMax >= 0 && s.Pending > w.policy.PendingMax {
		t.Fatalf("%v is above the queue's bound of %d", s, w.policy.PendingMax)
	}
	if w.policy.MaxIdle >= 0 && s.Idle > w.policy.MaxIdle {
		t.Fatalf("%v is above max_idle %d", s, w.policy.MaxIdle)
	}
	var evicted uint64
	for _, n := range s.Evicted {
		evicted += n
	}
	if s.Opened != evicted+uint64(s.Leased+s.Idle) {
		t.Fatalf("opened %d, evicted %d, %v", s.Opened, evicted, s)
	}
	if len(w.waiting) > 0 && (w.policy.MaxConns == 0 || s.Dialing+s.Leased+s.Idle < w.policy.MaxConns) {
		t.Fatalf("%v: a request waits although there is room", s)
	}
}

func anyOf[K comparable, V any](t *rapid.T, m map[K]V, less func(a, b K) bool) K {
	keys := make([]K, 0, len(m))
	for k := range m {
		at := len(keys)
		keys = append(keys, k)
		for ; at > 0 && less(k, keys[at-1]); at-- {
			keys[at], keys[at-1] = keys[at-1], keys[at]
		}
	}
	return rapid.SampledFrom(keys).Draw(t, "one")
}

// Whatever happens in whatever order: caps hold, the queue keeps its order, no
// connection is leased or closed twice, nobody waits in vain, accounts balance.
func TestRandomEvents(t *testing.T) {
	byID := func(a, b *Conn) bool { return a.id < b.id }
	rapid.Check(t, func(t *rapid.T) {
		seconds := func(name string) time.Duration {
			return time.Duration(rapid.IntRange(0, 5).Draw(t, name)) * time.Second
		}
		p := Policy{
			MaxConns:       rapid.IntRange(0, 4).Draw(t, "max_conns"),
			MaxIdle:        rapid.IntRange(-1, 3).Draw(t, "max_idle"),
			PendingMax:     rapid.IntRange(-1, 4).Draw(t, "pending_max"),
			PendingTimeout: seconds("pending_timeout"),
			LeaseOrder:     Order(rapid.IntRange(0, 2).Draw(t, "lease_order")),
			IdleTimeout:    seconds("idle_timeout"),
			Expiry:         Expiry(rapid.IntRange(0, 15).Draw(t, "expiry")),
			SweepEvery:     time.Second,
			Liveness:       Liveness(rapid.IntRange(0, 2).Draw(t, "liveness")),
			ProbeAfter:     seconds("probe_after"),
			Reap:           Reap(rapid.IntRange(0, 1).Draw(t, "reap")),
			MaxLifetime:    seconds("max_lifetime"),
			MaxRequests:    rapid.IntRange(0, 3).Draw(t, "max_requests"),
		}
		w := &world{policy: p, core: New(p), probing: map[*Conn]*Request{}, leased: map[*Conn]bool{}, open: map[*Conn]bool{}}
		w.core.AddOrigin()
		t.Repeat(map[string]func(*rapid.T){
			"": w.check,
			"acquire": func(t *rapid.T) {
				r := &Request{}
				w.take(t, r, w.core.Acquire(w.now, r))
			},
			"cancel": func(t *rapid.T) {
				if len(w.waiting) == 0 {
					t.Skip()
				}
				i := rapid.IntRange(0, len(w.waiting)-1).Draw(t, "i")
				if !w.core.Cancel(w.waiting[i]) {
					t.Fatal("a waiting request could not be taken back")
				}
				w.waiting = append(w.waiting[:i:i], w.waiting[i+1:]...)
				w.check(t)
			},
			"dialed": func(t *rapid.T) {
				if len(w.dialing) == 0 {
					t.Skip()
				}
				r := w.dialing[0]
				w.dialing = w.dialing[1:]
				c, ds := w.core.Dialed(w.now, r)
				w.open[c], w.leased[c] = true, true
				w.take(t, nil, ds)
			},
			"dial failed": func(t *rapid.T) {
				if len(w.dialing) == 0 {
					t.Skip()
				}
				r := w.dialing[0]
				w.dialing = w.dialing[1:]
				w.take(t, nil, w.core.DialFailed(w.now, r))
			},
			"probed": func(t *rapid.T) {
				if len(w.probing) == 0 {
					t.Skip()
				}
				c := anyOf(t, w.probing, byID)
				r := w.probing[c]
				delete(w.probing, c)
				found := rapid.SampledFrom([]Reason{Keep, PeerClosed, Reset}).Draw(t, "found")
				w.take(t, r, w.core.Probed(w.now, c, r, found))
			},
			"release": func(t *rapid.T) {
				if len(w.leased) == 0 {
					t.Skip()
				}
				c := anyOf(t, w.leased, byID)
				delete(w.leased, c)
				w.take(t, nil, w.core.Release(w.now, c, rapid.SampledFrom([]Reason{Keep, Keep, Keep, Broken}).Draw(t, "why")))
			},
			"died": func(t *rapid.T) {
				if len(w.open) == 0 {
					t.Skip()
				}
				w.take(t, nil, w.core.Died(w.now, anyOf(t, w.open, byID), PeerClosed))
			},
			"time passes": func(t *rapid.T) {
				w.now += time.Duration(rapid.IntRange(0, 3000).Draw(t, "ms")) * time.Millisecond
				w.take(t, nil, w.core.Tick(w.now))
				if next, ok := w.core.Next(); ok && next <= w.now {
					t.Fatalf("it is %v, and the rules want to be asked at %v", w.now, next)
				}
			},
		})
	})
}
