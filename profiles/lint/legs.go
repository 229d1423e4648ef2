package lint

import (
	"cmp"
	"fmt"
	"time"

	"github.com/kabench/kabench/profiles/network"
	"github.com/kabench/kabench/profiles/script"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles"
)

// keeper is the side of a hop that keeps connections and sends requests on them: the
// client with its pool, or a proxy with its script.
type keeper struct {
	pool.Policy
	name      string        // in Finding.Hop
	section   string        // the path of its fields
	resends   string        // what does not send a request again, in words
	roundTrip time.Duration // to the next hop; 0: not known
	keepsNone bool          // no connection is used twice

	// proxy is the script; nil if the keeper is the client. A proxy checks its lifetime
	// and its caps only when a connection is given back, so they do not limit idle time.
	proxy *script.Proxy
}

func (k keeper) path(field string) string { return strictyaml.Join(k.section, field) }

// none returns the field and the change with which no connection is used twice.
func (k keeper) none() (path, set string) {
	if k.proxy != nil {
		return k.path("max_requests"), k.path("max_requests") + "=1"
	}
	return k.path("max_idle"), k.path("max_idle") + "=0"
}

// client returns the client as a keeper.
func (s *subject) client() keeper {
	return keeper{
		Policy: s.pool, name: "client", section: "pool", resends: "no resend rule covers", roundTrip: s.roundTrip, keepsNone: s.keepsNone(),
	}
}

// innerLeg is the hop from a proxy to the next proxy or the server.
type innerLeg struct {
	from     keeper
	to       hop
	section  string        // the path of the proxy's fields
	workers  int           // the proxy's workers, each with a pool of its own
	backends int           // the servers that share its requests
	within   time.Duration // the round trips from here to the server
}

func (g innerLeg) hop() string { return g.from.name + " -> " + g.to.name }

// buildLegs sets entry, the round trips, and the legs behind the profile's proxies.
func (s *subject) buildLegs() {
	proxies := s.profile.Target.Proxies
	names, upstream := s.lead()
	s.entry = s.server
	if len(proxies) == 0 {
		return
	}
	hops := make([]hop, len(proxies), len(proxies)+1)
	for i := range proxies {
		hops[i] = proxyHop(proxies[i].Proxy, i, len(proxies), proxies[i].On)
	}
	s.entry = hops[0]
	hops = append(hops, s.server)
	for i := range proxies {
		g := innerLeg{from: proxyKeeper(&proxies[i].Proxy, hops[i]), to: hops[i+1], section: hops[i].section, workers: max(proxies[i].Workers, 1), backends: 1}
		if i < len(names) {
			next := upstream
			if i+1 < len(names) {
				next = names[i+1 : i+2]
			}
			for _, to := range next {
				g.from.roundTrip = max(g.from.roundTrip, roundTrip(s.profile.Network, names[i], to))
			}
			g.backends = len(next)
		}
		c := proxies[i].Proxy
		g.from.keepsNone = c.Upstream.PerRequest || c.HopByHop == script.Blind || c.Upstream.MaxRequests == 1 || g.to.MaxRequests == 1 && !g.to.Unannounced
		s.legs = append(s.legs, g)
	}
	for i, rest := len(s.legs)-1, time.Duration(0); i >= 0; i-- {
		g := &s.legs[i]
		rest += g.from.roundTrip
		g.within = rest
		if c := *g.from.proxy; c.HopByHop == script.Removed && !s.keeps(i+1, connectionHeaders{}.through(c)) {
			g.from.keepsNone = true // for example HTTP/1.0 without Connection: keep-alive
		}
	}
}

// lead sets the client's round trip. In a network it returns the proxies' hosts and
// the hosts that the last proxy connects to.
func (s *subject) lead() (proxies, upstream []string) {
	if link := s.profile.Target.Link; link != nil {
		s.roundTrip = 2 * link.Delay
	}
	if s.profile.Network == nil || s.profile.Target.Lab == nil {
		return nil, nil
	}
	path, err := s.profile.Path()
	if err != nil {
		return nil, nil
	}
	s.roundTrip = roundTrip(s.profile.Network, network.ClientName, path.At)
	return path.Proxies, path.Upstream
}

// roundTrip is the delay of the links there and back; through a balancer, to the
// farthest of its backends.
func roundTrip(c *network.Config, from, to string) time.Duration {
	d := time.Duration(0)
	if n := c.NATOf(from); n != nil && n.Name != to && c.NATOf(to) != n {
		return roundTrip(c, from, n.Name) + roundTrip(c, n.Name, to)
	}
	for _, l := range c.Links {
		if l.Between == [2]string{from, to} || l.Between == [2]string{to, from} {
			there, back := l.Conditions, l.Conditions
			if l.There != nil {
				there = *l.There
			}
			if l.Back != nil {
				back = *l.Back
			}
			d = there.Delay + back.Delay
		}
	}
	beyond := time.Duration(0)
	for _, b := range c.Balancers {
		if b.Name != to {
			continue
		}
		for _, backend := range b.Backends {
			beyond = max(beyond, roundTrip(c, to, backend))
		}
	}
	return d + beyond
}

// proxyHop describes the i-th of n proxies as its clients see it.
func proxyHop(c script.Proxy, i, n int, on string) hop {
	h := hop{who: "the proxy", name: "proxy", section: fmt.Sprintf("target.proxies.%d", i), settled: true, proxy: true}
	if n > 1 {
		h.who, h.name = fmt.Sprintf("proxy %d", i), fmt.Sprintf("proxy %d", i)
	}
	if on != "" {
		h.name += " " + on
	}
	h.IdleTimeout, h.MaxRequests, h.Hint = c.IdleTimeout, c.MaxRequests, profiles.HintTimeout(c.Hint)
	h.forEver = c.IdleTimeout == 0
	if c.HopByHop == script.Blind {
		h.MaxRequests = 1 // the client's connection ends with the server's
	}
	return h
}

// proxyKeeper describes a proxy's pool as a policy.
func proxyKeeper(c *script.Proxy, h hop) keeper {
	u := c.Upstream
	k := keeper{name: h.name, section: h.section + ".upstream", proxy: c}
	k.resends = fmt.Sprintf("%s %v does not cover", k.path("retry"), u.Retry)
	k.Policy = pool.Policy{
		MaxConns: pool.NoCap, MaxConnsAll: pool.NoCap, PendingMax: pool.NoCap, MaxRequests: cmp.Or(u.MaxRequests, pool.NoCap),
		IdleTimeout: u.IdleTimeout, MaxLifetime: u.MaxLifetime, ConnectTimeout: u.ConnectTimeout, ResponseTimeout: u.Timeout,
		MaxIdle: pool.NoCap, MaxIdleAll: pool.NoCap, Expiry: pool.ExpireByTimer,
	}
	if u.MaxIdle > 0 {
		k.MaxIdleAll = u.MaxIdle
	}
	if u.Unwatched {
		k.Expiry = pool.ExpireAtLease
	}
	rule := func(after pool.After, methods pool.Methods) {
		k.Resend = append(k.Resend, pool.ResendRule{On: pool.OnAny, After: after, Methods: methods, Max: u.Retries})
	}
	written := pool.AfterEOF | pool.AfterRST | pool.AfterPartial
	switch u.Retry {
	case script.RetryUnsent:
		rule(pool.AfterUnsent, "all")
	case script.RetryIdempotent:
		rule(pool.AfterUnsent, "all")
		rule(written, "!POST LOCK PATCH")
	case script.RetryAlways:
		rule(pool.AfterUnsent|written, "all")
	}
	return k
}
