package host

import (
	"os"
	"time"
)

// SleepLateness is how late time.Sleep wakes, n times, in a program that has
// something to poll, as every one with a connection has: the runtime then waits
// in the poller, on Linux by whole milliseconds (epoll_wait(2)).
func SleepLateness(n int, nap time.Duration) []time.Duration {
	if r, w, err := os.Pipe(); err == nil { // where it fails, the sleeps are better than they will be
		defer r.Close()
		defer w.Close()
	}
	late := make([]time.Duration, n)
	for i := range late {
		begin := time.Now()
		time.Sleep(nap)
		late[i] = time.Since(begin) - nap
	}
	return late
}

// ClockCost is what one reading of the clock takes, on average of n.
func ClockCost(n int) time.Duration {
	begin := time.Now()
	for range n {
		time.Now()
	}
	return time.Since(begin) / time.Duration(n)
}
