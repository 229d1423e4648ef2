package host

import (
	"os"
	"path"
	"time"

	"golang.org/x/sys/unix"
)

// ReadCPUTimes reads what the cores have done so far.
func ReadCPUTimes() (CPUTimes, error) {
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		return CPUTimes{}, err
	}
	return parseCPUTimes(stat)
}

// CPUPressure is how long some task has waited for a core since the machine
// started. Kernels without CONFIG_PSI do not tell.
func CPUPressure() (time.Duration, error) {
	text, err := os.ReadFile("/proc/pressure/cpu")
	if err != nil {
		return 0, err
	}
	return parsePressure(text)
}

// InvoluntarySwitches is how often this process's threads were taken off a core
// that they still wanted (getrusage(2), ru_nivcsw).
func InvoluntarySwitches() (uint64, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, os.NewSyscallError("getrusage", err)
	}
	return uint64(u.Nivcsw), nil
}

// ReadCPUQuota reads the tightest limit of this process's control group and of
// those it lies in, and how often that one was hit. Where no limit can be seen
// it is the zero CPUQuota.
func ReadCPUQuota() (CPUQuota, error) {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return CPUQuota{}, err
	}
	unified, v1 := cgroupPaths(text)
	var tightest CPUQuota
	look := func(mount, group string, read func(dir string) (CPUQuota, error)) {
		for group != "" {
			// In a container the path is the host's, and what is there is seen at
			// the mount itself.
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
		return q, err // the root has none
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
