package pool

import (
	"testing"
	"time"
)

// on makes requests of the story go to an origin.
func (s *story) acquireAt(origin int, r string, want ...string) {
	s.t.Helper()
	s.requests[r] = &Request{Data: r, Origin: origin}
	s.expect("acquire "+r, s.core.Acquire(s.now, s.requests[r]), want...)
}

// Go, hyper, .NET, Envoy: a request whose dial is under way takes what comes
// free first, and the dial feeds the pool.
func TestLateBinding(t *testing.T) {
	s := newStory(t, func(p *Policy) { p.LateBind = true })
	s.open("1")
	s.acquire("a", "dial a")
	s.acquire("b", "dial b")
	s.release("1", "lease a 1") // the first to have asked
	s.dialed("b", "2")
	s.gauges("idle 0, leased 2, dialing 1, pending 0")
}

func TestLateBindingFeedsThePool(t *testing.T) {
	s := newStory(t, func(p *Policy) { p.LateBind = true })
	s.open("1")
	s.acquire("a", "dial a")
	orphan := s.dials["a"]
	s.release("1", "lease a 1")
	conn, ds := s.core.Dialed(s.now, orphan, "2")
	s.conns["2"] = conn
	s.expect("dialed for nobody", ds)
	s.gauges("idle 1, leased 1, dialing 0, pending 0")
	s.acquire("b", "lease b 2")
	if conn.Uses != 1 {
		t.Fatalf("its first lease is use %d", conn.Uses)
	}
	t.Run("or whoever asked since", func(t *testing.T) {
		s := newStory(t, func(p *Policy) { p.LateBind, p.MaxConns = true, 2 })
		s.open("1")
		s.acquire("a", "dial a")
		orphan := s.dials["a"]
		s.acquire("b") // at the cap: it waits without a dial
		s.release("1", "lease a 1")
		_, ds := s.core.Dialed(s.now, orphan, "2")
		s.expect("dialed", ds, "lease b 2")
	})
	t.Run("in the order of asking, whatever a look found", func(t *testing.T) {
		s := newStory(t, func(p *Policy) { p.LateBind, p.Liveness = true, Probe })
		s.open("1", "2")
		s.acquire("a", "dial a")
		s.acquire("b", "dial b")
		s.release("1", "probe a 1")
		s.expect("dead", s.core.Probed(s.now, s.conns["1"], s.requests["a"], PeerClosed), "close 1 peer_closed", "dial a")
		s.release("2", "probe a 2")
	})
	t.Run("and its failure is nobody's", func(t *testing.T) {
		s := newStory(t, func(p *Policy) { p.LateBind = true })
		s.open("1")
		s.acquire("a", "dial a")
		orphan := s.dials["a"]
		s.release("1", "lease a 1")
		s.expect("failed", s.core.DialFailed(s.now, orphan))
	})
	t.Run("when its request has gone", func(t *testing.T) {
		s := newStory(t, func(p *Policy) { p.LateBind = true })
		s.acquire("a", "dial a")
		if !s.core.Cancel(s.requests["a"]) {
			t.Fatal("a request that would take any connection can be taken back")
		}
		_, ds := s.core.Dialed(s.now, s.dials["a"], "1")
		s.expect("dialed", ds)
		s.gauges("idle 1, leased 0, dialing 0, pending 0")
	})
}

func TestDialFailIsOwnOrEverybodys(t *testing.T) {
	for _, test := range []struct {
		who  DialFail
		want []string
	}{
		{FailOwn, []string{"refuse a dial_failed", "dial b"}},
		{FailAllPending, []string{"refuse a dial_failed", "refuse b dial_failed", "refuse c dial_failed"}},
	} {
		t.Run(test.who.String(), func(t *testing.T) {
			s := newStory(t, func(p *Policy) { p.MaxConns, p.DialFail = 1, test.who })
			s.acquire("a", "dial a")
			s.acquire("b")
			s.acquire("c")
			s.expect("failed", s.core.DialFailed(s.now, s.dials["a"]), test.want...)
		})
	}
}

func TestServerHint(t *testing.T) {
	const s = time.Second
	for name, test := range map[string]struct {
		change func(*Policy)
		hint   time.Duration
		lives  time.Duration // idle it is still leased after this
		dies   time.Duration // and not after this
	}{
		"ignored":                           {func(p *Policy) { p.IdleTimeout = 10 * s }, 3 * s, 9 * s, 10 * s},
		"lowers":                            {func(p *Policy) { p.IdleTimeout, p.ServerHint = 10*s, HintMin }, 3 * s, 2 * s, 3 * s},
		"does not raise":                    {func(p *Policy) { p.IdleTimeout, p.ServerHint = 10*s, HintMin }, 60 * s, 9 * s, 10 * s},
		"lowers for ever":                   {func(p *Policy) { p.ServerHint = HintMin }, 3 * s, 2 * s, 3 * s},
		"replaces":                          {func(p *Policy) { p.IdleTimeout, p.ServerHint = 10*s, HintReplace }, 60 * s, 59 * s, 60 * s},
		"less a margin":                     {func(p *Policy) { p.IdleTimeout, p.ServerHint, p.HintMargin = 10*s, HintReplace, 2*s }, 5 * s, 2 * s, 3 * s},
		"at most the cap":                   {func(p *Policy) { p.ServerHint, p.HintCap = HintReplace, 7*s }, 60 * s, 6 * s, 7 * s},
		"ignored, unless it leaves nothing": {func(p *Policy) { p.IdleTimeout, p.ServerHint, p.HintMargin = 10*s, HintDrop, s }, 2 * s, 9 * s, 10 * s},
		"absent: the policy's own":          {func(p *Policy) { p.IdleTimeout, p.ServerHint = 10*s, HintReplace }, NoHint, 9 * s, 10 * s},
	} {
		t.Run(name, func(t *testing.T) {
			for _, idle := range []time.Duration{test.lives, test.dies} {
				story := newStory(t, test.change)
				story.open("1")
				story.expect("release", story.core.Release(story.now, story.conns["1"], Keep, test.hint))
				story.now += idle
				if idle == test.lives {
					story.acquire("b", "lease b 1")
				} else {
					story.acquire("b", "close 1 expired", "dial b")
				}
			}
		})
	}
	t.Run("of less than the margin is not kept", func(t *testing.T) {
		story := newStory(t, func(p *Policy) { p.ServerHint, p.HintMargin = HintMin, s })
		story.open("1")
		story.expect("release", story.core.Release(story.now, story.conns["1"], Keep, s), "close 1 hint")
	})
}

// A hint that leaves no time ends the connection even where hints are ignored otherwise.
func TestHintDrops(t *testing.T) {
	story := newStory(t, func(p *Policy) { p.ServerHint, p.HintMargin = HintDrop, time.Second })
	story.open("1")
	story.expect("release", story.core.Release(story.now, story.conns["1"], Keep, time.Second), "close 1 hint")
}

// A connection that has ended leaves its slot, and the request whose turn it is dials.
func TestSlots(t *testing.T) {
	t.Run("a stack, as urllib3's", func(t *testing.T) {
		s := newStory(t, func(p *Policy) { p.Slots, p.MaxIdle = true, 3 })
		s.open("1", "2", "3")
		s.release("1")
		s.release("2")
		s.releaseFor("3", Broken, "close 3 broken")
		s.acquire("a", "dial a")
		s.dialed("a", "4")
		s.acquire("b", "lease b 2")
		s.releaseFor("4", Broken, "close 4 broken")
		s.release("2")
		s.acquire("c", "lease c 2") // released last
	})
	t.Run("clients in order, as undici's", func(t *testing.T) {
		s := newStory(t, func(p *Policy) { p.Slots, p.LeaseOrder = true, FirstFit })
		s.open("1", "2", "3")
		for _, c := range []string{"1", "2", "3"} {
			s.release(c)
		}
		s.died("1", "close 1 peer_closed")
		s.acquire("a", "dial a")
		s.acquire("b", "lease b 2")
		s.dialed("a", "4")
		s.release("2")
		s.release("4")
		s.acquire("c", "lease c 4") // it has the slot of 1
	})
	t.Run("a probe finds the end", func(t *testing.T) {
		s := newStory(t, func(p *Policy) { p.Slots, p.Liveness = true, Probe })
		s.open("1", "2")
		s.release("1")
		s.release("2")
		s.acquire("a", "probe a 2")
		s.expect("probed", s.core.Probed(s.now, s.conns["2"], s.requests["a"], PeerClosed), "close 2 peer_closed", "dial a")
	})
}

// The order of creation decides, whatever the order of release.
func TestFirstAndLastFit(t *testing.T) {
	for order, want := range map[Order]string{FirstFit: "lease a 1", LastFit: "lease a 3"} {
		s := newStory(t, func(p *Policy) { p.LeaseOrder = order })
		s.open("1", "2", "3")
		for _, c := range []string{"3", "1", "2"} {
			s.release(c)
		}
		s.acquire("a", want)
	}
}

func TestLifetimeJitter(t *testing.T) {
	s := newStory(t, func(p *Policy) { p.MaxLifetime, p.LifetimeJitter = 100*time.Second, 50 })
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		d := s.core.drawLifetime()
		low, high = min(low, d), max(high, d)
	}
	if low < 50*time.Second || low > 52*time.Second || high > 100*time.Second || high < 98*time.Second {
		t.Errorf("lifetimes between %v and %v, want 50s to 100s", low, high)
	}
}

func TestCapOverAllKeys(t *testing.T) {
	t.Run("the longest waiting is served first", func(t *testing.T) {
		s := newStory(t, func(p *Policy) { p.MaxConnsAll = 2 })
		other := s.core.AddOrigin()
		s.open("1", "2")
		s.acquireAt(other, "x")
		s.acquire("a")
		s.releaseFor("1", Broken, "close 1 broken", "dial x")
		s.release("2", "lease a 2")
	})
	t.Run("unless its own cap is reached", func(t *testing.T) {
		s := newStory(t, func(p *Policy) { p.MaxConnsAll, p.MaxConns = 2, 1 })
		b, c := s.core.AddOrigin(), s.core.AddOrigin()
		s.open("1")
		s.acquireAt(b, "x", "dial x")
		s.dialed("x", "2")
		s.acquire("a")       // waits for its own cap, and first
		s.acquireAt(c, "y")  // waits for the cap over all
		s.acquireAt(b, "x2") // likewise for its own
		s.releaseFor("2", Broken, "close 2 broken", "dial y")
		s.releaseFor("1", Broken, "close 1 broken", "dial a")
	})
	t.Run("idle connections of another key stand in the way", func(t *testing.T) {
		s := newStory(t, func(p *Policy) { p.MaxConnsAll = 1 })
		other := s.core.AddOrigin()
		s.open("1")
		s.release("1")
		s.acquireAt(other, "x")
		s.gauges("idle 1, leased 0, dialing 0, pending 1")
	})
	t.Run("unless room is made", func(t *testing.T) {
		s := newStory(t, func(p *Policy) { p.MaxConnsAll, p.MakeRoom = 2, true })
		other := s.core.AddOrigin()
		s.open("1", "2")
		s.release("2")
		s.now += time.Second
		s.release("1")
		s.acquireAt(other, "x", "close 2 made_room", "dial x") // the least recently used
	})
	t.Run("also for one who has waited", func(t *testing.T) {
		s := newStory(t, func(p *Policy) { p.MaxConnsAll, p.MakeRoom = 1, true })
		other := s.core.AddOrigin()
		s.open("1")
		s.acquireAt(other, "x")
		s.release("1", "close 1 made_room", "dial x")
	})
	t.Run("counting leased ones only", func(t *testing.T) {
		s := newStory(t, func(p *Policy) { p.MaxConnsAll, p.CapCounts = 1, CountLeased })
		other := s.core.AddOrigin()
		s.open("1")
		s.acquireAt(other, "x")
		s.acquire("a")
		s.release("1", "lease a 1")
		s.release("1", "dial x")
		s.gauges("idle 1, leased 0, dialing 1, pending 0")
	})
}

func TestIdleCapOverAllKeysClosesTheLongestIdle(t *testing.T) {
	s := newStory(t, func(p *Policy) { p.MaxIdleAll = 2 })
	other := s.core.AddOrigin()
	s.open("1", "2")
	s.acquireAt(other, "x", "dial x")
	s.dialed("x", "3")
	s.release("2")
	s.release("1")
	s.release("3", "close 2 surplus")
	if peak := s.core.Stats().PeakIdle; peak != 2 {
		t.Errorf("at most %d were idle, with max_idle_all 2", peak)
	}
}

// With cap_counts leased an idle connection does not let a request past the cap.
func TestCapCountsLeased(t *testing.T) {
	s := newStory(t, func(p *Policy) { p.MaxConns, p.CapCounts = 1, CountLeased })
	s.open("1")
	s.acquire("a")
	s.release("1", "lease a 1")
	s.release("1")
	s.acquire("b", "lease b 1")
	s.acquire("c")
	s.died("1")
	s.release("1", "close 1 peer_closed", "dial c")
}

func TestProbeUnsafeOnly(t *testing.T) {
	s := newStory(t, func(p *Policy) { p.Liveness, p.ProbeUnsafeOnly = Probe, true })
	s.open("1")
	s.release("1")
	s.requests["get"] = &Request{Data: "get", Safe: true}
	s.expect("get", s.core.Acquire(s.now, s.requests["get"]), "lease get 1")
	s.release("1")
	s.acquire("post", "probe post 1")
}

func TestFreshRequestsPassOverIdleConnections(t *testing.T) {
	fresh := func(s *story, r string, want ...string) {
		s.t.Helper()
		s.requests[r] = &Request{Data: r, Fresh: true}
		s.expect(r, s.core.Acquire(s.now, s.requests[r]), want...)
	}
	s := newStory(t, func(*Policy) {})
	s.open("1")
	s.release("1")
	fresh(s, "a", "dial a")
	s = newStory(t, func(p *Policy) { p.MaxConns = 1 })
	s.open("1")
	s.release("1")
	fresh(s, "a", "close 1 made_room", "dial a")
	s = newStory(t, func(p *Policy) { p.MaxConnsAll = 1 }) // nobody else would ever take the one in the way
	s.open("1")
	s.release("1")
	fresh(s, "a", "close 1 made_room", "dial a")
}

func TestResendRules(t *testing.T) {
	get, post := Attempt{Method: "GET", Reused: true, After: AfterEOF}, Attempt{Method: "POST", HasBody: true, Reused: true, After: AfterEOF}
	with := func(a Attempt, change func(*Attempt)) Attempt { change(&a); return a }
	for name, test := range map[string]struct {
		rule ResendRule
		a    Attempt
		want bool
	}{
		"on reused":                               {ResendRule{After: AfterEOF, Methods: "all"}, get, true},
		"not on fresh":                            {ResendRule{After: AfterEOF, Methods: "all"}, with(get, func(a *Attempt) { a.Reused = false }), false},
		"any, once":                               {ResendRule{On: OnAny, After: AfterEOF, Methods: "all", Max: 1}, with(get, func(a *Attempt) { a.Reused = false }), true},
		"any, once, a second time":                {ResendRule{On: OnAny, After: AfterEOF, Methods: "all", Max: 1}, with(get, func(a *Attempt) { a.Before = 1 }), false},
		"until a fresh one fails":                 {ResendRule{On: OnAny, After: AfterEOF, Methods: "all"}, with(get, func(a *Attempt) { a.Before = 9 }), true},
		"a fresh one failed after a reused one":   {ResendRule{After: AfterEOF, Methods: "all", ThenFresh: 1}, with(get, func(a *Attempt) { a.Reused = false; a.Before = 3 }), true},
		"two fresh ones failed after a reused":    {ResendRule{After: AfterEOF, Methods: "all", ThenFresh: 1}, with(get, func(a *Attempt) { a.Reused = false; a.Before, a.Fresh = 4, 1 }), false},
		"a fresh one failed, and none was reused": {ResendRule{After: AfterEOF, Methods: "all", ThenFresh: 1}, with(get, func(a *Attempt) { a.Reused = false }), false},
		"within the status line":                  {ResendRule{After: AfterStatus, Methods: "all"}, with(get, func(a *Attempt) { a.After = AfterStatus }), true},
		"within the headers, not the status line": {ResendRule{After: AfterStatus, Methods: "all"}, with(get, func(a *Attempt) { a.After = AfterHeaders }), false},
		"by a FIN":                                {ResendRule{After: AfterBody, CutBy: CutByFIN, Methods: "all"}, with(get, func(a *Attempt) { a.After = AfterBody }), true},
		"by a FIN, not a reset":                   {ResendRule{After: AfterBody, CutBy: CutByFIN, Methods: "all"}, with(get, func(a *Attempt) { a.After, a.Reset = AfterBody, true }), false},
		"by a reset, not a FIN":                   {ResendRule{After: AfterBody, CutBy: CutByRST, Methods: "all"}, with(get, func(a *Attempt) { a.After = AfterBody }), false},
		"partial is either":                       {ResendRule{After: AfterPartial, Methods: "all"}, with(get, func(a *Attempt) { a.After = AfterHeaders }), true},
		"a fresh one failed":                      {ResendRule{On: OnAny, After: AfterEOF, Methods: "all"}, with(get, func(a *Attempt) { a.Reused = false; a.Before = 1 }), false},
		"after another point":                     {ResendRule{After: AfterRST | AfterBody, Methods: "all"}, get, false},
		"safe":                                    {ResendRule{After: AfterEOF, Methods: "safe"}, get, true},
		"not safe":                                {ResendRule{After: AfterEOF, Methods: "safe"}, post, false},
		"with a key":                              {ResendRule{After: AfterEOF, Methods: "safe+key"}, with(post, func(a *Attempt) { a.IdempotencyKey = true }), true},
		"idempotent":                              {ResendRule{After: AfterEOF, Methods: "idempotent"}, with(get, func(a *Attempt) { a.Method = "DELETE" }), true},
		"bodyless":                                {ResendRule{After: AfterEOF, Methods: "bodyless"}, with(post, func(a *Attempt) { a.HasBody = false }), true},
		"has a body":                              {ResendRule{After: AfterEOF, Methods: "bodyless"}, post, false},
		"named":                                   {ResendRule{After: AfterEOF, Methods: "GET HEAD"}, get, true},
		"not named":                               {ResendRule{After: AfterEOF, Methods: "GET HEAD"}, post, false},
		"all but":                                 {ResendRule{After: AfterEOF, Methods: "!POST LOCK"}, post, false},
		"all but others":                          {ResendRule{After: AfterEOF, Methods: "!POST LOCK"}, get, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := Default()
			p.Resend = []ResendRule{test.rule}
			if err := p.Validate(); err != nil {
				t.Fatal(err)
			}
			if _, got := p.ResendBy(test.a); got != test.want {
				t.Errorf("sent again: %v, want %v", got, test.want)
			}
		})
	}
}
