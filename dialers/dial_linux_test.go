package dialers

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// With IPv6 switched off the kernel says EADDRNOTAVAIL to a connect to any of its
// addresses, though every port is free: that is not port exhaustion, and not why
// the dial failed, if another address was tried.
func TestNoIPv6(t *testing.T) {
	if _, err := os.Stat("/proc/sys/net/ipv6"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("this kernel has no IPv6")
		}
		t.Skip("this kernel has no IPv6 to switch off")
	}
	if !inOwnNetwork(t) {
		return
	}
	setSysctl(t, "net.ipv6.conf.all.disable_ipv6", "1")
	const six = "[2001:db8::1]:80"
	if _, err := net.Dial("tcp", six); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Fatalf("the kernel says %v", err)
	}
	req := request(t, "GET", "http://"+six+"/", nil)
	c := newClient(t, pool.Default(), &Dialer{}, long, req)
	if e := c.do(t); outcome(e) != "connect/unreachable" || !strings.Contains(e.Err.Error(), "no IPv6 address") {
		t.Errorf("policy: %s: %v", outcome(e), e.Err)
	}
	s := NewStock(&Dialer{}, []*Request{req}, long)
	defer s.Close()
	if e := do(t.Context(), s, s.now); outcome(e) != "connect/unreachable" {
		t.Errorf("stock: %s: %v", outcome(e), e.Err)
	}

	nobody := netip.MustParseAddrPort(strings.TrimPrefix(refusing(t), "http://"))
	addrs := []netip.AddrPort{netip.MustParseAddrPort(six), nobody}
	if _, err := (&Dialer{}).connect(t.Context(), addrs); CauseOf(err) != results.CauseRefused {
		t.Errorf("IPv6 first: %v", err)
	}
	if _, err := (&Dialer{}).connect(t.Context(), addrs[:1]); CauseOf(err) != results.CauseUnreachable {
		t.Errorf("IPv6 alone: %v", err)
	}
	server := serve(t, script.Server{})
	if conn, err := (&Dialer{}).connect(t.Context(), []netip.AddrPort{addrs[0], netip.MustParseAddrPort(server.Addr())}); err != nil {
		t.Errorf("a server behind it: %v", err)
	} else {
		conn.Close()
	}
}

// With an IPv6 address EADDRNOTAVAIL is what it was: no port is left.
func TestPortExhaustedIPv6(t *testing.T) {
	if _, err := os.Stat("/proc/net/if_inet6"); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("this kernel has no IPv6")
		}
		t.Skip("this kernel has no IPv6")
	}
	if !inOwnNetwork(t) {
		return
	}
	setSysctl(t, "net.ipv4.ip_local_port_range", "40000 40001")
	to := holder(t, "[::1]:8080")
	d := &Dialer{}
	for range 2 {
		conn, err := d.connect(t.Context(), []netip.AddrPort{to})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	if _, err := d.connect(t.Context(), []netip.AddrPort{to}); CauseOf(err) != results.CausePortExhausted {
		t.Errorf("%v", err)
	}
}

// blackHole is an address whose SYNs get no answer: its listener's queue is full.
func blackHole(t *testing.T, ip [4]byte) netip.AddrPort {
	t.Helper()
	addr, _ := closedHole(t, ip)
	return addr
}

// closedHole is a blackHole that answers again once a connection has been accepted from the
// listener fd.
func closedHole(t *testing.T, ip [4]byte) (addr netip.AddrPort, fd int) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: ip}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil { // a backlog of 0 still holds one connection
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr = netip.AddrPortFrom(netip.AddrFrom4(ip), uint16(name.(*unix.SockaddrInet4).Port))
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return addr, fd
}

// A first address that does not answer leaves the second its part of the time, for
// every client that tries them.
func TestBlackHoleLeavesTime(t *testing.T) {
	t.Parallel()
	const timeout = 10 * time.Second
	hole := blackHole(t, [4]byte{127, 0, 0, 2})
	next := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.3"), hole.Port())
	server, err := lab.Start(script.Server{}, next.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	t.Run("dialer", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), timeout)
		defer cancel()
		conn, err := (&Dialer{}).connect(ctx, []netip.AddrPort{hole, next})
		if err != nil {
			t.Fatal(err)
		}
		conn.Close()
	})
	t.Run("nobody there", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if _, err := (&Dialer{}).connect(ctx, []netip.AddrPort{hole, hole}); CauseOf(err) != results.CauseTimeout {
			t.Errorf("%v", err)
		}
	})
	answer := make(chan struct{})
	close(answer)
	url := strings.Replace("http://"+hole.String()+"/", "127.0.0.2", "shop.test", 1)
	for name, bounds := range map[string][2]time.Duration{"dial timeout": {timeout, 4 * timeout}, "timeout of the exchange": {0, timeout}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := &Dialer{Timeout: bounds[0], Resolver: slowNames(t, answer, [4]byte{127, 0, 0, 2}, [4]byte{127, 0, 0, 3})}
			e := newClient(t, pool.Default(), d, bounds[1], request(t, "GET", url, nil)).do(t)
			if !e.OK() {
				t.Fatalf("%s: %v", outcome(e), e.Err)
			}
			if took := e.Connected - e.Resolved; took < 2*time.Second {
				t.Errorf("connected after %v: the black hole was not tried", took)
			}
		})
	}
}

func TestShare(t *testing.T) {
	const s = time.Second
	for _, c := range []struct {
		left time.Duration
		n    int
		want time.Duration
	}{{30 * s, 1, 30 * s}, {30 * s, 2, 15 * s}, {30 * s, 3, 10 * s}, {3 * s, 2, 2 * s}, {s, 2, s}, {0, 2, 0}} {
		if got := share(c.left, c.n); got != c.want {
			t.Errorf("%v for %d: %v, want %v", c.left, c.n, got, c.want)
		}
	}
}

// TCP_NODELAY is set once it can matter, which is at a second write.
func TestNoDelay(t *testing.T) {
	server := serve(t, script.Server{})
	for _, nagle := range []bool{false, true} {
		var sock lastSocket
		c := newClient(t, pool.Default(), &Dialer{Nagle: nagle, Control: sock.control}, long, request(t, "GET", server.URL(), nil))
		for range 2 {
			if e := c.do(t); !e.OK() {
				t.Fatal(outcome(e))
			}
		}
		var on int
		var err error
		sock.raw.Control(func(fd uintptr) { on, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NODELAY) })
		if opened := c.Stats().Opened; err != nil || opened != 1 || (on == 0) != nagle {
			t.Errorf("Nagle %v: TCP_NODELAY %d (%v) after two requests over %d connections", nagle, on, err, opened)
		}
	}
}
