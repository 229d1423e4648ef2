package aim

import (
	"container/heap"
	"math"
	"math/rand/v2"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/profiles"
)

// Counts are what a run on virtual time came to. Met counts attempts, the others
// requests and connections.
type Counts struct {
	Started        int // requests
	Failed         int // before a response, on a connection that the server had closed
	Met            int // attempts that met the server's close, sent again or not
	Rescued        int // sent again with success
	QueueFull      int // refused by the pool
	AcquireTimeout int
	Noticed        int // closes of the server that the client noticed on an idle connection
	Opened         int
	MaxOpen        int // connections side by side
	Expired        int // connections that the client closed first, for being idle or old
	Lasts          time.Duration
}

// play makes one run of p against s on virtual time.
//
// The server draws its idle timer again for each response. A request that arrives after
// the server has closed is lost; the client may not lease a connection once the FIN has
// arrived and the policy has noticed it.
func play(p *profiles.Profile, s Server, schedule generator.Schedule, seed uint64) Counts {
	w := newWorld(p, s, seed)
	w.run(schedule)
	return w.counts
}

func newWorld(p *profiles.Profile, s Server, seed uint64) *world {
	rng := rand.New(rand.NewPCG(seed, 0x61696d))
	w := &world{profile: p, server: s, rng: rng, trip: roundTrip(p, s)}
	if p.Target.Link == nil { // of the handshakes that were measured, a part is the machines' own work
		w.trip = max(w.trip-time.Duration(rng.Float64()*float64(ownWork)), w.trip/5)
	}
	w.machine = newMachine(rng, s.Late, p.Sending()+time.Second)
	if s.Idle.Seen > 0 {
		w.idle = s.Idle.drawn(rng)
		w.sweep = newSweep(w)
	}
	for i := range max(p.Pool.Shards, 1) {
		sh := &shard{core: pool.New(p.Pool, seed+uint64(i))}
		sh.core.AddOrigin()
		w.shards = append(w.shards, sh)
	}
	return w
}

// roundTrip is how long a request and a FIN can miss each other.
func roundTrip(p *profiles.Profile, s Server) time.Duration {
	trip := s.RoundTrip
	if p.Target.Link != nil {
		trip += 2 * p.Target.Link.Delay
	}
	return trip
}

// world is the client, the way and the server, on virtual time.
type world struct {
	profile *profiles.Profile
	server  Server
	rng     *rand.Rand
	trip    time.Duration
	idle    quantiles
	sweep   *sweep // how the server looks at its timers; nil: it has one for each connection
	machine machine

	now    time.Duration
	events events
	order  uint64
	shards []*shard
	turn   int
	open   int // requests under way
	counts Counts
}

// shard is one of the client's pools.
type shard struct {
	core   *pool.Core
	tickAt time.Duration // of the next event that calls Tick; 0: none
}

// request is one request, through all of its attempts.
type request struct {
	pool.Request
	shard *shard
	tries int
	fresh int // of the tries, on fresh connections
	over  bool
}

// connection is one connection, as both ends know it.
type connection struct {
	entry  *pool.Conn
	shard  *shard
	served bool          // the server waits for the next request
	closes time.Duration // when the server closes it, by its own clock; 0: never
	fin    time.Duration // when the FIN reaches the client
	over   time.Duration // when it has been idle for too long, if the server sweeps
	turn   int           // counts requests, so that a timer of an earlier wait is void
	busy   bool
}

// event is something that happens at a time. Events at the same time happen in the order
// in which they were planned.
type event struct {
	at    time.Duration
	order uint64
	do    func()
}

type events []event

func (e events) Len() int { return len(e) }
func (e events) Less(i, j int) bool {
	return e[i].at < e[j].at || e[i].at == e[j].at && e[i].order < e[j].order
}
func (e events) Swap(i, j int) { e[i], e[j] = e[j], e[i] }
func (e *events) Push(x any)   { *e = append(*e, x.(event)) }
func (e *events) Pop() any {
	last := (*e)[len(*e)-1]
	(*e)[len(*e)-1] = event{}
	*e = (*e)[:len(*e)-1]
	return last
}

func (w *world) plan(at time.Duration, do func()) {
	w.order++
	heap.Push(&w.events, event{max(at, w.now), w.order, do})
}

// ownWork is up to how much of a measured round trip no segment is on its way.
const ownWork = 20 * time.Microsecond

// handling is how long a client takes to act on a FIN that has arrived.
const handling = 5 * time.Microsecond

// across returns when a segment arrives that leaves then.
func (w *world) across(leaves time.Duration) time.Duration {
	if w.profile.Target.Link == nil {
		return leaves + w.trip/2
	}
	return awake(w.machine.link, leaves+w.trip/2+w.machine.lateness())
}

// run starts each request when it is due, and returns when the last one is over.
func (w *world) run(schedule generator.Schedule) {
	start := time.Duration(0)
	for due := range schedule {
		start = max(start, awake(w.machine.client, due+w.machine.lateness()))
		for len(w.events) > 0 && w.events[0].at <= start {
			w.next()
		}
		w.now = start
		w.counts.Started++
		w.open++
		w.attempt(&request{})
	}
	for w.open > 0 && len(w.events) > 0 {
		w.next()
	}
	w.counts.Lasts = w.now
	for _, sh := range w.shards {
		stats := sh.core.Stats()
		w.counts.Opened += int(stats.Opened)
		w.counts.MaxOpen += stats.MaxOpen
		w.counts.Expired += int(stats.Evicted[pool.Expired] + stats.Evicted[pool.Lifetime])
	}
}

func (w *world) next() {
	e := heap.Pop(&w.events).(event)
	w.now = e.at
	e.do()
}

// attempt asks the next pool for a connection.
func (w *world) attempt(r *request) {
	if r.tries == 0 {
		r.shard = w.shards[w.turn%len(w.shards)]
		w.turn++
	}
	r.Data, r.Safe = r, safe(w.profile.Target.Method)
	w.decided(r.shard, r.shard.core.Acquire(w.now, &r.Request))
	if limit := w.profile.Load.Timeout; r.tries == 0 && limit > 0 && w.profile.Pool.MaxConns != pool.NoCap {
		w.plan(w.now+limit, func() {
			if !r.over && r.shard.core.Cancel(&r.Request) {
				w.counts.AcquireTimeout++
				w.end(r)
			}
		})
	}
}

func (w *world) end(r *request) {
	r.over = true
	w.open--
}

// decided carries out what the rules of a pool have decided.
func (w *world) decided(sh *shard, decisions []pool.Decision) {
	// The slice is the pool's own, and later events reuse it.
	for _, d := range append([]pool.Decision(nil), decisions...) {
		switch d.Kind {
		case pool.DoLease:
			w.lease(d.Request.Data.(*request), d.Conn.Data.(*connection))
		case pool.DoProbe:
			found := pool.Keep
			if c := d.Conn.Data.(*connection); c.closed(w.now) {
				found = pool.PeerClosed
				w.counts.Noticed++
			}
			w.decided(sh, sh.core.Probed(w.now, d.Conn, d.Request, found))
		case pool.DoDial:
			w.dial(sh, d.Dial)
		case pool.DoRefuse:
			if d.Refusal == pool.QueueFull {
				w.counts.QueueFull++
			} else {
				w.counts.AcquireTimeout++
			}
			w.end(d.Request.Data.(*request))
		case pool.DoClose:
			d.Conn.Data.(*connection).turn++
		}
	}
	w.tick(sh)
}

// closed reports whether the FIN has reached the client by now.
func (c *connection) closed(now time.Duration) bool { return c.closes > 0 && c.fin <= now }

// tick plans the next call of Tick, if the pool wants one.
func (w *world) tick(sh *shard) {
	next, wanted := sh.core.Next()
	if !wanted || sh.tickAt > 0 && sh.tickAt <= next {
		return
	}
	sh.tickAt = max(next, 1)
	w.plan(next, func() {
		if sh.tickAt > w.now {
			return
		}
		sh.tickAt = 0
		w.decided(sh, sh.core.Tick(w.now))
	})
}

// dial makes a connection.
func (w *world) dial(sh *shard, d *pool.Dial) {
	takes := dialTime(w.profile, w.trip)
	w.plan(w.now+takes, func() {
		c := &connection{shard: sh}
		entry, decisions := sh.core.Dialed(w.now, d, c)
		c.entry = entry
		w.decided(sh, decisions)
	})
}

// lease sends a request on a connection.
func (w *world) lease(r *request, c *connection) {
	c.turn++
	c.busy = true
	reused := c.served
	arrives := w.across(w.now)
	if w.sweep != nil {
		w.sweep.arrives(c, arrives)
	}
	if c.closes > 0 && c.closes <= arrives {
		w.plan(max(w.now, c.fin), func() { w.lost(r, c, reused) })
		return
	}
	c.closes = 0
	done := arrives + w.responseTime()
	w.plan(awake(w.machine.client, w.across(done)), func() { w.answered(r, c, done) })
}

func (w *world) responseTime() time.Duration {
	u := w.rng.Float64()
	if u < 0.5 {
		return w.server.Response
	}
	// Half of the times are above the median, most of them by little.
	over := math.Pow(2*u-1, 4)
	return w.server.Response + time.Duration(over*float64(w.server.ResponseMax-w.server.Response))
}

// answered ends a request whose response has come. The server sent it at done and waits
// for the next one.
func (w *world) answered(r *request, c *connection, done time.Duration) {
	c.busy, c.served = false, true
	reason := pool.Keep
	if limit := w.server.MaxRequests; limit > 0 && c.entry.Uses >= limit {
		if w.server.Unannounced {
			c.closes, c.fin = done, w.now
		} else {
			reason = pool.ServerSaidClose
		}
	} else if w.sweep != nil {
		w.sweep.waits(c, done)
	} else if len(w.idle.t) > 0 && w.idle.last() > 0 {
		timer := w.idle.at(w.rng.Float64())
		c.closes, c.fin = done+timer, max(w.across(done+timer), w.now)
	}
	if r.tries > 0 {
		w.counts.Rescued++
	}
	w.end(r)
	hint := pool.NoHint
	if w.server.Hint > 0 {
		hint = w.server.Hint
	}
	w.decided(c.shard, c.shard.core.Release(w.now, c.entry, reason, hint))
	if c.closes > 0 {
		w.notice(c)
	}
}

// notice lets the client see the FIN of c, unless it uses the connection before.
func (w *world) notice(c *connection) {
	if w.profile.Pool.Liveness != pool.Events {
		return
	}
	turn := c.turn
	// The same thread sends requests and sees events: where it is late, it sees what has
	// come in the meantime before it sends.
	w.plan(awake(w.machine.client, c.fin+handling), func() {
		if c.turn == turn && !c.busy {
			w.counts.Noticed++
			w.decided(c.shard, c.shard.core.Died(w.now, c.entry, pool.PeerClosed))
		}
	})
}

// lost ends an attempt that the server's close has met.
func (w *world) lost(r *request, c *connection, reused bool) {
	w.counts.Met++
	w.decided(c.shard, c.shard.core.Release(w.now, c.entry, pool.Broken, pool.NoHint))
	t := w.profile.Target
	rule, again := w.profile.Pool.ResendBy(pool.Attempt{
		Method: t.Method, HasBody: t.Body != "" || t.BodySize > 0, Reused: reused, After: pool.AfterEOF, Before: r.tries, Fresh: r.fresh,
	})
	if !again {
		w.counts.Failed++
		w.end(r)
		return
	}
	r.tries++
	if !reused {
		r.fresh++
	}
	r.Request = pool.Request{Fresh: rule.Path == pool.PathFresh}
	w.attempt(r)
}
