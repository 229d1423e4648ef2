package page

import (
	"github.com/kabench/kabench/results"
	"github.com/kabench/kabench/results/text"
)

// driverOf is a real client for people; nil if there was none.
func driverOf(d *results.DriverSeen) *Driver {
	if d == nil {
		return nil
	}
	out := &Driver{Client: d.Client, Line: text.DriverLine(d), Rows: text.DriverRows(d), Errors: []DriverError{}}
	for _, e := range text.ShownDriverErrors(d) {
		head, more := text.DriverErrorLines(e)
		out.Errors = append(out.Errors, DriverError{e.Count, head, more})
	}
	return out
}

// agentsOf are the agents of a run; nil if one process sent the requests.
func agentsOf(run *results.Run) *Agents {
	rows, more := text.AgentRows(run)
	if rows == nil {
		return nil
	}
	return &Agents{Head: rows[0], Rows: rows[1:], More: more, Note: text.AgentsNote(run)}
}
