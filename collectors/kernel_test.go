package collectors

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kabench/kabench/results"
)

// readings returns what is listed, one at each call.
func readings(list ...map[string]uint64) func() (map[string]uint64, error) {
	return func() (map[string]uint64, error) {
		c := list[0]
		list = list[1:]
		if c == nil {
			return nil, errors.New("no /proc")
		}
		return c, nil
	}
}

// Hosts count for themselves, and a host that cannot be read is named in a warning.
func TestKernelCountersOfHosts(t *testing.T) {
	src := still(func(results.Sample) error { return nil })
	src.Hosts = map[string]func() (map[string]uint64, error){
		"server": readings(map[string]uint64{"TcpOutRsts": 5}, map[string]uint64{"TcpOutRsts": 9}),
		"gone":   readings(nil),
	}
	s := newSampler(src, counting(none))
	s.Start(time.Now())
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	var run results.Run
	s.Fill(&run)
	if diff := cmp.Diff(map[string]map[string]uint64{"server": {"OutRsts": 4}}, run.Kernel.Hosts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !slices.ContainsFunc(run.Warnings, func(w string) bool { return strings.Contains(w, "of the host gone could not be read: no /proc") }) {
		t.Errorf("warnings %q", run.Warnings)
	}
}

func TestKernelCounters(t *testing.T) {
	for name, test := range map[string]struct {
		read func() (map[string]uint64, error)
		want results.Kernel
	}{
		"rose, and what is not listed or known at both ends left out": {
			readings(map[string]uint64{"TcpOutRsts": 5, "TcpExtTW": 7, "TcpInSegs": 1, "TcpExtTWKilled": 4},
				map[string]uint64{"TcpOutRsts": 9, "TcpExtTW": 7, "TcpInSegs": 90, "TcpExtListenDrops": 3, "TcpExtTWKilled": 2}),
			results.Kernel{Available: true, Counters: map[string]uint64{"OutRsts": 4, "TW": 0}},
		},
		"never readable": {readings(nil), results.Kernel{Why: "no /proc", Counters: map[string]uint64{}}},
		"not readable at the end": {readings(map[string]uint64{"TcpExtTW": 7}, nil),
			results.Kernel{Why: "no /proc", Counters: map[string]uint64{}}},
	} {
		k := kernel{read: test.read}
		k.begin()
		k.end()
		if diff := cmp.Diff(test.want, k.counted()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
