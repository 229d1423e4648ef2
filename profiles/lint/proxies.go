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

// checkLegIdle compares how long a proxy keeps its connections with how long
// what comes next does.
func (s *subject) checkLegIdle(o *outcome, g innerLeg) {
	if o.lacks(!g.to.idleKnown(), g.to.path("idle_timeout")) || g.to.forEver {
		return
	}
	limit := g.from.idleLimit(g.to)
	if limit.within(g.to.limit(), g.from.roundTrip) {
		return
	}
	path, set := g.from.letGo(g.to)
	seen := g.staleWords()
	if g.to.Silent {
		seen = "the first request after a silence waits for the proxy's timeout, and is answered with 504"
	}
	o.found(Finding{
		Hop: g.hop(), Path: path, Says: saysIdleOrder,
		Numbers: [2]string{limit.text, idleText(g.to)},
		Seen:    seen + "; " + s.whatBecomesOfStale(g.from),
		Set:     fmt.Sprintf("%s; or more for %s", set, g.to.who),
	})
}

// staleWords say how a proxy's request fails on a connection just closed.
func (g innerLeg) staleWords() string {
	seen := "a few requests fail behind the proxy (proxy.stale), most when traffic is low, and the server knows nothing of them: "
	switch g.from.proxy.Errors {
	case script.LikeHAProxy:
		return seen + "it closes the client's connection without an answer; HAProxy logs `SH--`, or nothing at all"
	case script.LikeALB:
		return seen + "502, counted in HTTPCode_ELB_502_Count"
	}
	return seen + "502, `upstream prematurely closed connection while reading response header from upstream`"
}

// checkLegConnections compares what the last proxy keeps, and keeps busy, with
// what the server has room for.
func (s *subject) checkLegConnections(o *outcome, g innerLeg) {
	if g.to.proxy || s.lacksLoad(o) { // a proxy takes all that come
		return
	}
	o.checked = false // by what comes now
	held, inFlight := g.to.Delay+g.within, s.inFlight()
	busy := min(whole(needed(s.peak(), held)), inFlight)
	busyText := fmt.Sprintf("%s x %v = %d connections", perSecond(s.peak()), held, busy)
	most, mostText, fewer := busy, busyText, ""
	if kept, text := g.kept(inFlight); kept > busy {
		most, mostText, fewer = kept, text, "; or less for "+g.from.path("max_idle")
	}
	for _, room := range []struct {
		field      string
		each, of   int
		n          int
		text, seen string
	}{
		{"max_connections", g.to.MaxConnections, g.to.workers(), most, mostText, "idle connections of the proxy's pool hold the places, and others wait in the server's backlog: the proxy's connects are slow, then time out: 504"},
		{"threads", g.to.Threads, g.to.workers(), busy, busyText, "requests wait in the server, up to the proxy's timeout: 504"},
		{"backlog", g.to.Backlog, 1, busy, busyText, "when all connect at once some SYNs are dropped: connects of the proxy that take 1 s, 2 s, 3 s (1 s, 3 s, 7 s before Linux 6.5), ListenOverflows on the server"},
	} {
		path := g.to.path(room.field)
		if o.lacks(room.each == 0, path) || room.n <= times(room.each, room.of) {
			continue
		}
		set := fmt.Sprintf("%s=%d, or more", path, (room.n-1)/room.of+1)
		if room.field == "max_connections" {
			set += fewer
		}
		o.found(Finding{
			Hop: g.hop(), Path: path,
			Says:    "What a proxy keeps idle, and what it passes on at a time, must fit in what the server accepts and works on.",
			Numbers: [2]string{room.text, capOf(path, room.each, g.to.path("workers"), room.of)},
			Seen:    room.seen, Set: set,
		})
	}
}

// kept is how many idle connections the proxy may come to keep, and why, when no
// more than inFlight requests are on the way at a time.
func (g innerLeg) kept(inFlight int) (n int, why string) {
	path := g.from.path("max_idle")
	switch {
	case g.from.keepsNone:
		return 0, ""
	case g.from.MaxIdleAll == pool.NoCap && inFlight == math.MaxInt:
		return 0, "" // how many there may be is not known
	case g.from.MaxIdleAll == pool.NoCap:
		return inFlight, fmt.Sprintf("%s no limit, load.max_in_flight %d", path, inFlight)
	}
	return times(g.from.MaxIdleAll, g.workers), capOf(path, g.from.MaxIdleAll, g.section+".workers", g.workers)
}

// checkLegRetry looks for requests that a proxy sends again and must not.
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
		Seen:    "duplicates on the server and no error on the client; proxy.attempts above proxy.requests, and only counting arrivals at the server tells",
		Set:     path + "=unsent",
	})
}

// A wait is a time limit, and how often it may run out before its owner gives up.
type wait struct {
	path  string
	d     time.Duration
	tries int
}

func (w wait) total() time.Duration { return time.Duration(times(int(w.d), w.tries)) }

func (w wait) String() string {
	if w.tries > 1 {
		return fmt.Sprintf("%s %v x %d attempts = %v", w.path, w.d, w.tries, w.total())
	}
	return fmt.Sprintf("%s %v", w.path, w.d)
}

// patience is how long the client waits for an answer; without a path, for ever.
func (s *subject) patience() wait {
	whole := wait{"load.timeout", s.timeout(), 1}
	if d := s.pool.ResponseTimeout; d > 0 && (whole.d == 0 || d < whole.d) {
		whole = wait{"pool.response_timeout", d, 1}
	}
	return whole
}

// checkLegTimeouts looks for limits of proxies that do not run out before those
// of who waits for the proxy.
func (s *subject) checkLegTimeouts(o *outcome) {
	outer := s.patience()
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
				Says:    "Whoever waits for a proxy must wait for longer than the proxy does, or its 504 reaches nobody.",
				Numbers: [2]string{inner.String(), outer.String()},
				Seen:    "timeouts before_response instead of 504, and nothing that says which hop was slow; proxy and server go on working for nobody, nginx logs 499",
				Set:     fmt.Sprintf("%s=%v, or less; or a longer %s", inner.path, outer.d/2/time.Duration(inner.tries), outer.path),
			}, atMost(outer.d/2/time.Duration(inner.tries)))
		}
		outer = wait{g.from.path("timeout"), u.Timeout, 1}
	}
	o.checked = o.checked || len(s.legs) > 0
}

// tries is how often a proxy tries what ran into its time limit at that point:
// such a request goes to another server only.
func (s *subject) tries(g innerLeg, after pool.After) int {
	requests, err := s.requests()
	if err != nil || g.backends < 2 {
		return 1
	}
	if !slices.ContainsFunc(requests, func(a pool.Attempt) bool {
		a.After, a.Reused = after, true // a rule for any connection holds for these too
		_, again := g.from.ResendBy(a)
		return again
	}) {
		return 1
	}
	return cmp.Or(g.from.proxy.Upstream.Retries, g.backends-1) + 1
}

// spoken is what a request says of the connection it comes on.
type spoken struct {
	old             bool     // HTTP/1.0
	connection      []string // what Connection names, in lower case
	proxyConnection []string
}

func (w spoken) says(word string) bool { return slices.Contains(w.connection, word) }

// keptBy reports whether a proxy keeps the connection on which it gets this.
func (w spoken) keptBy(c script.Proxy) bool {
	says := func(word string) bool {
		return w.says(word) || c.ProxyConnection == script.Understood && slices.Contains(w.proxyConnection, word)
	}
	return c.MaxRequests != 1 && !says("close") && (!w.old || says("keep-alive"))
}

// keptByLab reports the same of the server.
func (w spoken) keptByLab(c script.Server) bool {
	old := w.old || c.Version == script.HTTP10
	return c.MaxRequests != 1 && !c.SayClose && !c.UntilClose && !w.says("close") && (!old || w.says("keep-alive") && !c.IgnoreKeepAlive)
}

// through is what the proxy says when it passes a request on.
func (w spoken) through(c script.Proxy) spoken {
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

func (w spoken) String() string {
	switch {
	case len(w.connection) > 0:
		return "Connection: " + listOf(w.connection)
	case len(w.proxyConnection) > 0:
		return "Proxy-Connection: " + listOf(w.proxyConnection)
	}
	return "HTTP/1.1, which keeps a connection unless told to close it"
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

// checkHopByHop looks for proxies that pass on what is said of one connection.
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
		w := spoken{connection: tokens(r.Values("Connection")), proxyConnection: tokens(r.Values("Proxy-Connection"))}
		reused := s.pool.MaxIdle != 0 && s.pool.MaxIdleAll != 0 && s.pool.MaxRequests != 1 // the connection that it comes on
		for i, g := range s.legs {
			next := w.through(*g.from.proxy)
			if !found[i] {
				found[i] = s.checkPassedOn(o, i, w, next, reused)
			}
			reused, w = !g.from.keepsNone, next
		}
	}
}

// checkPassedOn looks at what one proxy makes of a request, which comes on a
// connection that is used again or not. It reports whether something is wrong.
func (s *subject) checkPassedOn(o *outcome, i int, w, next spoken, reused bool) bool {
	g := s.legs[i]
	path := g.section + ".hop_by_hop"
	f := Finding{
		Hop: g.hop(), Path: path,
		Says: "Connection, and what it names, is for one connection: a proxy removes it before it passes a message on (RFC 9110, 7.6.1).",
		Set:  fmt.Sprintf("%s=removed, with %s.proxy_connection=removed", path, g.section),
	}
	switch g.from.proxy.HopByHop {
	case script.Forwarded:
		if !slices.ContainsFunc(w.connection, func(word string) bool { return word != "close" }) {
			return false
		}
		f.Numbers = [2]string{path + " forwarded", w.String()}
		f.Seen = fmt.Sprintf("%s gets headers that were for the proxy, and takes what the client says of its connection for the proxy's word", g.to.who)
	case script.Blind:
		if !reused || !s.keeps(i+1, next) {
			return false
		}
		f.Numbers = [2]string{path + " blind", next.String()}
		f.Seen = fmt.Sprintf("a connection's first request is answered, and the second never read: %s keeps the proxy's connection, whose end the proxy waits for; timeouts before_response on reused connections", g.to.who)
	default:
		return false
	}
	o.found(f)
	return true
}

// keeps reports whether the i-th proxy, or behind the last the server, keeps a
// connection on which it gets this.
func (s *subject) keeps(i int, w spoken) bool {
	switch {
	case i < len(s.legs):
		return w.keptBy(*s.legs[i].from.proxy)
	case s.profile.Target.Lab != nil:
		return w.keptByLab(*s.profile.Target.Lab)
	}
	return s.server.MaxRequests != 1 && !w.says("close") && (!w.old || w.says("keep-alive"))
}
