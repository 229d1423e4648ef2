package kernel

import (
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/kabench/kabench/internal/sandbox/sandboxtest"
	"github.com/kabench/kabench/internal/watch"
)

func namespace(t testing.TB) uint32 {
	t.Helper()
	info, err := os.Stat("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	return uint32(info.Sys().(*syscall.Stat_t).Ino)
}

var up = sync.OnceValue(func() error {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	return err
})

// start opens the layer. It skips where this process may not load programs, and fails where
// it should be able to: as root, outside of a user namespace.
func start(t testing.TB, want Want) *Layer {
	t.Helper()
	l := Open(want, time.Now())
	t.Cleanup(func() { l.Close() })
	if s := l.Sees(); !s.On {
		if s.Lacks == "" {
			t.Fatal("the layer is off and does not say why")
		}
		if os.Getenv("CI") != "" && os.Geteuid() == 0 && !strings.Contains(s.Lacks, "CAP_BPF") {
			t.Fatal(s.Lacks)
		}
		t.Skip(s.Lacks)
	}
	return l
}

// server accepts connections, says one byte and closes.
func server(t testing.TB, network, address string) netip.AddrPort {
	t.Helper()
	sandboxtest.Need(t)
	if err := up(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Write([]byte("x"))
			c.Close()
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// ask opens a connection, reads it to its end and closes it. It returns the client's end.
func ask(t testing.TB, at string) netip.AddrPort {
	t.Helper()
	c, err := net.Dial("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Fatal(err)
	}
	return c.LocalAddr().(*net.TCPAddr).AddrPort()
}

// taken returns the changes of states that have come.
func taken(l *Layer) (all []watch.Event) {
	l.Take(func(e watch.Event) { all = append(all, e) })
	return all
}

// settled waits until the last of n connections to a server is closed at both ends.
func settled(t testing.TB, l *Layer, n int) (all []watch.Event) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		all = append(all, taken(l)...)
		closed := 0
		for _, e := range all {
			if e.To == "CLOSE" {
				closed++
			}
		}
		if closed >= n {
			return all
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d sockets were closed: %+v", closed, n, all)
		}
	}
}

// The events of one connection, at either end, and nothing of others.
func TestEvents(t *testing.T) {
	for name, address := range map[string]string{"IPv4": "127.0.0.1:0", "IPv6": "[::1]:0"} {
		t.Run(name, func(t *testing.T) {
			at, other := server(t, "tcp", address), server(t, "tcp", address)
			anywhere := netip.AddrPortFrom(netip.IPv6Unspecified(), at.Port())
			for _, c := range []struct {
				name  string
				ends  watch.Ends
				steps string // the states that the sockets go into
				local bool   // the server's end is the service's
			}{
				{"listens", watch.Ends{Listens: []netip.AddrPort{at}}, "ESTABLISHED FIN_WAIT1 CLOSE", true},
				{"listens anywhere", watch.Ends{Listens: []netip.AddrPort{anywhere}}, "ESTABLISHED FIN_WAIT1 CLOSE", true},
				{"is the target", watch.Ends{Targets: []netip.AddrPort{at}}, "SYN_SENT ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE", false},
				{"anywhere is the target", watch.Ends{Targets: []netip.AddrPort{anywhere}}, "SYN_SENT ESTABLISHED CLOSE_WAIT LAST_ACK CLOSE", false},
			} {
				l := start(t, Want{Ends: c.ends, Namespace: namespace(t)})
				began := time.Now()
				ask(t, other.String())
				client := ask(t, at.String())
				ask(t, other.String())
				all := settled(t, l, 1)
				took := time.Since(began)
				var steps []string
				for i, e := range all {
					steps = append(steps, e.To)
					want := watch.Flow{Local: client, Remote: at}
					if c.local {
						want = watch.Flow{Local: at, Remote: client}
					}
					if e.Flow != want && e.To != "SYN_SENT" {
						t.Errorf("%s: %+v, want %v", c.name, e, want)
					}
					if e.Socket == 0 || e.Socket != all[0].Socket {
						t.Errorf("%s: the socket changes: %+v", c.name, e)
					}
					if i > 0 && e.At < all[i-1].At || e.At < 0 || e.At > took+time.Minute {
						t.Errorf("%s: the times are wrong: %+v", c.name, all)
					}
				}
				if got := strings.Join(steps, " "); got != c.steps {
					t.Errorf("%s: got %s, want %s", c.name, got, c.steps)
				}
				l.Close()
			}
		})
	}
}

// All connections of a namespace, and none of another one.
func TestNamespaces(t *testing.T) {
	at := server(t, "tcp", "127.0.0.1:0")
	here, elsewhere := start(t, Want{Namespace: namespace(t)}), start(t, Want{Namespace: namespace(t) + 1})
	ask(t, at.String())
	settled(t, here, 2)
	if all := taken(elsewhere); len(all) != 0 {
		t.Errorf("of another namespace: %+v", all)
	}
}

// Ends are added while the watch goes on, with an address and without.
func TestAdd(t *testing.T) {
	at, other := server(t, "tcp", "127.0.0.1:0"), server(t, "tcp", "127.0.0.1:0")
	l := start(t, Want{Ends: watch.Ends{Targets: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:1")}}, Namespace: namespace(t)})
	ask(t, at.String())
	if all := taken(l); len(all) != 0 {
		t.Errorf("before: %+v", all)
	}
	for _, a := range []netip.AddrPort{at, netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), other.Port()), at} {
		if err := l.Add(watch.Ends{Targets: []netip.AddrPort{a}}); err != nil {
			t.Fatal(err)
		}
	}
	ask(t, other.String()) // the port is watched at another address
	ask(t, at.String())
	for _, e := range settled(t, l, 1) {
		if e.Flow.Remote != at {
			t.Errorf("%+v", e)
		}
	}
	if err := l.Add(watch.Ends{Targets: []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), other.Port())}}); err != nil {
		t.Fatal(err)
	}
	ask(t, other.String())
	settled(t, l, 1)
}

// A RST for which there is no socket has the ends of the segment, and the kernel's reason.
func TestResets(t *testing.T) {
	at := server(t, "tcp", "127.0.0.1:0")
	closed := netip.AddrPortFrom(at.Addr(), 1)
	l := start(t, Want{Ends: watch.Ends{Listens: []netip.AddrPort{closed}, Targets: []netip.AddrPort{closed}}, Namespace: namespace(t)})
	if c, err := net.Dial("tcp", closed.String()); err == nil {
		c.Close()
		t.Fatal("connected")
	}
	all := settled(t, l, 1)
	var sent, received *watch.Event
	for i, e := range all {
		switch e.Kind {
		case watch.ResetSent:
			sent = &all[i]
		case watch.ResetReceived:
			received = &all[i]
		}
	}
	if received == nil || received.Flow.Remote != closed || received.Socket == 0 {
		t.Errorf("the RST that was taken: %+v", received)
	}
	if l.Sees().Lacks != "" {
		t.Skip(l.Sees().Lacks)
	}
	if sent == nil || sent.Flow.Local != closed || sent.Flow.Remote != received.Flow.Local || sent.Socket != 0 || sent.Reason != "NO_SOCKET" {
		t.Errorf("the RST that was sent: %+v", sent)
	}
}

// What the ring has no room for is counted.
func TestLost(t *testing.T) {
	at := server(t, "tcp", "127.0.0.1:0")
	ring = uint32(os.Getpagesize())
	t.Cleanup(func() { ring = ringSize })
	tiny := start(t, Want{Ends: watch.Ends{Listens: []netip.AddrPort{at}}, Namespace: namespace(t)})
	const of = 100
	for range of {
		ask(t, at.String())
	}
	n := uint64(0)
	for deadline := time.Now().Add(10 * time.Second); n+tiny.Sees().Lost < 3*of; time.Sleep(time.Millisecond) {
		if n += uint64(len(taken(tiny))); time.Now().After(deadline) {
			break
		}
	}
	if lost := tiny.Sees().Lost; lost == 0 || n+lost != 3*of {
		t.Errorf("%d events came and %d were lost, of %d", n, lost, 3*of)
	}
	tiny.Close()
	if tiny.Sees().Lost == 0 {
		t.Error("after Close, what was lost is forgotten")
	}
}

// A process without rights, and one in a user namespace, say what they lack, and go on.
func TestRights(t *testing.T) {
	if os.Getenv("KABENCH_WITHOUT_RIGHTS") != "" {
		l := Open(Want{}, time.Now())
		l.Take(func(watch.Event) { t.Error("an event") })
		if err := l.Add(watch.Ends{Listens: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}}); err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if s := l.Sees(); s.On {
			t.Error("it is on")
		} else {
			os.Stdout.WriteString("lacks: " + s.Lacks + "\n")
		}
		return
	}
	for name, c := range map[string]struct {
		attr *syscall.SysProcAttr
		want string
	}{
		"nobody":           {&syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}, "CAP_BPF and CAP_PERFMON, or root"},
		"a user namespace": {&syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: []syscall.SysProcIDMap{{HostID: os.Geteuid(), Size: 1}}}, "outside of a user namespace"},
	} {
		t.Run(name, func(t *testing.T) {
			if os.Geteuid() != 0 {
				t.Skip("only root can give rights up")
			}
			cmd := exec.Command("/proc/self/exe", "-test.run", "^TestRights$", "-test.v")
			cmd.Env = append(os.Environ(), "KABENCH_WITHOUT_RIGHTS=1")
			cmd.SysProcAttr = c.attr
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Skipf("%v: %s", err, out)
			}
			if !strings.Contains(string(out), "lacks: ") || !strings.Contains(string(out), c.want) {
				t.Errorf("%s", out)
			}
		})
	}
}
