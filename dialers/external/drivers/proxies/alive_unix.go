//go:build unix

package main

import "syscall"

// alive says whether the proxy has neither closed an idle session nor sent anything on it.
func (s *session) alive() bool {
	raw, err := s.conn.(syscall.Conn).SyscallConn()
	if err != nil {
		return false
	}
	alive := false
	err = raw.Read(func(fd uintptr) bool {
		_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		alive = err == syscall.EAGAIN
		return true
	})
	return alive && err == nil
}
