package forecast

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/generator"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/network"
	"github.com/kabench/kabench/profiles/script"
)

const (
	// ownWork is what the kernels of both sides take for a segment where the profile has no
	// link: a round trip on loopback takes about 40 µs.
	ownWork = 20 * time.Microsecond
	// handling is how long a client takes to act on a FIN that has arrived.
	handling = 5 * time.Microsecond
)

// facts are what a forecast knows of a profile. They do not change while it is played.
type facts struct {
	policy     pool.Policy
	load       generator.Load
	script     script.Server
	method     string
	hasBody    bool
	hasKey     bool // an Idempotency-Key
	safe       bool
	idempotent bool
	oneWay     time.Duration
	connect    time.Duration // of a connection, without TLS
	handshake  time.Duration // with TLS
	tls        bool
	last       bool                           // each request says that it is its connection's last
	asks       bool                           // each request asks for keep-alive
	answer     func(*rand.Rand) time.Duration // from request to response, at the server
	idle       func(*rand.Rand) time.Duration // from response to close, at the server; nil: it never closes
	hint       time.Duration                  // that responses announce; pool.NoHint: none
	resets     bool                           // the server closes idle connections with a RST
	blind      time.Duration                  // for how long before its timer the server does not read, so that the timer wins
	idleMost   time.Duration                  // the longest that idle returns, or nearly so
	way        *device                        // what forgets or ends connections on the way; nil: nothing
	faults     map[script.Fault]ending
	status     int
	named      bool                  // the options name the server
	fronted    bool                  // the client's connections end at a load balancer or proxy before it
	via        *profiles.ServerFacts // what is on the way, beside target.link and network; nil: nothing
	poisson    bool                  // arrivals do not depend on earlier ones
	timers     bool                  // the pool acts as time passes
	ports      int                   // 0: no bound
	portsAgain time.Duration         // how long a port stays in use after we closed first
}

// factsOf returns the facts about p; an Unsupported error lists what p needs that a
// forecast has not.
func factsOf(p *profiles.Profile, o *Options) (*facts, error) {
	f := &facts{policy: p.Pool, load: p.Load, method: p.Target.Method, hint: pool.NoHint}
	measured := f.serverOf(p, o)
	way, missing := f.wayOf(p, o)
	if missing = append(missing, unsupported(p, f)...); len(missing) > 0 {
		return nil, &Unsupported{missing}
	}
	f.hasBody = p.Target.Body != "" || p.Target.BodySize > 0
	for name, value := range p.Target.Headers {
		switch http.CanonicalHeaderKey(name) {
		case "Idempotency-Key", "X-Idempotency-Key":
			f.hasKey = true
		case "Connection":
			f.last = f.last || hasToken(value, "close")
			f.asks = f.asks || hasToken(value, "keep-alive")
		}
	}
	f.safe, f.idempotent = f.method == http.MethodGet, pool.Idempotent(f.method) // as in package dialers
	f.oneWay = max(p.RoundTrip()/2, ownWork)
	if measured != nil && p.RoundTrip() == 0 && measured.RoundTrip > 0 {
		f.oneWay = measured.RoundTrip / 2
	}
	f.connect = 2 * f.oneWay
	if p.Target.Link != nil {
		f.connect = 2 * ownWork // the link accepts by itself: see lab.Link
	}
	f.handshake = f.connect
	f.tls = p.TLS() || f.script.TLS || strings.HasPrefix(strings.ToLower(p.Target.URL), "https:")
	if f.tls {
		f.handshake += 2 * f.oneWay // TLS 1.3: one more round trip (RFC 8446, figure 1)
	}
	f.timing(measured)
	f.onTheWay(way)
	if len(o.Answers) > 0 {
		f.answer = func(r *rand.Rand) time.Duration { return max(o.Answers[r.IntN(len(o.Answers))]-2*f.oneWay, 0) }
	}
	if f.status = f.script.Status; f.status == 0 {
		f.status = http.StatusOK
	}
	f.hint = announced(f.script, f.asks)
	f.resets = f.script.Fault == script.ResetOnIdle
	f.faults = f.endings()
	f.poisson = f.load.Arrivals.Process == generator.Poisson
	f.timers = f.policy.PendingTimeout > 0 || f.policy.Expiry&(pool.ExpireByTimer|pool.ExpireBySweep) != 0
	f.portsOf(p, o)
	return f, nil
}

// serverOf takes the server from the options, from the profile's lab, or from what the
// profile says about a server that kabench does not serve.
func (f *facts) serverOf(p *profiles.Profile, o *Options) *profiles.Measured {
	switch {
	case o.Server != nil:
		f.script, f.named = o.Server.Lab, true
		return o.Server.Measured
	case p.Target.Lab != nil:
		f.script = *p.Target.Lab
	default:
		s := p.Server
		f.script = script.Server{IdleTimeout: s.IdleTimeout, MaxRequests: s.MaxRequests, Unannounced: s.Unannounced, Threads: s.Threads * max(s.Workers, 1)}
		f.script.Delay = script.Delay{A: s.Delay}
		if s.Hint > 0 {
			f.script.Hint = fmt.Sprintf("timeout=%d", int(s.Hint/time.Second))
		}
	}
	return nil
}

// timing sets how long the server takes to respond, and how long it keeps an idle
// connection.
func (f *facts) timing(m *profiles.Measured) {
	cfg := f.script
	f.answer = drawn(cfg.Delay)
	if m != nil && cfg.Delay == (script.Delay{}) && m.Response > 0 {
		f.answer = drawn(script.Delay{A: m.Response})
	}
	timeout := cfg.IdleTimeout
	if timeout == 0 && (cfg.Fault == script.CloseOnIdle || cfg.Fault == script.ResetOnIdle) {
		timeout = 20 * time.Millisecond // as the lab's server does
	}
	f.idleMost = timeout + cfg.IdleLate.A + cfg.IdleLate.B
	if v := cfg.TimerVsData; !f.named && (v == script.TimerFIN || v == script.TimerRST) {
		f.blind = min(time.Millisecond, timeout/10) // as the lab's server; a real one reads until its timer
	}
	switch late := drawn(cfg.IdleLate); {
	case m != nil && len(m.Idle) > 0:
		f.idle = func(r *rand.Rand) time.Duration { return m.Idle[r.IntN(len(m.Idle))] }
		f.idleMost = slices.Max(m.Idle)
	case timeout > 0 && cfg.IdleLate == (script.Delay{}):
		f.idle = func(*rand.Rand) time.Duration { return timeout }
	case timeout > 0:
		f.idle = func(r *rand.Rand) time.Duration { return timeout + late(r) }
	}
}

// drawn draws from d. A constant needs no random number.
func drawn(d script.Delay) func(*rand.Rand) time.Duration {
	if d.Form == script.Constant {
		return func(*rand.Rand) time.Duration { return d.A }
	}
	return d.Draw
}

// announced is the timeout in the hint of s.
func announced(s script.Server, asked bool) time.Duration {
	if s.HintIfAsked && !asked {
		return pool.NoHint
	}
	// Not profiles.HintTimeout: to a pool, a timeout of 0 is another hint than none.
	for part := range strings.SplitSeq(s.Hint, ",") {
		if n, found := strings.CutPrefix(strings.TrimSpace(part), "timeout="); found {
			if seconds, err := strconv.Atoi(n); err == nil {
				return time.Duration(seconds) * time.Second
			}
		}
	}
	return pool.NoHint
}

// hasToken reports whether the value of a header is a list that has the token.
func hasToken(value, token string) bool {
	for part := range strings.SplitSeq(value, ",") {
		if strings.EqualFold(strings.TrimSpace(part), token) {
			return true
		}
	}
	return false
}

// portsOf sets how many local ports there are, and when one can be used again.
func (f *facts) portsOf(p *profiles.Profile, o *Options) {
	f.ports, f.portsAgain = o.Ports, timeWait
	if o.PortsAgain > 0 {
		f.portsAgain = o.PortsAgain
	}
	if p.Network == nil {
		return
	}
	f.ports, f.portsAgain = 0, timeWait
	if r, known := p.Network.Ports(network.ClientName); known {
		f.ports = r[1] - r[0] + 1
	}
	for _, h := range p.Network.Hosts {
		if h.Name == network.ClientName {
			f.ports *= max(h.Addresses, 1)
			if h.Sysctls["net.ipv4.tcp_tw_reuse"] == "1" {
				f.portsAgain = time.Second // with timestamps; ip-sysctl.rst
			}
		}
	}
}
