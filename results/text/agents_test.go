package text

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// withAgents is a run of three agents: one is well, one is invalid, and one was lost.
func withAgents() *results.Run {
	run := rendered()
	run.Complete = true
	for i := range 3 {
		run.Agents = append(run.Agents, results.Agent{
			Index: i, Name: string(rune('a' + i)), Valid: i != 1, Counts: results.Counts{Due: 400, Started: 400, OK: 398, Failed: 2},
			Lag: results.Quantiles{Count: 400, P99: 0.0002}, Clock: results.Clock{Offset: -1.98, Error: 0.00012, Measures: 16},
		})
	}
	run.Agents[2].Lost = &results.AgentLost{Why: "it was not heard of any more", At: 12.3, Arrivals: 300, Share: 0.1}
	run.Counts.Due += 300
	run.Counts.Dropped += 300
	run.Outcomes = append(run.Outcomes, results.Outcome{Cause: results.CauseAgentLost, Count: 300})
	return run
}

func TestAgentsAreListed(t *testing.T) {
	run := withAgents()
	var text, markdown bytes.Buffer
	must(t, RenderRun(&text, run))
	must(t, RenderMarkdown(&markdown, &record.Archive{Run: run, Runs: []record.ArchivedRun{{Run: run}}}))
	for _, want := range []string{
		"\nAgents\n", "lag p99", "  a (0)", "-1.98 s ± 120 µs", "  b (1): invalid", "  c (2): lost after 12.3 s (it was not heard of any more), 10.0 % of all arrivals",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the text has no %q:\n%s", want, &text)
		}
	}
	for _, want := range []string{"## Agents", "| c (2)", "lost after 12.3 s"} {
		if !strings.Contains(markdown.String(), want) {
			t.Errorf("the Markdown has no %q:\n%s", want, &markdown)
		}
	}
	h := HeadlineOfRun(run)
	if h.Good || !strings.Contains(h.Answer, "Agent c (2) was lost: 300 arrivals (10.0 % of all)") || strings.Contains(h.Answer, fmt.Sprintf("%d of the", run.Counts.Dropped)) {
		t.Errorf("headline: %+v", h)
	}
}

func TestManyAgentsAreListedInPart(t *testing.T) {
	run := withAgents()
	for i := 3; i < 1000; i++ {
		run.Agents = append(run.Agents, results.Agent{Index: i, Name: "pod", Valid: true, Lag: results.Quantiles{Count: 1, P99: float64(i)}})
	}
	rows, more := AgentRows(run)
	if len(rows) != 1+mostAgents || more != 1000-mostAgents || rows[1][0] != "b (1)" || rows[2][0] != "c (2)" || rows[3][0] != "pod (999)" {
		t.Errorf("%d rows, %d more: %v", len(rows), more, rows[:4])
	}
	var text bytes.Buffer
	must(t, RenderRun(&text, run))
	if !strings.Contains(text.String(), "968 agents more") {
		t.Errorf("%s", &text)
	}
	if AgentsNote(rendered()) != "" {
		t.Error("a run of this process has a note about agents")
	}
}
