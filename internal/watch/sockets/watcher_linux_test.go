package sockets

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
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/watch"
	"golang.org/x/sys/unix"
)

// helper is the environment variable of this test binary as a process to watch.
const helper = "KABENCH_TEST_SOCKETS"

func TestMain(m *testing.M) {
	if n := os.Getenv(crowdOf); n != "" {
		crowd(n)
	}
	if address := os.Getenv(helper); address != "" {
		serve(address)
	}
	os.Exit(m.Run())
}

// serve is a process that listens, and opens a connection for each line of its input.
func serve(address string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println(l.Addr())
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				panic(err)
			}
			fmt.Println("accepted")
			go io.Copy(io.Discard, c)
		}
	}()
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		c, err := net.Dial("tcp", address)
		if err != nil {
			panic(err)
		}
		fmt.Fprint(c, in.Text())
		fmt.Println("opened")
		defer c.Close()
	}
	os.Exit(0)
}

// process is the helper, while it runs.
type child struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Scanner
	listen netip.AddrPort
}

func startChild(t *testing.T, address string) *child {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{cmd: exec.Command(exe)}
	c.cmd.Env = append(os.Environ(), helper+"="+address)
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c.out = bufio.NewScanner(out)
	t.Cleanup(func() { c.end(t) })
	c.listen = netip.MustParseAddrPort(c.line(t))
	return c
}

func (c *child) line(t *testing.T) string {
	t.Helper()
	if !c.out.Scan() {
		t.Fatalf("the child ended: %v", c.out.Err())
	}
	return c.out.Text()
}

// end ends the child and reaps it.
func (c *child) end(t *testing.T) {
	if c.cmd.ProcessState == nil {
		c.in.Close()
		if err := c.cmd.Wait(); err != nil {
			t.Error(err)
		}
	}
}

func newTestWatcher(t testing.TB, cfg Config) *Watcher {
	t.Helper()
	w, err := New(cfg, time.Now())
	if (errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOENT)) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func listen(t testing.TB, network, address string) (net.Listener, netip.AddrPort) {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil && network == "tcp6" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, netip.MustParseAddrPort(l.Addr().String())
}

// await looks until the look is as wanted.
func await(t testing.TB, w *Watcher, what string, is func(watch.Look) bool) watch.Look {
	t.Helper()
	var l watch.Look
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		var err error
		if l, err = w.Look(); err != nil {
			t.Fatal(err)
		}
		if is(l) {
			return l
		}
	}
	t.Fatalf("after 30 s there is no look with %s; the last: %+v", what, l)
	return l
}

// one is the only socket of a look.
func one(t *testing.T, w *Watcher, what string, is func(watch.Socket) bool) watch.Socket {
	t.Helper()
	return await(t, w, what, func(l watch.Look) bool { return len(l.Sockets) == 1 && is(l.Sockets[0]) }).Sockets[0]
}

func TestConnectionOfAProcess(t *testing.T) {
	l, target := listen(t, "tcp", "127.0.0.1:0")
	c := startChild(t, target.String())
	w := newTestWatcher(t, Config{PIDs: []int{c.cmd.Process.Pid}})
	await(t, w, "no socket", func(l watch.Look) bool { return len(l.Sockets) == 0 })

	fmt.Fprintln(c.in, "hello")
	ours, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.line(t)
	if _, err := io.ReadFull(ours, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	s := one(t, w, "the connection that the process opened", func(s watch.Socket) bool { return s.State == "ESTABLISHED" && s.Unacked == 0 && s.Bytes[0] >= 5 })
	if s.Remote != target || s.Accepted || s.Cookie == 0 || s.Inode == 0 || s.Sent < 0 || s.Received < 0 || s.RoundTrip <= 0 || s.Bytes != [2]uint64{6, 0} { // with its SYN
		t.Errorf("the socket is %+v", s)
	}
	cookie := s.Cookie

	// Bytes that wait unread are in its queue, and the time since bytes were received starts again.
	sent := time.Now()
	if _, err := io.WriteString(ours, "welcome"); err != nil {
		t.Fatal(err)
	}
	s = one(t, w, "7 bytes unread", func(s watch.Socket) bool { return s.Unread == 7 })
	if most := time.Since(sent) + 20*time.Millisecond; s.Received > most || s.Bytes[1] != 7 || s.Cookie != cookie {
		t.Errorf("the socket is %+v; the last byte came %v ago at most", s, most)
	}

	// The peer closes first.
	ours.Close()
	s = one(t, w, "CLOSE_WAIT", func(s watch.Socket) bool { return s.State == "CLOSE_WAIT" })
	if s.Cookie != cookie {
		t.Errorf("the socket has the cookie %d, and had %d", s.Cookie, cookie)
	}
}

func TestAcceptedByAProcess(t *testing.T) {
	c := startChild(t, "127.0.0.1:1")
	w := newTestWatcher(t, Config{PIDs: []int{c.cmd.Process.Pid}})
	p := newTestWatcher(t, Config{Listen: []uint16{c.listen.Port()}})
	conn, err := net.Dial("tcp", c.listen.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c.line(t)
	for _, w := range []*Watcher{w, p} {
		s := one(t, w, "the accepted connection", func(s watch.Socket) bool { return s.State == "ESTABLISHED" && s.Inode != 0 })
		if !s.Accepted || s.Local != c.listen || s.Remote.String() != conn.LocalAddr().String() {
			t.Errorf("the socket is %+v", s)
		}
	}
	// The child closes when it has read all; the client closes first, so TIME_WAIT is the client's.
	conn.Close()
	l := await(t, p, "nothing in TIME_WAIT", func(l watch.Look) bool { return len(l.Sockets) <= 1 })
	if l.TimeWait != [2]int{} {
		t.Errorf("TIME_WAIT %v, want none: the client has it", l.TimeWait)
	}
}

func TestTimeWaitBySide(t *testing.T) {
	for _, tc := range []struct{ network, on, name string }{
		{"tcp4", "127.0.0.1:0", "IPv4"}, {"tcp6", "[::1]:0", "IPv6"}, {"tcp", "[::]:0", "IPv4 client of a server on both families"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, at := listen(t, tc.network, tc.on)
			if at.Addr().IsUnspecified() {
				at = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), at.Port())
			}
			client := newTestWatcher(t, Config{Targets: []netip.AddrPort{at, netip.MustParseAddrPort("192.0.2.1:80")}})
			server := newTestWatcher(t, Config{Listen: []uint16{at.Port()}})
			closeFirst := func(first func(client, server net.Conn) (net.Conn, net.Conn)) {
				c, err := net.Dial("tcp", at.String())
				if err != nil {
					t.Fatal(err)
				}
				s, err := l.Accept()
				if err != nil {
					t.Fatal(err)
				}
				a, b := first(c, s)
				a.Close()
				if n, err := b.Read(make([]byte, 1)); n != 0 || err != io.EOF {
					t.Fatal(n, err)
				}
				b.Close()
			}
			began := time.Now()
			for range 3 {
				closeFirst(func(c, s net.Conn) (net.Conn, net.Conn) { return c, s })
			}
			closeFirst(func(c, s net.Conn) (net.Conn, net.Conn) { return s, c })

			got := await(t, client, "3 of the client in TIME_WAIT", func(l watch.Look) bool { return l.TimeWait == [2]int{3, 0} && len(l.Sockets) == 3 })
			if got.Ports != 3 || len(got.Toward) != 1 || got.Toward[0].Remote != at {
				t.Errorf("ports %d towards %+v, want 3 towards %s", got.Ports, got.Toward, at)
			}
			freed, from := 0, max(40-int(time.Since(began).Seconds()), 0)
			for _, n := range got.Toward[0].Freed[from:] {
				freed += n
			}
			if freed != 3 {
				t.Errorf("after second %d of 60, %d ports will be freed, want 3: %v", from, freed, got.Toward[0].Freed)
			}
			for _, s := range got.Sockets {
				if s.Cookie != 0 || s.Accepted || s.Sent >= 0 || s.State != "TIME_WAIT" || s.Remote != at {
					t.Errorf("the socket is %+v", s)
				}
			}
			await(t, server, "1 of the server in TIME_WAIT", func(l watch.Look) bool { return l.TimeWait == [2]int{0, 1} && l.Ports == 0 })
		})
	}
}

// TestProcessWithTarget: of a process that has several targets, one is watched; and the ports
// of all processes towards it are counted.
func TestProcessWithTarget(t *testing.T) {
	_, target := listen(t, "tcp", "127.0.0.1:0")
	_, other := listen(t, "tcp", "127.0.0.1:0")
	var kept []net.Conn
	for _, at := range []netip.AddrPort{target, other} {
		c, err := net.Dial("tcp", at.String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		kept = append(kept, c)
	}
	c := startChild(t, target.String())
	fmt.Fprintln(c.in, "x")
	c.line(t)
	of := func(pid int) watch.Look {
		w := newTestWatcher(t, Config{PIDs: []int{pid}, Targets: []netip.AddrPort{target}})
		return await(t, w, "one socket", func(l watch.Look) bool { return len(l.Sockets) == 1 })
	}
	if l := of(os.Getpid()); l.Sockets[0].Local.String() != kept[0].LocalAddr().String() || l.Ports != 2 {
		t.Errorf("of this process: %+v", l)
	}
	if l := of(c.cmd.Process.Pid); l.Sockets[0].Remote != target || l.Sockets[0].Local.String() == kept[0].LocalAddr().String() || l.Ports != 2 {
		t.Errorf("of the other process: %+v", l)
	}
}

// TestOwnerCloses: a connection stays the service's when the service has closed it.
func TestOwnerCloses(t *testing.T) {
	l, target := listen(t, "tcp", "127.0.0.1:0")
	w := newTestWatcher(t, Config{PIDs: []int{os.Getpid()}})
	c, err := net.Dial("tcp", target.String())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	at := netip.MustParseAddrPort(c.LocalAddr().String())
	find := func(l watch.Look) (watch.Socket, bool) {
		i := slices.IndexFunc(l.Sockets, func(s watch.Socket) bool { return s.Local == at })
		if i < 0 {
			return watch.Socket{}, false
		}
		return l.Sockets[i], true
	}
	await(t, w, "the connection", func(l watch.Look) bool { s, ok := find(l); return ok && s.State == "ESTABLISHED" })
	c.Close()
	await(t, w, "the connection, which its owner has closed", func(l watch.Look) bool {
		s, ok := find(l)
		return ok && s.State == "FIN_WAIT2" && s.Inode == 0
	})
}

func TestProcessesThatCannotBeWatched(t *testing.T) {
	c := startChild(t, "127.0.0.1:1")
	pid := c.cmd.Process.Pid
	w := newTestWatcher(t, Config{PIDs: []int{pid}})
	if _, err := w.Look(); err != nil {
		t.Fatal(err)
	}
	c.in.Close()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) { // a zombie, which this process has not reaped, has ended
		_, err := w.Look()
		var at *ProcessError
		if errors.As(err, &at) && at.PID == pid && errors.Is(err, ErrEnded) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after its end: %v", err)
		}
	}
	c.end(t)
	if _, err := New(Config{PIDs: []int{pid}}, time.Now()); !errors.Is(err, ErrNoProcess) {
		t.Errorf("of a process that is gone: %v", err)
	}
	for _, cfg := range []Config{{}, {PIDs: []int{0}}, {PIDs: []int{-3}}, {Listen: []uint16{0}}, {Targets: make([]netip.AddrPort, 1)}} {
		if _, err := New(cfg, time.Now()); err == nil {
			t.Errorf("no error of %+v", cfg)
		}
	}
}

// TestForeignProcess: the thread of the test gives up its rights, and looks at init.
func TestForeignProcess(t *testing.T) {
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
		_, err := New(Config{PIDs: []int{1}}, time.Now())
		errs <- err
	}()
	err := <-errs
	var at *ProcessError
	if !errors.As(err, &at) || at.PID != 1 || !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), "another user") {
		t.Errorf("of another user's process: %v", err)
	}
}

func TestPause(t *testing.T) {
	if got := Pause(time.Millisecond, time.Second); got != time.Second {
		t.Errorf("after a cheap look %v, want 1s", got)
	}
	if got := Pause(100*time.Millisecond, time.Second); got != 4900*time.Millisecond {
		t.Errorf("after 100 ms of work %v, want 4.9s: 2 %% of a core", got)
	}
}
