package pool

import "time"

// Core is the state of a pool and its rules. Times are offsets from any fixed
// moment and must not decrease from call to call. It is not safe for use by
// several goroutines. The slice a method returns is valid until the next call.
//
// With n idle connections every event costs O(1), or O(log n) where first_fit
// or a timer per connection is asked for; a sweep costs O(n).
type Core struct {
	policy  Policy
	origins []origin
	timers  connHeap // idle connections by the moment they expire; with ExpireByTimer only
	nextID  uint64
	sweepAt time.Duration
	closed  bool
	stats   Stats
	out     []Decision
}

// origin is the sub-pool of one server.
type origin struct {
	open    int // dialing, leased, probing and idle, the unreaped dead included
	idle    idleList
	fit     connHeap // the idle ones by creation; with FirstFit only
	waiting requestQueue
}

// New returns a pool without origins. The policy must be valid.
func New(policy Policy) *Core {
	return &Core{
		policy:  policy,
		timers:  connHeap{before: func(a, b *Conn) bool { return a.expires(policy) < b.expires(policy) }, index: func(c *Conn) *int { return &c.timerIndex }},
		sweepAt: policy.SweepEvery,
	}
}

// AddOrigin adds a sub-pool and returns its number, from 0.
func (p *Core) AddOrigin() int {
	p.origins = append(p.origins, origin{
		fit: connHeap{before: func(a, b *Conn) bool { return a.id < b.id }, index: func(c *Conn) *int { return &c.fitIndex }},
	})
	return len(p.origins) - 1
}

// Stats returns the gauges, their peaks and the evictions so far.
func (p *Core) Stats() Stats { return p.stats }

// Acquire asks for a connection for r. It is answered at once by DoLease,
// DoProbe, DoDial or DoRefuse, or later, when r has been waiting.
func (p *Core) Acquire(now time.Duration, r *Request) []Decision {
	p.begin(now)
	if p.closed {
		p.refuse(r, Closed)
		return p.out
	}
	o := &p.origins[r.Origin]
	switch {
	case p.leaseIdle(now, o, r):
	case p.hasRoom(o):
		p.grantDial(o, r)
	case p.policy.PendingMax >= 0 && o.waiting.len >= p.policy.PendingMax:
		p.refuse(r, QueueFull)
	default:
		r.queued, r.waiting = now, true
		o.waiting.push(r)
		p.stats.Pending++
		p.stats.PeakPending = max(p.stats.PeakPending, p.stats.Pending)
	}
	return p.out
}

// Cancel takes back a request that is still waiting. It reports false when the
// request is not waiting any more: its answer is on the way.
func (p *Core) Cancel(r *Request) bool {
	if !r.waiting {
		return false
	}
	p.unqueue(&p.origins[r.Origin], r)
	return true
}

// Dialed says that the dial granted to r made a connection, which is r's from
// now on.
func (p *Core) Dialed(now time.Duration, r *Request) (*Conn, []Decision) {
	p.begin(now)
	c := &Conn{Origin: r.Origin, Created: now, Uses: 1, id: p.nextID, released: now, fitIndex: -1, timerIndex: -1}
	p.nextID++
	p.stats.Dialing--
	p.stats.Opened++
	p.countLeased(1)
	p.stats.MaxOpen = max(p.stats.MaxOpen, p.stats.Leased+p.stats.Idle)
	return c, p.out
}

// DialFailed says that the dial granted to r made no connection.
func (p *Core) DialFailed(now time.Duration, r *Request) []Decision {
	p.begin(now)
	p.stats.Dialing--
	o := &p.origins[r.Origin]
	o.open--
	p.serveWaiting(o)
	return p.out
}

// Release gives c back. With a reason other than Keep it is closed for it.
func (p *Core) Release(now time.Duration, c *Conn, reason Reason) []Decision {
	p.begin(now)
	o := &p.origins[c.Origin]
	c.released = now
	if reason == Keep {
		reason = p.unfitAtRelease(now, o, c)
	}
	next := o.waiting.first
	if reason == Keep && next != nil {
		reason = p.unfitAtLease(now, c)
	}
	switch {
	case reason != Keep:
		p.evict(o, c, reason)
	case next != nil:
		p.unqueue(o, next)
		p.hand(now, c, next)
	default:
		p.makeIdle(o, c)
	}
	p.serveWaiting(o)
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
		o := &p.origins[c.Origin]
		p.evict(o, c, reason)
		p.serveWaiting(o)
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
	o := &p.origins[c.Origin]
	if found == Keep {
		p.lease(now, c, r)
		return p.out
	}
	p.evict(o, c, found)
	if p.closed {
		p.refuse(r, Closed)
	} else if !p.leaseIdle(now, o, r) {
		p.grantDial(o, r) // the dead one's room is free
	}
	return p.out
}

// Tick lets time pass: what was due by now happens.
func (p *Core) Tick(now time.Duration) []Decision {
	p.begin(now)
	for len(p.timers.conns) > 0 && p.timers.conns[0].expires(p.policy) <= now {
		c := p.timers.conns[0]
		p.evict(&p.origins[c.Origin], c, p.expired(now, c))
	}
	if p.policy.Expiry&ExpireBySweep != 0 && now >= p.sweepAt {
		p.sweep(now)
		p.sweepAt = now - now%p.policy.SweepEvery + p.policy.SweepEvery
	}
	for i := range p.origins {
		p.serveWaiting(&p.origins[i])
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
	if len(p.timers.conns) > 0 {
		consider(p.timers.conns[0].expires(p.policy))
	}
	if p.policy.Expiry&ExpireBySweep != 0 && p.stats.Idle > 0 {
		consider(p.sweepAt)
	}
	if p.policy.PendingTimeout > 0 && p.stats.Pending > 0 {
		for i := range p.origins {
			if r := p.origins[i].waiting.first; r != nil {
				consider(r.queued + p.policy.PendingTimeout)
			}
		}
	}
	return next, any
}

// Close ends the pool: idle connections are closed, waiting requests refused,
// leased connections closed when they are released.
func (p *Core) Close(now time.Duration) []Decision {
	p.begin(now)
	p.closed = true
	for i := range p.origins {
		o := &p.origins[i]
		for o.waiting.first != nil {
			r := o.waiting.first
			p.unqueue(o, r)
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
	if p.policy.PendingTimeout == 0 || p.stats.Pending == 0 {
		return
	}
	for i := range p.origins {
		o := &p.origins[i]
		for r := o.waiting.first; r != nil && r.queued+p.policy.PendingTimeout <= now; r = o.waiting.first {
			p.unqueue(o, r)
			p.refuse(r, PendingTimeout)
		}
	}
}

func (p *Core) decide(d Decision) { p.out = append(p.out, d) }

func (p *Core) refuse(r *Request, why Refusal) {
	p.decide(Decision{Kind: DoRefuse, Request: r, Refusal: why})
}

func (p *Core) hasRoom(o *origin) bool {
	return p.policy.MaxConns == 0 || o.open < p.policy.MaxConns
}

func (p *Core) grantDial(o *origin, r *Request) {
	o.open++
	p.stats.Dialing++
	p.stats.PeakDialing = max(p.stats.PeakDialing, p.stats.Dialing)
	p.decide(Decision{Kind: DoDial, Request: r})
}

func (p *Core) unqueue(o *origin, r *Request) {
	o.waiting.remove(r)
	r.waiting = false
	p.stats.Pending--
}

func (p *Core) countLeased(n int) {
	p.stats.Leased += n
	p.stats.PeakLeased = max(p.stats.PeakLeased, p.stats.Leased)
}

func (p *Core) lease(now time.Duration, c *Conn, r *Request) {
	c.state = leased
	c.Uses++
	c.IdleFor = now - c.released
	p.decide(Decision{Kind: DoLease, Request: r, Conn: c})
}

// hand gives c, which is counted as leased, to r: after a look at it, if the
// policy wants one.
func (p *Core) hand(now time.Duration, c *Conn, r *Request) {
	if p.policy.Liveness == Probe && now-c.released >= p.policy.ProbeAfter {
		c.state = probing
		p.decide(Decision{Kind: DoProbe, Request: r, Conn: c})
		return
	}
	p.lease(now, c, r)
}

// leaseIdle gives r an idle connection, in the policy's order, closing those
// that turn out to be unfit; false when none is left.
func (p *Core) leaseIdle(now time.Duration, o *origin, r *Request) bool {
	for {
		c := p.candidate(o)
		if c == nil {
			return false
		}
		if reason := p.unfitAtLease(now, c); reason != Keep {
			p.evict(o, c, reason)
			continue
		}
		p.unidle(o, c)
		p.countLeased(1)
		p.hand(now, c, r)
		return true
	}
}

func (p *Core) candidate(o *origin) *Conn {
	switch p.policy.LeaseOrder {
	case FIFO:
		return o.idle.first
	case FirstFit:
		if len(o.fit.conns) == 0 {
			return nil
		}
		return o.fit.conns[0]
	default:
		return o.idle.last
	}
}

func (p *Core) makeIdle(o *origin, c *Conn) {
	p.countLeased(-1)
	c.state = idle
	o.idle.push(c)
	p.stats.Idle++
	p.stats.PeakIdle = max(p.stats.PeakIdle, p.stats.Idle)
	if p.policy.LeaseOrder == FirstFit {
		o.fit.push(c)
	}
	if _, expires := c.deadline(p.policy); expires && p.policy.Expiry&ExpireByTimer != 0 {
		p.timers.push(c)
	}
}

// serveWaiting lets waiting requests dial while there is room.
func (p *Core) serveWaiting(o *origin) {
	for o.waiting.first != nil && p.hasRoom(o) {
		r := o.waiting.first
		p.unqueue(o, r)
		p.grantDial(o, r)
	}
}

// unidle takes c out of the idle ones.
func (p *Core) unidle(o *origin, c *Conn) {
	o.idle.remove(c)
	p.stats.Idle--
	o.fit.remove(c)
	p.timers.remove(c)
}

// evict closes c, wherever it is, and forgets it.
func (p *Core) evict(o *origin, c *Conn, reason Reason) {
	if c.state == idle {
		p.unidle(o, c)
	} else {
		p.countLeased(-1)
	}
	c.state = gone
	o.open--
	if c.hungUp {
		reason = c.dead
	} else {
		p.decide(Decision{Kind: DoClose, Conn: c, Reason: reason})
	}
	p.stats.Evicted[reason]++
}
