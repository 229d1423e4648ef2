package host

import (
	"os"
	"time"
)

// SleepLateness measures n times how late time.Sleep wakes. It does so in a program that
// polls a descriptor, as every program with a connection does: the runtime then waits in
// its poller, on Linux for whole milliseconds (epoll_wait(2)).
func SleepLateness(n int, nap time.Duration) []time.Duration {
	if r, w, err := os.Pipe(); err == nil { // without it, the sleeps are more exact than those of a real program
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

// ClockCost returns how long one reading of the clock takes, as the average of n.
func ClockCost(n int) time.Duration {
	begin := time.Now()
	for range n {
		time.Now()
	}
	return time.Since(begin) / time.Duration(n)
}
