package diagnose_test

import (
	"strings"
	"testing"

	"github.com/kabench/kabench/internal/diagnose"
	"github.com/kabench/kabench/internal/evidence"
)

// Lint puts the incident of a broken rule first, and gives one to a line that names none.
func TestLinted(t *testing.T) {
	const (
		several = "target_status_code - 502 backend_connection_closed_before_data_sent_to_client" // l7-lb-order, then idle-race
		none    = "Get \"http://api.example/\": dial tcp 10.0.0.1:80: connect: connection refused"
	)
	for _, c := range []struct{ line, url, rules, want string }{
		{several, plain, "", "l7-lb-order idle-race"},
		{several, plain, "idle-order", "idle-race l7-lb-order"},
		{several, secure, "retry idle-order", "idle-race-tls l7-lb-order"},
		{none, plain, "", ""},
		{none, plain, "idle-order", "idle-race"},
		{none, secure, "idle-order", "idle-race-tls"},
		{none, plain, "hop-by-hop", ""},
		{none, plain, "ports idle-order", "port-exhaustion idle-race"},
	} {
		a := asked(c.line, c.url, "")
		got := diagnose.Linted(a, diagnose.Choose(a), strings.Fields(c.rules))
		tries, _ := names(got)
		if tries != c.want {
			t.Errorf("%s, %s, %s: %q, want %q", c.line, c.url, c.rules, tries, c.want)
		}
		if c.rules == "idle-order" && !strings.Contains(got.Tries[0].Why, "idle-order") {
			t.Errorf("%s: %q does not name the rule", c.line, got.Tries[0].Why)
		}
	}
}

// The sentences after explain name the client, the outcome and what is tried.
func TestExplained(t *testing.T) {
	for line, want := range map[string][]string{
		"reactor.netty.http.client.PrematureCloseException: Connection prematurely closed BEFORE response": {"Reactor Netty", "before_response / fin", "idle-race"},
		"target_status_code - 502 backend_connection_closed_before_data_sent_to_client":                    {"in this order", "l7-lb-order", "idle-race"},
		"Connection prematurely closed DURING response":                                                    {"Reactor Netty", "No incident of this line can be caused from outside"},
		"the frobnicator is out of cheese":                                                                 {"does not know this line"},
	} {
		a := asked(line, plain, "")
		got := diagnose.Explained(a.Candidates, diagnose.Choose(a))
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s: %q lacks %q", line, got, w)
			}
		}
	}
}

// A server that keeps no connection cannot show an incident of idle connections.
func TestMeasured(t *testing.T) {
	a := asked(premature, plain, "")
	full := asked("Pending acquire queue has reached its maximum size of 32", plain, "")
	for _, c := range []struct {
		asked   diagnose.Asked
		keeping evidence.Keeping
		want    string
	}{
		{a, evidence.KeepsUntilIdle, "idle-race"},
		{a, evidence.KeepsLonger, "idle-race"},
		{a, evidence.ClosesEach, ""},
		{a, evidence.ClosesAtOnce, ""},
		{full, evidence.ClosesEach, "pending-queue-full"},
	} {
		before := diagnose.Choose(c.asked)
		got := diagnose.Measured(before, evidence.Server{Keeping: c.keeping})
		tries, not := names(got)
		if tries != c.want || c.want == "" && !strings.Contains(not, "idle-race") {
			t.Errorf("%v: tries %q, not %q", c.keeping, tries, not)
		}
		if again := diagnose.Choose(c.asked); len(again.Not) != len(before.Not) {
			t.Error("the choice was changed in place")
		}
	}
}
