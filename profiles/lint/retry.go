package lint

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kabench/kabench/dialers/pool"
)

// requests returns one attempt of each kind that the target has; resend rules are
// tried on them.
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

// written is the points of failure at which a server may already have executed the
// request.
var written = []pool.After{pool.AfterEOF, pool.AfterRST, pool.AfterPartial, pool.AfterBody}

// methodsResent lists the methods of the requests that must not be executed twice and
// that the rule sends again although they were written.
func methodsResent(rule pool.ResendRule, kinds []pool.Attempt) []string {
	alone := pool.Policy{Resend: []pool.ResendRule{rule}}
	var methods []string
	for _, a := range kinds {
		if pool.Idempotent(a.Method) || a.IdempotencyKey || slices.Contains(methods, a.Method) {
			continue
		}
		a.Reused = true // a rule for any connection applies to reused ones too
		for _, a.After = range written {
			if _, resent := alone.ResendBy(a); resent {
				methods = append(methods, a.Method)
				break
			}
		}
	}
	return methods
}

const saysRetry = "A request that was written may have been executed. Only an idempotent request may then be sent again (RFC 9110, 9.2.2)."

// checkRetry looks for rules that may execute a request twice although it must not be.
func checkRetry(s *subject, o *outcome) {
	kinds, err := s.requests()
	if o.lacks(err != nil, "target.file") {
		return
	}
	if t := s.profile.Target; t.URL == "" && t.File == "" && t.Lab == nil && t.Method == http.MethodGet {
		// Only a pool is checked, and the method is the default: what happens to a POST is
		// not known.
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
		times := "until an attempt on a fresh connection fails"
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
			Seen:    "duplicates on the server and no error on the client; attempts exceed requests, and only counting the requests that arrive at the server shows it",
			Set:     set + "; or an Idempotency-Key header that the server honours",
		})
	}
	for _, g := range s.legs {
		s.checkLegRetry(o, g, kinds)
	}
}

const saysTimeouts = "A time limit for a part of a request has an effect only if it is shorter than the limit for the whole request."

// checkTimeouts looks for time limits that never have an effect.
func checkTimeouts(s *subject, o *outcome) {
	p, whole := s.pool, s.timeout()
	if !o.lacks(!s.loaded() || !s.given("load.timeout"), "load.timeout") && whole > 0 {
		for _, limit := range []struct {
			path string
			seen string
			d    time.Duration
		}{
			{"pool.connect_timeout", "slow connects end as timeouts of the whole request (phase connect or tls), after load.timeout", p.ConnectTimeout},
			{"pool.response_timeout", "slow responses end as timeouts of the whole request, after load.timeout", p.ResponseTimeout},
			{"pool.pending_timeout", "requests that wait for a connection end after load.timeout, and never with the pool's own error", p.PendingTimeout},
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
}
