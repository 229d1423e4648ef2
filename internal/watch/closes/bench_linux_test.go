package closes_test

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
	"github.com/kabench/kabench/internal/watch"
	"github.com/kabench/kabench/internal/watch/closes"
	"github.com/kabench/kabench/internal/watch/kernel"
	"github.com/kabench/kabench/internal/watch/packets"
)

// BenchmarkCloses is the processor time of a connection that is opened, passes a request and
// its response and is closed, of client, server and kernel together: without a watch, and
// with each layer. Times 2,000/s, the difference is the cost of a layer: 10 µs more for each
// are 2 % of a core. own-µs/conn is the part of the process that watches; the rest is the
// kernel's, within the work of the service. The client is on the loopback, or in a network
// namespace of its own, behind a link.
func BenchmarkCloses(b *testing.B) {
	for _, where := range []string{"loopback", "link"} {
		for _, w := range []watching{
			{name: "alone"},
			{name: "kernel", kernel: true},
			{name: "packets", packets: true},
			{name: "packets-lean", packets: true, lean: true},
			{name: "both", kernel: true, packets: true},
			{name: "both-of-others", kernel: true, packets: true, others: true},
		} {
			b.Run(where+"/"+w.name, func(b *testing.B) {
				p := listen(b, "127.0.0.1:0")
				if where == "link" {
					p = behindLink(b)
				}
				w.measure(b, p)
			})
		}
	}
}

// watching is what is measured.
type watching struct {
	name            string
	kernel, packets bool
	lean            bool
	others          bool // the traffic is not watched
}

func (w watching) measure(b *testing.B, p *pairs) {
	ends := watch.Ends{Listens: []netip.AddrPort{p.addr()}}
	if w.others {
		ends.Listens[0] = netip.AddrPortFrom(p.addr().Addr(), 1)
	}
	var take []func()
	var layers []interface{ Sees() watch.Sees }
	events, taken := 0, 0
	start := time.Now()
	if w.kernel {
		k := kernel.Open(kernel.Want{Ends: ends, Namespace: namespace(b)}, start)
		defer k.Close()
		fold := closes.New(ends, func(*closes.Life) {})
		layers = append(layers, k)
		take = append(take, func() { k.Take(func(e watch.Event) { events++; fold.Add(e) }) })
	}
	if w.packets {
		l := packets.Open(packets.Want{Ends: ends, Lean: w.lean}, start)
		defer l.Close()
		lives := segments.NewLives(func(*evidence.Connection) {}, nil)
		lives.Bare = true
		layers = append(layers, l)
		take = append(take, func() { l.Take(func(s *segments.Segment) { taken++; lives.Add(s) }) })
	}
	for _, l := range layers {
		if s := l.Sees(); !s.On {
			b.Skip(s.Lacks)
		}
	}
	runtime.LockOSThread() // its processor time is read
	defer runtime.UnlockOSThread()
	var own time.Duration
	look := func() {
		before := processorTime(b, unix.RUSAGE_THREAD)
		for _, t := range take {
			t()
		}
		own += processorTime(b, unix.RUSAGE_THREAD) - before
	}
	const every = 50 * time.Millisecond
	before, looked := processorTime(b, unix.RUSAGE_SELF), time.Now()
	for b.Loop() {
		one := p.open(b)
		one.server.Close()
		gone(one.client)
		one.client.Close()
		if time.Since(looked) >= every {
			look()
			looked = time.Now()
		}
	}
	look()
	n := float64(b.N)
	µs := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) / n }
	b.ReportMetric(µs(processorTime(b, unix.RUSAGE_SELF)-before), "cpu-µs/conn")
	b.ReportMetric(µs(own), "own-µs/conn")
	lost := uint64(0)
	for _, l := range layers {
		lost += l.Sees().Lost
	}
	b.ReportMetric(float64(events)/n, "events/conn")
	b.ReportMetric(float64(taken)/n, "packets/conn")
	b.ReportMetric(float64(lost), "lost")
}

func processorTime(b *testing.B, whose int) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(whose, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// behindLink returns a listener whose clients are in a network namespace of their own,
// behind a pair of devices.
func behindLink(b *testing.B) *pairs {
	needSandbox(b)
	asked, dialed := make(chan *net.TCPAddr), make(chan *net.TCPConn)
	made := make(chan error)
	name := strconv.FormatInt(time.Now().UnixNano()%1e9, 36)
	home, err := netns.Get()
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { home.Close() })
	go func() {
		runtime.LockOSThread() // for good: the thread ends with its namespace
		made <- linkTo(home, name)
		for to := range asked {
			c, err := net.DialTCP("tcp", nil, to)
			if err != nil {
				b.Error(err)
			}
			dialed <- c
		}
	}()
	b.Cleanup(func() { close(asked) })
	if err := <-made; err != nil {
		b.Fatal(err)
	}
	if err := address("a"+name, "10.77.0.1/24"); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if l, err := netlink.LinkByName("a" + name); err == nil {
			_ = netlink.LinkDel(l)
		}
	})
	p := listen(b, "10.77.0.1:0")
	p.dial = func(to *net.TCPAddr) (*net.TCPConn, error) {
		asked <- to
		if c := <-dialed; c != nil {
			return c, nil
		}
		return nil, errors.New("not connected")
	}
	return p
}

// linkTo moves this thread into a new network namespace and links it with home.
func linkTo(home netns.NsHandle, name string) error {
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		return err
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "b" + name
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "a" + name, PeerNamespace: netlink.NsFd(home)}); err != nil {
		return err
	}
	return address("b"+name, "10.77.0.2/24")
}

func address(device, at string) error {
	l, err := netlink.LinkByName(device)
	if err != nil {
		return err
	}
	a, err := netlink.ParseAddr(at)
	if err != nil {
		return err
	}
	if err := netlink.AddrAdd(l, a); err != nil {
		return err
	}
	return netlink.LinkSetUp(l)
}
