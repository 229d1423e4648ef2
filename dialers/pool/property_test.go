package pool

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// world is the truth a Core is compared with: what it has been asked, and what
// it has handed out.
type world struct {
	policy  Policy
	core    *Core
	now     time.Duration
	line    []*Request // those without an answer, in order of arrival
	dials   []*Dial
	ended   *Dial // the dial whose end is the present event
	probing map[*Conn]*Request
	leased  map[*Conn]bool
	open    map[*Conn]bool // dialed, and no DoClose yet
}

// dialOf is the dial that would serve r, nil when r waits without one.
func (w *world) dialOf(r *Request) *Dial {
	for _, d := range w.dials {
		if d.request == r {
			return d
		}
	}
	return nil
}

// firstOf is the request of r's origin that has waited longest and has no dial
// of its own, or, if bindable, may have one.
func (w *world) firstOf(r *Request, bindable bool) *Request {
	for _, x := range w.line {
		if x.Origin == r.Origin && (w.dialOf(x) == nil || bindable && w.policy.LateBind && !x.Fresh) {
			return x
		}
	}
	return nil
}

func (w *world) take(t *rapid.T, asked *Request, ds []Decision) {
	for _, d := range ds {
		r := d.Request
		inLine := slices.Index(w.line, r)
		switch d.Kind {
		case DoClose:
			if !w.open[d.Conn] {
				t.Fatalf("closed twice")
			}
			delete(w.open, d.Conn)
			delete(w.leased, d.Conn)
			continue
		case DoLease, DoProbe:
			if w.leased[d.Conn] || !w.open[d.Conn] {
				t.Fatalf("leased twice, or after its close")
			}
			if own := w.ended != nil && d.Conn.Uses == 1; inLine >= 0 && r != asked && !own && w.firstOf(r, true) != r {
				t.Fatalf("%v for a request that is not the first", d.Kind)
			}
			if d.Kind == DoProbe {
				w.probing[d.Conn] = r
			} else {
				w.leased[d.Conn] = true
			}
		case DoDial:
			if inLine >= 0 && r != asked && w.firstOf(r, false) != r {
				t.Fatalf("a dial for a request that is not the first")
			}
			w.dials = append(w.dials, d.Dial)
			if inLine < 0 {
				w.line = append(w.line, r)
				slices.SortFunc(w.line, func(a, b *Request) int { return int(a.arrived) - int(b.arrived) })
			}
			continue
		}
		if inLine >= 0 {
			w.line = slices.Delete(w.line, inLine, inLine+1)
		} else if r != asked && d.Kind == DoRefuse {
			t.Fatalf("a refusal for a request that was served before")
		}
	}
	if asked != nil && asked.state == waiting && !slices.Contains(w.line, asked) {
		w.line = append(w.line, asked)
	}
	w.check(t)
}

func (w *world) check(t *rapid.T) {
	s, p := w.core.Stats(), w.policy
	waitingNow := 0
	used, idle, queue := map[int]int{}, map[int]int{}, map[int]int{}
	for _, r := range w.line {
		if r.state == waiting {
			waitingNow++
			queue[r.Origin]++
		}
		if r.state == decided {
			t.Fatalf("a request is forgotten")
		}
	}
	if s.Pending != waitingNow || s.Dialing != len(w.dials) || s.Leased != len(w.leased)+len(w.probing) {
		t.Fatalf("%v; seen pending %d, dialing %d, leased %d, probing %d", s, waitingNow, len(w.dials), len(w.leased), len(w.probing))
	}
	for i, o := range w.core.origins {
		used[i], idle[i] = o.used, o.idle.len
		if p.MaxConns != NoCap && o.used > p.MaxConns {
			t.Fatalf("origin %d uses %d of %d", i, o.used, p.MaxConns)
		}
		if p.MaxIdle != NoCap && o.idle.len > p.MaxIdle {
			t.Fatalf("origin %d has %d idle, above max_idle %d", i, o.idle.len, p.MaxIdle)
		}
		if slots := len(o.slots); slots > 0 && (!p.Slots || p.MaxIdle != NoCap && o.idle.len+slots > p.MaxIdle) {
			t.Fatalf("origin %d has %d idle and %d empty slots, above max_idle %d", i, o.idle.len, slots, p.MaxIdle)
		}
		if p.PendingMax != NoCap && queue[i] > p.PendingMax {
			t.Fatalf("%d wait for origin %d, above %d", queue[i], i, p.PendingMax)
		}
		if queue[i] > 0 && (p.MaxConns == NoCap || o.used < p.MaxConns) && (p.MaxConnsAll == NoCap || w.core.used < p.MaxConnsAll) {
			t.Fatalf("%v: a request of origin %d waits although there is room", s, i)
		}
		if queue[i] > 0 && o.idle.len > 0 && p.CapCounts == CountAll {
			t.Fatalf("%v: a request of origin %d waits although a connection of its own key is idle", s, i)
		}
	}
	total := s.Dialing + s.Leased
	if p.CapCounts == CountAll {
		total += s.Idle
	}
	if total != w.core.used || p.MaxConnsAll != NoCap && total > p.MaxConnsAll {
		t.Fatalf("%v: %d count towards the cap of %d, and %d are said to", s, total, p.MaxConnsAll, w.core.used)
	}
	if p.MaxIdleAll != NoCap && s.PeakIdle > p.MaxIdleAll {
		t.Fatalf("%v, peak %d, is above max_idle_all %d", s, s.PeakIdle, p.MaxIdleAll)
	}
	var evicted uint64
	for _, n := range s.Evicted {
		evicted += n
	}
	if s.Opened != evicted+uint64(s.Leased+s.Idle) {
		t.Fatalf("opened %d, evicted %d, %v", s.Opened, evicted, s)
	}
}

func anyOf[V any](t *rapid.T, m map[*Conn]V) *Conn {
	keys := make([]*Conn, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b *Conn) int { return int(a.id) - int(b.id) })
	return rapid.SampledFrom(keys).Draw(t, "one")
}

// Whatever happens in whatever order: caps hold, the queue keeps its order, no
// connection is leased or closed twice, nobody waits in vain or is answered
// twice, accounts balance.
func TestRandomEvents(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		number := func(name string, low, high int) int { return rapid.IntRange(low, high).Draw(t, name) }
		seconds := func(name string) time.Duration { return time.Duration(number(name, 0, 5)) * time.Second }
		yes := func(name string) bool { return rapid.Bool().Draw(t, name) }
		limit := func(name string, high int) int { // at least 1, or none
			if n := number(name, 0, high); n > 0 {
				return n
			}
			return NoCap
		}
		p := Policy{
			MaxConns: limit("max_conns", 4), MaxIdle: number("max_idle", -1, 3),
			PendingMax: number("pending_max", -1, 4), PendingTimeout: seconds("pending_timeout"), LateBind: yes("late_bind"),
			LeaseOrder: Order(number("lease_order", 0, 3)), Slots: yes("slots"), IdleTimeout: seconds("idle_timeout"),
			Expiry: Expiry(number("expiry", 0, 15)), SweepEvery: time.Second,
			ServerHint: Hint(number("server_hint", 0, 3)), HintMargin: seconds("hint_margin"), HintCap: seconds("hint_cap"),
			Liveness: Liveness(number("liveness", 0, 2)), ProbeAfter: seconds("probe_after"), ProbeUnsafeOnly: yes("probe_unsafe_only"),
			Reap: Reap(number("reap", 0, 1)), MaxLifetime: seconds("max_lifetime"), LifetimeJitter: number("lifetime_jitter", 0, 100),
			MaxRequests: limit("max_requests", 3), MaxConnsAll: limit("max_conns_all", 5), MakeRoom: yes("make_room"),
			MaxIdleAll: number("max_idle_all", -1, 4), CapCounts: CapCounts(number("cap_counts", 0, 1)), DialFail: DialFail(number("dial_fail", 0, 1)),
		}
		w := &world{policy: p, core: New(p, 1), probing: map[*Conn]*Request{}, leased: map[*Conn]bool{}, open: map[*Conn]bool{}}
		for range 3 {
			w.core.AddOrigin()
		}
		endDial := func(t *rapid.T) *Dial {
			if len(w.dials) == 0 {
				t.Skip()
			}
			i := rapid.IntRange(0, len(w.dials)-1).Draw(t, "dial")
			d := w.dials[i]
			w.dials = slices.Delete(w.dials, i, i+1)
			return d
		}
		t.Repeat(map[string]func(*rapid.T){
			"": w.check,
			"acquire": func(t *rapid.T) {
				r := &Request{Origin: rapid.IntRange(0, 2).Draw(t, "origin"), Safe: rapid.Bool().Draw(t, "safe"), Fresh: rapid.IntRange(0, 5).Draw(t, "fresh") == 0}
				w.take(t, r, w.core.Acquire(w.now, r))
			},
			"cancel": func(t *rapid.T) {
				if len(w.line) == 0 {
					t.Skip()
				}
				i := rapid.IntRange(0, len(w.line)-1).Draw(t, "i")
				r := w.line[i]
				ownDial := r.state == dialing
				if w.core.Cancel(r) == ownDial {
					t.Fatal("taken back although its own dial goes on, or not although it waits")
				}
				if !ownDial {
					w.line = slices.Delete(w.line, i, i+1)
				}
				w.check(t)
			},
			"dialed": func(t *rapid.T) {
				d := endDial(t)
				c, ds := w.core.Dialed(w.now, d, nil)
				w.open[c], w.ended = true, d
				w.take(t, nil, ds)
				w.ended = nil
			},
			"dial failed": func(t *rapid.T) { w.take(t, nil, w.core.DialFailed(w.now, endDial(t))) },
			"probed": func(t *rapid.T) {
				if len(w.probing) == 0 {
					t.Skip()
				}
				c := anyOf(t, w.probing)
				r := w.probing[c]
				delete(w.probing, c)
				found := rapid.SampledFrom([]Reason{Keep, PeerClosed, Reset}).Draw(t, "found")
				w.take(t, r, w.core.Probed(w.now, c, r, found))
			},
			"release": func(t *rapid.T) {
				if len(w.leased) == 0 {
					t.Skip()
				}
				c := anyOf(t, w.leased)
				delete(w.leased, c)
				why := rapid.SampledFrom([]Reason{Keep, Keep, Keep, Broken}).Draw(t, "why")
				hint := time.Duration(rapid.IntRange(-1, 6).Draw(t, "hint")) * time.Second
				w.take(t, nil, w.core.Release(w.now, c, why, max(hint, NoHint)))
			},
			"died": func(t *rapid.T) {
				if len(w.open) == 0 {
					t.Skip()
				}
				w.take(t, nil, w.core.Died(w.now, anyOf(t, w.open), PeerClosed))
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

// However a request fails, its attempts end: after max re-sends, or with the first
// fresh connections that fail.
func TestResendsEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule := ResendRule{
			On: On(rapid.IntRange(0, 1).Draw(t, "on")), After: After(rapid.IntRange(1, 63).Draw(t, "after")), CutBy: CutBy(rapid.IntRange(0, 2).Draw(t, "cut_by")),
			Methods: "all", Max: rapid.IntRange(0, 3).Draw(t, "max"), ThenFresh: rapid.IntRange(0, 2).Draw(t, "then_fresh"),
		}
		p := Policy{Resend: []ResendRule{rule}}
		idle := rapid.IntRange(0, 5).Draw(t, "idle")
		a := Attempt{Method: "POST", HasBody: true}
		for {
			a.Reused = a.Before < idle
			a.After = After(1 << rapid.IntRange(0, 5).Draw(t, "failed"))
			a.Reset = rapid.Bool().Draw(t, "reset")
			if _, again := p.ResendBy(a); !again {
				break
			}
			if rule.After&a.After == 0 || rule.CutBy == CutByFIN && a.Reset || rule.CutBy == CutByRST && !a.Reset || rule.On == OnReused && !a.Reused && rule.ThenFresh == 0 {
				t.Fatalf("%+v sends again after %+v", rule, a)
			}
			if !a.Reused {
				a.Fresh++
			}
			a.Before++
		}
		fresh := rule.ThenFresh
		if idle == 0 {
			fresh = 0 // none on a reused connection failed
		}
		if rule.Max > 0 && a.Before > rule.Max || rule.Max == 0 && a.Before > idle+fresh {
			t.Fatalf("%+v made %d attempts with %d idle connections", rule, a.Before+1, idle)
		}
	})
}

// A hint never makes an idle time longer than the policy's, unless it replaces it, and
// never than hint_cap where it counts.
func TestIdleAfterAHint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seconds := func(name string) time.Duration {
			return time.Duration(rapid.IntRange(0, 5).Draw(t, name)) * time.Second
		}
		p := Policy{IdleTimeout: seconds("idle_timeout"), ServerHint: Hint(rapid.IntRange(0, 3).Draw(t, "server_hint")), HintMargin: seconds("hint_margin"), HintCap: seconds("hint_cap")}
		hint := seconds("hint")
		idle, kept := p.IdleAfter(hint)
		switch {
		case p.ServerHint == HintIgnore && (!kept || idle != p.IdleTimeout):
			t.Fatalf("%+v: %v, %v after the hint %v, which is ignored", p, idle, kept, hint)
		case kept != (p.ServerHint == HintIgnore || hint > p.HintMargin):
			t.Fatalf("%+v: kept %v after the hint %v", p, kept, hint)
		case kept && p.ServerHint == HintDrop && idle != p.IdleTimeout:
			t.Fatalf("%+v: %v after the hint %v", p, idle, hint)
		case kept && p.ServerHint == HintMin && p.IdleTimeout > 0 && idle > p.IdleTimeout:
			t.Fatalf("%+v: the hint %v raises it to %v", p, hint, idle)
		case kept && p.ServerHint == HintReplace && (idle > hint-p.HintMargin || p.HintCap > 0 && idle > p.HintCap):
			t.Fatalf("%+v: %v after the hint %v", p, idle, hint)
		}
		if idle, kept := p.IdleAfter(NoHint); !kept || idle != p.IdleTimeout {
			t.Fatalf("%+v: %v, %v without a hint", p, idle, kept)
		}
	})
}
