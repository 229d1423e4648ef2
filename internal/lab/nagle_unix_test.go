//go:build unix

package lab

import (
	"net"
	"syscall"
	"testing"

	"github.com/kabench/kabench/profiles/script"
)

// noDelay is the socket's TCP_NODELAY.
func noDelay(t *testing.T, conn *net.TCPConn) bool {
	t.Helper()
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var on int
	if err := raw.Control(func(fd uintptr) { on, err = syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY) }); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return on != 0
}

// TCP_NODELAY is on unless Nagle is asked for.
func TestNagle(t *testing.T) {
	for _, nagle := range []bool{false, true} {
		server, _ := pair(t, script.Server{Nagle: nagle})
		if noDelay(t, server.raw) == nagle {
			t.Errorf("nagle %v: TCP_NODELAY %v", nagle, !nagle)
		}
	}
}
