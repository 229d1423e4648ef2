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

// Where the load went away with an agent, an incident is neither shown nor cleared: fewer
// requests alone may do that.
func TestReproductionThatLostItsLoad(t *testing.T) {
	run := func(lost uint64) *results.Run {
		return &results.Run{
			Complete: true, Valid: true, Counts: results.Counts{Due: 100, Started: 100 - lost, OK: 100 - lost, Dropped: lost},
			Outcomes: []results.Outcome{{Phase: results.PhaseSchedule, Cause: results.CauseAgentLost, Count: lost}},
			Expect:   []results.Expectation{{Path: "failures", Want: "0", Seen: "0", Met: true}},
		}
	}
	says := Says{Names: []string{"shorter"}, Costs: []string{""}}
	for name, test := range map[string]struct {
		incident, remedy uint64
		want             string
	}{
		"the incident's run": {incident: 50, want: "Not judged: 50.0 % of its requests were lost with agents"},
		"a remedy's run":     {remedy: 50, want: `"shorter" was not judged: 50.0 % of its requests were lost with agents`},
		"a little":           {incident: 1, remedy: 1},
	} {
		rep := &results.Reproduction{IncidentRun: run(test.incident), Reproduced: Shown(run(test.incident)) && Shown(run(test.remedy))}
		if test.incident <= 1 {
			rep.RemedyRuns = []results.RemedyRun{{Remedy: "shorter", Run: run(test.remedy), Cleared: Shown(run(test.remedy))}}
		}
		Reproduction(says, rep)
		if rep.Reproduced != (test.want == "") || !strings.Contains(rep.Verdict, test.want) || test.want == "" && strings.Contains(rep.Verdict, "judged") {
			t.Errorf("%s: reproduced %v: %s", name, rep.Reproduced, rep.Verdict)
		}
	}
}

// What was lost with agents is advised of where it is more than a run may lack.
func TestAdviceOnLostAgents(t *testing.T) {
	for lost, want := range map[uint64]bool{0: false, 1: false, 2: true} {
		d := &results.Run{
			Complete: true, Valid: true, Counts: results.Counts{Due: 100, Started: 100 - lost, OK: 100 - lost, Dropped: lost},
			Outcomes: []results.Outcome{{Phase: results.PhaseSchedule, Cause: results.CauseAgentLost, Count: lost}},
		}
		Advise(d, Limits{})
		if got := strings.Contains(strings.Join(d.Warnings, "\n"), "The load was lower than the profile asks"); got != want {
			t.Errorf("%d of 100 lost: %q", lost, d.Warnings)
		}
	}
}
