package dialers

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/results"
)

// inOwnNetwork runs the test that calls it in a network of its own: the test
// binary again, in new user and network namespaces, with that test alone. It
// returns true there. Elsewhere it returns false when that process has passed;
// where namespaces cannot be had the test is skipped, in CI it fails.
func inOwnNetwork(t *testing.T) bool {
	t.Helper()
	const inside = "KABENCH_TEST_OWN_NETWORK"
	if os.Getenv(inside) == t.Name() {
		upLoopback(t)
		return true
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"="+t.Name())
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	cmd.SysProcAttr = attr
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	runtime.LockOSThread() // Pdeathsig is sent when the thread that started the child ends
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); err != nil {
		if os.Getenv("CI") != "" {
			t.Fatalf("no network namespace: %v", err)
		}
		t.Skipf("no network namespace can be made here: %v", err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, out.String())
	} else if !strings.Contains(out.String(), "--- PASS: "+t.Name()) {
		t.Errorf("it did not run:\n%s", out.String())
	} else {
		t.Log(out.String())
	}
	return false
}

func upLoopback(t *testing.T) {
	t.Helper()
	fd := datagramSocket(t, unix.AF_INET)
	lo, err := unix.NewIfreq("lo")
	if err == nil {
		err = unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, lo)
	}
	if err == nil {
		lo.SetUint16(lo.Uint16() | unix.IFF_UP)
		err = unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, lo)
	}
	if err != nil {
		t.Fatalf("bringing lo up: %v", err)
	}
}

func datagramSocket(t *testing.T, family int) int {
	t.Helper()
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// addLoopback6 gives lo an IPv6 address.
func addLoopback6(t *testing.T, addr netip.Addr) {
	t.Helper()
	lo, err := net.InterfaceByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	request := struct { // struct in6_ifreq, linux/ipv6.h
		addr      [16]byte
		prefixLen uint32
		index     int32
	}{addr.As16(), 128, int32(lo.Index)}
	fd := datagramSocket(t, unix.AF_INET6)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCSIFADDR, uintptr(unsafe.Pointer(&request))); errno != 0 {
		t.Fatalf("giving lo %v: %v", addr, errno)
	}
	// It is tentative until the kernel has come round to it.
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		conn, err := net.ListenUDP("udp6", &net.UDPAddr{IP: addr.AsSlice()})
		if err == nil {
			conn.Close()
			return
		}
		if time.Now().After(end) {
			t.Fatalf("%v does not become usable: %v", addr, err)
		}
	}
}

func setSysctl(t *testing.T, name, value string) {
	t.Helper()
	if err := os.WriteFile("/proc/sys/"+strings.ReplaceAll(name, ".", "/"), []byte(value), 0); err != nil {
		t.Fatal(err)
	}
}

// holder accepts connections at addr and holds them until the test is over.
func holder(t *testing.T, addr string) netip.AddrPort {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		var held []net.Conn
		for {
			conn, err := l.Accept()
			if err != nil {
				break
			}
			held = append(held, conn)
		}
		for _, conn := range held {
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return netip.MustParseAddrPort(l.Addr().String())
}

// held is how many connections can be open at once, made by dial, and the error
// of the next; at most most.
func held(t *testing.T, most int, dial func(i int) (net.Conn, error)) (n int, byHost map[string]int, err error) {
	t.Helper()
	byHost = map[string]int{}
	for n < most {
		conn, err := dial(n)
		if err != nil {
			return n, byHost, err
		}
		defer func() {
			conn.(*net.TCPConn).SetLinger(0) // its port is free at once for the next case
			conn.Close()
		}()
		byHost[conn.LocalAddr().(*net.TCPAddr).IP.String()]++
		n++
	}
	return n, byHost, nil
}

func TestSourcesMultiplyThePorts(t *testing.T) {
	if !inOwnNetwork(t) {
		return
	}
	const ports, most = 100, 1000
	setSysctl(t, "net.ipv4.ip_local_port_range", "30000 30099")
	setSysctl(t, "net.ipv4.tcp_tw_reuse", "0")
	ctx := context.Background()

	through := func(d *Dialer, remotes ...netip.AddrPort) func(int) (net.Conn, error) {
		return func(i int) (net.Conn, error) {
			return d.connect(ctx, []netip.AddrPort{remotes[i%len(remotes)]})
		}
	}
	check := func(t *testing.T, name string, dial func(int) (net.Conn, error), want int, sources ...string) {
		t.Run(name, func(t *testing.T) {
			n, byHost, err := held(t, most, dial)
			t.Logf("%d connections held, from %v; then: %v", n, byHost, err)
			if n != want || !errors.Is(err, syscall.EADDRNOTAVAIL) {
				t.Errorf("%d connections, then %v; want %d, then EADDRNOTAVAIL", n, err, want)
			}
			for _, s := range sources {
				if byHost[s] != want/len(sources) {
					t.Errorf("%d from %s, want %d", byHost[s], s, want/len(sources))
				}
			}
		})
	}
	a, b := holder(t, "127.0.0.1:8080"), holder(t, "127.0.0.1:8081")
	check(t, "none named", through(&Dialer{}, a), ports, "127.0.0.1")
	check(t, "one source", through(&Dialer{Sources: ips("127.0.0.2")}, a), ports, "127.0.0.2")
	four := []string{"127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"}
	check(t, "four sources", through(&Dialer{Sources: ips(four...)}, a), 4*ports, four...)

	// Why the port is not chosen at bind: there it is chosen without knowing the
	// destination, and taken for all of them.
	check(t, "one source, two destinations", through(&Dialer{Sources: ips("127.0.0.2")}, a, b), 2*ports, "127.0.0.2")
	bound := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	early := func(i int) (net.Conn, error) {
		return bound.DialContext(ctx, "tcp", []netip.AddrPort{a, b}[i%2].String())
	}
	t.Run("two destinations, port taken at bind", func(t *testing.T) {
		n, _, err := held(t, most, early)
		t.Logf("%d connections held; then: %v", n, err)
		if n > ports || !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			t.Errorf("%d connections, then %v; this kernel needs no IP_BIND_ADDRESS_NO_PORT", n, err)
		}
	})

	// The error is the one that a run counts as port_exhausted.
	t.Run("classified", func(t *testing.T) {
		d := &Dialer{Sources: ips("127.0.0.2")}
		_, _, err := held(t, most, through(d, a))
		if cause := CauseOf(err).String(); cause != "port_exhausted" {
			t.Errorf("%v is %s", err, cause)
		}
	})

	stock := &Dialer{Sources: ips(four...)}
	check(t, "four sources, stock", func(int) (net.Conn, error) {
		return stock.dialFromSource(ctx, net.Dialer{}, "tcp", a.String())
	}, 4*ports, four...)

	t.Run("IPv6", func(t *testing.T) {
		if _, err := os.Stat("/proc/net/if_inet6"); err != nil {
			if os.Getenv("CI") != "" {
				t.Fatal("this kernel has no IPv6")
			}
			t.Skip("this kernel has no IPv6")
		}
		sources := []string{"fd00::2", "fd00::3"}
		for _, s := range sources {
			addLoopback6(t, netip.MustParseAddr(s))
		}
		c, d := holder(t, "[::1]:8080"), holder(t, "[::1]:8081")
		check(t, "two sources", through(&Dialer{Sources: ips(sources...)}, c), 2*ports, sources...)
		check(t, "one source, two destinations", through(&Dialer{Sources: ips(sources[0])}, c, d), 2*ports, sources[0])
	})

	t.Run("checked before", func(t *testing.T) {
		elsewhere := netip.MustParseAddrPort("192.0.2.7:80")
		for _, test := range []struct {
			source string
			remote netip.AddrPort
			want   string // "": it can be used
		}{
			{"127.0.0.9", a, ""},
			{"192.0.2.1", a, "192.0.2.1 is not an address of this machine; add it (ip address add 192.0.2.1/32 dev INTERFACE), or remove it"},
			{"::1", a, "::1 and the target, at 127.0.0.1, are of different address families; remove it"},
			{"127.0.0.9", elsewhere, "127.0.0.9 is a loopback address, which has no route to 192.0.2.7; use an address of the interface that leads there"},
		} {
			err := (&Dialer{Sources: ips(test.source)}).CheckSources(ctx, []netip.AddrPort{test.remote})
			if got := fmt.Sprint(err); got != test.want && (err != nil || test.want != "") {
				t.Errorf("from %s to %v: %s\nwant %s", test.source, test.remote, got, test.want)
			}
		}
	})
}

// Both clients, over whole exchanges: each connection comes from the next source.
func TestClientsUseTheirSources(t *testing.T) {
	var mu sync.Mutex
	var seen []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		mu.Lock()
		seen = append(seen, host)
		mu.Unlock()
	}))
	defer server.Close()
	want := []string{"127.0.0.2", "127.0.0.3", "127.0.0.2", "127.0.0.3"}
	req := request(t, "GET", server.URL, nil)
	for name, doer := range map[string]func(*Dialer) func() *results.Exchange{
		"policy": func(d *Dialer) func() *results.Exchange {
			c := newClient(t, pool.Default(), d, long, req)
			return func() *results.Exchange { return c.do(t) }
		},
		"stock": func(d *Dialer) func() *results.Exchange {
			s := NewStock(d, []*Request{req}, long)
			t.Cleanup(s.Close)
			return func() *results.Exchange { return do(t.Context(), s, s.now) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			mu.Lock()
			seen = nil
			mu.Unlock()
			once := doer(&Dialer{Sources: ips("127.0.0.2", "127.0.0.3")})
			for range want {
				if e := once(); !e.OK() {
					t.Fatalf("%s: %v", outcome(e), e.Err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(seen, want) {
				t.Errorf("connections came from %v, want %v", seen, want)
			}
		})
	}
}
