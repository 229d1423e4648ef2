package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/wording"
)

// The steps of a diagnosis, in their order.
const (
	Explain   = "explain"
	Probe     = "probe"
	Lint      = "lint"
	Reproduce = "reproduce"
)

// Purposes say what each step is for.
var Purposes = map[string]string{
	Explain:   "what does the line stand for?",
	Probe:     "what does the server do with kept connections?",
	Lint:      "do the client's settings fit the server?",
	Reproduce: "does the failure come on this server, and which setting ends it?",
}

// Explained says in a sentence what explain found.
func Explained(candidates []wording.Candidate, c Choice) string {
	if c.Unclear != "" {
		return c.Unclear + "."
	}
	best := candidates[0]
	var outcomes []string
	for _, o := range best.Outcomes {
		outcomes = append(outcomes, o.String())
	}
	return fmt.Sprintf("%s writes this line for %s. %s", best.ClientName, on(strings.Join(outcomes, " or "), best.Reused), c.say())
}

// say lists what is tried and what cannot be.
func (c Choice) say() string {
	var parts []string
	switch len(c.Tries) {
	case 0:
		parts = append(parts, "No incident of this line can be caused from outside.")
	case 1:
		parts = append(parts, fmt.Sprintf("The incident to try is %s: %s.", c.Tries[0].Incident, c.Tries[0].Why))
	default:
		parts = append(parts, "The incidents to try, in this order:")
		for i, t := range c.Tries {
			end := ";"
			if i == len(c.Tries)-1 {
				end = "."
			}
			parts = append(parts, fmt.Sprintf("%s (%s)%s", t.Incident, t.Why, end))
		}
	}
	return strings.Join(parts, " ")
}

// ofIdle are the incidents that need connections which the server keeps for some time.
var ofIdle = []string{"idle-race", "idle-race-tls", "direct-idle-order", "nginx-1s", "l7-lb-order", "keep-alive-hint", "retry-and-idempotence"}

// Measured returns the choice after the server has been measured. If the server keeps no
// connection, incidents of idle connections are not tried.
func Measured(c Choice, s evidence.Server) Choice {
	var why, capture string
	switch s.Keeping {
	case evidence.ClosesAtOnce:
		why = "the server closes connections without a response, so none is ever idle"
		capture = "the server's log, and a request by hand: no setting of a client helps as long as the server does not respond"
	case evidence.ClosesEach:
		why = "the server closes each connection after its response, so none is ever idle"
		capture = "a capture at the client: a FIN right behind each response. If the responses do not say Connection: close, a client that keeps the connection can send its next request before it notices the FIN"
	default:
		return c
	}
	var tries []Try
	for _, t := range c.Tries {
		if slices.Contains(ofIdle, t.Incident) {
			c.Not = append(slices.Clone(c.Not), Not{Incident: t.Incident, Why: why, Capture: capture, RuledOut: true})
			continue
		}
		tries = append(tries, t)
	}
	c.Tries = tries
	return c
}

// proofs are the incidents that a rule of lint makes likely.
var proofs = map[string]string{
	"idle-order":  "idle-race",
	"connections": "pending-queue-full",
	"pending":     "pending-timeout",
	"ports":       "port-exhaustion",
}

// Linted returns the choice after lint has found that the rules are broken. Incidents of a
// broken rule come first. If there is no incident to try, these incidents are tried.
func Linted(a Asked, c Choice, rules []string) Choice {
	likely := func(incident string) (rule string) {
		for _, r := range rules {
			if name, known := proofs[r]; known && ofScheme(name, a) == ofScheme(incident, a) {
				return r
			}
		}
		return ""
	}
	tries := slices.Clone(c.Tries)
	if len(tries) == 0 {
		for _, r := range rules {
			name, known := proofs[r]
			if known && a.Cannot(ofScheme(name, a)) == "" && !slices.ContainsFunc(tries, func(t Try) bool { return t.Incident == ofScheme(name, a) }) {
				tries = append(tries, Try{Incident: ofScheme(name, a), Why: "the line names no incident that can be tried, and lint found that " + r + " is broken"})
			}
		}
		c.Tries = tries
		return c
	}
	for i, t := range tries {
		if r := likely(t.Incident); r != "" {
			tries[i].Why += "; lint found that its rule " + r + " is broken"
		}
	}
	slices.SortStableFunc(tries, func(x, y Try) int {
		return order(likely(y.Incident) != "") - order(likely(x.Incident) != "")
	})
	c.Tries = tries
	return c
}

func order(first bool) int {
	if first {
		return 1
	}
	return 0
}

// Broken says in a sentence what lint found.
func Broken(rules []string, measured bool) string {
	against := "the client's pool, as far as it can be checked without the server"
	if measured {
		against = "the client's pool with this server"
	}
	switch len(rules) {
	case 0:
		return "lint finds no broken rule in " + against + "."
	case 1:
		return fmt.Sprintf("lint finds that %s breaks the rule %s.", against, rules[0])
	}
	return fmt.Sprintf("lint finds that %s breaks %d rules: %s.", against, len(rules), strings.Join(rules, ", "))
}
