package pool

import (
	"iter"
	"time"
)

// How a request is served. Acquire goes through these cases, the first that fits
// decides:
//
//  1. The pool is closed: refuse it.
//  2. An idle connection of its origin is fit for use, and the request does not
//     ask for a new one: lease it, in the policy's lease_order. Idle connections
//     found dead or expired on the way are closed. With liveness: probe, look at
//     the connection first; if it is dead, go through cases 2 to 5 again.
//  3. max_conns and max_conns_all leave room: dial. With make_room, an idle
//     connection of another origin is closed to make the room.
//  4. Fewer than pending_max requests of its origin wait: queue it.
//  5. Otherwise refuse it.
//
// A queued request is served when a connection is given back (giveBack: the one
// that has waited longest gets it), when room is made (serveWaiting: cases 2 and 3
// again, in order of arrival), or refused after pending_timeout (begin).

// serve gives r an idle connection or a dial, if the rules allow it now: cases 2
// and 3. Where idle connections do not count, case 2 needs room too.
func (p *Core) serve(now time.Duration, o *origin, r *Request) bool {
	idleCounts := p.policy.CapCounts == CountAll
	if !r.Fresh && (idleCounts || p.hasRoom(o)) && p.leaseIdle(now, o, r) {
		return true
	}
	if !p.makeRoom(o, r) {
		return false
	}
	p.grantDial(o, r)
	return true
}

func (p *Core) hasRoom(o *origin) bool { return p.hasOwnRoom(o) && p.hasRoomForAll() }

func (p *Core) hasOwnRoom(o *origin) bool {
	return p.policy.MaxConns == NoCap || o.used < p.policy.MaxConns
}

func (p *Core) hasRoomForAll() bool {
	return p.policy.MaxConnsAll == NoCap || p.used < p.policy.MaxConnsAll
}

// makeRoom reports whether o may have one more connection. It closes idle
// connections for that, if the rules allow it.
func (p *Core) makeRoom(o *origin, r *Request) bool {
	if p.policy.CapCounts == CountAll {
		if !p.hasRoom(o) && r.Fresh && o.idle.first != nil {
			p.evict(o, o.idle.first, MadeRoom) // r does not take it, and it counts towards both caps
		}
		if p.hasOwnRoom(o) && !p.hasRoomForAll() && p.policy.MakeRoom && p.idle.first != nil {
			c := p.idle.first
			p.evict(p.origins[c.Origin], c, MadeRoom)
		}
	}
	return p.hasRoom(o)
}

// count changes how many connections of o and of the pool count towards the caps.
func (p *Core) count(o *origin, n int) {
	o.used += n
	p.used += n
}

func (p *Core) countLeased(n int) {
	p.stats.Leased += n
	p.stats.PeakLeased = max(p.stats.PeakLeased, p.stats.Leased)
}

func (p *Core) grantDial(o *origin, r *Request) {
	p.count(o, 1)
	p.stats.Dialing++
	p.stats.PeakDialing = max(p.stats.PeakDialing, p.stats.Dialing)
	r.dial = &Dial{Origin: r.Origin, request: r}
	r.state = dialing
	if p.policy.LateBind && !r.Fresh {
		r.state = bindable
		o.bindable.push(r)
	}
	p.decide(Decision{Kind: DoDial, Request: r, Dial: r.dial})
}

func (p *Core) queue(now time.Duration, o *origin, r *Request) {
	r.queued, r.state = now, waiting
	o.waiting.push(r)
	p.pending.push(r)
	if o.waiting.len == 1 {
		p.waiting.push(o)
	}
	p.stats.Pending++
	p.stats.PeakPending = max(p.stats.PeakPending, p.stats.Pending)
}

// unqueue takes r out of the queue.
func (p *Core) unqueue(o *origin, r *Request) {
	if r == o.waiting.first {
		p.waiting.remove(o) // its place there depends on when its first request arrived
	}
	o.waiting.remove(r)
	p.pending.remove(r)
	if o.waiting.first != nil && o.heapIndex < 0 {
		p.waiting.push(o)
	}
	r.state = decided
	p.stats.Pending--
}

// unbind takes r out of the requests that take another connection if one comes
// before their own dial is done. The dial goes on without it.
func (p *Core) unbind(o *origin, r *Request) {
	o.bindable.remove(r)
	r.dial.request = nil
	r.state = decided
}

// firstTaker returns the request of o that has waited longest for a connection,
// with a dial of its own or without; nil when there is none.
func (p *Core) firstTaker(o *origin) *Request {
	w, b := o.waiting.first, o.bindable.first
	if w == nil || b != nil && b.arrived < w.arrived {
		return b
	}
	return w
}

// takeOut takes r, which firstTaker returned, from where it waits.
func (p *Core) takeOut(o *origin, r *Request) {
	if r.state == bindable {
		p.unbind(o, r)
	} else {
		p.unqueue(o, r)
	}
}

// giveBack ends a lease: the connection is closed for the reason, handed to
// the next request, or becomes idle.
func (p *Core) giveBack(now time.Duration, o *origin, c *Conn, reason Reason) {
	next := p.firstTaker(o)
	if reason == Keep && next != nil {
		reason = p.unfitAtLease(now, c)
	}
	switch {
	case reason != Keep:
		p.evict(o, c, reason)
	case next != nil:
		p.takeOut(o, next)
		p.hand(now, c, next)
	default:
		p.makeIdle(o, c)
	}
	p.serveWaiting(now, o)
}

// hand gives c, which is counted as leased, to r. If the policy wants a probe,
// that comes first.
func (p *Core) hand(now time.Duration, c *Conn, r *Request) {
	if p.policy.Liveness == Probe && now-c.released >= p.policy.ProbeAfter && !(p.policy.ProbeUnsafeOnly && r.Safe) {
		c.state = probing
		p.decide(Decision{Kind: DoProbe, Request: r, Conn: c})
		return
	}
	p.lease(now, c, r)
}

func (p *Core) lease(now time.Duration, c *Conn, r *Request) {
	c.state = leased
	c.Uses++
	c.IdleFor = now - c.released
	p.decide(Decision{Kind: DoLease, Request: r, Conn: c})
}

// leaseIdle gives r an idle connection, in the policy's order, and closes those
// that it finds unfit. It reports false when none is left.
func (p *Core) leaseIdle(now time.Duration, o *origin, r *Request) bool {
	for {
		c := p.candidate(o)
		if p.slotFirst(o, c) && p.hasRoom(o) {
			p.grantDial(o, r)
			p.fill(o, r.dial)
			return true
		}
		if c == nil {
			return false
		}
		if reason := p.unfitAtLease(now, c); reason != Keep {
			p.evict(o, c, reason)
			continue
		}
		p.unidle(o, c)
		p.countLeased(1)
		if p.policy.CapCounts == CountLeased {
			p.count(o, 1)
		}
		p.hand(now, c, r)
		return true
	}
}

func (p *Core) candidate(o *origin) *Conn {
	switch p.policy.LeaseOrder {
	case FIFO:
		return o.idle.first
	case FirstFit, LastFit:
		return o.fit.first()
	default:
		return o.idle.last
	}
}

// Candidates are the idle connections that a request for the origin would be leased if it
// came now, in the order in which they would be tried; with first_fit and last_fit only the
// first one. They change nothing, and are valid until the next event.
func (p *Core) Candidates(now time.Duration, origin int) iter.Seq[*Conn] {
	return func(yield func(*Conn) bool) {
		o := p.origins[origin]
		if p.policy.CapCounts == CountLeased && !p.hasRoom(o) {
			return
		}
		c := p.candidate(o)
		if p.slotFirst(o, c) && p.hasRoom(o) {
			return
		}
		for c != nil {
			if p.unfitAtLease(now, c) == Keep && !yield(c) {
				return
			}
			switch p.policy.LeaseOrder {
			case FIFO:
				c = c.links[inOrigin].next
			case LIFO:
				c = c.links[inOrigin].prev
			default:
				return
			}
		}
	}
}

func (p *Core) makeIdle(o *origin, c *Conn) {
	p.countLeased(-1)
	if p.policy.CapCounts == CountLeased {
		p.count(o, -1)
	}
	c.state = idle
	c.release = p.releases
	p.releases++
	o.idle.push(c)
	p.idle.push(c)
	p.stats.Idle++
	if p.policy.LeaseOrder == FirstFit || p.policy.LeaseOrder == LastFit {
		o.fit.push(c)
	}
	if _, expires := c.deadline(); expires && p.policy.Expiry&ExpireByTimer != 0 {
		p.timers.push(c)
	}
	if p.policy.MaxIdleAll != NoCap && p.idle.len > p.policy.MaxIdleAll {
		longest := p.idle.first
		p.evict(p.origins[longest.Origin], longest, Surplus)
	}
	p.stats.PeakIdle = max(p.stats.PeakIdle, p.stats.Idle)
}

// serveWaiting serves waiting requests after an event in o has made room.
func (p *Core) serveWaiting(now time.Duration, o *origin) {
	if p.closed {
		return
	}
	if p.policy.MaxConnsAll == NoCap {
		for o.waiting.first != nil && p.hasRoom(o) {
			p.serveFirst(now, o)
		}
		return
	}
	// Any origin may use the room. It goes to the request that has waited longest,
	// of the origins whose own cap leaves room. At most max_conns_all / max_conns
	// origins are passed over, because each of them holds max_conns connections.
	var full []*origin
	for next := p.waiting.first(); next != nil; next = p.waiting.first() {
		if !p.hasOwnRoom(next) {
			p.waiting.remove(next)
			full = append(full, next)
		} else if !p.makeRoom(next, next.waiting.first) {
			break
		} else {
			p.serveFirst(now, next)
		}
	}
	for _, o := range full {
		p.waiting.push(o)
	}
}

// serveOthers serves requests of other keys, after connections of o were found
// unfit and closed.
func (p *Core) serveOthers(now time.Duration, o *origin) {
	if p.policy.MaxConnsAll != NoCap && p.stats.Pending > 0 {
		p.serveWaiting(now, o)
	}
}

// serveFirst gives the first of o's waiting requests an idle connection or a
// dial, for which there is room.
func (p *Core) serveFirst(now time.Duration, o *origin) {
	r := o.waiting.first
	p.unqueue(o, r)
	if !p.leaseIdle(now, o, r) {
		p.grantDial(o, r)
	}
}

// unidle takes c out of the lists of idle connections.
func (p *Core) unidle(o *origin, c *Conn) {
	o.idle.remove(c)
	p.idle.remove(c)
	p.stats.Idle--
	o.fit.remove(c)
	p.timers.remove(c)
}

// evict closes c, idle or leased, for the reason, and forgets it.
func (p *Core) evict(o *origin, c *Conn, reason Reason) {
	left := slot{c.id, c.release}
	if c.state == leased { // it ends as it is given back
		left.release = p.releases
		p.releases++
	}
	if c.state == idle {
		p.unidle(o, c)
		if p.policy.CapCounts == CountAll {
			p.count(o, -1)
		}
	} else {
		p.countLeased(-1)
		p.count(o, -1)
	}
	if p.policy.Slots && reason.leavesSlot() {
		p.empty(o, left)
	}
	c.state = gone
	if c.hungUp {
		reason = c.dead
	} else {
		p.decide(Decision{Kind: DoClose, Conn: c, Reason: reason})
	}
	p.stats.Evicted[reason]++
}
