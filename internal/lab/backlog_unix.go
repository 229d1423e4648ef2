//go:build unix

package lab

import (
	"net"
	"syscall"
)

// setBacklog makes the queue of connections that wait to be accepted hold n, by
// a second listen(2) on the socket. Linux holds one more (include/net/sock.h,
// sk_acceptq_is_full) and drops the SYNs that come then.
func setBacklog(ln *net.TCPListener, n int) error {
	raw, err := ln.SyscallConn()
	if err != nil {
		return err
	}
	var listened error
	if err := raw.Control(func(fd uintptr) { listened = syscall.Listen(int(fd), n) }); err != nil {
		return err
	}
	return listened
}
