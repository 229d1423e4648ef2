package host

import (
	"errors"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// NanosleepLateness is how late clock_nanosleep(2) wakes, n times: at an
// absolute time of CLOCK_MONOTONIC, on a thread of its own whose timer slack is
// 1 ns instead of the usual 50 µs (PR_SET_TIMERSLACK, prctl(2)).
func NanosleepLateness(n int, nap time.Duration) ([]time.Duration, error) {
	late := make([]time.Duration, n)
	done := make(chan error)
	go func() {
		// Not unlocked: the thread ends with the goroutine, and its slack with it.
		runtime.LockOSThread()
		done <- nanosleeps(late, nap)
	}()
	return late, <-done
}

func nanosleeps(late []time.Duration, nap time.Duration) error {
	if err := unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("prctl PR_SET_TIMERSLACK", err)
	}
	var now unix.Timespec
	for i := range late {
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			return os.NewSyscallError("clock_gettime", err)
		}
		at := unix.NsecToTimespec(now.Nano() + int64(nap))
		for {
			err := unix.ClockNanosleep(unix.CLOCK_MONOTONIC, unix.TIMER_ABSTIME, &at, nil)
			if err == nil {
				break
			}
			if !errors.Is(err, unix.EINTR) { // by the runtime's own signals
				return os.NewSyscallError("clock_nanosleep", err)
			}
		}
		if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
			return os.NewSyscallError("clock_gettime", err)
		}
		late[i] = time.Duration(now.Nano() - at.Nano())
	}
	return nil
}
