package host

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// CPUTimes are the times of all cores together since the machine started, in ticks
// (USER_HZ, usually 10 ms): /proc/stat, proc_stat(5).
type CPUTimes struct {
	Busy    uint64 // neither idle nor waiting for a disk; includes Steal, because that time is not free either
	Steal   uint64 // taken by the hypervisor for other machines
	Total   uint64
	Running int // tasks that run or are ready to run at this moment
}

// parseCPUTimes reads /proc/stat.
func parseCPUTimes(stat []byte) (CPUTimes, error) {
	var t CPUTimes
	found := false
	for line := range bytes.Lines(stat) {
		fields := strings.Fields(string(line))
		switch {
		case len(fields) == 2 && fields[0] == "procs_running":
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				return CPUTimes{}, fmt.Errorf("/proc/stat: procs_running %q is not a number", fields[1])
			}
			t.Running = n
		case len(fields) >= 5 && fields[0] == "cpu":
			// user nice system idle iowait irq softirq steal guest guest_nice;
			// user and nice already include the time of guests.
			for i, field := range fields[1:min(len(fields), 9)] {
				n, err := strconv.ParseUint(field, 10, 62)
				if err != nil {
					return CPUTimes{}, fmt.Errorf("/proc/stat: %q is not a number of ticks", field)
				}
				t.Total += n
				if i != 3 && i != 4 {
					t.Busy += n
				}
				if i == 7 {
					t.Steal = n
				}
			}
			found = true
		}
	}
	if !found {
		return CPUTimes{}, errors.New("/proc/stat has no line of all cores")
	}
	return t, nil
}

// parsePressure reads the total of the line "some" of /proc/pressure/cpu: how long at
// least one task has waited for a core (Documentation/accounting/psi.rst).
func parsePressure(text []byte) (time.Duration, error) {
	for line := range bytes.Lines(text) {
		fields := strings.Fields(string(line))
		if len(fields) == 0 || fields[0] != "some" {
			continue
		}
		for _, field := range fields[1:] {
			if value, ok := strings.CutPrefix(field, "total="); ok {
				us, err := strconv.ParseInt(value, 10, 53)
				if err != nil || us < 0 {
					return 0, fmt.Errorf("pressure total %q is not a number of µs", value)
				}
				return time.Duration(us) * time.Microsecond, nil
			}
		}
	}
	return 0, errors.New("no total of some in /proc/pressure/cpu")
}

// CPUQuota is how much CPU time a control group allows this process. The zero value is a
// group without a limit.
type CPUQuota struct {
	Cores     float64       // 0: no limit
	Throttled time.Duration // how long the group was not allowed to run, summed over its cores
	Times     uint64        // in how many periods this happened
}

// parseCPUMax reads cpu.max of cgroup v2, "100000 100000" or "max 100000", as a
// number of cores; 0: no limit.
func parseCPUMax(text string) (float64, error) {
	fields := strings.Fields(text)
	if len(fields) != 2 {
		return 0, fmt.Errorf("cpu.max %q is not a quota and a period", strings.TrimSpace(text))
	}
	if fields[0] == "max" {
		return 0, nil
	}
	return cores(fields[0], fields[1])
}

// cores returns a quota in µs per period in µs as a number of cores.
func cores(quota, period string) (float64, error) {
	q, err := strconv.ParseInt(quota, 10, 53)
	if err != nil {
		return 0, fmt.Errorf("CPU quota %q is not a number of µs", quota)
	}
	p, err := strconv.ParseInt(period, 10, 53)
	if err != nil || p <= 0 {
		return 0, fmt.Errorf("CPU quota period %q is not a number of µs", period)
	}
	return max(float64(q)/float64(p), 0), nil // v1 writes -1 for no limit
}

// parseThrottling reads the throttling from cpu.stat: throttled_usec in cgroup v2,
// throttled_time (ns) in v1. A group without a limit has neither.
func parseThrottling(stat []byte, q *CPUQuota) error {
	for line := range bytes.Lines(stat) {
		name, value, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		unit := time.Duration(0)
		switch name {
		case "nr_throttled":
			unit = 1
		case "throttled_usec":
			unit = time.Microsecond
		case "throttled_time":
			unit = time.Nanosecond
		default:
			continue
		}
		n, err := strconv.ParseInt(value, 10, 53)
		if err != nil || n < 0 {
			return fmt.Errorf("cpu.stat: %s %q is not a number", name, value)
		}
		if name == "nr_throttled" {
			q.Times = uint64(n)
		} else {
			q.Throttled = time.Duration(n) * unit
		}
	}
	return nil
}

// cgroupPaths reads /proc/self/cgroup: this process's group in the unified hierarchy
// (v2), and in the v1 hierarchy of the cpu controller; "" if there is none.
func cgroupPaths(text []byte) (unified, cpu string) {
	for line := range bytes.Lines(text) {
		parts := strings.SplitN(strings.TrimSpace(string(line)), ":", 3)
		if len(parts) != 3 {
			continue
		}
		if parts[0] == "0" && parts[1] == "" {
			unified = parts[2]
		}
		for controller := range strings.SplitSeq(parts[1], ",") {
			if controller == "cpu" {
				cpu = parts[2]
			}
		}
	}
	return unified, cpu
}
