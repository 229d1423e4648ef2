package lint

import (
	"fmt"
	"net/http"
	"slices"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// timerSlack is added to the round trip in which a request and a FIN can cross: timers
// and schedulers are late by about this much.
const timerSlack = 50 * time.Millisecond

// idleLimit is how long a keeper may leave a connection idle and still use it.
type idleLimit struct {
	unbounded bool
	d         time.Duration
	text      string
}

// idleLimit returns the keeper's limit on connections to h.
func (k keeper) idleLimit(h hop) idleLimit {
	p := k.Policy
	if k.keepsNone {
		return idleLimit{text: "no connection is kept"}
	}
	looked := p.Expiry &^ pool.ExpireAtRelease
	if looked == 0 {
		if p.IdleTimeout > 0 {
			return idleLimit{unbounded: true, text: fmt.Sprintf("%s %v, never checked", k.path("idle_timeout"), p.IdleTimeout)}
		}
		return idleLimit{unbounded: true, text: k.path("idle_timeout") + " for ever"}
	}
	d, text := p.IdleTimeout, k.path("idle_timeout")
	if h.Hint > 0 {
		hinted, kept := p.IdleAfter(h.Hint)
		if !kept {
			return idleLimit{text: "no connection is kept, because of " + h.path("hint")}
		}
		if p.ServerHint == pool.HintReplace || hinted != d {
			d, text = hinted, "the server's hint (pool.server_hint)"
		}
	}
	if p.MaxLifetime > 0 && k.proxy == nil && (d == 0 || p.MaxLifetime < d) {
		d, text = p.MaxLifetime, k.path("max_lifetime")
	}
	if d == 0 {
		return idleLimit{unbounded: true, text: k.path("idle_timeout") + " for ever"}
	}
	if looked == pool.ExpireBySweep {
		d, text = d+p.SweepEvery, text+" and pool.sweep_every"
	}
	return idleLimit{d: d, text: text + " " + d.String()}
}

// within reports whether the keeper stops using a connection early enough, if its peer
// may close after peers.
func (l idleLimit) within(peers, roundTrip time.Duration) bool {
	return !l.unbounded && (l.d == 0 || l.d < peers-roundTrip-timerSlack)
}

// below returns an idle timeout that is shorter than peers by a margin; 0 if peers is
// too short for one.
func below(peers, roundTrip time.Duration) time.Duration {
	d := peers - min(max(time.Second, peers/10), peers/2)
	if d >= peers-roundTrip-timerSlack {
		return 0
	}
	return d
}

// Below returns an idle timeout, in two digits, for a client whose server may close after
// peers: shorter by a margin that is longer than a round trip. It is 0 if peers is too
// short for one.
func Below(peers, roundTrip time.Duration) time.Duration {
	d := below(peers, roundTrip)
	unit := time.Duration(1)
	for d/unit >= 100 {
		unit *= 10
	}
	if near := d.Round(unit); near < peers-roundTrip-timerSlack {
		return near
	}
	return d.Truncate(unit)
}

const saysIdleOrder = "The side that sends requests must close an idle connection first: the client before the load balancer, the load balancer before the server. Its idle timeout must be shorter than the other side's, by more than one round trip."

func checkIdleOrder(s *subject, o *outcome) {
	for _, h := range s.forgetting() {
		s.checkSilent(o, h)
	}
	if s.via != nil && !o.lacks(!s.via.idleKnown(), s.via.path("idle_timeout")) && !s.via.Silent && !(s.via.PassesOn && s.keptAlive(*s.via)) {
		s.checkClientIdle(o, *s.via)
	}
	s.checkEntryIdle(o)
	for _, g := range s.legs {
		s.checkLegIdle(o, g)
	}
}

// checkEntryIdle compares the server (or the first proxy) with the side that connects
// to it: the client, or a load balancer in front.
func (s *subject) checkEntryIdle(o *outcome) {
	if o.lacks(!s.entry.idleKnown(), s.entry.path("idle_timeout")) || s.entry.forEver || s.entry.Silent {
		return
	}
	if s.via == nil || s.via.EndsBehind() {
		s.checkClientIdle(o, s.entry)
		return
	}
	via := s.via.towardsServers()
	if !via.idleKnown() || via.IdleTimeout < s.entry.limit()-timerSlack {
		return
	}
	// The longer timeout leaves the load balancer as it is, because a managed one cannot
	// always be changed.
	longer := via.IdleTimeout + max(time.Second, via.IdleTimeout/10) + s.entry.IdleEarly
	between := ""
	if len(s.legs) > 0 {
		between = via.name + " -> " + s.entry.name
	}
	o.found(Finding{
		Hop:     between,
		Path:    s.entry.path("idle_timeout"),
		Says:    saysIdleOrder,
		Numbers: [2]string{idleText(via), idleText(s.entry)},
		Seen:    "a few 502 responses from the load balancer that the server's log does not have, mostly when traffic is low; nginx: `upstream prematurely closed connection while reading response header from upstream`; HAProxy: `SH--`, or nothing at all; Envoy: `UC`",
		Set:     fmt.Sprintf("%s=%v, or more; or less for the load balancer", s.entry.path("idle_timeout"), longer),
	}, atLeast(longer))
}

// towardsServers is h, a load balancer or proxy, as the side that keeps connections to its
// servers.
func (h hop) towardsServers() hop {
	if h.UpstreamIdle > 0 {
		h.IdleTimeout, h.IdleEarly, h.forEver = h.UpstreamIdle, 0, false
		h.paths = map[string]string{"idle_timeout": h.path("upstream_idle")}
	}
	return h
}

func idleText(h hop) string {
	text := fmt.Sprintf("%s %v", h.path("idle_timeout"), h.IdleTimeout)
	if h.IdleEarly > 0 {
		text += fmt.Sprintf(" less %v", h.IdleEarly)
	}
	return text
}

// checkClientIdle compares the client's limit with the idle timeout of h.
func (s *subject) checkClientIdle(o *outcome, h hop) {
	k := s.client()
	limit := k.idleLimit(h)
	if limit.within(h.limit(), k.roundTrip) {
		return
	}
	path, set := k.closeEarlier(h)
	if s.profile.Target.TCP.KeepAlive > 0 && !h.EndsBehind() {
		set += "; target.tcp.keep_alive does not help, because a timer of HTTP counts requests and no probes"
	}
	o.found(Finding{
		Hop:     s.clientHop(h),
		Path:    path,
		Says:    saysIdleOrder,
		Numbers: [2]string{limit.text, idleText(h)},
		Seen: fmt.Sprintf("failures before_response (fin or rst) on reused connections that were idle for about %v: %s; %s",
			h.limit(), s.logged(results.PhaseBeforeResponse, true, severalStale, results.CauseFIN, results.CauseRST), s.staleOutcome(k)),
		Set: set,
	}, upTo(below(h.limit(), k.roundTrip)))
}

// closeEarlier returns the field to change so that the keeper closes before h, and the
// change.
func (k keeper) closeEarlier(h hop) (path, set string) {
	p, d := k.Policy, below(h.limit(), k.roundTrip)
	idle, sweep := k.path("idle_timeout"), k.path("expiry")
	if d == 0 {
		path, set = k.none()
		return path, fmt.Sprintf("%s: %v is too short to keep a connection", set, h.limit())
	}
	looked := p.Expiry &^ pool.ExpireAtRelease
	switch {
	case looked == 0:
		return idle, fmt.Sprintf("%s=%v, with %s=[lease]", idle, d, sweep)
	case looked == pool.ExpireBySweep:
		return idle, fmt.Sprintf("%s=%v, with %s=[lease,sweep]: a sweep alone is up to %v late", idle, d, sweep, p.SweepEvery)
	case p.ServerHint == pool.HintReplace && h.Hint > 0:
		return k.path("hint_cap"), fmt.Sprintf("%s=%v, or less: the server announces a longer time than it keeps", k.path("hint_cap"), d)
	}
	return idle, fmt.Sprintf("%s=%v, or less", idle, d)
}

// staleOutcome says what callers see when a request meets a connection that was
// just closed.
func (s *subject) staleOutcome(k keeper) string {
	var errs []string
	requests, err := s.requests()
	if err != nil {
		return "the resend rules were not checked, because " + err.Error()
	}
	unknown := !s.given("target.method") && s.profile.Target.File == ""
	if unknown {
		key := requests[0].IdempotencyKey
		requests = []pool.Attempt{{Method: http.MethodGet, IdempotencyKey: key}, {Method: http.MethodPost, HasBody: true, IdempotencyKey: key}}
	}
	for _, a := range requests {
		for _, after := range []pool.After{pool.AfterEOF, pool.AfterRST} {
			a.Reused, a.After = true, after
			if _, resent := k.ResendBy(a); !resent && !slices.Contains(errs, a.Method) {
				errs = append(errs, a.Method)
			}
		}
	}
	if unknown && slices.Equal(errs, []string{http.MethodPost}) {
		return fmt.Sprintf("a GET is sent again, a POST is not: callers see its error, because %s POST", k.resends)
	}
	if len(errs) == 0 {
		return "each of these requests is sent again, so callers see no error and attempts exceed requests"
	}
	return fmt.Sprintf("callers see them, because %s %s", k.resends, listOf(errs))
}

// keptAlive reports whether TCP keep-alive probes keep connections alive in h: those of
// the client, or those of the other end.
func (s *subject) keptAlive(h hop) bool {
	often := func(probes time.Duration) bool { return probes > 0 && probes < h.limit() }
	return often(s.profile.Target.TCP.KeepAlive) || h.section == "via" && often(s.entry.KeepAlive)
}

// checkSilent compares the client's limit with a device that forgets idle connections.
// TCP keep-alive probes that are more frequent than its timer keep a connection alive.
func (s *subject) checkSilent(o *outcome, h hop) {
	k := s.client()
	limit := k.idleLimit(s.entry)
	if s.keptAlive(h) || limit.within(h.limit(), k.roundTrip) {
		return
	}
	path, set := k.closeEarlier(hop{ServerFacts: profiles.ServerFacts{IdleTimeout: h.IdleTimeout, IdleEarly: h.IdleEarly, Hint: s.entry.Hint}})
	o.found(Finding{
		Path:    path,
		Says:    "A device that forgets idle connections without closing them must not see one idle for so long: the client must close it first, or send TCP keep-alive probes more often.",
		Numbers: [2]string{limit.text, idleText(h)},
		Seen:    silentSeen(h.AtExpiry),
		Set:     set + fmt.Sprintf("; or target.tcp.keep_alive=%v", h.limit()/2) + s.keepAliveNote(),
	}, upTo(below(h.limit(), k.roundTrip)))
}

// silentSeen is how a request fails on a connection that was forgotten.
func silentSeen(how script.Expiry) string {
	const hangs, resets = "hangs until its timeout (before_response, timeout; retransmissions, no FIN)", "gets a reset (before_response, rst) that no server has sent"
	first := hangs + ", or gets a reset (rst)"
	switch how {
	case script.Drop:
		first = hangs
	case script.ResetNext:
		first = resets
	case script.Reroute:
		first = "goes to another server, which resets it (before_response, rst)"
	}
	return "the first request after a pause " + first + "; all others succeed"
}

// keepAliveNote notes that kabench does not know the client's TCP keep-alive
// setting.
func (s *subject) keepAliveNote() string {
	if s.given("target.tcp.keep_alive") {
		return ""
	}
	return "; this field is not given, so kabench assumes that the client's sockets send no probes"
}

const (
	saysMaxRequests = "If the server closes connections without announcing it, the client must close them first: its own limit must not be higher."
	saysEndsFirst   = "A client's limit above the server's has no effect: the server closes each connection first, and announces it."
)

func checkMaxRequests(s *subject, o *outcome) {
	h := s.nearest()
	s.checkEnds(o, s.client(), h, s.clientHop(h))
	for _, g := range s.legs {
		s.checkEnds(o, g.from, g.to, g.hop())
	}
}

// checkEnds compares the number of requests and the lifetime after which the keeper
// closes its connections to h with those after which h does.
func (s *subject) checkEnds(o *outcome, k keeper, h hop, between string) {
	o.lacks(!h.settled && h.MaxRequests == 0 && h.MaxLifetime == 0, h.path("max_requests"))
	if k.keepsNone {
		return
	}
	requests, lifetime := k.path("max_requests"), k.path("max_lifetime")
	if !h.Unannounced {
		if h.MaxRequests > 0 && k.MaxRequests > h.MaxRequests {
			signs := fmt.Sprintf("TIME_WAIT on %s; evictions for server_said_close, and none for max_requests", h.who)
			if k.proxy != nil {
				signs = "proxy.upstream_said_close above 0"
			}
			o.found(Finding{
				Hop:     between,
				Path:    requests,
				Says:    saysEndsFirst,
				Numbers: [2]string{countText(requests, k.MaxRequests, ""), fmt.Sprintf("%s %d", h.path("max_requests"), h.MaxRequests)},
				Seen:    fmt.Sprintf("no failure, but a new connection after every %d requests, and %s", h.MaxRequests, signs),
				Set:     fmt.Sprintf("%s=%d, or none; or a higher limit for %s", requests, h.MaxRequests, h.who),
			}, atMost(h.MaxRequests))
		}
		return
	}
	if h.MaxRequests > 0 && (k.MaxRequests == pool.NoCap || k.MaxRequests > h.MaxRequests) {
		o.found(Finding{
			Hop:     between,
			Path:    requests,
			Says:    saysMaxRequests,
			Numbers: [2]string{countText(requests, k.MaxRequests, "no limit"), fmt.Sprintf("%s %d, unannounced", h.path("max_requests"), h.MaxRequests)},
			Seen:    fmt.Sprintf("up to one in %d requests fails before_response (fin) on a connection that was idle for a short time only; %s", h.MaxRequests+1, s.staleOutcome(k)),
			Set:     fmt.Sprintf("%s=%d; or make %s send `Connection: close`", requests, h.MaxRequests, h.who),
		}, atMost(h.MaxRequests))
	}
	margin := k.roundTrip + timerSlack
	if h.MaxLifetime > 0 && (k.MaxLifetime == 0 || k.MaxLifetime >= h.MaxLifetime-margin) {
		found := Finding{
			Hop:     between,
			Path:    lifetime,
			Says:    saysMaxRequests,
			Numbers: [2]string{durationText(lifetime, k.MaxLifetime, "for ever"), fmt.Sprintf("%s %v, unannounced", h.path("max_lifetime"), h.MaxLifetime)},
			Seen:    fmt.Sprintf("failures before_response (fin) on connections about %v old, in waves if they were opened together; %s", h.MaxLifetime, s.staleOutcome(k)),
			Set:     fmt.Sprintf("%s=%v, or less", lifetime, below(h.MaxLifetime, k.roundTrip)),
		}
		if below(h.MaxLifetime, k.roundTrip) == 0 {
			_, found.Set = k.none()
		}
		o.found(found, atMost(below(h.MaxLifetime, k.roundTrip)))
	}
}

func countText(name string, n int, none string) string {
	if n == pool.NoCap {
		return name + " " + none
	}
	return fmt.Sprintf("%s %d", name, n)
}

func durationText(name string, d time.Duration, none string) string {
	if d == 0 {
		return name + " " + none
	}
	return fmt.Sprintf("%s %v", name, d)
}
