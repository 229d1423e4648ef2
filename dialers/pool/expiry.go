package pool

import "time"

func (p *Core) sweep(now time.Duration) {
	for i := range p.origins {
		o := &p.origins[i]
		for c := o.idle.first; c != nil; {
			next := c.next
			if reason := p.unfit(now, c); reason != Keep {
				p.evict(o, c, reason)
			}
			c = next
		}
	}
}

// unfit is why c may not be kept at a moment at which expiry is looked at.
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
	case p.policy.MaxRequests > 0 && c.Uses >= p.policy.MaxRequests:
		return MaxRequests
	case p.policy.Expiry&ExpireAtRelease != 0 && p.expired(now, c) != Keep:
		return p.expired(now, c)
	case p.policy.MaxIdle == 0:
		return Surplus
	case p.policy.MaxIdle > 0 && o.waiting.len == 0 && o.idle.len >= p.policy.MaxIdle:
		return Surplus
	}
	return Keep
}

// expired is Keep, Expired or Lifetime.
func (p *Core) expired(now time.Duration, c *Conn) Reason {
	switch {
	case p.policy.IdleTimeout > 0 && now-c.released >= p.policy.IdleTimeout:
		return Expired
	case p.policy.MaxLifetime > 0 && now-c.Created >= p.policy.MaxLifetime:
		return Lifetime
	}
	return Keep
}

// deadline is when c, idle, expires by idle_timeout or max_lifetime.
func (c *Conn) deadline(policy Policy) (time.Duration, bool) {
	switch at, old := c.released+policy.IdleTimeout, c.Created+policy.MaxLifetime; {
	case policy.IdleTimeout > 0 && policy.MaxLifetime > 0:
		return min(at, old), true
	case policy.IdleTimeout > 0:
		return at, true
	default:
		return old, policy.MaxLifetime > 0
	}
}

func (c *Conn) expires(policy Policy) time.Duration {
	at, _ := c.deadline(policy)
	return at
}
