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
// with first_fit, a timer per connection or a cap over all keys. A sweep costs
// O(n).
type Core struct {
	policy   Policy
	rng      *rand.Rand // draws lifetimes
	origins  []*origin
	used     int            // connections that count towards max_conns_all
	idle     idleList       // over all origins
	pending  requestQueue   // over all origins
	timers   heapOf[Conn]   // idle connections by when they expire; with ExpireByTimer only
	waiting  heapOf[origin] // origins with waiting requests, by the arrival of the first
	arrivals uint64
	releases uint64
	created  uint64
	sweepAt  time.Duration
	closed   bool
	stats    Stats
	out      []Decision
}

// origin is the sub-pool of one key.
type origin struct {
	used      int // connections that count towards max_conns
	idle      idleList
	fit       heapOf[Conn] // idle connections by creation; with FirstFit and LastFit only
	waiting   requestQueue
	bindable  requestQueue // with late_bind only
	heapIndex int          // in Core.waiting; -1: not in it
	slots     []slot       // empty ones, in the order of slot.key; with Slots only
}

// NoHint is a response without `Keep-Alive: timeout=`.
const NoHint time.Duration = -1

// New returns a pool without origins. The policy must be valid: see
// Policy.Validate. The seed decides the lifetimes that lifetime_jitter draws.
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
	before := func(a, b *Conn) bool { return a.id < b.id }
	if p.policy.LeaseOrder == LastFit {
		before = func(a, b *Conn) bool { return a.id > b.id }
	}
	p.origins = append(p.origins, &origin{
		heapIndex: -1,
		fit: heapOf[Conn]{
			before: before,
			index:  func(c *Conn) *int { return &c.fitIndex },
		},
	})
	return len(p.origins) - 1
}

// Stats returns the gauges, their peaks and the evictions so far.
func (p *Core) Stats() Stats { return p.stats }

// Acquire asks for a connection for r. One of DoLease, DoProbe, DoDial and
// DoRefuse is decided for r now or, if r has to wait, by a later event. DoProbe
// and DoDial are not the end: another decision for r follows them.
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
// a decision for r has been made, and when r waits for its own dial: end the dial
// instead.
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

// Dialed reports that d made a connection, and returns it with the given Data.
// It goes to the request that the dial was granted for. If that request was
// served otherwise, the connection is treated as one that was released.
func (p *Core) Dialed(now time.Duration, d *Dial, data any) (*Conn, []Decision) {
	p.begin(now)
	o := p.origins[d.Origin]
	c := &Conn{
		Data: data, Origin: d.Origin, Created: now, released: now, id: d.slot.id, idleTimeout: p.policy.IdleTimeout,
		lifetime: p.drawLifetime(), fitIndex: -1, timerIndex: -1,
	}
	if !d.hasSlot {
		c.id = p.created
		p.created++
	}
	p.stats.Dialing--
	p.stats.Opened++
	p.countLeased(1)
	p.stats.MaxOpen = max(p.stats.MaxOpen, p.stats.Leased+p.stats.Idle)
	if r := d.request; r != nil {
		if r.state == bindable {
			p.unbind(o, r)
		}
		r.state = decided
		p.lease(now, c, r)
	} else {
		p.giveBack(now, o, c, p.unfitAtRelease(now, o, c))
	}
	return c, p.out
}

// DialFailed reports that d made no connection.
func (p *Core) DialFailed(now time.Duration, d *Dial) []Decision {
	p.begin(now)
	o := p.origins[d.Origin]
	p.stats.Dialing--
	p.count(o, -1)
	if d.hasSlot {
		p.empty(o, d.slot)
	}
	if r := d.request; r != nil {
		if r.state == bindable {
			p.unbind(o, r)
		}
		r.state = decided
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

// Release gives c back. With a reason other than Keep, c is closed. The hint is
// the timeout in the response's `Keep-Alive: timeout=`, or NoHint.
func (p *Core) Release(now time.Duration, c *Conn, reason Reason, hint time.Duration) []Decision {
	p.begin(now)
	o := p.origins[c.Origin]
	c.released = now
	if reason == Keep {
		reason = p.applyHint(c, hint)
	}
	if reason == Keep {
		reason = p.unfitAtRelease(now, o, c)
	}
	p.giveBack(now, o, c, reason)
	return p.out
}

// Died reports that the peer closed or reset c. While c is leased this takes
// effect only when c is released.
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
		c.hungUp = true // its socket is closed now; it is counted until it is next met
		p.decide(Decision{Kind: DoClose, Conn: c, Reason: reason})
	}
	return p.out
}

// Probed reports what the DoProbe of c for r found: Keep when c is alive,
// otherwise why it is not.
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
	if p.slotFirst(o, nil) {
		p.grantDial(o, r)
		p.fill(o, r.dial)
		return p.out
	}
	p.serve(now, o, r) // the dead connection has left room for a dial, at least
	p.serveOthers(now, o)
	return p.out
}

// Tick lets time pass: it expires what is due by now.
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

// Next returns when to call Tick; false when nothing depends on time.
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

// begin starts an event. It forgets the decisions of the event before, and
// refuses the requests that have waited too long, before a connection is leased.
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
