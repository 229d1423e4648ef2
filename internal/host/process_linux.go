package host

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// CPUTime returns the processor time that this process has used, user and system.
func CPUTime() (time.Duration, error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return 0, os.NewSyscallError("getrusage", err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()), nil
}

// OpenFiles returns how many file descriptors this process has open.
func OpenFiles() (int, error) {
	const dir = "/proc/self/fd"
	info, err := os.Stat(dir)
	if err != nil {
		return 0, err
	}
	// Since Linux 6.2 the size of the directory is the number, so that it need not
	// be read when there are tens of thousands of connections.
	if n := info.Size(); n > 0 {
		return int(n), nil
	}
	f, err := os.Open(dir)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	names, err := f.Readdirnames(-1)
	return max(len(names)-1, 0), err // without f itself
}

// PeakRSS returns the peak of this process's resident memory in bytes, since its start
// or since the last ResetPeakRSS.
func PeakRSS() (uint64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	return parseHighWater(status)
}

// ResetPeakRSS makes PeakRSS count from now on, so that a run does not report the peak
// of an earlier run in the same process.
func ResetPeakRSS() error {
	return os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) // proc_pid_clear_refs(5)
}

// parseHighWater finds the line "VmHWM:	   12345 kB" of /proc/self/status.
func parseHighWater(status []byte) (uint64, error) {
	for line := range bytes.Lines(status) {
		value, ok := bytes.CutPrefix(line, []byte("VmHWM:"))
		if !ok {
			continue
		}
		value, ok = bytes.CutSuffix(bytes.TrimSpace(value), []byte(" kB"))
		kB, err := strconv.ParseUint(string(value), 10, 54)
		if err != nil || !ok {
			return 0, fmt.Errorf("VmHWM %q is not a number of kB", value)
		}
		return kB << 10, nil
	}
	return 0, errors.New("no VmHWM in /proc/self/status")
}
