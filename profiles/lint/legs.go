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

// keeper is who keeps connections to what comes next on the way to the server,
// and sends requests on them: the client by its pool, or a proxy by its script.
type keeper struct {
	pool.Policy
	name      string        // in Finding.Hop
	section   string        // where its fields are
	resends   string        // the field that says what is sent again, in words
	roundTrip time.Duration // to what comes next; 0: not known
	keepsNone bool          // no connection is used twice

	// proxy is the script, if it is a proxy's. Its lifetime and its caps are
	// looked at when a connection is given back, and no idle time is bounded by them.
	proxy *script.Proxy
}

func (k keeper) path(field string) string { return strictyaml.Join(k.section, field) }

// none is what to set so that no connection is used twice.
func (k keeper) none() (path, set string) {
	if k.proxy != nil {
		return k.path("max_requests"), k.path("max_requests") + "=1"
	}
	return k.path("max_idle"), k.path("max_idle") + "=0"
}

// client is the client as the keeper of its pool.
func (s *subject) client() keeper {
	return keeper{
		Policy: s.pool, name: "client", section: "pool", resends: "no resend rule covers", roundTrip: s.roundTrip, keepsNone: s.keepsNone(),
	}
}

// innerLeg is the way from a proxy to what comes next.
type innerLeg struct {
	from     keeper
	to       hop
	section  string        // of the proxy
	workers  int           // pools of its own that the proxy has
	backends int           // servers among which its requests are dealt
	within   time.Duration // the round trips from here on to the server
}

func (g innerLeg) hop() string { return g.from.name + " -> " + g.to.name }

// lineUp sets what the client's connections come to, the round trips, and the
// legs behind the proxies of the profile.
func (s *subject) lineUp() {
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
		if c := *g.from.proxy; c.HopByHop == script.Removed && !s.keeps(i+1, spoken{}.through(c)) {
			g.from.keepsNone = true // HTTP/1.0 without a word of keep-alive, say
		}
	}
}

// lead finds the client's round trip, and in a network the proxies' hosts and
// what the last of them connects to.
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

// roundTrip is the delay of the links there and back, through a balancer to the
// farthest of its backends.
func roundTrip(c *network.Config, from, to string) time.Duration {
	d := time.Duration(0)
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

// proxyHop is the i-th of n proxies as those see it who connect to it.
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
		h.MaxRequests = 1 // it ends with the server's connection
	}
	return h
}

// proxyKeeper is a proxy's pool as a policy.
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
