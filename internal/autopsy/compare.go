package autopsy

import (
	"fmt"
	"maps"
)

// Differs says in what two verdicts differ, beside names, numbers of packets and dates;
// "": in nothing. Both must be of the same traffic.
func Differs(a, b *Verdict) string {
	for _, one := range []struct {
		what string
		a, b int
	}{
		{"connections", a.Connections, b.Connections},
		{"requests", a.Requests, b.Requests},
		{"requests without a response", len(a.Failures) + a.Left, len(b.Failures) + b.Left},
		{"servers", len(a.Servers), len(b.Servers)},
	} {
		if one.a != one.b {
			return fmt.Sprintf("%s: %d and %d", one.what, one.a, one.b)
		}
	}
	switch {
	case !maps.Equal(a.Met, b.Met):
		return fmt.Sprintf("how requests met the end of their connection: %v and %v", a.Met, b.Met)
	case !maps.Equal(a.Resets, b.Resets):
		return fmt.Sprintf("who sent RSTs: %v and %v", a.Resets, b.Resets)
	case a.Incident != b.Incident:
		return fmt.Sprintf("the incident: %q and %q", a.Incident, b.Incident)
	case len(a.Servers) > 0 && a.Servers[0].Sentence != b.Servers[0].Sentence:
		return fmt.Sprintf("the server: it %s, and it %s", a.Servers[0].Sentence, b.Servers[0].Sentence)
	}
	return ""
}
