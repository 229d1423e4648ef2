package pool

import (
	"math/rand/v2"
	"time"
)

// Core is the state of a pool and its rules. Times are offsets from any fixed
// moment and must not decrease from call to call. It is not safe for use by
// several goroutines. The slice a method returns is valid until the next call.
//
// With n connections and waiting requests every event costs O(1), or O(log n)
// where first_fit, a timer per connection or a cap over all keys is asked for;
// a sweep costs O(n).
type Core struct {
	policy   Policy
	rng      *rand.Rand // of lifetimes
	origins  []*origin
	used     int            // what counts towards max_conns_all
	idle     idleList       // over all origins
	pending  requestQueue   // over all origins
	timers   heapOf[Conn]   // idle connections by the moment they expire; with ExpireByTimer only
	waiting  heapOf[origin] // origins with waiting requests, by the arrival of the first
	arrivals uint64
	created  uint64
	sweepAt  time.Duration
	closed   bool
	stats    Stats
	out      []Decision
}

// origin is the sub-pool of one key.
type origin struct {
	used      int // what counts towards max_conns
	idle      idleList
	fit       heapOf[Conn] // the idle ones by creation; with FirstFit only
	waiting   requestQueue
	bindable  requestQueue // with late_bind only
	heapIndex int          // in Core.waiting; -1: not in it
}

// NoHint is a response without `Keep-Alive: timeout=`.
const NoHint time.Duration = -1

// New returns a pool without origins. The policy must be valid. The seed is
// that of the lifetimes drawn with lifetime_jitter.
func New(policy Policy, seed uint64) *Core {
	return &Core{
		policy:  policy,
		rng:     rand.New(rand.NewPCG(seed, 0)),
		idle:    idleList{which: inAll},
		pending: requestQueue{which: ofAll},
		timers: heapOf[Conn]{
			before: func(a, b *Conn) bool { return a.expires() < b.expires() },
			index:  func(c *Conn) *int { return &c.timerIndex },
		},
		waiting: heapOf[origin]{
			before: func(a, b *origin) bool { return a.waiting.first.arrived < b.waiting.first.arrived },
			index:  func(o *origin) *int { return &o.heapIndex },
		},
		sweepAt: policy.SweepEvery,
	}
}

// AddOrigin adds a sub-pool and returns its number, from 0.
func (p *Core) AddOrigin() int {
	p.origins = append(p.origins, &origin{
		heapIndex: -1,
		fit: heapOf[Conn]{
			before: func(a, b *Conn) bool { return a.id < b.id },
			index:  func(c *Conn) *int { return &c.fitIndex },
		},
	})
	return len(p.origins) - 1
}

// Stats returns the gauges, their peaks and the evictions so far.
func (p *Core) Stats() Stats { return p.stats }

// Acquire asks for a connection for r. It is answered at once by DoLease,
// DoProbe, DoDial or DoRefuse, or later, when r has been waiting. A DoDial is
// no last answer: DoLease or DoRefuse follows.
func (p *Core) Acquire(now time.Duration, r *Request) []Decision {
	p.begin(now)
	r.arrived, r.dial = p.arrivals, nil
	p.arrivals++
	if p.closed {
		p.refuse(r, Closed)
		return p.out
	}
	o := p.origins[r.Origin]
	switch {
	case p.serve(now, o, r):
		p.serveOthers(now, o)
	case p.policy.PendingMax != NoCap && o.waiting.len >= p.policy.PendingMax:
		p.refuse(r, QueueFull)
	default:
		p.queue(now, o, r)
	}
	return p.out
}

// Cancel takes back a request that has no connection yet. It reports false when
// an answer is on the way, or when r waits for its own dial: end that instead.
func (p *Core) Cancel(r *Request) bool {
	switch r.state {
	case waiting:
		p.unqueue(p.origins[r.Origin], r)
	case bindable:
		p.unbind(p.origins[r.Origin], r)
	default:
		return false
	}
	return true
}

// Dialed says that d made a connection, whose Data is data. It goes to the
// request d was for, or if that was served otherwise to whom a released
// connection would go.
func (p *Core) Dialed(now time.Duration, d *Dial, data any) (*Conn, []Decision) {
	p.begin(now)
	o := p.origins[d.Origin]
	c := &Conn{
		Data: data, Origin: d.Origin, Created: now, released: now, id: p.created, idleTimeout: p.policy.IdleTimeout,
		lifetime: p.drawLifetime(), fitIndex: -1, timerIndex: -1,
	}
	p.created++
	p.stats.Dialing--
	p.stats.Opened++
	p.countLeased(1)
	p.stats.MaxOpen = max(p.stats.MaxOpen, p.stats.Leased+p.stats.Idle)
	if r := d.request; r != nil {
		if r.state == bindable {
			p.unbind(o, r)
		}
		r.state = answered
		p.lease(now, c, r)
	} else {
		p.giveBack(now, o, c, p.unfitAtRelease(now, o, c))
	}
	return c, p.out
}

// DialFailed says that d made no connection.
func (p *Core) DialFailed(now time.Duration, d *Dial) []Decision {
	p.begin(now)
	o := p.origins[d.Origin]
	p.stats.Dialing--
	p.count(o, -1)
	if r := d.request; r != nil {
		if r.state == bindable {
			p.unbind(o, r)
		}
		r.state = answered
		p.refuse(r, DialFailed)
	}
	if p.policy.DialFail == FailAllPending {
		for r := p.firstTaker(o); r != nil; r = p.firstTaker(o) {
			p.takeOut(o, r)
			p.refuse(r, DialFailed)
		}
	}
	p.serveWaiting(now, o)
	return p.out
}

// Release gives c back. With a reason other than Keep it is closed for it. The
// hint is what the response's `Keep-Alive: timeout=` said, or NoHint.
func (p *Core) Release(now time.Duration, c *Conn, reason Reason, hint time.Duration) []Decision {
	p.begin(now)
	o := p.origins[c.Origin]
	c.released = now
	if reason == Keep {
		reason = p.heed(c, hint)
	}
	if reason == Keep {
		reason = p.unfitAtRelease(now, o, c)
	}
	p.giveBack(now, o, c, reason)
	return p.out
}

// Died says that the peer closed or reset c. While c is leased this only takes
// effect when it is released.
func (p *Core) Died(now time.Duration, c *Conn, reason Reason) []Decision {
	p.begin(now)
	if c.state == gone || c.dead != Keep {
		return p.out
	}
	c.dead = reason
	if c.state != idle {
		return p.out
	}
	if p.policy.Reap == ReapAtEvent {
		o := p.origins[c.Origin]
		p.evict(o, c, reason)
		p.serveWaiting(now, o)
	} else {
		c.hungUp = true // its socket goes now, its place in the accounts when it is next met
		p.decide(Decision{Kind: DoClose, Conn: c, Reason: reason})
	}
	return p.out
}

// Probed says what a DoProbe of c for r found: Keep when c is alive, otherwise
// why it is not.
func (p *Core) Probed(now time.Duration, c *Conn, r *Request, found Reason) []Decision {
	p.begin(now)
	o := p.origins[c.Origin]
	if found == Keep {
		p.lease(now, c, r)
		return p.out
	}
	p.evict(o, c, found)
	if p.closed {
		p.refuse(r, Closed)
		return p.out
	}
	p.serve(now, o, r) // if by nothing else, by a dial in the dead one's room
	p.serveOthers(now, o)
	return p.out
}

// Tick lets time pass: what was due by now happens.
func (p *Core) Tick(now time.Duration) []Decision {
	p.begin(now)
	for c := p.timers.first(); c != nil && c.expires() <= now; c = p.timers.first() {
		o := p.origins[c.Origin]
		p.evict(o, c, p.expired(now, c))
		p.serveWaiting(now, o)
	}
	if p.policy.Expiry&ExpireBySweep != 0 && now >= p.sweepAt {
		p.sweep(now)
		p.sweepAt = now - now%p.policy.SweepEvery + p.policy.SweepEvery
	}
	return p.out
}

// Next is when Tick is wanted; false when nothing is waiting for time to pass.
func (p *Core) Next() (time.Duration, bool) {
	next, any := time.Duration(0), false
	consider := func(t time.Duration) {
		if !any || t < next {
			next, any = t, true
		}
	}
	if c := p.timers.first(); c != nil {
		consider(c.expires())
	}
	if p.policy.Expiry&ExpireBySweep != 0 && p.stats.Idle > 0 {
		consider(p.sweepAt)
	}
	if r := p.pending.first; r != nil && p.policy.PendingTimeout > 0 {
		consider(r.queued + p.policy.PendingTimeout)
	}
	return next, any
}

// Close ends the pool: idle connections are closed, requests without a
// connection refused, leased connections closed when they are released.
func (p *Core) Close(now time.Duration) []Decision {
	p.begin(now)
	p.closed = true
	for _, o := range p.origins {
		for r := p.firstTaker(o); r != nil; r = p.firstTaker(o) {
			p.takeOut(o, r)
			p.refuse(r, Closed)
		}
		for o.idle.first != nil {
			p.evict(o, o.idle.first, Shutdown)
		}
	}
	return p.out
}

// begin starts an event: the decisions of the one before are forgotten, and
// requests that have waited too long by now are refused before anything is
// handed out.
func (p *Core) begin(now time.Duration) {
	clear(p.out) // keep no connection alive through the spare capacity
	p.out = p.out[:0]
	if p.policy.PendingTimeout == 0 {
		return
	}
	for r := p.pending.first; r != nil && r.queued+p.policy.PendingTimeout <= now; r = p.pending.first {
		p.unqueue(p.origins[r.Origin], r)
		p.refuse(r, PendingTimeout)
	}
}

func (p *Core) decide(d Decision) { p.out = append(p.out, d) }

func (p *Core) refuse(r *Request, why Refusal) {
	p.decide(Decision{Kind: DoRefuse, Request: r, Refusal: why})
}
