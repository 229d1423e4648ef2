package lint

import (
	"fmt"
	"slices"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles/network"
	"github.com/kabench/kabench/results"
)

// checkKeepAlive compares the period of the client's TCP keep-alive probes with the timer
// of each hop that forgets or ends a connection on which it sees no packets.
func checkKeepAlive(s *subject, o *outcome) {
	probes := s.profile.Target.TCP.KeepAlive
	for _, h := range s.timed() {
		o.checked = true
		if probes == 0 || probes < h.limit() {
			continue
		}
		o.found(Finding{
			Path:    "target.tcp.keep_alive",
			Says:    "A device that forgets idle connections keeps one only if TCP keep-alive probes are sent more often than it forgets.",
			Numbers: [2]string{fmt.Sprintf("target.tcp.keep_alive %v", probes), idleText(h)},
			Seen:    "the probes get no response: connections die while idle (timeout or rst), and the next request opens a new one or hangs",
			Set:     fmt.Sprintf("target.tcp.keep_alive=%v, or less", h.limit()/2),
		}, atMost(h.limit()/2))
	}
}

// nat is a NAT on the way of the client's connections, as the profile describes it in via or
// plays it in its network.
type nat struct {
	ports, addresses int // ports of each outside address to one destination; their number
	per              network.PortsPer
	reuse            time.Duration
	known            bool // reuse is known; 0 is then none
	path, reusePath  string
}

// all is how many ports n has for the client's connections to one destination.
func (n nat) all() int { return multiply(n.ports, n.addresses) }

// text says how many ports n has.
func (n nat) text() string {
	if n.addresses > 1 {
		return fmt.Sprintf("%s %d x %d addresses = %d", n.path, n.ports, n.addresses, n.all())
	}
	return fmt.Sprintf("%s %d", n.path, n.ports)
}

// nats lists the NATs that the client's connections pass.
func (s *subject) nats() []nat {
	var all []nat
	if v := s.via; v != nil && v.Ports > 0 {
		all = append(all, nat{v.Ports, 1, v.PortsPer, v.PortReuse, v.PortReuse > 0, v.path("ports"), v.path("port_reuse")})
	}
	c := s.profile.Network
	if c == nil {
		return all
	}
	inside := c.NATOf(network.ClientName)
	if inside == nil {
		return all
	}
	if path, err := s.profile.Path(); err == nil && len(path.To) > 0 && !slices.ContainsFunc(path.To, func(to string) bool { return c.NATOf(to) != inside }) {
		return all // the client's server is behind the same NAT
	}
	for i := range c.NATs {
		if n := c.NATs[i]; n.Name == inside.Name {
			at := fmt.Sprintf("network.nats.%d.", i)
			addresses := max(n.Addresses, 1)
			if n.PortsPer == network.PortsPerClient {
				addresses = max(s.profile.Target.SourceCount(), 1)
			}
			all = append(all, nat{n.Ports, addresses, n.PortsPer, n.Reuse, true, at + "ports", at + "reuse"})
		}
	}
	return all
}

// checkNATPorts compares how many connections the client opens and has open with the
// ports of each NAT on the way. The NAT keeps a port for a while, whichever side has closed.
func checkNATPorts(s *subject, o *outcome) {
	for _, n := range s.nats() {
		if !o.lacks(!s.loaded(), "load.rate") && !o.lacks(!n.known, n.reusePath) {
			s.checkNAT(o, n)
		}
	}
}

func (s *subject) checkNAT(o *outcome, n nat) {
	open, holding := 0, ""
	if held, known := s.held(); !o.lacks(!known, s.server.path("delay")) {
		open = roundUp(s.busy(held) * s.share())
		holding = fmt.Sprintf(", and %d connections busy", open)
	}
	has := n.all()
	b := budget{max(has-open, 1), n.reuse}
	worst := b.worst(append(s.opened(o, b), s.endedBy(b)...))
	if b.taken(worst.most) <= b.ports && open < has {
		return
	}
	whose := "for all clients behind it, and each more makes it worse"
	if n.per == network.PortsPerClient {
		whose = "for this client"
	}
	enough := roundUp((1.1*float64(open) + 1.1*float64(b.taken(worst.most))) / float64(n.addresses))
	more := fmt.Sprintf("%s=%d, or more", n.path, enough)
	taken, when, path, set, permits := "", "from the beginning", n.path, more, atLeast(enough)
	if worst.most > 0 && open < has {
		taken, when = b.account(worst)
		path, set, permits = worst.path, worst.set+"; or "+more, worst.bounds
	} else {
		taken, holding = fmt.Sprintf("%d connections busy", open), ""
	}
	o.found(Finding{
		Path:    path,
		Says:    "A NAT has a number of ports for connections to one destination, and keeps the port of a connection that has ended for its reuse delay. New connections per second x that delay, and the open connections, must stay below that number.",
		Numbers: [2]string{taken + holding, n.text() + ", " + whose},
		Seen: when + ", new connections get no answer, because the NAT drops their SYNs: connect failures (timeout), " +
			s.logged(results.PhaseConnect, false, "and never EADDRNOTAVAIL", results.CauseTimeout) + "; kept connections go on, and the client's own ports show nothing",
		Set: set,
	}, permits)
}

// endedBy lists what makes the server, or the requests, end connections, for a NAT that
// does not mind who closes.
func (s *subject) endedBy(b budget) []opening {
	h, rate := s.nearest(), s.rate()*s.share()
	switch {
	case s.asksClose():
		return []opening{{rate, rate, "target.headers.Connection", "target.headers.Connection=null", bounds{}}}
	case h.MaxRequests > 0:
		enough := max(2*h.MaxRequests, roundUp(2*rate*b.hold.Seconds()/float64(b.ports)))
		n := rate / float64(h.MaxRequests)
		return []opening{{n, n, h.path("max_requests"), fmt.Sprintf("%s=%d, or more", h.path("max_requests"), enough), atLeast(enough)}}
	}
	return nil
}

// checkDrain compares how long a server goes on after the signal to stop with how long a
// load balancer may still send it something new.
func checkDrain(s *subject, o *outcome) {
	if s.via == nil || s.via.Propagation == 0 || o.lacks(s.server.Drain == 0, s.server.path("drain")) {
		return
	}
	held := s.server.Delay
	if s.server.Drain > s.via.Propagation+held {
		return
	}
	longer := (s.via.Propagation + held + max(time.Second, s.via.Propagation/2)).Round(time.Millisecond)
	o.found(Finding{
		Path:    s.server.path("drain"),
		Says:    "A server that stops must go on for longer than load balancers may take to learn of it, and then answer what has come. Until then they send it new connections.",
		Numbers: [2]string{fmt.Sprintf("%s %v", s.server.path("drain"), s.server.Drain), fmt.Sprintf("%s %v", s.via.path("propagation"), s.via.Propagation)},
		Seen: "at each deploy, for some seconds: connect failures (refused), " + s.logged(results.PhaseConnect, false, "`connection refused`", results.CauseRefused) +
			", and failures before_response on connections of any idle time",
		Set: fmt.Sprintf("%s=%v, or more: a preStop hook that sleeps", s.server.path("drain"), longer),
	}, atLeast(longer))
}

// checkScaleOut compares how long the client's connections live with the time within
// which a server that is added must have its share. Kept connections never reach it.
func checkScaleOut(s *subject, o *outcome) {
	within := s.server.ScaleOut
	if within == 0 {
		return
	}
	o.checked = true
	if s.via != nil && !s.via.EndsBehind() || len(s.legs) > 0 || s.keepsNone() {
		return // what stands before the servers spreads requests; or there is nothing kept
	}
	life, text := time.Duration(0), "pool.max_lifetime for ever"
	shorter := func(d time.Duration, path string) {
		if d > 0 && (life == 0 || d < life) {
			life, text = d, fmt.Sprintf("%s %v", path, d)
		}
	}
	if s.pool.Expiry != 0 {
		shorter(s.pool.MaxLifetime, "pool.max_lifetime")
	}
	shorter(s.server.MaxLifetime, s.server.path("max_lifetime"))
	if held, known := s.held(); known && s.loaded() {
		busy := max(s.busy(held), 1)
		after := func(n int) time.Duration {
			return time.Duration(min(float64(n)*busy/s.rate(), 1e9) * float64(time.Second)).Round(time.Millisecond)
		}
		if n := s.pool.MaxRequests; n != pool.NoCap {
			shorter(after(n), fmt.Sprintf("pool.max_requests %d, reached after about", n))
		}
		if n := s.server.MaxRequests; n > 0 {
			shorter(after(n), fmt.Sprintf("%s %d, reached after about", s.server.path("max_requests"), n))
		}
	}
	if life > 0 && life <= within {
		return
	}
	o.found(Finding{
		Path:    "pool.max_lifetime",
		Says:    "A kept connection never reaches a server that was added after it was opened. Connections must not live longer than the time within which a new server must have its share.",
		Numbers: [2]string{text, fmt.Sprintf("%s %v", s.server.path("scale_out"), within)},
		Seen:    "no failure: a server that is added gets nothing on kept connections, and the others stay as busy as before it came",
		Set:     fmt.Sprintf("pool.max_lifetime=%v, or less", within),
	}, atMost(within))
}
