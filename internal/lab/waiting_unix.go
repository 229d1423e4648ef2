//go:build unix

package lab

import (
	"errors"
	"net"
	"syscall"
)

// waiting reports whether something can be read from conn at once: bytes, a FIN
// or an error. No deadline applies.
func waiting(conn *net.TCPConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	var peeked error
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		_, _, peeked = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	return err == nil && !errors.Is(peeked, syscall.EAGAIN)
}
