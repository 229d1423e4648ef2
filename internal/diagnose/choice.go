package diagnose

import (
	"fmt"
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/wording"
)

// Asked is what is known before anything is measured.
type Asked struct {
	Candidates []wording.Candidate // what the line stands for, the likeliest first; none: the line is unknown
	Pool       string              // the pool that the user named; "": none
	Target     bool                // there is a server to try incidents on
	TLS        bool                // its URL begins with https://
	// Cannot returns why an incident cannot be shown on a server from outside; "": it can.
	Cannot func(incident string) string
}

// Choice is what follows from a log line.
type Choice struct {
	Pool  Pool  `json:"pool"`
	Tries []Try `json:"tries"` // the incidents to try on the server, the likeliest first
	Not   []Not `json:"not,omitempty"`
	// Unclear says why the line names no incident; "": it names one.
	Unclear string `json:"unclear,omitempty"`
}

// Try is an incident that can be tried on a server.
type Try struct {
	Incident string `json:"incident"`
	Why      string `json:"why"`
}

// Not is an incident that fits the line, and that is not tried: no client can cause it from
// outside, or the server as measured rules it out.
type Not struct {
	Incident string `json:"incident"`
	Why      string `json:"why"`
	Capture  string `json:"capture"`             // what would show the cause
	RuledOut bool   `json:"ruled_out,omitempty"` // by the measurement of the server
}

// Choose decides what to try. An unknown line gets the idle race, because that is the most
// frequent failure of pools and what a probe can judge.
func Choose(a Asked) Choice {
	c := Choice{Pool: choosePool(a), Tries: []Try{}, Unclear: unclear(a.Candidates)}
	for _, f := range fitting(a) {
		if why := a.Cannot(f.incident); why != "" {
			c.Not = append(c.Not, Not{Incident: f.incident, Why: why, Capture: capture(f.incident)})
			continue
		}
		c.Tries = append(c.Tries, Try{f.incident, f.why})
	}
	if len(a.Candidates) == 0 {
		name := ofScheme("idle-race", a)
		c.Tries = append(c.Tries, Try{name, "the line is unknown, and this is the most frequent failure of a pool"})
	}
	return c
}

// fit is an incident that a line can come from.
type fit struct{ incident, why string }

// fitting lists the incidents of the candidates, those of the likeliest candidate first. The
// two forms of the idle race are one, the form of the target's scheme.
func fitting(a Asked) []fit {
	var list []fit
	for i, c := range a.Candidates {
		for _, name := range c.Incidents {
			name = ofScheme(name, a)
			if slices.ContainsFunc(list, func(f fit) bool { return f.incident == name }) {
				continue
			}
			list = append(list, fit{name, reason(c, i, len(list))})
		}
	}
	return list
}

// reason says why an incident of a candidate is tried.
func reason(c wording.Candidate, candidate, before int) string {
	outcome := c.Outcomes[0].String()
	switch {
	case candidate > 0:
		return fmt.Sprintf("another client, %s, writes this line too, for %s", c.ClientName, outcome)
	case before == 0:
		return fmt.Sprintf("it is the usual cause of %s", on(outcome, c.Reused))
	}
	return fmt.Sprintf("it is another cause of %s", on(outcome, c.Reused))
}

func on(outcome, reused string) string {
	switch reused {
	case "yes":
		return outcome + " on a reused connection"
	case "no":
		return outcome + " on a fresh connection"
	}
	return outcome
}

// ofScheme replaces the idle race by its other form if the target's scheme asks for that.
func ofScheme(incident string, a Asked) string {
	switch {
	case !a.Target:
		return incident
	case incident == "idle-race" && a.TLS:
		return "idle-race-tls"
	case incident == "idle-race-tls" && !a.TLS:
		return "idle-race"
	}
	return incident
}

// unclear says why the candidates name no incident; "" if they name one.
func unclear(candidates []wording.Candidate) string {
	if len(candidates) == 0 {
		return "kabench does not know this line. It measures the server, and tries the most frequent failure of a pool"
	}
	if slices.ContainsFunc(candidates, func(c wording.Candidate) bool { return len(c.Incidents) > 0 }) {
		return ""
	}
	phase := candidates[0].Outcomes[0].Phase.String()
	why, known := withoutIncident[phase]
	if !known {
		why = "kabench has no incident with this outcome"
	}
	return strings.TrimSuffix(fmt.Sprintf("%s: %s", candidates[0].Outcomes[0], why), ".")
}

// withoutIncident says, for a phase of an outcome without an incident, what else shows the
// cause.
var withoutIncident = map[string]string{
	"acquire":          "the pool had no connection to give, and this pool is not one that kabench has a preset for",
	"resolve":          "the name had no address, so no connection was involved; the resolver's log has the reason",
	"connect":          "the server did not accept a connection, so no kept connection was involved; the server's log and the counter ListenOverflows have the reason",
	"tls":              "the TLS handshake failed, so no kept connection was involved; the certificates and versions of both sides have the reason",
	"write_headers":    "the request could not be sent; a capture at the client shows whether the server had closed before",
	"write_body":       "the request's body could not be sent; a capture at the client shows whether the server had closed before",
	"before_response":  "the exchange was given up on purpose, or the line does not show by which side; the timeout that the client had set has the reason",
	"response_headers": "the response was no HTTP that the client understands; a capture shows the bytes",
	"during_response":  "the response was cut after its beginning; the server's log of the same second has the reason",
	"done":             "no exchange failed",
}
