package judge

import (
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
)

func TestAgents(t *testing.T) {
	fine := func() *results.Run {
		return &results.Run{Complete: true, Counts: results.Counts{Due: 10, Started: 10, OK: 10}, Agents: []results.Agent{
			{Name: "a"}, {Index: 1, Name: "b", Clock: results.Clock{Error: 0.02, Skew: -0.0205}},
		}}
	}
	for name, test := range map[string]struct {
		change func(*results.Run)
		want   string // "": valid
	}{
		"on time within what is known": {change: func(*results.Run) {}},
		"late":                         {change: func(d *results.Run) { d.Agents[1].Clock.Skew = 0.0215 }, want: "agent b (1) began its schedule 21.5 ms from the agreed start"},
		"early":                        {change: func(d *results.Run) { d.Agents[0].Clock.Skew = -0.0011 }, want: "agent a (0) began its schedule 1.10 ms from"},
		"some are lost": {change: func(d *results.Run) {
			d.Counts.Started, d.Counts.OK, d.Counts.Dropped = 6, 6, 4
			d.Outcomes = []results.Outcome{{Phase: results.PhaseSchedule, Cause: results.CauseAgentLost, Count: 4}}
			d.Instrument.Schedule.DroppedSaturated = 4
		}},
		"all are lost": {change: func(d *results.Run) {
			d.Counts.Started, d.Counts.OK, d.Counts.Dropped = 0, 0, 10
			d.Outcomes = []results.Outcome{{Phase: results.PhaseSchedule, Cause: results.CauseAgentLost, Count: 10}}
		}, want: "every agent that had something to send was lost"},
	} {
		t.Run(name, func(t *testing.T) {
			d := fine()
			test.change(d)
			Run(d, Limits{MaxLag: 50e6, MaxInFlight: 10})
			if text := strings.Join(d.Invalid, "\n"); d.Valid != (test.want == "") || !strings.Contains(text, test.want) || d.Instrument.Schedule.Overload != "" {
				t.Errorf("valid %v %q, overload %q", d.Valid, d.Invalid, d.Instrument.Schedule.Overload)
			}
		})
	}
	empty := &results.Run{Complete: true}
	if Run(empty, Limits{Share: true}); !empty.Valid {
		t.Errorf("an empty share: %q", empty.Invalid)
	}
	if Run(empty, Limits{}); empty.Valid {
		t.Error("an empty run is valid")
	}
}
