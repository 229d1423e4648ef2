package text

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/kabench/kabench/internal/layout"
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/record"
)

// mostAgents is how many agents a report lists one by one.
const mostAgents = 32

// AgentsNote says what several agents mean for the limits of a profile; "" if this
// process sent all requests.
func AgentsNote(run *results.Run) string {
	n := len(run.Agents)
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%s sent the requests, each from a process with a pool of its own. Limits of the pool and load.max_in_flight hold for each agent, so all together may reach %d times as much.",
		results.FormatCount(uint64(n), "agent"), n)
}

// AgentRows returns a table of run's agents, with its head first; nil if this process
// sent all requests. If there are many, it has those that were lost or are invalid, and
// then those with the largest lag; more counts the others.
func AgentRows(run *results.Run) (rows [][]string, more int) {
	if len(run.Agents) == 0 {
		return nil, 0
	}
	shown := slices.Clone(run.Agents)
	if more = len(shown) - mostAgents; more > 0 {
		bad := func(a results.Agent) int {
			if a.Lost != nil || !a.Valid {
				return 0
			}
			return 1
		}
		slices.SortStableFunc(shown, func(a, b results.Agent) int {
			return cmp.Or(cmp.Compare(bad(a), bad(b)), cmp.Compare(b.Lag.P99, a.Lag.P99))
		})
		shown = shown[:mostAgents]
	}
	rows = [][]string{{"agent", "due", "ok", "failed", "lag p99", "clock", "state"}}
	for _, a := range shown {
		rows = append(rows, []string{
			agentName(a), fmt.Sprint(a.Counts.Due), fmt.Sprint(a.Counts.OK), fmt.Sprint(a.Counts.Failed), agentLag(a), agentClock(a.Clock), agentState(a),
		})
	}
	return rows, max(more, 0)
}

func agentName(a results.Agent) string {
	return fmt.Sprintf("%s (%d)", cmp.Or(a.Name, "agent"), a.Index)
}

func agentLag(a results.Agent) string {
	if a.Lag.Count == 0 {
		return unknown
	}
	return results.FormatSeconds(a.Lag.P99)
}

// agentClock is how an agent's clock stood to the controller's: "+1.98 s ± 120 µs".
func agentClock(c results.Clock) string {
	if c.Measures == 0 {
		return unknown
	}
	sign := "+"
	if c.Offset < 0 {
		sign = "-"
	}
	return fmt.Sprintf("%s%s ± %s", sign, results.FormatSeconds(max(c.Offset, -c.Offset)), results.FormatSeconds(c.Error))
}

func agentState(a results.Agent) string {
	switch {
	case a.Lost != nil:
		return fmt.Sprintf("lost after %s (%s), %s of all arrivals", results.FormatSeconds(a.Lost.At), a.Lost.Why, results.FormatPercent(a.Lost.Share))
	case !a.Valid:
		return "invalid"
	case len(a.Warnings) > 0:
		return results.FormatCount(uint64(len(a.Warnings)), "warning")
	}
	return "ok"
}

// lostAgents says how many requests were not sent because agents were lost; "" if none.
func lostAgents(run *results.Run) string {
	var names []string
	arrivals, share := uint64(0), 0.0
	for _, a := range run.Agents {
		if a.Lost != nil {
			names = append(names, agentName(a))
			arrivals += a.Lost.Arrivals
			share += a.Lost.Share
		}
	}
	if len(names) == 0 {
		return ""
	}
	who := "Agent " + names[0] + " was"
	if len(names) > 1 {
		who = fmt.Sprintf("%d of %d agents were", len(names), len(run.Agents))
	}
	return fmt.Sprintf("%s lost: %s (%s of all) are in no record, so the load was lower than the profile asks.", who, results.FormatCount(arrivals, "arrival"), results.FormatPercent(share))
}

// renderAgents writes a line for each agent, if there were several.
func renderAgents(b *bytes.Buffer, run *results.Run) {
	rows, more := AgentRows(run)
	if rows == nil {
		return
	}
	fmt.Fprintln(b, "\nAgents")
	t := layout.Grid(b, 1)
	for i, row := range rows {
		label := "  " + row[0]
		if i == 0 {
			label = ""
		}
		fmt.Fprint(t, label)
		for _, cell := range row[1 : len(row)-1] {
			fmt.Fprint(t, "\t"+cell)
		}
		fmt.Fprintln(t)
	}
	t.Flush()
	for _, row := range rows[1:] {
		if state := row[len(row)-1]; state != "ok" {
			wrap(b, "  "+row[0]+": ", state)
		}
	}
	if more > 0 {
		fmt.Fprintf(b, "  %s more\n", results.FormatCount(uint64(more), "agent"))
	}
}

// markdownAgents returns a table of the agents of each run that has several.
func markdownAgents(k *record.Archive) string {
	var b strings.Builder
	for _, r := range k.Runs {
		if r.Run == nil || len(r.Run.Agents) == 0 {
			continue
		}
		rows, more := AgentRows(r.Run)
		for _, row := range rows {
			for j := range row {
				row[j] = inline(row[j], maxLabel)
			}
		}
		if b.Len() > 0 {
			b.WriteString("\n")
		}
		if len(k.Runs) > 1 {
			fmt.Fprintf(&b, "%s:\n\n", inline(r.Name, maxLabel))
		}
		markdownRows(&b, rows, ":---")
		if more > 0 {
			fmt.Fprintf(&b, "\n%s more.\n", results.FormatCount(uint64(more), "agent"))
		}
	}
	return b.String()
}
