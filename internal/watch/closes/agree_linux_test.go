package closes_test

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
	"github.com/kabench/kabench/internal/sandbox/sandboxtest"
	"github.com/kabench/kabench/internal/watch"
	"github.com/kabench/kabench/internal/watch/closes"
	"github.com/kabench/kabench/internal/watch/kernel"
	"github.com/kabench/kabench/internal/watch/packets"
)

// verdict is what is said about the end of a connection.
type verdict struct {
	by     evidence.Side
	how    evidence.Kind
	both   bool
	at     time.Duration
	why    string
	opened bool
}

func (v verdict) String() string {
	return fmt.Sprintf("%v %v both=%v (%s)", v.by, v.how, v.both, v.why)
}

// both are the verdicts of the kernel's events and of packets, by the client's end.
type both struct {
	t       *testing.T
	kernel  *kernel.Layer
	packets *packets.Layer
	fold    *closes.Fold
	lives   *segments.Lives
	start   time.Time
	stop    chan struct{}
	stopped sync.WaitGroup

	events, segments map[netip.AddrPort][]verdict
	lost             uint64
	seen             int
}

// watchBoth looks at the connections of a service with these ends, in this namespace.
func watchBoth(t *testing.T, ends watch.Ends) *both {
	t.Helper()
	b := &both{t: t, start: time.Now(), stop: make(chan struct{}), events: map[netip.AddrPort][]verdict{}, segments: map[netip.AddrPort][]verdict{}}
	b.kernel = kernel.Open(kernel.Want{Ends: ends, Namespace: namespace(t)}, b.start)
	if s := b.kernel.Sees(); !s.On {
		if os.Getenv("CI") != "" && os.Geteuid() == 0 && !strings.Contains(s.Lacks, "user namespace") {
			t.Fatal(s.Lacks)
		}
		t.Skip(s.Lacks)
	}
	b.packets = packets.Open(packets.Want{Ends: ends}, b.start)
	if s := b.packets.Sees(); !s.On {
		t.Fatal(s.Lacks)
	}
	b.fold = closes.New(ends, func(l *closes.Life) { add(b.events, &l.Connection) })
	b.lives = segments.NewLives(func(c *evidence.Connection) { add(b.segments, c) }, nil)
	b.lives.Bare = true
	for _, server := range slices.Concat(ends.Listens, ends.Targets) {
		b.lives.Server(server)
	}
	b.stopped.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			b.take()
			select {
			case <-b.stop:
				return
			case <-tick.C:
			}
		}
	})
	return b
}

func add(to map[netip.AddrPort][]verdict, c *evidence.Connection) {
	to[c.Client] = append(to[c.Client], verdict{c.Close.By, c.Close.How, c.BothWait, c.Close.At, c.Close.Why, c.Opened != evidence.NotSeen})
}

func (b *both) take() {
	b.kernel.Take(func(e watch.Event) { b.seen++; b.fold.Add(e) })
	b.packets.Take(b.lives.Add)
}

// end stops watching and returns the connections.
func (b *both) end() {
	close(b.stop)
	b.stopped.Wait()
	b.take()
	b.fold.End(time.Since(b.start))
	b.lives.End()
	b.lost = b.kernel.Sees().Lost + b.packets.Sees().Lost
	_ = b.kernel.Close()
	_ = b.packets.Close()
}

// compare returns how many connections both saw, and where their verdicts differ.
func (b *both) compare() (n int, differ []string, apart []time.Duration) {
	for client, list := range b.segments {
		events := b.events[client]
		for _, l := range [][]verdict{list, events} {
			slices.SortStableFunc(l, func(a, b verdict) int { return cmp.Compare(a.at, b.at) })
		}
		n += len(list)
		if len(events) != len(list) {
			differ = append(differ, fmt.Sprintf("%v: packets %v, events %v", client, list, events))
			continue
		}
		for i, p := range list {
			e := events[i]
			if p.both != e.both || !p.both && (p.by != e.by || p.how != e.how) {
				differ = append(differ, fmt.Sprintf("%v:\n  packets %v\n  events  %v", client, p, e))
			}
			if p.at != evidence.NotSeen && e.at != evidence.NotSeen {
				apart = append(apart, (p.at - e.at).Abs())
			}
		}
	}
	for client, events := range b.events {
		if len(b.segments[client]) == 0 {
			differ = append(differ, fmt.Sprintf("%v: no packets, events %v", client, events))
		}
	}
	return n, differ, apart
}

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

// pair is an established connection.
type pair struct{ client, server *net.TCPConn }

// pairs opens connections to a listener.
type pairs struct {
	listener *net.TCPListener
	dial     func(*net.TCPAddr) (*net.TCPConn, error)
	mu       sync.Mutex
}

func listen(t testing.TB, address string) *pairs {
	t.Helper()
	sandboxtest.Need(t)
	if err := up(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return &pairs{listener: l.(*net.TCPListener), dial: func(to *net.TCPAddr) (*net.TCPConn, error) { return net.DialTCP("tcp", nil, to) }}
}

func (p *pairs) addr() netip.AddrPort { return p.listener.Addr().(*net.TCPAddr).AddrPort() }

// open opens one connection and passes a request and its response.
func (p *pairs) open(t testing.TB) pair {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, err := p.dial(p.listener.Addr().(*net.TCPAddr))
	if err != nil {
		t.Error(err)
		return pair{}
	}
	s, err := p.listener.AcceptTCP()
	if err != nil {
		t.Error(err)
		return pair{}
	}
	one := pair{c, s}
	pass(t, c, s, 120)
	pass(t, s, c, 300)
	return one
}

func pass(t testing.TB, from, to io.ReadWriter, n int) {
	if _, err := from.Write(make([]byte, n)); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(to, make([]byte, n)); err != nil {
		t.Error(err)
	}
}

// gone waits until the peer has closed.
func gone(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) }

// ways are the ways in which connections end.
var ways = map[string]func(t testing.TB, p pair){
	"the server closes": func(_ testing.TB, p pair) { p.server.Close(); gone(p.client); p.client.Close() },
	"the client closes": func(_ testing.TB, p pair) { p.client.Close(); gone(p.server); p.server.Close() },
	"the server resets": func(_ testing.TB, p pair) { p.server.SetLinger(0); p.server.Close(); gone(p.client); p.client.Close() },
	"the client resets": func(_ testing.TB, p pair) { p.client.SetLinger(0); p.client.Close(); gone(p.server); p.server.Close() },
	"the client closes with data unread": func(t testing.TB, p pair) {
		if _, err := p.server.Write([]byte("x")); err != nil {
			t.Error(err)
		}
		until(p.client, func(fd int) bool { n, _ := unix.IoctlGetInt(fd, unix.TIOCINQ); return n > 0 })
		p.client.Close()
		gone(p.server)
		p.server.Close()
	},
	"the server closes, and a request comes late": func(_ testing.TB, p pair) {
		p.server.Close()
		gone(p.client)
		_, _ = p.client.Write(make([]byte, 120))
		p.client.Close()
	},
	"both close": func(_ testing.TB, p pair) {
		var all sync.WaitGroup
		ready := make(chan struct{})
		for _, c := range []*net.TCPConn{p.client, p.server} {
			all.Go(func() { <-ready; c.Close() })
		}
		close(ready)
		all.Wait()
	},
	"the client closes half": func(t testing.TB, p pair) {
		p.client.CloseWrite()
		gone(p.server)
		pass(t, p.server, p.client, 500)
		p.server.Close()
		gone(p.client)
		p.client.Close()
	},
	"the server closes half": func(t testing.TB, p pair) {
		p.server.CloseWrite()
		gone(p.client)
		pass(t, p.client, p.server, 500)
		p.client.Close()
		gone(p.server)
		p.server.Close()
	},
	"the server closes half, and resets": func(_ testing.TB, p pair) {
		p.server.CloseWrite()
		gone(p.client)
		p.server.SetLinger(0)
		p.server.Close()
		p.client.Close()
	},
}

// until waits until a condition of a socket holds.
func until(c *net.TCPConn, holds func(fd int) bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	for ok := false; !ok; {
		if raw.Control(func(fd uintptr) { ok = holds(int(fd)) }) != nil {
			return
		}
	}
}

// each ends n connections in every way, from some goroutines.
func each(t *testing.T, p *pairs, n int) {
	var all sync.WaitGroup
	for _, way := range ways {
		for range 2 {
			all.Go(func() {
				for range n / 2 {
					if one := p.open(t); one.client != nil {
						way(t, one)
					}
				}
			})
		}
	}
	all.Wait()
}

// The kernel's events say the same about each connection as the packets do, whichever end
// is the service's, and for connections that are older than the watch too.
func TestEventsAgreeWithPackets(t *testing.T) {
	const of = 200 // each way, with each end
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		for _, role := range []string{"accepts", "opens"} {
			t.Run(address+" "+role, func(t *testing.T) {
				p := listen(t, address)
				ends := watch.Ends{Listens: []netip.AddrPort{p.addr()}}
				if role == "opens" {
					ends = watch.Ends{Targets: []netip.AddrPort{netip.AddrPortFrom(netip.IPv4Unspecified(), p.addr().Port())}}
				}
				var older []pair
				for range ways {
					for range of / 4 {
						older = append(older, p.open(t))
					}
				}
				b := watchBoth(t, ends)
				each(t, p, of)
				for _, way := range ways {
					for range of / 4 {
						way(t, older[0])
						older = older[1:]
					}
				}
				b.end()
				n, differ, apart := b.compare()
				slices.Sort(apart)
				t.Logf("%d connections, %d events; the times of the closes are %v apart (median), %v at most", n, b.seen, apart[len(apart)/2], apart[len(apart)-1])
				if want := len(ways) * (of + of/4); n != want {
					t.Errorf("%d connections were seen in packets, want %d", n, want)
				}
				if b.lost > 0 {
					t.Errorf("%d events or packets were lost", b.lost)
				}
				if len(differ) > 0 {
					t.Errorf("%d differ:\n%s", len(differ), strings.Join(differ[:min(len(differ), 8)], "\n"))
				}
			})
		}
	}
}

// Connections that never come to be: refused, and without an answer.
func TestNeverEstablished(t *testing.T) {
	p := listen(t, "127.0.0.1:0")
	closed := p.addr()
	p.listener.Close()
	full := fullQueue(t)
	b := watchBoth(t, watch.Ends{Targets: []netip.AddrPort{closed, full}})
	const of = 100
	for range of {
		if c, err := net.Dial("tcp", closed.String()); err == nil {
			c.Close()
			t.Error("connected")
		}
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if c, err := net.DialTimeout("tcp", full.String(), 1500*time.Millisecond); err == nil { // the SYN is sent again after a second
				c.Close()
				t.Error("connected")
			}
		})
	}
	all.Wait()
	b.end()
	refused, silent := 0, 0
	for client, list := range b.segments {
		for i, v := range list {
			switch e := b.events[client][i]; {
			case v.how == evidence.RST && v.by == evidence.ByServer && e.how == evidence.RST && e.by == evidence.ByServer:
				refused++
			case v.how == evidence.Open && e.how == evidence.Silent && e.by == evidence.Nobody:
				silent++
			default:
				t.Errorf("%v: packets %v, events %v", client, v, e)
			}
		}
	}
	if refused != of || silent != 20 {
		t.Errorf("%d refused, %d without an answer", refused, silent)
	}
}

// fullQueue returns a listener whose queue is full: it answers no SYN.
func fullQueue(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*unix.SockaddrInet4).Port))
	for {
		c, err := net.DialTimeout("tcp", at.String(), 300*time.Millisecond)
		if err != nil {
			return at
		}
		t.Cleanup(func() { c.Close() })
	}
}

// A peer that takes nothing any more: TCP_USER_TIMEOUT ends the connection without a FIN.
func TestTimeout(t *testing.T) {
	p := listen(t, "127.0.0.1:0")
	b := watchBoth(t, watch.Ends{Targets: []netip.AddrPort{p.addr()}})
	const of = 20
	var all sync.WaitGroup
	for range of {
		one := p.open(t)
		deaf(t, one.server)
		raw, err := one.client.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		if err := raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 1500) }); err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			_, _ = one.client.Write(make([]byte, 200))
			_, _ = one.client.Read(make([]byte, 1)) // until ETIMEDOUT
			one.client.Close()
		})
		t.Cleanup(func() { one.server.Close() })
	}
	all.Wait()
	b.end()
	n, differ, _ := b.compare()
	if n != of || len(differ) > 0 {
		t.Errorf("%d connections, %d differ:\n%s", n, len(differ), strings.Join(differ[:min(len(differ), 4)], "\n"))
	}
	for client, list := range b.events {
		if list[0].how != evidence.Silent {
			t.Errorf("%v: %v", client, list[0])
		}
	}
}

// deaf makes a socket drop every segment.
func deaf(t *testing.T, c *net.TCPConn) {
	t.Helper()
	code, err := bpf.Assemble([]bpf.Instruction{bpf.RetConstant{Val: 0}})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	f := unix.SockFilter{Code: code[0].Op, Jt: code[0].Jt, Jf: code[0].Jf, K: code[0].K}
	if cerr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &f})
	}); cerr != nil || err != nil {
		t.Fatal(cerr, err)
	}
}
