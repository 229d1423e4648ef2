package host

import (
	"fmt"
	"os"
	"runtime"
)

// ReadCounters reads the counters of the calling thread's network namespace. They count
// what all programs in it do. It takes about 0.2 ms.
func ReadCounters() (Counters, error) {
	runtime.LockOSThread() // so that both files are of one namespace
	defer runtime.UnlockOSThread()
	c := Counters{}
	for _, name := range []string{"/proc/thread-self/net/netstat", "/proc/thread-self/net/snmp"} {
		text, err := os.ReadFile(name)
		if err == nil {
			err = c.add(text)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return c, nil
}
