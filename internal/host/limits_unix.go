//go:build unix

package host

import (
	"os"

	"golang.org/x/sys/unix"
)

// OpenFileLimit returns how many files this process may open (soft), and up to which
// value it may raise that itself (hard): RLIMIT_NOFILE, setrlimit(2). When the process
// starts, Go raises soft to hard or to one below (package os, rlimit.go).
func OpenFileLimit() (soft, hard uint64, err error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, 0, os.NewSyscallError("getrlimit", err)
	}
	return uint64(limit.Cur), uint64(limit.Max), nil
}
