package lint

import (
	"fmt"
	"math"
	"net/url"
	"slices"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/internal/strictyaml"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/profiles/targets"
)

// hop is a server, proxy or device that the client's connections end at or pass.
type hop struct {
	profiles.ServerFacts
	who     string            // its name in sentences
	name    string            // in Finding.Hop
	section string            // the path of its fields
	paths   map[string]string // of fields that are elsewhere
	forEver bool              // it never closes an idle connection, or it has none
	settled bool              // kabench serves it: a limit that is not set does not exist
	proxy   bool              // it is one of target.proxies
}

func (h hop) path(field string) string {
	if path := h.paths[field]; path != "" {
		return path
	}
	return strictyaml.Join(h.section, field)
}

func (h hop) workers() int { return max(h.Workers, 1) }

func (h hop) idleKnown() bool { return h.forEver || h.IdleTimeout > 0 }

// limit is the idle time after which it may close.
func (h hop) limit() time.Duration { return h.IdleTimeout - h.IdleEarly }

// subject is a profile as the rules need it.
type subject struct {
	profile   *profiles.Profile
	pool      pool.Policy
	server    hop // where requests are executed
	entry     hop // where the connections of the client, or of via, end: the server or the first proxy
	via       *hop
	legs      []innerLeg                        // one for each proxy
	roundTrip time.Duration                     // of the links to entry; 0: not known
	ports     int                               // of all source addresses together
	portsSay  string                            // how ports was computed
	targets   func() ([]targets.Request, error) // the requests; read once
	words     Words                             // log texts of clients; nil: not known
}

func newSubject(p *profiles.Profile, ports int) *subject {
	s := &subject{profile: p, pool: poolOf(p), ports: ports, portsSay: fmt.Sprintf("ports %d", ports)}
	if n := p.Target.SourceCount(); n > 1 {
		s.ports = multiply(ports, n)
		s.portsSay = fmt.Sprintf("ports %d x %d source addresses = %d", ports, n, s.ports)
	}
	s.targets = sync.OnceValues(func() ([]targets.Request, error) { return p.Target.Requests() })
	s.server = hop{ServerFacts: p.Server, who: "the server", name: "server", section: "server"}
	s.server.forEver = p.Server.IdleForEver || p.Server.MaxRequests == 1 && p.Server.IdleTimeout == 0
	if p.Target.Lab != nil {
		s.server = s.server.servedBy(*p.Target.Lab)
	}
	if p.Via != (profiles.ServerFacts{}) {
		s.via = &hop{ServerFacts: p.Via, who: "the load balancer", name: "load balancer", section: "via", forEver: p.Via.IdleForEver}
	}
	s.buildLegs()
	return s
}

// servedBy is h with the facts that the lab's script decides.
func (h hop) servedBy(c script.Server) hop {
	h.IdleTimeout, h.IdleEarly, h.Hint, h.Delay = 0, 0, 0, 0
	h.MaxRequests, h.Unannounced, h.Silent, h.IdleForEver = 0, false, false, false
	h.Take(c)
	h.forEver, h.settled = c.IdleTimeout == 0, true
	h.paths = map[string]string{
		"idle_timeout": "target.lab.idle_timeout", "max_requests": "target.lab.max_requests", "delay": "target.lab.delay", "hint": "target.lab.hint",
	}
	for field, limit := range map[string]int{"max_connections": c.MaxConnections, "threads": c.Threads, "backlog": c.Backlog} {
		if limit > 0 {
			h.paths[field] = "target.lab." + field
		}
	}
	return h
}

// nearest is the hop at which the client's connections end: the load balancer, unless
// it only passes them on.
func (s *subject) nearest() hop {
	if s.via != nil && !s.via.EndsBehind() {
		return *s.via
	}
	return s.entry
}

// clientHop names the hop from the client to h; "" if there are no proxies.
func (s *subject) clientHop(h hop) string {
	if len(s.legs) == 0 {
		return ""
	}
	return "client -> " + h.name
}

// forgetting lists the hops that the client's connections pass and that forget idle
// ones.
func (s *subject) forgetting() []hop {
	var all []hop
	if s.via != nil && s.via.Silent && s.via.idleKnown() {
		all = append(all, *s.via)
	}
	if s.entry.Silent && s.entry.idleKnown() && !s.entry.forEver && (s.via == nil || s.via.EndsBehind()) {
		all = append(all, s.entry)
	}
	return all
}

// timed lists the hops on the way that forget or end idle connections, and whose timers
// start again with each packet, probes of TCP keep-alive included.
func (s *subject) timed() []hop {
	all := s.forgetting()
	if s.via != nil && s.via.PassesOn && !s.via.Silent && s.via.idleKnown() {
		all = append(all, *s.via)
	}
	return all
}

// keepsNone reports whether no connection is ever used twice.
func (s *subject) keepsNone() bool {
	return s.pool.MaxIdle == 0 || s.pool.MaxIdleAll == 0 || s.pool.MaxRequests == 1 ||
		s.asksClose() || s.endsEach() && !s.nearest().Unannounced
}

// endsEach reports whether the client's server closes after each response.
func (s *subject) endsEach() bool { return s.nearest().MaxRequests == 1 }

// asksClose reports whether every request has `Connection: close`; the server then
// closes after its response (RFC 9112, section 9.6).
func (s *subject) asksClose() bool {
	all, err := s.targets()
	return err == nil && !slices.ContainsFunc(all, func(r targets.Request) bool {
		return !httpguts.HeaderValuesContainsToken(r.Values("Connection"), "close")
	})
}

func (s *subject) shards() int { return max(s.pool.Shards, 1) }

// loaded reports whether there is a load.
func (s *subject) loaded() bool { return s.rate() > 0 && !math.IsInf(s.rate(), 0) }

func (s *subject) rate() float64 {
	if l := s.profile.Load; l.Rate > 0 || l.Times != nil || l.Arrivals.Process == generator.Uniform && l.Arrivals.GapMin > 0 {
		return l.MeanRate()
	}
	return 0
}

// peak is the highest rate that the arrival process plans; random peaks do not count.
func (s *subject) peak() float64 {
	l := s.profile.Load
	if l.Times != nil {
		return s.rate() // what is above the mean in a log is chance
	}
	switch l.Arrivals.Process {
	case generator.Ramp:
		return float64(max(l.Rate, l.Arrivals.To))
	case generator.Sine:
		return float64(l.Rate + l.Arrivals.Amplitude)
	case generator.Uniform:
		return s.rate()
	}
	return float64(l.Rate)
}

// held is how long a request holds its connection on average, and whether that is
// known.
func (s *subject) held() (time.Duration, bool) {
	known := s.profile.Target.Lab != nil || s.server.Delay > 0
	held := s.server.Delay + s.roundTrip
	if len(s.legs) > 0 {
		held += s.legs[0].within
	}
	return held, known
}

// needed is how many connections a rate keeps busy (Little's law).
func needed(perSecond float64, held time.Duration) float64 { return perSecond * held.Seconds() }

// roundUp rounds up, except for an excess that is only a floating-point error.
func roundUp(x float64) int { return int(math.Ceil(min(x, 1e15) - 1e-9)) }

// cap returns how many connections each shard may have, or pool.NoCap; the field that
// sets it; and the part of the load that the cap applies to.
func (s *subject) cap() (each int, path string, part float64) {
	each, path, part = s.pool.MaxConns, "pool.max_conns", s.share()
	if all := s.pool.MaxConnsAll; all != pool.NoCap && (each == pool.NoCap || float64(all) < float64(each)/part) {
		return all, "pool.max_conns_all", 1
	}
	return each, path, part
}

// busy is how many connections are busy at a peak, limited by the caps.
func (s *subject) busy(held time.Duration) float64 {
	most := min(needed(s.peak(), held), float64(s.inFlight()))
	if each, _, part := s.cap(); each != pool.NoCap {
		most = min(most, float64(multiply(each, s.shards()))/part)
	}
	return most
}

// given reports whether somebody gave the field at path, so that it is not merely
// kabench's default.
func (s *subject) given(path string) bool { return !s.profile.Assumed[path] }

// inFlight is the most requests in progress at a time; the largest int if that is not
// known.
func (s *subject) inFlight() int {
	most, path := s.profile.Load.MostInFlight()
	if !s.profile.Load.Limit.Adaptive() && !s.given(path) {
		return math.MaxInt
	}
	return most
}

// inFlightText is the field that bounds inFlight, and its value.
func (s *subject) inFlightText() string {
	most, path := s.profile.Load.MostInFlight()
	return fmt.Sprintf("%s %d", path, most)
}

// timeout is how long a whole request may take; 0: for ever, or not known.
func (s *subject) timeout() time.Duration {
	if !s.loaded() || !s.given("load.timeout") {
		return 0
	}
	return s.profile.Load.Timeout
}

// share is the part of all requests that go to the busiest destination of a target
// file. It is 1 if that is not known.
func (s *subject) share() float64 {
	targets, err := s.targets()
	if err != nil {
		return 1
	}
	most, by := 0, map[string]int{}
	for _, r := range targets {
		if u, err := url.Parse(r.URL); err == nil {
			to := u.Scheme + "://" + u.Host
			by[to]++
			most = max(most, by[to])
		}
	}
	return float64(most) / float64(len(targets))
}

// lacksLoad notes the facts that are missing to compute the number of busy
// connections.
func (s *subject) lacksLoad(o *outcome) bool {
	_, known := s.held()
	lacks := o.lacks(!s.loaded(), "load.rate")
	return o.lacks(!known, s.server.path("delay")) || lacks
}

// multiply returns a x b, or the largest int if that is larger. Neither may be negative.
func multiply(a, b int) int {
	if b > 0 && a > math.MaxInt/b {
		return math.MaxInt
	}
	return a * b
}

// perSecond writes a rate: 400/s.
func perSecond(rate float64) string { return fmt.Sprintf("%.4g/s", rate) }
