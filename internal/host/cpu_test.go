package host

import (
	"testing"
	"time"
)

func TestParseCPUTimes(t *testing.T) {
	for in, want := range map[string]CPUTimes{
		"cpu  100 10 20 800 50 1 2 17 5 5\ncpu0 1 2 3 4\nprocs_running 3\n": {Busy: 150, Steal: 17, Total: 1000, Running: 3},
		"cpu 1 2 3 4\n": {Busy: 6, Total: 10}, // before 2.5.41
	} {
		if got, err := parseCPUTimes([]byte(in)); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "cpu0 1 2 3 4 5\n", "cpu a b c d\n", "cpu 1 2 -3 4\n", "cpu 1 2 3 4\nprocs_running x\n"} {
		if got, err := parseCPUTimes([]byte(in)); err == nil {
			t.Errorf("%q: no error, %+v", in, got)
		}
	}
}

func TestParsePressure(t *testing.T) {
	const text = "some avg10=0.01 avg60=0.68 avg300=1.74 total=1227523\nfull avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
	if got, err := parsePressure([]byte(text)); err != nil || got != 1227523*time.Microsecond {
		t.Errorf("%v, %v", got, err)
	}
	for _, in := range []string{"", "full total=5\n", "some avg10=0\n", "some total=x\n", "some total=-1\n"} {
		if got, err := parsePressure([]byte(in)); err == nil {
			t.Errorf("%q: no error, %v", in, got)
		}
	}
}

func TestParseQuota(t *testing.T) {
	for in, want := range map[string]float64{"max 100000\n": 0, "150000 100000\n": 1.5, "5000 10000": 0.5} {
		if got, err := parseCPUMax(in); err != nil || got != want {
			t.Errorf("cpu.max %q: %v, %v; want %v", in, got, err, want)
		}
	}
	for _, in := range []string{"", "max", "x 100", "100 0", "100 -5", "100 x"} {
		if got, err := parseCPUMax(in); err == nil {
			t.Errorf("cpu.max %q: no error, %v", in, got)
		}
	}
	if got, err := cores("-1", "100000"); err != nil || got != 0 {
		t.Errorf("no limit in v1: %v, %v", got, err)
	}
	for in, want := range map[string]CPUQuota{
		"usage_usec 9\nnr_periods 7\nnr_throttled 3\nthrottled_usec 2500\n": {Times: 3, Throttled: 2500 * time.Microsecond},
		"nr_periods 7\nnr_throttled 3\nthrottled_time 2500\n":               {Times: 3, Throttled: 2500},
		"": {},
	} {
		var got CPUQuota
		if err := parseThrottling([]byte(in), &got); err != nil || got != want {
			t.Errorf("cpu.stat %q: %+v, %v; want %+v", in, got, err, want)
		}
	}
	if err := parseThrottling([]byte("throttled_usec x\n"), &CPUQuota{}); err == nil {
		t.Error("a count that is no number: no error")
	}
}

func TestCgroupPaths(t *testing.T) {
	for in, want := range map[string][2]string{
		"0::/user.slice/a:b\n":                       {"/user.slice/a:b", ""},
		"3:cpu,cpuacct:/docker/1\n2:cpuset:/x\n":     {"", "/docker/1"},
		"2:cpuacct:/c\n1:cpu:/\n0::/\nnonsense\n\n9": {"/", "/"},
		"": {"", ""},
	} {
		unified, cpu := cgroupPaths([]byte(in))
		if got := [2]string{unified, cpu}; got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}
