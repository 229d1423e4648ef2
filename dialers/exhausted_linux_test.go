package dialers

import (
	"errors"
	"net"
	"os"
	"strconv"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// ipLocalPortRange is IP_LOCAL_PORT_RANGE of linux/in.h (6.3): the ephemeral
// ports of one socket.
const ipLocalPortRange = 51

// A socket with a single ephemeral port, which is taken towards the target.
func TestPortExhausted(t *testing.T) {
	server := serve(t, script.Server{})
	spare := listen(t)
	_, text, _ := net.SplitHostPort(spare.Addr().String())
	port, _ := strconv.Atoi(text)
	spare.Close()
	var refused error
	only := func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) {
			refused = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, ipLocalPortRange, port<<16|port)
		})
	}
	policy := pool.Default()
	policy.MaxIdle = 0 // the client closes first and so holds the port in TIME_WAIT
	c := newClient(t, policy, &Dialer{Control: only}, long, request(t, "GET", server.URL(), nil))
	if e := c.do(t); !e.OK() {
		t.Fatalf("%s: %v", outcome(e), e.Err)
	}
	if errors.Is(refused, unix.ENOPROTOOPT) {
		if os.Getenv("CI") != "" {
			t.Fatal("this kernel has no IP_LOCAL_PORT_RANGE")
		}
		t.Skip("this kernel (before 6.3) has no IP_LOCAL_PORT_RANGE, so a single port cannot be asked for")
	}
	if e := c.do(t); outcome(e) != "connect/port_exhausted" {
		t.Errorf("got %s: %v", outcome(e), e.Err)
	}
}

// A socket that waits to be closed, because the server has ended it first, does not keep
// the next connection from its port, the only one.
func TestPortOfASocketToBeClosed(t *testing.T) {
	server := serve(t, script.Server{SayClose: true})
	spare := listen(t)
	_, text, _ := net.SplitHostPort(spare.Addr().String())
	port, _ := strconv.Atoi(text)
	spare.Close()
	var last lastSocket
	var refused error
	only := func(_, _ string, c syscall.RawConn) error {
		last.raw = c
		return c.Control(func(fd uintptr) {
			refused = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, ipLocalPortRange, port<<16|port)
		})
	}
	policy := pool.Default()
	policy.MaxConns = 1
	c := newStepped(t, policy, &Dialer{Control: only}, long, request(t, "GET", server.URL(), nil))
	first := c.start(0)
	if errors.Is(refused, unix.ENOPROTOOPT) && os.Getenv("CI") == "" {
		t.Skip("this kernel (before 6.3) has no IP_LOCAL_PORT_RANGE, so a single port cannot be asked for")
	}
	second := c.start(1) // waits for the connection of the first
	c.until(t, func() bool { return first.Wrote != results.Never })
	eventually(t, last.ended) // so that the response and the FIN are one event
	c.until(t, func() bool { return len(c.over) == 2 })
	if !first.OK() || !second.OK() || second.Conn == first.Conn {
		t.Errorf("%s and %s (%v), on the connections %d and %d", outcome(first), outcome(second), second.Err, first.Conn, second.Conn)
	}
	if s := c.Stats(); s.ClosedByPeer < 1 {
		t.Error("the server was the first to end a connection, and is not counted")
	}
}

func TestFDExhausted(t *testing.T) {
	server := serve(t, script.Server{})
	c := newClient(t, pool.Default(), &Dialer{}, long, request(t, "GET", server.URL(), nil))
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	// A descriptor beyond the limit cannot be had, however many are free below it.
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: was.Max}); err != nil {
		t.Fatal(err)
	}
	e := c.do(t)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	if outcome(e) != "connect/fd_exhausted" {
		t.Errorf("got %s: %v", outcome(e), e.Err)
	}
}
