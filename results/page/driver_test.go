package page

import (
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
)

// The page has a table of the agents, and keeps them out of the document, which may be of
// a thousand.
func TestAgentsOf(t *testing.T) {
	run := &results.Run{Latency: map[string]results.Quantiles{}}
	if NewGatherer("a", run).Run().Agents != nil {
		t.Error("agents where there are none")
	}
	run.Agents = []results.Agent{{Name: "a", Valid: true}, {Index: 1, Name: "b", Lost: &results.AgentLost{Why: "gone", At: 3, Share: 0.5}}}
	r := NewGatherer("a", run).Run()
	if r.Agents == nil || len(r.Agents.Rows) != 2 || !strings.Contains(strings.Join(r.Agents.Rows[1], " "), "lost after 3.00 s (gone)") || r.Agents.Note == "" {
		t.Errorf("%+v", r.Agents)
	}
	if r.Doc.Agents != nil || run.Agents == nil {
		t.Error("the page's document has the agents, or the run's does not")
	}
}

// The page has a real client's line, figures and errors.
func TestDriverOf(t *testing.T) {
	if driverOf(nil) != nil {
		t.Error("a client where there is none")
	}
	d := driverOf(&results.DriverSeen{Name: "okhttp", Client: "OkHttp", Version: "5", Dispatched: 3, Errors: []results.DriverError{{Text: "boom", Count: 2, Agree: true}}})
	if d.Client != "OkHttp" || d.Line != "OkHttp 5 (driver okhttp), with its own defaults" || len(d.Rows) == 0 || len(d.Errors) != 1 || d.Errors[0].Count != 2 {
		t.Errorf("%+v", d)
	}
}
