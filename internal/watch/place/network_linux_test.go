package place

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/kabench/kabench/internal/watch"
	"github.com/kabench/kabench/internal/watch/sockets"
)

// inside is the environment variable of this test binary as a service in a namespace of its own.
const inside = "KABENCH_TEST_PLACE"

func TestMain(m *testing.M) {
	if os.Getenv(inside) != "" {
		serve()
	}
	os.Exit(m.Run())
}

// serve brings loopback up, prints the address at which it listens, and keeps what it accepts.
func serve() {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err == nil {
		err = os.WriteFile("/proc/sys/net/ipv4/ip_local_port_range", []byte("40000 40099"), 0)
	}
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:80") // which is not one of the ports that connections get
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	go io.Copy(io.Discard, os.Stdin)
	for {
		c, err := l.Accept()
		if err != nil {
			panic(err)
		}
		go func() { // its FIN follows the client's
			_, _ = io.Copy(io.Discard, c)
			c.Close()
		}()
	}
}

// startInside starts the service, or skips the test where no namespace can be made.
func startInside(t *testing.T) (pid int, at netip.AddrPort) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(exe)
	c.Env = append(os.Environ(), inside+"=1")
	c.Stderr = os.Stderr
	c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // its end would kill the child
	t.Cleanup(runtime.UnlockOSThread)
	if err := c.Start(); err != nil {
		if errors.Is(err, os.ErrPermission) && os.Getenv("CI") == "" {
			t.Skip(err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return c.Process.Pid, netip.MustParseAddrPort(strings.TrimSpace(line))
}

// TestServiceInANamespace: from outside, a connection of a service in another network namespace
// is seen with that namespace's ports, and only there.
func TestServiceInANamespace(t *testing.T) {
	pid, at := startInside(t)
	n, err := NetworkOf(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	ours, err := NetworkOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if n.Own() || !ours.Own() || n.Number() == ours.Number() || n.Number() == 0 {
		t.Errorf("the service's namespace is %d (own %v), ours %d (own %v)", n.Number(), n.Own(), ours.Number(), ours.Own())
	}
	var w *sockets.Watcher
	if err := n.Do(func() (err error) {
		w, err = sockets.New(sockets.Config{PIDs: []int{pid}}, time.Now())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer w.Close()

	var connecting sync.WaitGroup // Do may be called concurrently
	for range 8 {
		connecting.Go(func() {
			c, err := n.DialContext(t.Context(), "tcp", at.String())
			if err != nil {
				t.Error(err)
				return
			}
			t.Cleanup(func() { c.Close() })
		})
	}
	connecting.Wait()
	var l watch.Look
	for deadline := time.Now().Add(30 * time.Second); len(l.Sockets) != 8 || l.Sockets[7].Inode == 0; time.Sleep(5 * time.Millisecond) {
		if l, err = w.Look(); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("after 30 s: %+v", l)
		}
	}
	if l.Range != 100 {
		t.Errorf("the kernel may choose from %d ports, want the 100 of that namespace", l.Range)
	}
	for _, s := range l.Sockets {
		if !s.Accepted || s.Local != at {
			t.Errorf("%+v", s)
		}
	}
	from, err := sockets.New(sockets.Config{Listen: []uint16{at.Port()}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	if l, err := from.Look(); err != nil || l.Range == 100 {
		t.Errorf("from this namespace: %+v, %v", l, err)
	}
	if here, err := NetworkOf(os.Getpid()); err != nil || here.Number() != ours.Number() {
		t.Errorf("the process is in the namespace %v now, %v", here, err)
	}
}

func TestNamespacesThatCannotBeHad(t *testing.T) {
	c := exec.Command("true")
	if err := c.Run(); err != nil {
		t.Fatal(err)
	}
	if _, err := NetworkOf(c.Process.Pid); !errors.Is(err, ErrGone) {
		t.Errorf("of a process that is gone: %v", err)
	}
	var init unix.Stat_t
	if err := unix.Stat("/proc/1", &init); err != nil || os.Getuid() != 0 && int(init.Uid) == os.Getuid() {
		t.Skip("init is not another user's: ", err)
	}
	errs := make(chan error)
	go func() {
		runtime.LockOSThread() // and ends with the goroutine, because its user is another
		if os.Getuid() == 0 {
			if _, _, no := syscall.RawSyscall(unix.SYS_SETRESUID, 65534, 65534, 65534); no != 0 {
				errs <- no
				return
			}
		}
		_, err := NetworkOf(1)
		errs <- err
	}()
	if err := <-errs; !errors.Is(err, ErrNoRight) {
		t.Errorf("of another user's process: %v", err)
	}
}

// TestPortsLeft: as many connections can be opened as there are ports left, those of sockets in
// TIME_WAIT counted, and then the kernel refuses.
func TestPortsLeft(t *testing.T) {
	pid, at := startInside(t)
	n, err := NetworkOf(pid)
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	var w *sockets.Watcher
	if err := n.Do(func() error {
		// Otherwise the kernel uses ports in TIME_WAIT again, on loopback.
		if err := os.WriteFile("/proc/sys/net/ipv4/tcp_tw_reuse", []byte("0"), 0); err != nil {
			return err
		}
		var err error
		w, err = sockets.New(sockets.Config{Targets: []netip.AddrPort{at}}, time.Now())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	open := func() (net.Conn, error) { return n.DialContext(t.Context(), "tcp", at.String()) }
	closed := []net.Conn{}
	for i := range 30 {
		c, err := open()
		if err != nil {
			t.Fatal(err)
		}
		if i < 20 {
			closed = append(closed, c)
		} else {
			defer c.Close()
		}
	}
	for _, c := range closed {
		c.Close()
	}
	var samples []watch.PortSample
	for deadline := time.Now().Add(30 * time.Second); len(samples) < 3; time.Sleep(5 * time.Millisecond) {
		l, err := w.Look()
		if err != nil {
			t.Fatal(err)
		}
		if l.TimeWait == [2]int{20, 0} && len(l.Toward) == 1 {
			samples = append(samples, watch.PortSample{At: l.At, Use: l.Toward[0]})
		}
		if time.Now().After(deadline) {
			t.Fatalf("after 30 s: %+v", l)
		}
	}
	f, ok := watch.ForecastPorts(samples, 100)
	if !ok || f.Left != 70 || samples[0].Use.Reuse {
		t.Fatalf("%+v of %+v, want 70 ports left", f, samples[2].Use)
	}
	for i := range f.Left {
		c, err := open()
		if err != nil {
			t.Fatalf("the connection %d of %d: %v", i, f.Left, err)
		}
		defer c.Close()
	}
	if _, err := open(); !errors.Is(err, unix.EADDRNOTAVAIL) {
		t.Errorf("when no port is left: %v, want EADDRNOTAVAIL", err)
	}
}
