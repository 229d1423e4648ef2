package host

import (
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// ReadCPUTimes reads the times of the cores.
func ReadCPUTimes() (CPUTimes, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return CPUTimes{}, err
	}
	return parseCPUTimes(stat)
}

// CPUPressure returns how long at least one task has waited for a core since the machine
// started. It fails on kernels without CONFIG_PSI.
func CPUPressure() (time.Duration, error) {
	text, err := os.ReadFile("/proc/pressure/cpu")
	if err != nil {
		return 0, err
	}
	return parsePressure(text)
}

// InvoluntarySwitches returns how often the kernel took a core from a thread of this
// process that still needed it (getrusage(2), ru_nivcsw).
func InvoluntarySwitches() (uint64, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, os.NewSyscallError("getrusage", err)
	}
	return uint64(u.Nivcsw), nil
}

// ReadCPUQuota reads the lowest limit of this process's control group and of the groups
// around it, and how often that limit was reached. It returns the zero CPUQuota if it
// finds no limit.
func ReadCPUQuota() (CPUQuota, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return CPUQuota{}, err
	}
	unified, v1 := cgroupPaths(text)
	var tightest CPUQuota
	look := func(mount, group string, read func(dir string) (CPUQuota, error)) {
		for group != "" {
			// In a container the path is that of the host; the group itself is at the
			// mount point.
			q, err := read(path.Join(mount, group))
			if err == nil && q.Cores > 0 && (tightest.Cores == 0 || q.Cores < tightest.Cores) {
				tightest = q
			}
			if group == "/" || group == "." {
				return
			}
			group = path.Dir(group)
		}
	}
	for _, mount := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		look(mount, unified, readQuotaV2)
	}
	for _, mount := range []string{"/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct"} {
		look(mount, v1, readQuotaV1)
	}
	return tightest, nil
}

func readQuotaV2(dir string) (q CPUQuota, err error) {
	limit, err := os.ReadFile(path.Join(dir, "cpu.max"))
	if err != nil {
		return q, err // the root group has no limit
	}
	if q.Cores, err = parseCPUMax(string(limit)); err != nil {
		return q, err
	}
	return q, readThrottling(dir, &q)
}

func readQuotaV1(dir string) (q CPUQuota, err error) {
	quota, err := os.ReadFile(path.Join(dir, "cpu.cfs_quota_us"))
	if err != nil {
		return q, err
	}
	period, err := os.ReadFile(path.Join(dir, "cpu.cfs_period_us"))
	if err != nil {
		return q, err
	}
	if q.Cores, err = cores(trim(quota), trim(period)); err != nil {
		return q, err
	}
	return q, readThrottling(dir, &q)
}

func readThrottling(dir string, q *CPUQuota) error {
	stat, err := os.ReadFile(path.Join(dir, "cpu.stat"))
	if err != nil {
		return err
	}
	return parseThrottling(stat, q)
}
