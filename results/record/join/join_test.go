package join

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/results"
)

// joined are the joined samples of lists, each of an agent in the network with the same
// index.
func joined(networks []string, lists ...[]results.Sample) ([]results.Sample, Peaks) {
	var sources []Source
	for i, list := range lists {
		sources = append(sources, Source{Network: networks[i], Samples: slices.Values(list)})
	}
	var all []results.Sample
	peaks := Samples(sources, func(float64) uint64 { return 0 }, func(s results.Sample) bool {
		all = append(all, s)
		return true
	})
	return all, peaks
}

func TestSamplesAreAddedOnTheClockOfTheRun(t *testing.T) {
	a := []results.Sample{{T: 0.1, Leased: 1, OK: 10, CPU: 0.5}, {T: 0.2, Leased: 2, OK: 20, CPU: 0.5}, {T: 0.3, Leased: 3, OK: 30}}
	b := []results.Sample{{T: 0.13, Leased: 10, OK: 1, CPU: 0.25}, {T: 0.23, Leased: 20, OK: 2}, {T: 0.33, Leased: 30, OK: 3}, {T: 0.6, Leased: 40, OK: 4}}
	got, peaks := joined([]string{"n", "n"}, a, b)
	want := []results.Sample{
		{T: 0.1, Leased: 1, OK: 10, CPU: 0.5},
		{T: 0.2, Leased: 12, OK: 21, CPU: 0.75},
		{T: 0.3, Leased: 23, OK: 32},
		{T: 0.4, Leased: 33, OK: 33},
		{T: 0.6, Leased: 40, OK: 34}, // a has ended: its totals stay
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if peaks.Pool.PeakLeased != 40 {
		t.Errorf("peaks %+v", peaks)
	}
}

// An agent that takes no samples for a moment still has its connections; one that takes
// none for long does not count.
func TestSamplesOfAStalledAgent(t *testing.T) {
	a := []results.Sample{{T: 0.1, Leased: 5, Due: 7}, {T: 9, Leased: 5, Due: 8}}
	var b []results.Sample
	for i := range 60 {
		b = append(b, results.Sample{T: float64(i+1) / 10, Leased: 1})
	}
	got, _ := joined([]string{"", ""}, a, b)
	for _, s := range got {
		want, due := 6, uint64(7)
		switch {
		case s.T > 8:
			want, due = 5, 8
		case s.T > 2.1:
			want = 1
		}
		if s.Leased != want || s.Due != due {
			t.Errorf("at %v: %d leased and %d due, want %d and %d", s.T, s.Leased, s.Due, want, due)
		}
	}
}

func TestSocketsAreAddedAcrossNetworks(t *testing.T) {
	seen := func(t float64, wait, ports int, server map[string]int) []results.Sample {
		return []results.Sample{{T: t, Sockets: &results.SocketSample{Client: map[string]int{"TIME_WAIT": wait}, Server: server, PortsUsed: ports}}}
	}
	got, peaks := joined([]string{"n", "n", "m", "", ""},
		seen(0.5, 7, 70, map[string]int{"ESTABLISHED": 3}), seen(0.5, 9, 60, map[string]int{"ESTABLISHED": 4}),
		seen(0.5, 100, 1, nil), seen(0.5, 1000, 1, nil), seen(0.5, 2000, 1, nil))
	want := []results.Sample{{T: 0.5, Sockets: &results.SocketSample{
		Client: map[string]int{"TIME_WAIT": 9 + 100 + 1000 + 2000}, Server: map[string]int{"ESTABLISHED": 4}, PortsUsed: 73,
	}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !peaks.Sockets.Available || peaks.Sockets.TimeWaitPeak != 3109 || !peaks.Sockets.ServerSide {
		t.Errorf("peaks %+v", peaks.Sockets)
	}
}

// Samples end, whatever their times are.
func TestSamplesWithAnyTimes(t *testing.T) {
	strange := []results.Sample{{T: 3}, {T: -1}, {T: 1e300}, {T: 2}, {T: math.MaxFloat64}, {T: 1e15 + 0.3}}
	got, _ := joined([]string{"", ""}, strange, []results.Sample{{T: 1, OK: 1}})
	if len(got) == 0 || got[len(got)-1].OK != 1 || !slices.IsSortedFunc(got, func(a, b results.Sample) int {
		if a.T <= b.T {
			return -1
		}
		return 1
	}) {
		t.Errorf("%+v", got)
	}
}

func part(index int, network string, change func(*results.Agent, *results.Run)) Part {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	p := Part{
		Agent: results.Agent{Index: index, Name: string(rune('a' + index)), Network: network},
		Run: &results.Run{
			Complete: true, Valid: true, Start: start, End: start.Add(time.Minute),
			Latency: map[string]results.Quantiles{results.LatencyLag: {P99: 0.001 * float64(index+1)}}, Recording: results.Recording{Written: 5, SuccessesOneIn: 1},
			Limit:       &results.LimitSeen{Algorithm: "vegas", Initial: 20, Lowest: 9, Highest: 30, Final: 25},
			Connections: results.Connections{Opened: 10, ClosedByUs: 4, Reset: 1, TLSResumed: 3, MaxOpen: 8, Evictions: map[string]uint64{"expired": 2}},
			Pool:        results.PoolPeaks{PeakLeased: 5, PeakIdle: 6},
			Sockets:     results.Sockets{Available: true, TimeWaitPeak: 10 * (index + 1), PortsAvailable: 100},
			Kernel:      results.Kernel{Available: true, Counters: map[string]uint64{"OutRsts": uint64(index + 1)}},
			Instrument: results.Instrument{CPUSeconds: 2, PeakRSS: 50, GCPauseP99: 0.01, Machine: &results.Machine{Busy: 0.1 * float64(index)},
				Arrivals: results.Arrivals{Verdict: results.ArrivalsFit}},
		},
	}
	if change != nil {
		change(&p.Agent, p.Run)
	}
	p.Fill()
	return p
}

func TestFigures(t *testing.T) {
	parts := []Part{
		part(0, "n", func(a *results.Agent, r *results.Run) { // two seconds ahead of the controller's clock
			a.Clock.Offset, r.Start, r.End = 2, r.Start.Add(2*time.Second), r.End.Add(2*time.Second)
		}),
		part(1, "n", func(_ *results.Agent, r *results.Run) { r.Warnings = []string{"odd"} }),
		part(2, "m", func(_ *results.Agent, r *results.Run) {
			r.Warnings = []string{"odd"}
			r.Valid, r.Invalid = false, []string{"it fell behind"}
			r.Instrument.Arrivals.Verdict = results.ArrivalsMisfit
			r.Recording.Error = "the disk is full"
		}),
		{Agent: results.Agent{Index: 3, Name: "d", Lost: &results.AgentLost{}}},
	}
	parts[3].Fill()
	run := Figures(parts, Peaks{MaxOpen: 100, Pool: results.PoolPeaks{PeakLeased: 12, PeakIdle: 1}})
	for name, ok := range map[string]bool{
		"added":                  run.Connections.Opened == 30 && run.Connections.ClosedByUs == 12 && run.Connections.TLSResumed == 9 && run.Connections.Evictions["expired"] == 6 && run.Instrument.CPUSeconds == 6 && run.Instrument.PeakRSS == 150,
		"not above all together": run.Connections.MaxOpen == 24,
		"limits added":           *run.Limit == results.LimitSeen{Algorithm: "vegas", Initial: 60, Lowest: 27, Highest: 90, Final: 75},
		"from the samples":       run.Pool.PeakLeased == 12,
		"not below the largest":  run.Pool.PeakIdle == 6 && run.Sockets.TimeWaitPeak == 30,
		"networks":               run.Sockets.PortsAvailable == 200 && run.Kernel.Counters["OutRsts"] == 2+3,
		"the worst":              run.Instrument.GCPauseP99 == 0.01 && run.Instrument.Machine.Busy == 0.2 && run.Instrument.Arrivals.Verdict == results.ArrivalsMisfit,
		"clock":                  run.Start.Equal(parts[1].Run.Start) && run.End.Equal(parts[1].Run.End),
		"recording":              run.Recording.Error == "agent c (2): the disk is full",
		"complete":               run.Complete && !run.Interrupted,
		"nothing survived":       !parts[3].Agent.Valid && parts[3].Agent.Invalid != nil,
		"lag":                    parts[2].Agent.Lag.P99 == 0.003,
	} {
		if !ok {
			t.Errorf("%s: %+v", name, run)
		}
	}
	if diff := cmp.Diff([]string{"agent c (2): it fell behind"}, run.Invalid); diff != "" {
		t.Errorf("invalid (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"agents b (1), c (2): odd"}, run.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestDriversAreJoined(t *testing.T) {
	driver := func(version string, count uint64, late float64, ended string) func(*results.Agent, *results.Run) {
		return func(_ *results.Agent, r *results.Run) {
			r.Driver = &results.DriverSeen{
				Client: "OkHttp", Version: version, Gauges: []string{"idle"}, Late: results.Quantiles{Count: 1, P99: late}, Dispatched: 10, Looked: true,
				Faults: []results.DriverFault{{Name: "answers twice", Count: 1}}, Ended: ended, WarmUp: &results.DriverWarmUp{Requests: 5, Seconds: late},
				Errors: []results.DriverError{{Text: "closed", Count: count, Seq: 9 - count, Agree: true}, {Text: "only " + version, Count: 3}},
			}
		}
	}
	run := Figures([]Part{part(0, "", driver("5", 1, 0.1, "")), part(1, "", driver("4", 4, 0.2, "exit status 3"))}, Peaks{})
	want := &results.DriverSeen{
		Client: "OkHttp", Version: "5", Gauges: []string{"idle"}, Late: results.Quantiles{Count: 1, P99: 0.2}, Dispatched: 20, Looked: true,
		Faults: []results.DriverFault{{Name: "answers twice", Count: 2}}, Ended: "agent b (1): exit status 3", WarmUp: &results.DriverWarmUp{Requests: 10, Seconds: 0.2},
		Errors: []results.DriverError{{Text: "closed", Count: 5, Seq: 5, Agree: true}, {Text: "only 5", Count: 3}, {Text: "only 4", Count: 3}},
	}
	if diff := cmp.Diff(want, run.Driver); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(run.Warnings) != 1 || !strings.Contains(run.Warnings[0], "agent b (1) drives OkHttp 4") {
		t.Errorf("warnings %q", run.Warnings)
	}
}

// A sum that lacks what a machine's kernel counted says so; agents of the same network count
// the same.
func TestMachinesThatAreNotSeen(t *testing.T) {
	blind := func(_ *results.Agent, r *results.Run) { r.Kernel = results.Kernel{Why: "it was cut off"} }
	for name, test := range map[string]struct {
		parts []Part
		want  string
	}{
		"all are seen":         {[]Part{part(0, "n", nil), part(1, "m", nil)}, ""},
		"another sees it":      {[]Part{part(0, "n", nil), part(1, "n", blind)}, ""},
		"a machine is missing": {[]Part{part(0, "n", nil), part(1, "m", blind)}, "what the kernel of b (1) counted is not known, and not in the sums: it was cut off"},
		"networks not known":   {[]Part{part(0, "", nil), part(1, "", blind)}, "what the kernel of b (1) counted is not known, and not in the sums: it was cut off"},
		"none is seen":         {[]Part{part(0, "n", blind), part(1, "m", blind)}, ""},
	} {
		if got := strings.Join(Figures(test.parts, Peaks{}).Warnings, "\n"); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
