package text

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/kabench/kabench/results"
)

// TestKernelCountersThatExplain: the failures of a run decide which counters its
// report has.
func TestKernelCountersThatExplain(t *testing.T) {
	counters := map[string]uint64{}
	for _, c := range results.KernelCounters {
		counters[c.Name] = 3
	}
	shown := func(k results.Kernel, o results.Outcome) []string {
		var b bytes.Buffer
		renderKernel(&b, &results.Run{Kernel: k, Outcomes: []results.Outcome{{Phase: results.PhaseDone, Count: 5}, o}})
		var names []string
		for _, m := range regexp.MustCompile(`(?m)^  (\w+) \d+: `).FindAllStringSubmatch(b.String(), -1) {
			names = append(names, m[1])
		}
		return names
	}
	all := results.Kernel{Available: true, Counters: counters}
	for _, tt := range []struct {
		o    results.Outcome
		want string
	}{
		{results.Outcome{Phase: results.PhaseBeforeResponse, Cause: results.CauseFIN, Reused: true}, "TCPAbortOnData"},
		{results.Outcome{Phase: results.PhaseBeforeResponse, Cause: results.CauseRST}, "TCPAbortOnData TCPAbortOnClose OutRsts EstabResets"},
		{results.Outcome{Phase: results.PhaseConnect, Cause: results.CauseTimeout}, "AttemptFails ListenOverflows ListenDrops TCPReqQFullDrop TCPSynRetrans"},
		{results.Outcome{Phase: results.PhaseConnect, Cause: results.CausePortExhausted}, "TW TWRecycled"},
		{results.Outcome{Phase: results.PhaseBeforeResponse, Cause: results.CauseTimeout}, "TCPTimeouts RetransSegs TCPAbortOnTimeout TCPBacklogDrop"},
		{results.Outcome{Phase: results.PhaseDuringResponse, Cause: results.CauseFIN}, ""},
		{results.Outcome{Phase: results.PhaseAcquire, Cause: results.CauseTimeout}, ""},
		{results.Outcome{Phase: results.PhaseAcquire, Cause: results.CauseQueueFull}, ""},
		{results.Outcome{Phase: results.PhaseBeforeResponse, Cause: results.CauseAborted}, ""},
		{results.Outcome{Phase: results.PhaseDone, Reused: true}, ""},
	} {
		if got := strings.Join(shown(all, tt.o), " "); got != tt.want {
			t.Errorf("%v/%v: %q, want %q", tt.o.Phase, tt.o.Cause, got, tt.want)
		}
	}
	for name, k := range map[string]results.Kernel{
		"not available": {Why: "no /proc"},
		"none of them":  {Available: true, Counters: map[string]uint64{}},
		"did not move":  {Available: true, Counters: map[string]uint64{"OutRsts": 0, "TCPAbortOnData": 0}},
	} {
		if got := shown(k, results.Outcome{Phase: results.PhaseBeforeResponse, Cause: results.CauseRST}); got != nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	// In a private network each host counts for itself, and the report says where.
	var b bytes.Buffer
	renderKernel(&b, &results.Run{
		Kernel: results.Kernel{Available: true, Counters: map[string]uint64{"TCPAbortOnData": 0, "OutRsts": 2}, Hosts: map[string]map[string]uint64{
			"client": {"TCPAbortOnData": 0, "OutRsts": 2}, "server": {"TCPAbortOnData": 7, "OutRsts": 9}}},
		Outcomes: []results.Outcome{{Phase: results.PhaseBeforeResponse, Cause: results.CauseRST, Count: 7}},
	})
	for _, want := range []string{"for each host by itself\n", "  TCPAbortOnData 7 at server: ", "  OutRsts 2 at client: ", "  OutRsts 9 at server: "} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, &b)
		}
	}
	for _, x := range explanations {
		if !slices.ContainsFunc(results.KernelCounters, func(c results.KernelCounter) bool { return c.Name == x.counter }) {
			t.Errorf("%s explains something, and is not among the counters", x.counter)
		}
	}
}

// The comparison has the counters that are related to the failures of one of the runs
// and that differ between the runs.
func TestKernelCountersCompared(t *testing.T) {
	failing := []results.Outcome{{Phase: results.PhaseBeforeResponse, Cause: results.CauseFIN, Reused: true, Count: 7}}
	run := func(outcomes []results.Outcome, counters map[string]uint64, hosts map[string]map[string]uint64) column {
		return column{"run", &results.Run{Outcomes: outcomes, Kernel: results.Kernel{Available: true, Counters: counters, Hosts: hosts}}}
	}
	here := func(abort, rsts uint64) map[string]uint64 {
		return map[string]uint64{"TCPAbortOnData": abort, "OutRsts": rsts}
	}
	hosts := func(client, a, b uint64) map[string]map[string]uint64 {
		h := map[string]map[string]uint64{"client": here(client, 0), "a": here(a, 0)}
		if b > 0 {
			h["b"] = here(b, 0)
		}
		return h
	}
	for name, c := range map[string]struct {
		runs []column
		want string
	}{
		"differs":           {[]column{run(failing, here(7, 9), nil), run(nil, here(0, 1), nil)}, "kernel TCPAbortOnData 7 0"},
		"of a remedy":       {[]column{run(nil, here(0, 9), nil), run(failing, here(3, 1), nil)}, "kernel TCPAbortOnData 0 3"},
		"the same":          {[]column{run(failing, here(7, 9), nil), run(nil, here(7, 1), nil)}, ""},
		"nothing failed":    {[]column{run(nil, here(7, 9), nil), run(nil, here(0, 1), nil)}, ""},
		"not read":          {[]column{run(failing, here(7, 9), nil), run(nil, nil, nil)}, "kernel TCPAbortOnData 7 not seen"},
		"at the one server": {[]column{run(failing, here(0, 0), hosts(0, 7, 0)), run(nil, here(0, 0), hosts(0, 1, 0))}, "kernel TCPAbortOnData, a 7 1"},
		"at several": {[]column{run(failing, here(1, 0), hosts(1, 7, 2)), run(nil, here(0, 0), hosts(0, 0, 4))},
			"kernel TCPAbortOnData, client 1 0; kernel TCPAbortOnData, the other hosts 9 4"},
	} {
		var got []string
		for _, row := range kernelRows(c.runs) {
			line := row.label
			for _, r := range c.runs {
				line += " " + row.cell(r.run)
			}
			got = append(got, line)
		}
		if got := strings.Join(got, "; "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
