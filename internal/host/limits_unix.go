//go:build unix

package host

import (
	"os"

	"golang.org/x/sys/unix"
)

// OpenFileLimit is how many files this process may open, and how far it may
// raise that itself (RLIMIT_NOFILE, setrlimit(2)). Go has already raised the one
// to the other, or to one below it, when the process began (package os,
// rlimit.go).
func OpenFileLimit() (soft, hard uint64, err error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, 0, os.NewSyscallError("getrlimit", err)
	}
	return uint64(limit.Cur), uint64(limit.Max), nil
}
