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
	held := results.Punctuals{Seconds: 10, Held: 3, HeldRate: 4000, Through: 3900}
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
			[]string{"200 of them while kabench was behind its own schedule: that the target was slow cannot be said; it held 4000/s"}},
		{"no core free when it dropped", standing{maxLag: lag, due: 10000, dropped: 400, lagP99: 0.04, schedule: fullDrops, machine: busy}, "machine",
			[]string{"400 of 10000 requests were due and never started (load.max_in_flight 0 were under way), 300 of them while no core"}},
		{"no second held", standing{maxLag: lag, due: 10000, dropped: 400, schedule: never, machine: busy}, "machine",
			[]string{"it held no whole second of its schedule, and 3900/s got through"}},
		{"too short to say what it held", standing{maxLag: lag, due: 10, lagP99: 0.06}, "kabench", []string{"load.max_lag allows 50ms; lower load.rate"}},
		{"late", standing{maxLag: lag, due: 10000, lagP99: 0.06, schedule: held, machine: idle}, "kabench", []string{"60ms late or later, and load.max_lag allows 50ms; it held 4000/s"}},
		{"late on a busy machine", standing{maxLag: lag, due: 10000, lagP99: 0.06, schedule: held, machine: busy}, "machine", []string{"could not keep to its schedule"}},
		{"exactly the limit", standing{maxLag: lag, due: 10000, lagP99: 0.05, schedule: held, machine: busy}, "", nil},
		{"late and dropping", standing{maxLag: lag, due: 10000, dropped: 200, lagP99: 0.06, schedule: lateDrops, machine: idle}, "kabench",
			[]string{"could not keep to its schedule", "200 of them while kabench was behind"}},
		{"late, and the target slow at other times", standing{maxLag: lag, due: 10000, dropped: 900, lagP99: 0.06, schedule: held, machine: idle}, "kabench", []string{"could not keep"}},
		{"bunched", standing{maxLag: lag, due: 10000, lagP99: 0.04, schedule: held, machine: idle, arrivals: misfit}, "", []string{"did not arrive as poisson arrivals do: the time that 4 of them took is 0.40 away"}},
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
			if n := strings.Count(strings.Join(invalid, " "), "it held"); n > 1 {
				t.Errorf("what it held is said %d times: %q", n, invalid)
			}
		})
	}
}
