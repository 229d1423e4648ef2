//go:build unix

package transport

import (
	"errors"
	"io"
	"net"
	"syscall"
)

// Peek looks whether the peer has ended conn, without taking a byte and without
// waiting: io.EOF after a FIN, the socket's error after an RST, nil
// when nothing has come or data is waiting.
func Peek(conn net.Conn) (waiting bool, err error) {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false, nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false, err
	}
	return peekRaw(raw)
}

func peekRaw(raw syscall.RawConn) (waiting bool, err error) {
	// Control, not Read: a reader may be parked in the poller and holds the
	// descriptor's read lock.
	var n int
	var peekErr error
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, peekErr = syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	switch {
	case err != nil:
		return false, err
	case errors.Is(peekErr, syscall.EAGAIN):
		return false, nil
	case peekErr != nil:
		return false, peekErr
	case n == 0:
		return false, io.EOF
	}
	return true, nil
}
