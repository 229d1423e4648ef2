package closes_test

import (
	"errors"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
	"github.com/kabench/kabench/internal/sandbox/sandboxtest"
	"github.com/kabench/kabench/internal/watch"
	"github.com/kabench/kabench/internal/watch/closes"
	"github.com/kabench/kabench/internal/watch/kernel"
	"github.com/kabench/kabench/internal/watch/packets"
)

// BenchmarkCloses is what a watch costs for a connection that is opened, passes a request and
// its response and is closed, in processor time of client, server and kernel together. Times
// 2,000/s: 10 µs are 2 % of a core. Blocks of connections without a watch take turns with
// blocks that are watched, and cost-µs/conn is the median of the differences, so that a busy
// machine spoils it little. Of that, own-µs/conn is spent by the process that watches; the
// rest is the kernel's, within the work of client and server. The client is on the loopback,
// or in a network namespace of its own, behind a link.
//
//	go test -run - -bench Closes -benchtime 30000x ./internal/watch/closes
func BenchmarkCloses(b *testing.B) {
	for _, where := range []string{"loopback", "link"} {
		for _, w := range []watching{
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

	own           time.Duration
	events, taken int
	lost          uint64
}

// block is how many connections are measured together.
const block = 250

func (w watching) measure(b *testing.B, p *pairs) {
	runtime.LockOSThread() // its processor time is read
	defer runtime.UnlockOSThread()
	var differ []float64
	n := 0
	for i := 0; i == 0 || i < b.N; i += 2 * block {
		without := w.spend(b, p, false)
		differ = append(differ, w.spend(b, p, true)-without)
		n += block
	}
	slices.Sort(differ)
	b.ReportMetric(differ[len(differ)/2], "cost-µs/conn")
	b.ReportMetric(w.own.Seconds()*1e6/float64(n), "own-µs/conn")
	b.ReportMetric(float64(w.events)/float64(n), "events/conn")
	b.ReportMetric(float64(w.taken)/float64(n), "packets/conn")
	b.ReportMetric(float64(w.lost), "lost")
}

// spend returns the processor time of a connection in µs, over one block.
func (w *watching) spend(b *testing.B, p *pairs, watched bool) float64 {
	ends := watch.Ends{Listens: []netip.AddrPort{p.addr()}}
	if w.others {
		ends.Listens[0] = netip.AddrPortFrom(p.addr().Addr(), 1)
	}
	var take []func()
	var layers []interface{ Sees() watch.Sees }
	if watched && w.kernel {
		k := kernel.Open(kernel.Want{Ends: ends, Namespace: namespace(b)}, time.Now())
		defer k.Close()
		fold := closes.New(ends, func(*closes.Life) {})
		layers = append(layers, k)
		take = append(take, func() { k.Take(func(e watch.Event) { w.events++; fold.Add(e) }) })
	}
	if watched && w.packets {
		l := packets.Open(packets.Want{Ends: ends, Lean: w.lean}, time.Now())
		defer l.Close()
		lives := segments.NewLives(func(*evidence.Connection) {}, nil)
		lives.Bare = true
		layers = append(layers, l)
		take = append(take, func() { l.Take(func(s *segments.Segment) { w.taken++; lives.Add(s) }) })
	}
	for _, l := range layers {
		if s := l.Sees(); !s.On {
			b.Skip(s.Lacks)
		}
	}
	look := func() {
		before := processorTime(b, unix.RUSAGE_THREAD)
		for _, t := range take {
			t()
		}
		w.own += processorTime(b, unix.RUSAGE_THREAD) - before
	}
	before := processorTime(b, unix.RUSAGE_SELF)
	for i := range block {
		one := p.open(b)
		one.server.Close()
		gone(one.client)
		one.client.Close()
		if i%100 == 99 { // 50 ms at 2,000/s
			look()
		}
	}
	look()
	spent := processorTime(b, unix.RUSAGE_SELF) - before
	for _, l := range layers {
		w.lost += l.Sees().Lost
	}
	return spent.Seconds() * 1e6 / block
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
	sandboxtest.Need(b)
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
