package pool

import "time"

// sweep closes every idle connection that may not be kept.
func (p *Core) sweep(now time.Duration) {
	for _, o := range p.origins {
		for c := o.idle.first; c != nil; {
			next := c.links[inOrigin].next
			if reason := p.unfit(now, c); reason != Keep {
				p.evict(o, c, reason)
			}
			c = next
		}
	}
	for _, o := range p.origins {
		p.serveWaiting(now, o)
	}
}

// applyHint sets how long c may be idle, by the hint in the last response. It returns
// Hinted when that leaves no time at all.
func (p *Core) applyHint(c *Conn, hint time.Duration) Reason {
	idle, kept := p.policy.IdleAfter(hint)
	c.idleTimeout = idle
	if !kept {
		return Hinted
	}
	return Keep
}

// IdleAfter returns how long a connection may be idle after a response with the hint,
// or NoHint; 0: no limit. kept is false if the hint leaves no time at all.
func (p *Policy) IdleAfter(hint time.Duration) (idle time.Duration, kept bool) {
	idle = p.IdleTimeout
	if p.ServerHint == HintIgnore || hint == NoHint {
		return idle, true
	}
	promised := hint - p.HintMargin
	if p.HintCap > 0 {
		promised = min(promised, p.HintCap)
	}
	switch {
	case promised <= 0:
		return idle, false
	case p.ServerHint == HintReplace, p.ServerHint == HintMin && (idle == 0 || promised < idle):
		return promised, true
	}
	return idle, true
}

func (p *Core) drawLifetime() time.Duration {
	full := p.policy.MaxLifetime
	if p.policy.LifetimeJitter == 0 {
		return full
	}
	return full - time.Duration(p.rng.Float64()*float64(full)*float64(p.policy.LifetimeJitter)/100)
}

// unfit returns why c may not be kept, or Keep. Call it at the moments that the
// policy's Expiry names.
func (p *Core) unfit(now time.Duration, c *Conn) Reason {
	if c.dead != Keep {
		return c.dead
	}
	return p.expired(now, c)
}

func (p *Core) unfitAtLease(now time.Duration, c *Conn) Reason {
	if p.policy.Expiry&ExpireAtLease == 0 {
		return c.dead
	}
	return p.unfit(now, c)
}

func (p *Core) unfitAtRelease(now time.Duration, o *origin, c *Conn) Reason {
	switch {
	case p.closed:
		return Shutdown
	case c.dead != Keep:
		return c.dead
	case p.policy.MaxRequests != NoCap && c.Uses >= p.policy.MaxRequests:
		return MaxRequests
	case p.policy.Expiry&ExpireAtRelease != 0 && p.expired(now, c) != Keep:
		return p.expired(now, c)
	case p.policy.MaxIdle == 0:
		return Surplus
	case p.policy.MaxIdle != NoCap && p.firstTaker(o) == nil && o.idle.len+len(o.slots) >= p.policy.MaxIdle:
		return Surplus
	}
	return Keep
}

// expired returns Keep, Expired or Lifetime.
func (p *Core) expired(now time.Duration, c *Conn) Reason {
	switch {
	case c.idleTimeout > 0 && now-c.released >= c.idleTimeout:
		return Expired
	case c.lifetime > 0 && now-c.Created >= c.lifetime:
		return Lifetime
	}
	return Keep
}

// deadline returns when c, which is idle, expires by its idle timeout or its
// lifetime; false: never.
func (c *Conn) deadline() (time.Duration, bool) {
	switch at, old := c.released+c.idleTimeout, c.Created+c.lifetime; {
	case c.idleTimeout > 0 && c.lifetime > 0:
		return min(at, old), true
	case c.idleTimeout > 0:
		return at, true
	default:
		return old, c.lifetime > 0
	}
}

func (c *Conn) expires() time.Duration {
	at, _ := c.deadline()
	return at
}
