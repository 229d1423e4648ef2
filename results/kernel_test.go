package results

import (
	"bytes"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestKernelCountersThatExplain: which counters a report has, by the failures
// there were.
func TestKernelCountersThatExplain(t *testing.T) {
	counters := map[string]uint64{}
	for _, c := range KernelCounters {
		counters[c.Name] = 3
	}
	shown := func(k Kernel, o Outcome) []string {
		var b bytes.Buffer
		renderKernel(&b, &Run{Kernel: k, Outcomes: []Outcome{{Phase: PhaseDone, Count: 5}, o}})
		var names []string
		for _, m := range regexp.MustCompile(`(?m)^  (\w+) \d+: `).FindAllStringSubmatch(b.String(), -1) {
			names = append(names, m[1])
		}
		return names
	}
	all := Kernel{Available: true, Counters: counters}
	for _, tt := range []struct {
		o    Outcome
		want string
	}{
		{Outcome{Phase: PhaseBeforeResponse, Cause: CauseFIN, Reused: true}, "TCPAbortOnData"},
		{Outcome{Phase: PhaseBeforeResponse, Cause: CauseRST}, "TCPAbortOnData TCPAbortOnClose OutRsts EstabResets"},
		{Outcome{Phase: PhaseConnect, Cause: CauseTimeout}, "AttemptFails ListenOverflows ListenDrops TCPReqQFullDrop TCPSynRetrans"},
		{Outcome{Phase: PhaseConnect, Cause: CausePortExhausted}, "TW TWRecycled"},
		{Outcome{Phase: PhaseBeforeResponse, Cause: CauseTimeout}, "TCPTimeouts RetransSegs TCPAbortOnTimeout TCPBacklogDrop"},
		{Outcome{Phase: PhaseDuringResponse, Cause: CauseFIN}, ""},
		{Outcome{Phase: PhaseAcquire, Cause: CauseTimeout}, ""},
		{Outcome{Phase: PhaseAcquire, Cause: CauseQueueFull}, ""},
		{Outcome{Phase: PhaseBeforeResponse, Cause: CauseAborted}, ""},
		{Outcome{Phase: PhaseDone, Reused: true}, ""},
	} {
		if got := strings.Join(shown(all, tt.o), " "); got != tt.want {
			t.Errorf("%v/%v: %q, want %q", tt.o.Phase, tt.o.Cause, got, tt.want)
		}
	}
	for name, k := range map[string]Kernel{
		"not available": {Why: "no /proc"},
		"none of them":  {Available: true, Counters: map[string]uint64{}},
		"did not move":  {Available: true, Counters: map[string]uint64{"OutRsts": 0, "TCPAbortOnData": 0}},
	} {
		if got := shown(k, Outcome{Phase: PhaseBeforeResponse, Cause: CauseRST}); got != nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	// In a private network each host counts for itself, and the report says where.
	var b bytes.Buffer
	renderKernel(&b, &Run{
		Kernel: Kernel{Available: true, Counters: map[string]uint64{"TCPAbortOnData": 0, "OutRsts": 2}, Hosts: map[string]map[string]uint64{
			"client": {"TCPAbortOnData": 0, "OutRsts": 2}, "server": {"TCPAbortOnData": 7, "OutRsts": 9}}},
		Outcomes: []Outcome{{Phase: PhaseBeforeResponse, Cause: CauseRST, Count: 7}},
	})
	for _, want := range []string{"for each host by itself\n", "  TCPAbortOnData 7 at server: ", "  OutRsts 2 at client: ", "  OutRsts 9 at server: "} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is not in\n%s", want, &b)
		}
	}
	for _, x := range explanations {
		if !slices.ContainsFunc(KernelCounters, func(c KernelCounter) bool { return c.Name == x.counter }) {
			t.Errorf("%s explains something, and is not among the counters", x.counter)
		}
	}
}

func TestKernelExpectations(t *testing.T) {
	counted := &Run{Kernel: Kernel{Available: true, Counters: map[string]uint64{"TW": 7}}}
	for _, tt := range []struct {
		run       *Run
		path, why string
		met       bool
	}{
		{counted, "kernel.TW", "", true},
		{counted, "kernel.OutRsts", "this kernel does not count it", false},
		{&Run{Kernel: Kernel{Why: "needs Linux"}}, "kernel.TW", "could not be read: needs Linux", false},
		{&Run{}, "kernel.TW", "could not be read", false},
	} {
		e := CheckExpectations(tt.run, map[string]string{tt.path: ">= 0"})[0]
		if e.Met != tt.met || !strings.Contains(e.Why, tt.why) || (e.Why == "") != (tt.why == "") {
			t.Errorf("%s: %+v, want met %v and %q", tt.path, e, tt.met, tt.why)
		}
	}
	if _, err := lookup(counted, "kernel.TCPAbortOnDate"); err == nil || !strings.Contains(err.Error(), "kernel.TCPAbortOnData") {
		t.Errorf("a misspelt counter: %v", err)
	}
}

// The comparison has the counters that bear on the failures of one of the runs
// and differ between them.
func TestKernelCountersCompared(t *testing.T) {
	failing := []Outcome{{Phase: PhaseBeforeResponse, Cause: CauseFIN, Reused: true, Count: 7}}
	run := func(outcomes []Outcome, counters map[string]uint64, hosts map[string]map[string]uint64) column {
		return column{"run", &Run{Outcomes: outcomes, Kernel: Kernel{Available: true, Counters: counters, Hosts: hosts}}}
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

// A ladder names the hosts behind a balancer, beneath one another.
func TestEvidenceNamesTheHost(t *testing.T) {
	var b bytes.Buffer
	renderEvidence(&b, Evidence{Rows: []EvidenceRow{
		{At: 1, From: "server", To: "client", Host: "a", Flags: "P."},
		{At: 2, From: "client", To: "server", Host: "backend11", Flags: "P."},
		{At: 3, From: "client", To: "server", Flags: "P.", Fate: "lost"},
		{At: 4, From: "link", To: "client", Flags: "R"},
	}})
	want := []string{"client ← a          P.", "client → backend11  P.", "client → server     P.", "client ← link       R"}
	for i, line := range strings.Split(strings.TrimSpace(b.String()), "\n")[1:] {
		if !strings.Contains(line, want[i]) {
			t.Errorf("%q, want %q in it", line, want[i])
		}
	}
}
