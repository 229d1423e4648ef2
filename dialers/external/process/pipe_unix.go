//go:build unix

package process

import (
	"errors"
	"os"
	"syscall"
)

// tryWrite writes what the pipe has room for, and does not wait.
func tryWrite(file *os.File, b []byte) (n int, err error) {
	raw, err := file.SyscallConn()
	if err != nil {
		return 0, err
	}
	failed := raw.Write(func(fd uintptr) bool {
		for {
			n, err = syscall.Write(int(fd), b)
			if !errors.Is(err, syscall.EINTR) {
				return true
			}
		}
	})
	n = max(n, 0)
	if failed != nil {
		return n, failed
	}
	if errors.Is(err, syscall.EAGAIN) {
		err = nil
	}
	return n, err
}
