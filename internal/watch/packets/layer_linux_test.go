package packets

import (
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
	"github.com/kabench/kabench/internal/sandbox/sandboxtest"
	"github.com/kabench/kabench/internal/watch"
)

func loopbackUp() error {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	return err
}

var up = sync.OnceValue(loopbackUp)

// race opens a connection to a listener, passes a request and its response, closes it at the
// server, and lets the client send a request too late.
func race(t *testing.T, l net.Listener) (client netip.AddrPort) {
	t.Helper()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	s, err := l.Accept()
	if err != nil {
		t.Error(err)
		return
	}
	for _, way := range []struct {
		from, to net.Conn
		n        int
	}{{c, s, 200}, {s, c, 500}} {
		if _, err := way.from.Write(make([]byte, way.n)); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadFull(way.to, make([]byte, way.n)); err != nil {
			t.Error(err)
		}
	}
	s.Close()
	if n, err := io.Copy(io.Discard, c); n != 0 || err != nil {
		t.Errorf("after the server's FIN: %d bytes, %v", n, err)
	}
	if _, err := c.Write(make([]byte, 200)); err != nil {
		t.Error(err)
	}
	return c.LocalAddr().(*net.TCPAddr).AddrPort()
}

// follow returns the connections that a layer has seen, once there are n that were reset.
func follow(t *testing.T, l *Layer, n int) (all []evidence.Connection) {
	t.Helper()
	lives := segments.NewLives(func(c *evidence.Connection) { all = append(all, *c) }, nil)
	lives.Bare = true
	for deadline := time.Now().Add(10 * time.Second); n > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no RST was seen")
		}
		l.Take(func(s *segments.Segment) {
			if s.Payload != nil {
				t.Errorf("payload: %+v", s)
			}
			if s.Flags&segments.FlagRST != 0 {
				n--
			}
			lives.Add(s)
		})
	}
	lives.End()
	return all
}

func TestRace(t *testing.T) {
	sandboxtest.Need(t)
	if err := up(); err != nil {
		t.Fatal(err)
	}
	for _, lean := range []bool{false, true} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		at := listener.Addr().(*net.TCPAddr).AddrPort()
		began := time.Now()
		l := Open(Want{Ends: watch.Ends{Targets: []netip.AddrPort{at}}, Lean: lean}, began)
		defer l.Close()
		if s := l.Sees(); !s.On || s.Lacks != "" {
			t.Fatalf("%+v", s)
		}
		client := race(t, listener)
		all := follow(t, l, 1)
		if len(all) != 1 {
			t.Fatalf("%d connections: %+v", len(all), all)
		}
		c := &all[0]
		if c.Client != client || c.Server != at || !c.Bare || c.Requests != 1 || c.Close.By != evidence.ByServer || c.Close.How != evidence.FIN {
			t.Errorf("lean %v: %+v", lean, c)
		}
		if len(c.Unanswered) != 1 || c.Unanswered[0].Met != evidence.Late || c.Unanswered[0].Basis != evidence.Inferred {
			t.Errorf("lean %v: %+v", lean, c.Unanswered)
		}
		if c.Opened < 0 || c.Close.At < c.Opened || c.Close.At > time.Since(began) {
			t.Errorf("lean %v: opened at %v, closed at %v", lean, c.Opened, c.Close.At)
		}
		if l.Seen() == 0 || l.Sees().Lost != 0 {
			t.Errorf("%d segments, %d lost", l.Seen(), l.Sees().Lost)
		}
	}
}

// The socket is opened in the namespace of the service, and this process stays in its own.
func TestAnotherNamespace(t *testing.T) {
	sandboxtest.Need(t)
	type place struct {
		file     string
		listener net.Listener
		err      error
	}
	ready, begin, over := make(chan place), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		runtime.LockOSThread() // for good: the thread ends with its namespace
		var p place
		if p.err = unix.Unshare(unix.CLONE_NEWNET); p.err == nil {
			p.err = loopbackUp()
		}
		if p.err == nil {
			p.listener, p.err = net.Listen("tcp", "127.0.0.1:0")
		}
		p.file = "/proc/self/task/" + strconv.Itoa(unix.Gettid()) + "/ns/net"
		ready <- p
		if p.err == nil {
			<-begin
			race(t, p.listener)
			p.listener.Close()
		}
	}()
	p := <-ready
	if p.err != nil {
		t.Fatal(p.err)
	}
	before, err := os.Readlink("/proc/thread-self/ns/net")
	if err != nil {
		t.Fatal(err)
	}
	l := Open(Want{Namespace: p.file}, time.Now())
	defer l.Close()
	if s := l.Sees(); !s.On {
		close(begin)
		t.Fatal(s.Lacks)
	}
	close(begin)
	all := follow(t, l, 1)
	<-over
	if len(all) != 1 || all[0].Close.By != evidence.ByServer {
		t.Errorf("%+v", all)
	}
	if after, _ := os.Readlink("/proc/thread-self/ns/net"); after != before {
		t.Errorf("this thread moved from %s to %s", before, after)
	}
}

// What is missing is named, and the layer does nothing.
func TestLacks(t *testing.T) {
	if os.Getenv("KABENCH_WITHOUT_RIGHTS") != "" {
		l := Open(Want{}, time.Now())
		l.Take(func(*segments.Segment) { t.Error("a segment") })
		if s := l.Sees(); s.On {
			t.Error("it is on")
		} else {
			os.Stdout.WriteString("lacks: " + s.Lacks + "\n")
		}
		l.Close()
		return
	}
	if s := Open(Want{Namespace: "/proc/self/ns/none"}, time.Now()).Sees(); s.On || !strings.Contains(s.Lacks, "the network namespace of the service") {
		t.Errorf("a namespace that is gone: %+v", s)
	}
	if s := Open(Want{Namespace: "/proc/self/ns/mnt"}, time.Now()).Sees(); s.On || !strings.Contains(s.Lacks, "the network namespace of the service") {
		t.Errorf("another kind of namespace: %+v", s)
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can give rights up")
	}
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestLacks$", "-test.v")
	cmd.Env = append(os.Environ(), "KABENCH_WITHOUT_RIGHTS=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Skipf("%v: %s", err, out)
	}
	if !strings.Contains(string(out), "lacks: CAP_NET_RAW") {
		t.Errorf("%s", out)
	}
}
