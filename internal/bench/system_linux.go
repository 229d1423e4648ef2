package main

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// watchPeak reads the peak resident memory of a process again and again, and every
// memoryEvery the memory of then. The function that it returns stops this and returns the
// highest value, and the others.
func watchPeak(pid int) func() (int64, []memoryAt) {
	path := fmt.Sprintf("/proc/%d/status", pid)
	var peak int64
	var memory []memoryAt
	began := time.Now()
	stop := make(chan struct{})
	var done sync.WaitGroup
	done.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				peak = max(peak, highWater(path))
				if since := time.Since(began); since >= time.Duration(len(memory)+1)*memoryEvery {
					if now := kibField(path, "VmRSS:"); now > 0 {
						memory = append(memory, memoryAt{since.Seconds(), now})
					}
				}
			}
		}
	})
	return func() (int64, []memoryAt) { close(stop); done.Wait(); return peak, memory }
}

// highWater reads VmHWM from a status file, in bytes; 0: it has none.
func highWater(path string) int64 { return kibField(path, "VmHWM:") }

// kibField reads a field in KiB from a status file and returns it in bytes; 0: it has
// none.
func kibField(path, name string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	_, rest, _ := bytes.Cut(text, []byte(name))
	fields := bytes.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kib, _ := strconv.ParseInt(string(fields[0]), 10, 64)
	return kib << 10
}

// peakMemory returns the peak memory of an ended process. The figure of wait4
// (ru_maxrss) includes the moment before exec, in which the process was a copy of this
// one (setmax_mm_hiwater_rss in the kernel's fs/exec.c). So it is right only if it is
// above the peak of this process. Otherwise the result is the peak that watchPeak saw,
// which may miss the last tenth of a second.
func peakMemory(state *os.ProcessState, watched int64) int64 {
	u, ok := state.SysUsage().(*syscall.Rusage)
	if ok && u.Maxrss<<10 > highWater("/proc/self/status") {
		return u.Maxrss << 10
	}
	return watched
}

// busy returns the CPU time that all processes of the machine have used, plus the time
// that the hypervisor took; false: not known.
func busy() (time.Duration, bool) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, false
	}
	line, _, _ := strings.Cut(string(text), "\n")
	fields := strings.Fields(line) // cpu user nice system idle iowait irq softirq steal ...
	if len(fields) < 9 {
		return 0, false
	}
	var ticks int64
	for i, field := range fields[1:9] {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, false
		}
		if i != 3 && i != 4 { // idle, iowait
			ticks += n
		}
	}
	return time.Duration(ticks) * (time.Second / 100), true // USER_HZ is 100 on all of Go's architectures
}

// portRange returns the number of ephemeral ports.
func portRange() int {
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	var low, high int
	if err == nil {
		_, err = fmt.Sscan(string(text), &low, &high)
	}
	if err != nil || high < low {
		return 28_232 // the kernel's default, 32768 to 60999
	}
	return high - low + 1
}

// manyLoopbacks reports whether every address of 127.0.0.0/8 can be used.
const manyLoopbacks = true

// systemFacts returns the CPU's model and the kernel's version.
func systemFacts() (cpu, kernel string) {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			cpu = strings.TrimSpace(value)
			break
		}
	}
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		kernel = unix.ByteSliceToString(u.Sysname[:]) + " " + unix.ByteSliceToString(u.Release[:])
	}
	return cpu, kernel
}

// waitingSockets returns the machine's TCP sockets in TIME_WAIT; -1: not known.
func waitingSockets() int64 {
	text, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		for i := 1; fields[0] == "TCP:" && i+1 < len(fields); i += 2 {
			if n, err := strconv.ParseInt(fields[i+1], 10, 64); fields[i] == "tw" && err == nil {
				return n
			}
		}
	}
	return -1
}

// mostWaiting returns how many sockets the system keeps in TIME_WAIT; 0: not known.
func mostWaiting() int {
	text, err := os.ReadFile("/proc/sys/net/ipv4/tcp_max_tw_buckets")
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(strings.TrimSpace(string(text)))
	return n
}

// raiseFiles lets this process, and those that it starts, open as many files as the system
// allows. Go raises its own limit only, and gives children the old one.
func raiseFiles() error {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("getrlimit: %w", err)
	}
	limit.Cur = limit.Max
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return fmt.Errorf("setrlimit: %w", err)
	}
	return nil
}
