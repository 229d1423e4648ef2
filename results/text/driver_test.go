package text

import (
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
)

// realRun is a run that a real client made.
func realRun() *results.Run {
	wire := &results.DriverErrorOutcome{Phase: results.PhaseBeforeResponse, Cause: results.CauseFIN}
	return &results.Run{
		Schema: results.Schema, Name: "race", Version: "v1", Valid: true, Complete: true, Counts: results.Counts{Due: 100, Started: 100, OK: 97, Failed: 3},
		Driver: &results.DriverSeen{
			Name: "okhttp", Driver: "okhttp", Client: "OkHttp", Version: "5.3.2", Runtime: "Java 17", Looked: true, Counted: true, Dispatched: 100, Answered: 100,
			Settings:  map[string]any{"keepAlive": 500.0, "maxRequests": 16.0, "order": nil},
			Available: []results.DriverSetting{{Name: "keepAlive", Kind: "duration", Pool: "idle_timeout"}, {Name: "maxRequests", Kind: "count"}},
			Gauges:    []string{"active"},
			Errors: []results.DriverError{
				{Class: "java.io.IOException", Text: "unexpected end of stream", Count: 2, Wire: wire, Words: wire, Agree: true,
					Causes: []results.DriverErrorCause{{Class: "java.io.EOFException", Text: "\\n not found"}}},
				{Text: "boom", Count: 1, Wire: wire, Differ: "its words stand for a timeout"},
			},
		},
		Pool:   results.PoolPeaks{PeakLeased: 4, PeakIdle: 3, PeakPending: 9},
		Expect: []results.Expectation{{Path: "pool.peak_dialing", Want: "0", Why: "unknown: OkHttp does not tell it", Unknown: true}},
	}
}

// A run of a real client names it, what was set, what it said and what was seen; what it
// does not tell is not zero.
func TestRunOfARealClient(t *testing.T) {
	var b strings.Builder
	if err := RenderRun(&b, realRun()); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Client  OkHttp 5.3.2 (driver okhttp, Java 17), keepAlive 500ms, maxRequests 16, order none",
		"100 handed to it, 100 answered",
		"2 x java.io.IOException: unexpected end of stream",
		`caused by java.io.EOFException: \n not found`,
		"seen: before_response / fin; its words mean the same",
		"1 x boom",
		"DISAGREES: its words stand for a timeout",
		"leased 4, idle 3, pending not told",
		"NOT JUDGED  pool.peak_dialing",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, b.String())
		}
	}
	if realRun().Unmet() != nil {
		t.Error("what a client does not tell counts as unmet")
	}
	unseen := realRun()
	unseen.Driver.Looked, unseen.Driver.Counted = false, false
	b.Reset()
	if err := RenderRun(&b, unseen); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"Connections  not seen", "sent again unasked", "not seen", "leased 4, idle not told"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report of a run that nobody saw lacks %q:\n%s", want, b.String())
		}
	}
}

// A remedy on a real client is printed by its own setting, and one that it lacks is named.
func TestReproductionOfARealClient(t *testing.T) {
	remedied := realRun()
	remedied.Expect = nil
	r := &results.Reproduction{
		Incident: "race", IncidentRun: realRun(), Reproduced: true, Verdict: "so it was",
		RemedyRuns: []results.RemedyRun{{
			Remedy: "shorter", Change: map[string]string{"pool.idle_timeout": "500ms", "load.buffer": "3"}, Cleared: true, Run: remedied,
			Settings: []results.ClientSetting{{Client: "OkHttp", Path: "pool.idle_timeout", Value: "500ms", In: "driver.settings", Text: "keepAlive: 500ms", Versions: "OkHttp 5.3.2"}},
		}},
		NotAvailable: []results.NotAvailable{{Remedy: "a retry", Why: "OkHttp has no setting for resend"}},
	}
	var b strings.Builder
	if err := RenderReproduction(&b, r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Client  OkHttp 5.3.2", "Remedy shorter: keepAlive: 500ms, load.buffer = 3", "Remedy a retry is not available: OkHttp has no setting for resend",
		"pending peak", "not told", "What OkHttp said",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("the report lacks %q:\n%s", want, b.String())
		}
	}
}
