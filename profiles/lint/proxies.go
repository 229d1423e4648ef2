package lint

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles/script"
)

// checkLegIdle compares how long a proxy keeps its connections with the idle timeout
// of the next hop.
func (s *subject) checkLegIdle(o *outcome, g innerLeg) {
	if o.lacks(!g.to.idleKnown(), g.to.path("idle_timeout")) || g.to.forEver {
		return
	}
	limit := g.from.idleLimit(g.to)
	if limit.within(g.to.limit(), g.from.roundTrip) {
		return
	}
	path, set := g.from.closeEarlier(g.to)
	seen := g.staleWords()
	if g.to.Silent {
		seen = "the first request after a pause waits for the proxy's timeout and gets 504"
	}
	o.found(Finding{
		Hop: g.hop(), Path: path, Says: saysIdleOrder,
		Numbers: [2]string{limit.text, idleText(g.to)},
		Seen:    seen + "; " + s.staleOutcome(g.from),
		Set:     fmt.Sprintf("%s; or more for %s", set, g.to.who),
	})
}

// staleWords say how a proxy's request fails on a connection that was just closed.
func (g innerLeg) staleWords() string {
	seen := "a few requests fail behind the proxy (proxy.stale), mostly when traffic is low, and the server's log does not have them: "
	switch g.from.proxy.Errors {
	case script.LikeHAProxy:
		return seen + "the proxy closes the client's connection without a response; HAProxy logs `SH--`, or nothing at all"
	case script.LikeALB:
		return seen + "502, counted in HTTPCode_ELB_502_Count"
	}
	return seen + "502, `upstream prematurely closed connection while reading response header from upstream`"
}

// checkLegConnections compares the last proxy's idle and busy connections with the
// server's limits.
func (s *subject) checkLegConnections(o *outcome, g innerLeg) {
	if g.to.proxy || s.lacksLoad(o) { // a proxy accepts all connections
		return
	}
	o.checked = false // what follows decides whether the rule was checked
	held, inFlight := g.to.Delay+g.within, s.inFlight()
	busy := min(roundUp(needed(s.peak(), held)), inFlight)
	busyText := fmt.Sprintf("%s x %v = %d connections", perSecond(s.peak()), held, busy)
	most, mostText, fewer := busy, busyText, ""
	if kept, text := g.kept(inFlight, s.inFlightText()); kept > busy {
		most, mostText, fewer = kept, text, "; or less for "+g.from.path("max_idle")
	}
	for _, room := range []struct {
		field      string
		each, of   int
		n          int
		text, seen string
	}{
		{"max_connections", g.to.MaxConnections, g.to.workers(), most, mostText, "idle connections of the proxy use up the server's limit, and new ones wait in the backlog: the proxy's connects are slow, then time out (504)"},
		{"threads", g.to.Threads, g.to.workers(), busy, busyText, "requests wait in the server, up to the proxy's timeout (504)"},
		{"backlog", g.to.Backlog, 1, busy, busyText, "when all connect at once some SYNs are dropped: connects of the proxy that take 1 s, 2 s, 3 s (1 s, 3 s, 7 s before Linux 6.5), ListenOverflows on the server"},
	} {
		path := g.to.path(room.field)
		if o.lacks(room.each == 0, path) || room.n <= multiply(room.each, room.of) {
			continue
		}
		set := fmt.Sprintf("%s=%d, or more", path, (room.n-1)/room.of+1)
		if room.field == "max_connections" {
			set += fewer
		}
		o.found(Finding{
			Hop: g.hop(), Path: path,
			Says:    "The server must accept all connections that a proxy keeps idle or uses, and must handle all requests that it passes on at a time.",
			Numbers: [2]string{room.text, capOf(path, room.each, g.to.path("workers"), room.of)},
			Seen:    room.seen, Set: set,
		})
	}
}

// kept returns how many idle connections the proxy may keep if at most inFlight
// requests are in progress, and why. text is where that number comes from.
func (g innerLeg) kept(inFlight int, text string) (n int, why string) {
	path := g.from.path("max_idle")
	switch {
	case g.from.keepsNone:
		return 0, ""
	case g.from.MaxIdleAll == pool.NoCap && inFlight == math.MaxInt:
		return 0, "" // the number is not known
	case g.from.MaxIdleAll == pool.NoCap:
		return inFlight, path + " no limit, " + text
	}
	return multiply(g.from.MaxIdleAll, g.workers), capOf(path, g.from.MaxIdleAll, g.section+".workers", g.workers)
}

// checkLegRetry looks for requests that a proxy sends again although they may have
// been executed.
func (s *subject) checkLegRetry(o *outcome, g innerLeg, kinds []pool.Attempt) {
	var methods []string
	for _, rule := range g.from.Resend {
		methods = append(methods, methodsResent(rule, kinds)...)
	}
	if len(methods) == 0 {
		return
	}
	path := g.from.path("retry")
	o.found(Finding{
		Hop: g.hop(), Path: path, Says: saysRetry,
		Numbers: [2]string{fmt.Sprintf("%s %v: %s", path, g.from.proxy.Upstream.Retry, listOf(methods)), "executions it allows 1"},
		Seen:    "duplicates on the server and no error on the client; proxy.attempts exceeds proxy.requests, and only counting the requests that arrive at the server shows it",
		Set:     path + "=unsent",
	})
}

// A wait is a time limit, and how often it may pass before its owner gives up.
type wait struct {
	path  string
	d     time.Duration
	tries int
}

func (w wait) total() time.Duration { return time.Duration(multiply(int(w.d), w.tries)) }

func (w wait) String() string {
	if w.tries > 1 {
		return fmt.Sprintf("%s %v x %d attempts = %v", w.path, w.d, w.tries, w.total())
	}
	return fmt.Sprintf("%s %v", w.path, w.d)
}

// clientWait is how long the client waits for a response; without a path, for ever.
func (s *subject) clientWait() wait {
	whole := wait{"load.timeout", s.timeout(), 1}
	if d := s.pool.ResponseTimeout; d > 0 && (whole.d == 0 || d < whole.d) {
		whole = wait{"pool.response_timeout", d, 1}
	}
	return whole
}

// checkLegTimeouts looks for proxies' time limits that are not shorter than the limit
// of the side that waits for the proxy.
func (s *subject) checkLegTimeouts(o *outcome) {
	outer := s.clientWait()
	for _, g := range s.legs {
		u := g.from.proxy.Upstream
		for _, inner := range []wait{
			{g.from.path("connect_timeout"), u.ConnectTimeout, s.tries(g, pool.AfterUnsent)},
			{g.from.path("timeout"), u.Timeout, s.tries(g, pool.AfterEOF)},
		} {
			if outer.d == 0 || inner.d == 0 || inner.total() < outer.d {
				continue
			}
			o.found(Finding{
				Hop: g.hop(), Path: inner.path,
				Says:    "A client must wait longer for a proxy than the proxy waits for the server. Otherwise nobody receives the proxy's 504.",
				Numbers: [2]string{inner.String(), outer.String()},
				Seen:    "timeouts before_response instead of 504, so nothing shows which hop was slow; proxy and server continue work that nobody waits for, and nginx logs 499",
				Set:     fmt.Sprintf("%s=%v, or less; or a longer %s", inner.path, outer.d/2/time.Duration(inner.tries), outer.path),
			}, atMost(outer.d/2/time.Duration(inner.tries)))
		}
		outer = wait{g.from.path("timeout"), u.Timeout, 1}
	}
	o.checked = o.checked || len(s.legs) > 0
}

// tries is how many times a proxy sends a request that timed out at that point: it
// tries other servers only.
func (s *subject) tries(g innerLeg, after pool.After) int {
	requests, err := s.requests()
	if err != nil || g.backends < 2 {
		return 1
	}
	if !slices.ContainsFunc(requests, func(a pool.Attempt) bool {
		a.After, a.Reused = after, true // a rule for any connection applies to reused ones too
		_, again := g.from.ResendBy(a)
		return again
	}) {
		return 1
	}
	return cmp.Or(g.from.proxy.Upstream.Retries, g.backends-1) + 1
}

// connectionHeaders is what a request says about the connection that it is sent on.
type connectionHeaders struct {
	old             bool     // HTTP/1.0
	connection      []string // the words of the header Connection, in lower case
	proxyConnection []string
}

func (w connectionHeaders) says(word string) bool { return slices.Contains(w.connection, word) }

// keptBy reports whether a proxy keeps the connection on which it receives such a
// request.
func (w connectionHeaders) keptBy(c script.Proxy) bool {
	says := func(word string) bool {
		return w.says(word) || c.ProxyConnection == script.Understood && slices.Contains(w.proxyConnection, word)
	}
	return c.MaxRequests != 1 && !says("close") && (!w.old || says("keep-alive"))
}

// keptByLab reports whether the lab's server does.
func (w connectionHeaders) keptByLab(c script.Server) bool {
	old := w.old || c.Version == script.HTTP10
	return c.MaxRequests != 1 && !c.SayClose && !c.UntilClose && !w.says("close") && (!old || w.says("keep-alive") && !c.IgnoreKeepAlive)
}

// through is what the proxy says when it passes the request on.
func (w connectionHeaders) through(c script.Proxy) connectionHeaders {
	if c.HopByHop == script.Blind {
		return w
	}
	w.old = c.Upstream.Version == script.HTTP10
	if c.HopByHop == script.Forwarded {
		return w
	}
	w.connection = nil
	switch {
	case c.Upstream.PerRequest:
		w.connection = []string{"close"}
	case w.old:
		w.connection = []string{"keep-alive"}
	}
	if c.ProxyConnection != script.PassedOn {
		w.proxyConnection = nil
	}
	return w
}

func (w connectionHeaders) String() string {
	switch {
	case len(w.connection) > 0:
		return "Connection: " + listOf(w.connection)
	case len(w.proxyConnection) > 0:
		return "Proxy-Connection: " + listOf(w.proxyConnection)
	}
	return "HTTP/1.1 without Connection: close, which keeps a connection open"
}

// tokens are the words of a header's lists, in lower case.
func tokens(values []string) []string {
	var list []string
	for _, v := range values {
		for word := range strings.SplitSeq(v, ",") {
			if word = strings.ToLower(strings.TrimSpace(word)); word != "" {
				list = append(list, word)
			}
		}
	}
	return list
}

// checkHopByHop looks for proxies that pass on headers of one connection.
func checkHopByHop(s *subject, o *outcome) {
	if len(s.legs) == 0 {
		return
	}
	targets, err := s.targets()
	if o.lacks(err != nil, "target.file") {
		return
	}
	found := make([]bool, len(s.legs))
	for _, r := range targets {
		w := connectionHeaders{connection: tokens(r.Values("Connection")), proxyConnection: tokens(r.Values("Proxy-Connection"))}
		reused := s.pool.MaxIdle != 0 && s.pool.MaxIdleAll != 0 && s.pool.MaxRequests != 1 // of the connection that the request arrives on
		for i, g := range s.legs {
			next := w.through(*g.from.proxy)
			if !found[i] {
				found[i] = s.checkPassedOn(o, i, w, next, reused)
			}
			reused, w = !g.from.keepsNone, next
		}
	}
}

// checkPassedOn checks what one proxy does with the headers of a request. reused
// reports whether the request's connection is used again. It returns whether there is
// a finding.
func (s *subject) checkPassedOn(o *outcome, i int, w, next connectionHeaders, reused bool) bool {
	g := s.legs[i]
	path := g.section + ".hop_by_hop"
	f := Finding{
		Hop: g.hop(), Path: path,
		Says: "The header Connection, and the headers it names, are for one connection: a proxy must remove them before it passes a message on (RFC 9110, 7.6.1).",
		Set:  fmt.Sprintf("%s=removed, with %s.proxy_connection=removed", path, g.section),
	}
	switch g.from.proxy.HopByHop {
	case script.Forwarded:
		if !slices.ContainsFunc(w.connection, func(word string) bool { return word != "close" }) {
			return false
		}
		f.Numbers = [2]string{path + " forwarded", w.String()}
		f.Seen = fmt.Sprintf("%s gets headers that were for the proxy, and applies the client's Connection header to its connection with the proxy", g.to.who)
	case script.Blind:
		if !reused || !s.keeps(i+1, next) {
			return false
		}
		f.Numbers = [2]string{path + " blind", next.String()}
		f.Seen = fmt.Sprintf("the first request on a connection gets its response, and the second is never read: %s keeps the proxy's connection open, and the proxy waits for its end; timeouts before_response on reused connections", g.to.who)
	default:
		return false
	}
	o.found(f)
	return true
}

// keeps reports whether the i-th proxy, or the server behind the last one, keeps a
// connection on which it receives such a request.
func (s *subject) keeps(i int, w connectionHeaders) bool {
	switch {
	case i < len(s.legs):
		return w.keptBy(*s.legs[i].from.proxy)
	case s.profile.Target.Lab != nil:
		return w.keptByLab(*s.profile.Target.Lab)
	}
	return s.server.MaxRequests != 1 && !w.says("close") && (!w.old || w.says("keep-alive"))
}
