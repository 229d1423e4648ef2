package lint

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/dialers/pool"
)

// requests is one attempt of each kind that the target has: what a resend rule
// looks at.
func (s *subject) requests() ([]pool.Attempt, error) {
	all, err := s.targets()
	if err != nil {
		return nil, err
	}
	var kinds []pool.Attempt
	for _, r := range all {
		a := pool.Attempt{Method: r.Method, HasBody: len(r.Body) > 0, IdempotencyKey: r.Values("Idempotency-Key") != nil || r.Values("X-Idempotency-Key") != nil}
		if !slices.Contains(kinds, a) {
			kinds = append(kinds, a)
		}
	}
	return kinds, nil
}

func listOf(words []string) string { return strings.Join(words, ", ") }

// written is the points at which a server may have executed the request.
var written = []pool.After{pool.AfterEOF, pool.AfterRST, pool.AfterPartial, pool.AfterBody}

// methodsResent are those of the kinds of requests that may not be executed
// twice and that the rule has sent again after they were written.
func methodsResent(rule pool.ResendRule, kinds []pool.Attempt) []string {
	alone := pool.Policy{Resend: []pool.ResendRule{rule}}
	var methods []string
	for _, a := range kinds {
		if pool.Idempotent(a.Method) || a.IdempotencyKey || slices.Contains(methods, a.Method) {
			continue
		}
		a.Reused = true // a rule for any connection holds for these too
		for _, a.After = range written {
			if _, resent := alone.ResendBy(a); resent {
				methods = append(methods, a.Method)
				break
			}
		}
	}
	return methods
}

const saysRetry = "A request that was written may have been executed; only idempotent ones may be sent again then (RFC 9110, 9.2.2)."

// checkRetry looks for rules that may have a request executed twice that must
// not be.
func checkRetry(s *subject, o *outcome) {
	kinds, err := s.requests()
	if o.lacks(err != nil, "target.file") {
		return
	}
	if t := s.profile.Target; t.URL == "" && t.File == "" && t.Lab == nil && t.Method == http.MethodGet {
		// A pool alone, and the method is only the default: what a POST would come to is not known.
		post := pool.Attempt{Method: http.MethodPost, HasBody: true, Reused: true}
		if slices.ContainsFunc(written, func(after pool.After) bool {
			post.After = after
			_, resent := s.pool.ResendBy(post)
			return resent
		}) {
			o.checked = false
			o.lacks(true, "target.method")
			return
		}
	}
	for i, rule := range s.pool.Resend {
		methods := methodsResent(rule, kinds)
		if len(methods) == 0 {
			continue
		}
		times := "until one on a fresh connection fails"
		if rule.Max > 0 {
			times = fmt.Sprintf("up to %d", rule.Max+1)
		}
		path := fmt.Sprintf("pool.resend.%d", i)
		set := path + ".methods=idempotent"
		if rule.After&pool.AfterUnsent != 0 {
			set += ", or " + path + ".after=[unsent]"
		}
		o.found(Finding{
			Path:    path,
			Says:    saysRetry,
			Numbers: [2]string{fmt.Sprintf("%s: a %s sent %s", path, listOf(methods), times), "executions it allows 1"},
			Seen:    "duplicates on the server and no error on the client; attempts above requests, and only counting arrivals at the server tells",
			Set:     set + "; or an Idempotency-Key header that the server honours",
		})
	}
	for _, g := range s.legs {
		s.checkLegRetry(o, g, kinds)
	}
}

const saysTimeouts = "A time limit within a request has an effect only if it is below the request's own."

// checkTimeouts looks for time limits that never come to bear.
func checkTimeouts(s *subject, o *outcome) {
	p, whole := s.pool, s.timeout()
	if !o.lacks(!s.loaded() || !s.given("load.timeout"), "load.timeout") && whole > 0 {
		for _, limit := range []struct {
			path string
			seen string
			d    time.Duration
		}{
			{"pool.connect_timeout", "slow connects show as timeouts in phase connect or tls of the whole request, and cost all of its time", p.ConnectTimeout},
			{"pool.response_timeout", "slow answers show as timeouts of the whole request, at load.timeout and not at the response's", p.ResponseTimeout},
			{"pool.pending_timeout", "requests that wait for a connection end at load.timeout, and never in the words of the pool", p.PendingTimeout},
		} {
			if limit.d > whole {
				o.found(Finding{
					Path: limit.path, Says: saysTimeouts,
					Numbers: [2]string{fmt.Sprintf("%s %v", limit.path, limit.d), fmt.Sprintf("load.timeout %v", whole)},
					Seen:    limit.seen,
					Set:     fmt.Sprintf("%s=%v, or less; or load.timeout=0s", limit.path, whole/2),
				}, atMost(whole))
			}
		}
	}
	s.checkLegTimeouts(o)
	probes := s.profile.Target.TCP.KeepAlive
	for _, h := range s.forgetful() {
		o.checked = true
		if probes >= h.limit() && probes > 0 {
			o.found(Finding{
				Path:    "target.tcp.keep_alive",
				Says:    "TCP keep-alive probes keep a connection known to what forgets idle ones only if they come more often than it forgets.",
				Numbers: [2]string{fmt.Sprintf("target.tcp.keep_alive %v", probes), idleText(h)},
				Seen:    "the probes themselves go unanswered: connections die idle (timeout, or a rst), and the next request opens a new one or hangs",
				Set:     fmt.Sprintf("target.tcp.keep_alive=%v, or less", h.limit()/2),
			}, atMost(h.limit()/2))
		}
	}
}
