package judge

import (
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

func TestOverloadVerdict(t *testing.T) {
	busy := &results.Machine{Seconds: 10, Saturated: 9}
	idle := &results.Machine{Seconds: 10}
	held := results.ScheduleKept{Seconds: 10, Held: 3, HeldRate: 4000, Through: 3900}
	lateDrops, fullDrops, never := held, held, held
	lateDrops.DroppedLate = 200
	fullDrops.DroppedSaturated, fullDrops.DroppedLate = 300, 100
	never.Held, never.HeldRate, never.DroppedSaturated = 0, 0, 300
	few := held
	few.DroppedSaturated, few.DroppedLate = 100, 100
	d, p := 0.4, 1e-20
	misfit := results.Arrivals{Law: "poisson", Verdict: results.ArrivalsMisfit, Span: 4, Count: 900, Distance: &d, P: &p}
	const lag = 50 * time.Millisecond
	for _, tc := range []struct {
		name     string
		s        standing
		overload string
		invalid  []string // a part of each reason
	}{
		{"in order", standing{maxLag: lag, due: 10000, lagP99: 0.001, schedule: held, machine: idle}, "", nil},
		{"on time on a busy machine", standing{maxLag: lag, due: 10000, lagP99: 0.02, schedule: held, machine: busy}, "", nil},
		{"the target was slow", standing{maxLag: lag, due: 10000, dropped: 5000, lagP99: 0.001, schedule: held, machine: idle}, "target", nil},
		{"the target was slow, and the machine does not tell", standing{maxLag: lag, due: 10000, dropped: 5000, lagP99: 0.001, schedule: held}, "target", nil},
		{"the machine was busy at other times", standing{maxLag: lag, due: 10000, dropped: 5000, lagP99: 0.001, schedule: held, machine: busy}, "target", nil},
		{"one dense moment", standing{maxLag: lag, due: 10000, dropped: 100, lagP99: 0.001, schedule: few, machine: idle}, "target", nil},
		{"late when it dropped", standing{maxLag: lag, due: 10000, dropped: 200, lagP99: 0.04, schedule: lateDrops, machine: idle}, "kabench",
			[]string{"200 of them were due while kabench itself was late, so the target may not be the cause. Up to 4000/s was on time"}},
		{"no core free when it dropped", standing{maxLag: lag, due: 10000, dropped: 400, lagP99: 0.04, schedule: fullDrops, machine: busy, full: Limits{MaxInFlight: 10}.full()}, "machine",
			[]string{"400 of 10000 requests were never started, because 10 (load.max_in_flight) were in flight. 300 of them were due while the CPU was saturated"}},
		{"no core free, under an adaptive limit", standing{maxLag: lag, due: 10000, dropped: 400, lagP99: 0.04, schedule: fullDrops, machine: busy, full: Limits{Limit: "vegas"}.full()}, "machine",
			[]string{"because as many as load.limit (vegas) allowed were in flight. 300 of them"}},
		{"no second held", standing{maxLag: lag, due: 10000, dropped: 400, schedule: never, machine: busy}, "machine",
			[]string{"No whole second was on time, and 3900/s got through"}},
		{"too short to say what it held", standing{maxLag: lag, due: 10, lagP99: 0.06}, "kabench", []string{"load.max_lag is 50ms). Lower load.rate"}},
		{"late", standing{maxLag: lag, due: 10000, lagP99: 0.06, schedule: held, machine: idle}, "kabench", []string{"1 % of requests started at least 60.0 ms late (load.max_lag is 50ms). Up to 4000/s was on time"}},
		{"late on a busy machine", standing{maxLag: lag, due: 10000, lagP99: 0.06, schedule: held, machine: busy}, "machine", []string{"kabench fell behind"}},
		{"exactly the limit", standing{maxLag: lag, due: 10000, lagP99: 0.05, schedule: held, machine: busy}, "", nil},
		{"late and dropping", standing{maxLag: lag, due: 10000, dropped: 200, lagP99: 0.06, schedule: lateDrops, machine: idle}, "kabench",
			[]string{"kabench fell behind", "200 of them were due while kabench itself was late"}},
		{"late, and the target slow at other times", standing{maxLag: lag, due: 10000, dropped: 900, lagP99: 0.06, schedule: held, machine: idle}, "kabench", []string{"kabench fell behind"}},
		{"bunched", standing{maxLag: lag, due: 10000, lagP99: 0.04, schedule: held, machine: idle, arrivals: misfit}, "", []string{"did not arrive as poisson arrivals do: the distribution of 900 times that 4 requests took to arrive is 0.40 away"}},
		{"not judged", standing{due: 10000, dropped: 400, lagP99: 9, schedule: fullDrops, machine: busy, arrivals: misfit}, "machine", nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			overload, invalid := tc.s.verdict()
			if overload != tc.overload || len(invalid) != len(tc.invalid) {
				t.Fatalf("%q, %q; want %q and %d reasons", overload, invalid, tc.overload, len(tc.invalid))
			}
			for i, part := range tc.invalid {
				if !strings.Contains(invalid[i], part) {
					t.Errorf("%q does not say %q", invalid[i], part)
				}
			}
			if n := strings.Count(strings.Join(invalid, " "), "on time"); n > 1 {
				t.Errorf("what was on time is said %d times: %q", n, invalid)
			}
		})
	}
}

// Requests that were dropped because an agent was lost say nothing about the target, nor
// about the limit of requests in flight.
func TestLostAgentsAreNotAnOverload(t *testing.T) {
	run := &results.Run{
		Complete: true, Counts: results.Counts{Due: 100, Started: 70, OK: 70, Dropped: 30},
		Outcomes: []results.Outcome{{Phase: results.PhaseDone, Count: 70}, {Cause: results.CauseAgentLost, Count: 30}},
	}
	limits := Limits{MaxLag: 50 * time.Millisecond, MaxInFlight: 10}
	Run(run, limits)
	Advise(run, limits)
	if !run.Valid || run.Instrument.Schedule.Overload != "" || strings.Contains(strings.Join(run.Warnings, ""), "max_in_flight") {
		t.Errorf("valid %v, overload %q, warnings %q", run.Valid, run.Instrument.Schedule.Overload, run.Warnings)
	}
	run.Counts.Due, run.Counts.Dropped = 105, 35
	run.Outcomes = append(run.Outcomes, results.Outcome{Cause: results.CauseDropped, Count: 5})
	run.Warnings = nil
	Run(run, limits)
	Advise(run, limits)
	if run.Instrument.Schedule.Overload != results.OverloadTarget || len(run.Warnings) != 2 || !strings.Contains(run.Warnings[1], "5 of 105") {
		t.Errorf("overload %q, warnings %q", run.Instrument.Schedule.Overload, run.Warnings)
	}
}
