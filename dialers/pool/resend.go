package pool

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Attempt is what a resend rule looks at: a request, and how one attempt of it
// failed.
type Attempt struct {
	Method         string
	HasBody        bool
	IdempotencyKey bool  // it carries an Idempotency-Key or X-Idempotency-Key header
	Reused         bool  // the connection had served before
	After          After // the point at which it failed
	Reset          bool  // by a reset, and not by a FIN
	Before         int   // attempts made before this one
	Fresh          int   // of these, on fresh connections
}

// ResendBy returns the first rule that allows another attempt after a; false when
// none does.
func (p *Policy) ResendBy(a Attempt) (ResendRule, bool) {
	for _, rule := range p.Resend {
		if rule.fits(a) {
			return rule, true
		}
	}
	return ResendRule{}, false
}

// Budget bounds how often requests are sent again, in all. Its zero value has no bound.
type Budget struct {
	earns int // per request, in hundredths of a re-send
	left  int // in hundredths of a re-send
}

// fullBudget is what a Budget begins with, and the most that it holds.
const fullBudget = 10 * 100

// NewBudget returns the budget that the policy's ResendBudget gives.
func (p *Policy) NewBudget() Budget { return Budget{p.ResendBudget, fullBudget} }

// Earn adds what one request earns.
func (b *Budget) Earn() { b.left = min(b.left+b.earns, fullBudget) }

// Spend takes one re-send from the budget. It reports false if there is none left.
func (b *Budget) Spend() bool {
	switch {
	case b.earns == 0:
	case b.left < 100:
		return false
	default:
		b.left -= 100
	}
	return true
}

func (r ResendRule) fits(a Attempt) bool {
	switch {
	case r.On == OnReused && !a.Reused && !r.oneMoreFresh(a),
		r.After&a.After == 0,
		r.CutBy == CutByFIN && a.Reset,
		r.CutBy == CutByRST && !a.Reset,
		r.Max > 0 && a.Before >= r.Max,
		r.Max == 0 && !a.Reused && !r.oneMoreFresh(a): // until a fresh one fails
		return false
	}
	return r.Methods.include(a)
}

// oneMoreFresh reports whether the rule allows another attempt after a, which was
// on a fresh connection.
func (r ResendRule) oneMoreFresh(a Attempt) bool {
	return a.Before > a.Fresh && a.Fresh < r.ThenFresh
}

var (
	safeMethods       = []string{"GET", "HEAD", "OPTIONS", "TRACE"}
	idempotentMethods = append([]string{"PUT", "DELETE"}, safeMethods...)
)

// Idempotent reports whether a request with the method may be executed twice with
// the same effect as once (RFC 9110, section 9.2.2).
func Idempotent(method string) bool { return slices.Contains(idempotentMethods, method) }

func (m Methods) include(a Attempt) bool {
	switch m {
	case "all":
		return true
	case "idempotent":
		return Idempotent(a.Method)
	case "safe":
		return slices.Contains(safeMethods, a.Method)
	case "safe+key":
		return a.IdempotencyKey || slices.Contains(safeMethods, a.Method)
	case "bodyless":
		return !a.HasBody
	}
	names, except := strings.CutPrefix(string(m), "!")
	return slices.Contains(strings.Fields(names), a.Method) != except
}

func (m Methods) check() error {
	switch m {
	case "":
		return errors.New("no methods are given; say all, idempotent, safe, safe+key, bodyless, or methods as [GET, HEAD]")
	case "all", "idempotent", "safe", "safe+key", "bodyless":
		return nil
	}
	names := strings.Fields(strings.TrimPrefix(string(m), "!"))
	if len(names) == 0 {
		return fmt.Errorf("%q names no method; say all, or methods as \"!POST LOCK\"", string(m))
	}
	for _, name := range names {
		if name != strings.ToUpper(name) || strings.ContainsFunc(name, func(r rune) bool { return r < 'A' || r > 'Z' }) {
			return fmt.Errorf("%q is no method in capitals, and none of all, idempotent, safe, safe+key, bodyless", name)
		}
	}
	return nil
}

// ResendsUnsent reports whether a rule applies before the first byte of a request
// was written.
func (p *Policy) ResendsUnsent() bool {
	return slices.ContainsFunc(p.Resend, func(r ResendRule) bool { return r.After&AfterUnsent != 0 })
}
