package evidence

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

const ms = time.Millisecond

// world makes connections to one server as a prober or a capture would see them, and
// keeps the truth: the time from the response to the close on the wire.
type world struct {
	*rand.Rand
	list  []Connection
	truth []time.Duration
	now   time.Duration // when the next connection is opened
}

func newWorld(seed uint64) *world { return &world{Rand: rand.New(rand.NewPCG(12, seed))} }

// upTo returns a time from 0 to d, uniformly.
func (w *world) upTo(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return time.Duration(w.Int64N(int64(d)))
}

// open opens a connection, 53 ms or so after the one before.
func (w *world) open() Connection {
	w.now += 40*ms + w.upTo(26*ms)
	return Connection{
		Opened: w.now, Ready: w.now + ms/10, RoundTrip: ms / 10, Half: NotSeen, Until: time.Hour,
		Close: Close{At: NotSeen, FIN: NotSeen},
	}
}

// exchange adds a request at a time, and its response.
func (c *Connection) exchange(at time.Duration) {
	c.Exchanges = append(c.Exchanges, Exchange{Sent: at, First: at + ms, Done: at + ms, Status: 200})
}

func (c *Connection) done() time.Duration { return c.Exchanges[len(c.Exchanges)-1].Done }

// closeAt notes the close, as far as the slack of the observer shows it.
func (c *Connection) closeAt(by Side, how Kind, at time.Duration) {
	c.Close = Close{Basis: Seen, By: by, How: how, At: at, FIN: NotSeen}
}

// probed returns n used connections that the server closes after timer, seen with up to
// a tenth of a millisecond of lateness and, once in twenty, with up to 40 ms.
func (w *world) probed(n int, timer func() time.Duration) {
	for range n {
		c := w.open()
		c.exchange(c.Ready)
		if w.IntN(2) == 0 {
			c.exchange(c.done() + 100*ms + w.upTo(800*ms))
		}
		after := timer()
		w.truth = append(w.truth, after)
		c.Slack = ms / 10
		if w.IntN(20) == 0 {
			c.Slack = 40 * ms
		}
		c.closeAt(ByServer, FIN, c.done()+after+w.upTo(c.Slack))
		c.Exchanges[len(c.Exchanges)-1].Done += w.upTo(c.Slack)
		w.list = append(w.list, c)
	}
}

// captured adds connections of a pool, until the server has closed n of them: most are
// used again and again, and the client closes some.
func (w *world) captured(n int, timer func() time.Duration) {
	for closes := 0; closes < n; {
		c := w.open()
		c.exchange(c.Ready)
		for {
			after, next := timer(), time.Duration(w.ExpFloat64()*float64(1500*ms))
			if w.IntN(12) == 0 {
				c.closeAt(ByClient, FIN, c.done()+min(next, after)/2)
				break
			}
			if next < after {
				c.exchange(c.done() + next)
				continue
			}
			w.truth = append(w.truth, after)
			c.closeAt(ByServer, FIN, c.done()+after)
			closes++
			break
		}
		w.list = append(w.list, c)
	}
}

func median(list []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

type kindOfWorld struct {
	name   string
	median time.Duration // of the server's timer
	width  time.Duration // the interval's limit; 0: the server spreads its closes
	fill   func(*world)
}

// worlds are servers whose idle timer must be found. The promise of the interval: it
// holds the median that a packet capture shows, and the one that the server has, in
// 95 % of the worlds.
var worlds = []kindOfWorld{
	{"exact", 5001 * ms, 10 * ms, func(w *world) { w.probed(20, func() time.Duration { return 5*time.Second + w.upTo(2*ms) }) }},
	{"exact, 1 s", 1001 * ms, 10 * ms, func(w *world) { w.probed(20, func() time.Duration { return time.Second + w.upTo(2*ms) }) }},
	{"late by a tick of the kernel", 5001 * ms, 10 * ms, func(w *world) {
		w.probed(20, func() time.Duration { return 5*time.Second + w.upTo(2*ms) })
		for i := range w.list {
			c := &w.list[i]
			c.Stamped, c.Slack = true, 4*ms
			c.last().Done = c.last().First
			c.Close.At = c.done() + w.truth[i] + w.upTo(4*ms)
		}
	}},
	{"always as late as the slack", 5001 * ms, 10 * ms, func(w *world) {
		w.probed(20, func() time.Duration { return 5*time.Second + w.upTo(2*ms) })
		for i := range w.list {
			c := &w.list[i]
			c.Stamped, c.Slack = true, 4*ms
			c.last().Done = c.last().First
			c.Close.At = c.done() + w.truth[i] + 4*ms
		}
	}},
	{"early", 998500 * time.Microsecond, 10 * ms, func(w *world) { w.probed(24, func() time.Duration { return 996*ms + w.upTo(5*ms) }) }},
	{"poll", 1950 * ms, 0, func(w *world) { w.probed(20, func() time.Duration { return time.Second + w.upTo(1900*ms) }) }},
	{"tick", 5500 * ms, 0, func(w *world) { w.probed(32, func() time.Duration { return 5*time.Second + w.upTo(time.Second) }) }},
	{"constant second", 6001 * ms, 10 * ms, func(w *world) { w.probed(20, func() time.Duration { return 6*time.Second + w.upTo(2*ms) }) }},
	{"reset", 2001 * ms, 10 * ms, func(w *world) {
		w.probed(20, func() time.Duration { return 2*time.Second + w.upTo(2*ms) })
		for i := range w.list {
			w.list[i].Close.How = RST
		}
	}},
	{"some still open", 5001 * ms, 10 * ms, func(w *world) {
		w.probed(20, func() time.Duration { return 5*time.Second + w.upTo(2*ms) })
		for range 12 {
			c := w.open()
			c.exchange(c.Ready)
			c.Until = c.done() + w.upTo(4900*ms)
			w.list = append(w.list, c)
		}
	}},
	{"races", 5001 * ms, 10 * ms, func(w *world) {
		w.probed(20, func() time.Duration { return 5*time.Second + w.upTo(2*ms) })
		for range 20 { // requests around the timer: answered before it, closed after it
			c := w.open()
			c.exchange(c.Ready)
			w.race(&c, func() time.Duration { return 5*time.Second + w.upTo(2*ms) }, 4990*ms+w.upTo(20*ms))
			w.list = append(w.list, c)
		}
	}},
	{"captured", 5001 * ms, 20 * ms, func(w *world) { w.captured(20, func() time.Duration { return 5*time.Second + w.upTo(2*ms) }) }},
	{"captured, spread", 2500 * ms, 0, func(w *world) { w.captured(24, func() time.Duration { return 2*time.Second + w.upTo(time.Second) }) }},
	{"captured, with a limit of requests", 5001 * ms, 20 * ms, func(w *world) {
		w.captured(24, func() time.Duration { return 5*time.Second + w.upTo(2*ms) })
		for range 40 {
			c := w.open()
			c.exchange(c.Ready)
			for range 49 {
				c.exchange(c.done() + w.upTo(900*ms))
			}
			c.closeAt(ByServer, FIN, c.done()+w.upTo(ms))
			w.list = append(w.list, c)
		}
		w.cut(50)
	}},
	{"captured, damaged", 5001 * ms, 20 * ms, func(w *world) {
		w.captured(40, func() time.Duration { return 5*time.Second + w.upTo(2*ms) })
		for i := range w.list {
			c := &w.list[i]
			if w.IntN(3) == 0 { // it was opened before the capture began
				c.Opened, c.Ready = NotSeen, NotSeen
			}
			if n := len(c.Exchanges); n > 1 && w.IntN(50) == 0 { // its last exchange is missing
				c.Exchanges = c.Exchanges[:n-1]
			}
			if w.IntN(50) == 0 { // its FIN is missing
				c.Close, c.Until = Close{At: NotSeen, FIN: NotSeen}, w.now+30*time.Second
			}
		}
	}},
	{"captured, with a lifetime", 2001 * ms, 20 * ms, func(w *world) {
		w.captured(24, func() time.Duration { return 2*time.Second + w.upTo(2*ms) })
		for range 20 {
			c := w.open()
			c.exchange(c.Ready)
			for {
				next := c.done() + w.upTo(1900*ms)
				if next > c.Opened+30*time.Second {
					break
				}
				c.exchange(next)
			}
			c.closeAt(ByServer, FIN, c.Opened+30*time.Second+w.upTo(2*ms))
			w.list = append(w.list, c)
		}
	}},
	{"captured, with three reloads", 5001 * ms, 20 * ms, func(w *world) {
		for range 3 {
			w.captured(8, func() time.Duration { return 5*time.Second + w.upTo(2*ms) })
			at := w.now + 5*time.Second
			for range 10 { // a busy pool: its connections are hardly idle
				c := w.open()
				c.exchange(at - w.upTo(300*ms))
				c.closeAt(ByServer, FIN, max(at, c.done())+w.upTo(20*ms))
				w.list = append(w.list, c)
			}
			w.now = at + 10*time.Second
		}
	}},
	{"captured, with a reload", 5001 * ms, 20 * ms, func(w *world) {
		w.captured(24, func() time.Duration { return 5*time.Second + w.upTo(2*ms) })
		at := w.now + 10*time.Second
		for range 30 {
			c := w.open()
			c.exchange(at - 4*time.Second + w.upTo(3999*ms))
			c.closeAt(ByServer, FIN, max(at, c.done())+w.upTo(20*ms))
			w.list = append(w.list, c)
		}
	}},
}

// race sends a request when c has been idle for at. It is answered, or the close came
// before it.
func (w *world) race(c *Connection, timer func() time.Duration, at time.Duration) {
	after, idleAt := timer(), c.done()
	if at < after {
		c.exchange(idleAt + at)
		after, idleAt = timer(), c.done()
	} else {
		c.Exchanges = append(c.Exchanges, Exchange{Sent: idleAt + at, First: NotSeen, Done: NotSeen})
	}
	w.truth = append(w.truth, after)
	c.closeAt(ByServer, FIN, idleAt+after)
}

// cut drops connections with more than n exchanges, which a server with that limit
// would not have.
func (w *world) cut(n int) {
	w.list = slices.DeleteFunc(w.list, func(c Connection) bool { return len(c.Exchanges) > n })
}

func TestIntervalHoldsTheTruthInEveryWorld(t *testing.T) {
	const rounds = 400
	for _, kind := range worlds {
		t.Run(kind.name, func(t *testing.T) {
			wire, server, widest, spread := 0, 0, time.Duration(0), 0
			for seed := range rounds {
				w := newWorld(uint64(seed))
				kind.fill(w)
				idle := Infer(w.list).Idle
				if m := median(w.truth); idle.Low <= m && m <= idle.High {
					wire++
				}
				if idle.Low <= kind.median && kind.median <= idle.High {
					server++
				}
				if idle.Spread() {
					spread++
				}
				widest = max(widest, idle.High-idle.Low)
			}
			t.Logf("holds the capture's median in %d, the server's in %d of %d; widest %s; spread in %d", wire, server, rounds, widest, spread)
			if wire*100 < rounds*95 || server*100 < rounds*95 {
				t.Errorf("the interval holds the capture's median in %d and the server's in %d of %d worlds; 95 %% are promised", wire, server, rounds)
			}
			if want := kind.width == 0; want && spread < rounds || !want && spread > 0 {
				t.Errorf("%d of %d worlds were said to be spread", spread, rounds)
			}
			if kind.width > 0 && widest > kind.width {
				t.Errorf("an interval is %s wide; the limit is %s", widest, kind.width)
			}
		})
	}
}

// TestOtherRulesInEveryWorld looks for rules beside the idle timer, and for the rules
// that are not there.
func TestOtherRulesInEveryWorld(t *testing.T) {
	const rounds = 400
	exact := func(w *world, at time.Duration) func() time.Duration {
		return func() time.Duration { return at + w.upTo(2*ms) }
	}
	holds := func(t Timer, d time.Duration) bool { return t.Low <= d && d <= t.High }
	plain := func(s Server) bool {
		return s.Limit.Requests == 0 && len(s.Bursts) == 0 && !s.Lifetime.Known() && len(s.Others) == 0 && s.Forgets == nil
	}
	for _, kind := range []struct {
		name  string
		fill  func(*world)
		found func(Server) bool
	}{
		{"two backends", func(w *world) {
			for i := range 24 {
				w.probed(1, exact(w, time.Duration(5+i%2)*time.Second))
			}
		}, func(s Server) bool {
			return len(s.Others) == 1 && holds(s.Idle, 5001*ms) && holds(s.Others[0], 6001*ms)
		}},
		{"nothing else, probed", func(w *world) { w.probed(20, exact(w, 5*time.Second)) }, plain},
		{"nothing else, poll", func(w *world) { w.probed(20, func() time.Duration { return time.Second + w.upTo(1900*ms) }) }, plain},
		{"nothing else, a second's ticks", func(w *world) {
			for range 20 {
				c := w.open()
				c.exchange(c.Ready + w.upTo(50*ms))
				c.closeAt(ByServer, FIN, (c.done()+3*time.Second).Truncate(time.Second)+time.Second+w.upTo(3*ms))
				w.list = append(w.list, c)
			}
		}, plain},
		{"nothing else, captured", func(w *world) { w.captured(20, exact(w, 5*time.Second)) }, plain},
		{"nothing else, captured and spread", func(w *world) { w.captured(20, func() time.Duration { return 2*time.Second + w.upTo(time.Second) }) }, plain},
		{"a limit of requests", worldNamed("captured, with a limit of requests"), func(s Server) bool { return s.Limit.Requests == 50 && s.Limit.Seen >= 40 && len(s.Bursts) == 0 }},
		{"a lifetime", worldNamed("captured, with a lifetime"), func(s Server) bool { return s.Lifetime.Closes >= 20 && holds(s.Lifetime, 30001*ms) }},
		{"a reload", worldNamed("captured, with a reload"), func(s Server) bool { return len(s.Bursts) == 1 && s.Bursts[0].Closes > 25 && !s.Lifetime.Known() }},
		{"reloads of a busy pool", worldNamed("captured, with three reloads"), func(s Server) bool { return len(s.Bursts) == 3 && s.Limit.Requests == 0 }},
		{"a gap after the close_notify", func(w *world) {
			w.probed(20, exact(w, 2*time.Second))
			for i := range w.list {
				c := &w.list[i]
				c.Close.How, c.Close.FIN = Notify, c.Close.At+30*time.Second+w.upTo(ms)
			}
		}, func(s Server) bool { return s.Close == Notify && holds(s.Notify, 30*time.Second+ms/2) && plain(s) }},
	} {
		t.Run(kind.name, func(t *testing.T) {
			found := 0
			for seed := range rounds {
				w := newWorld(uint64(seed))
				kind.fill(w)
				if s := Infer(w.list); kind.found(s) {
					found++
				} else {
					t.Logf("not in world %d: %+v", seed, s.Statements())
				}
			}
			if found*100 < rounds*95 {
				t.Errorf("found in %d of %d worlds", found, rounds)
			}
		})
	}
}

func worldNamed(name string) func(*world) {
	return worlds[slices.IndexFunc(worlds, func(k kindOfWorld) bool { return k.name == name })].fill
}

// BenchmarkInfer judges a capture of a million requests on 20,000 connections.
func BenchmarkInfer(b *testing.B) {
	w := newWorld(1)
	for range 20_000 {
		c := w.open()
		c.exchange(c.Ready)
		for range 49 {
			c.exchange(c.done() + w.upTo(4*time.Second))
		}
		c.closeAt(ByServer, FIN, c.done()+5*time.Second+w.upTo(2*ms))
		w.list = append(w.list, c)
	}
	for b.Loop() {
		if s := Infer(w.list); !s.Idle.Known() {
			b.Fatal(s.Sentence())
		}
	}
}
