package lint

import (
	"slices"
	"testing"
)

// Each source address has all the ports.
func TestLintCountsThePortsOfEachSource(t *testing.T) {
	sets := []string{"pool.max_requests=50", "load.rate=40000/s", "load.max_in_flight=4000"}
	if list := Check(lintProfile(t, sets...), Options{Ports: 28232}); !slices.Contains(rulesOf(list.Findings), RulePorts) {
		t.Fatalf("48000 of 28232 ports are enough: %+v", list.Findings)
	}
	two := append(sets, "target.source_addresses=[127.0.0.2, 127.0.0.3]")
	if list := Check(lintProfile(t, two...), Options{Ports: 28232}); slices.Contains(rulesOf(list.Findings), RulePorts) {
		t.Errorf("48000 of 56464 ports are too many: %+v", list.Findings)
	}
	const said = "ports 20000 x 2 source addresses = 40000"
	list := Check(lintProfile(t, two...), Options{Ports: 20000})
	if !slices.ContainsFunc(list.Findings, func(f Finding) bool { return f.Rule == RulePorts && f.Numbers[1] == said }) {
		t.Errorf("no finding says %q: %+v", said, list.Findings)
	}
	p := lintProfile(t, sets...)
	p.Target.SourceAddresses = []string{"127.0.0.2", "127.0.0.3", "::1"}
	if n := p.Target.SourceCount(); n != 1 {
		t.Errorf("of two families, %d, want those of the smaller", n)
	}
}
