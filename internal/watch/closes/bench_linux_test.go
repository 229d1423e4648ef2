package closes_test

import (
	"net/netip"
	"testing"
	"time"

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
// are 2 % of a core.
func BenchmarkCloses(b *testing.B) {
	for _, w := range []struct {
		name            string
		kernel, packets bool
		lean, others    bool
		everywhere      bool
	}{
		{name: "alone"},
		{name: "kernel", kernel: true},
		{name: "packets", packets: true},
		{name: "packets-everywhere", packets: true, everywhere: true},
		{name: "packets-of-others", packets: true, others: true},
		{name: "kernel-of-others", kernel: true, others: true},
		{name: "packets-lean", packets: true, lean: true},
		{name: "both", kernel: true, packets: true},
		{name: "both-of-others", kernel: true, packets: true, others: true}, // the traffic is not watched
	} {
		b.Run(w.name, func(b *testing.B) {
			p := listen(b, "127.0.0.1:0")
			ends := watch.Ends{Listens: []netip.AddrPort{p.addr()}}
			if w.others {
				ends.Listens = []netip.AddrPort{netip.AddrPortFrom(p.addr().Addr(), 1)}
			}
			if w.everywhere {
				ends.Listens[0] = netip.AddrPortFrom(netip.IPv4Unspecified(), p.addr().Port())
			}
			var take []func()
			var layers []interface{ Sees() watch.Sees }
			events, taken, over := 0, 0, 0
			start := time.Now()
			if w.kernel {
				k := kernel.Open(kernel.Want{Ends: ends, Namespace: namespace(b)}, start)
				defer k.Close()
				fold := closes.New(ends, func(*closes.Life) { over++ })
				layers = append(layers, k)
				take = append(take, func() { k.Take(func(e watch.Event) { events++; fold.Add(e) }) })
			}
			if w.packets {
				l := packets.Open(packets.Want{Ends: ends, Lean: w.lean}, start)
				defer l.Close()
				lives := segments.NewLives(func(*evidence.Connection) { over++ }, nil)
				lives.Bare = true
				layers = append(layers, l)
				take = append(take, func() { l.Take(func(s *segments.Segment) { taken++; lives.Add(s) }) })
			}
			for _, l := range layers {
				if s := l.Sees(); !s.On {
					b.Skip(s.Lacks)
				}
			}
			const every = 50 * time.Millisecond
			before, looked := processorTime(b), time.Now()
			for b.Loop() {
				one := p.open(b)
				one.server.Close()
				gone(one.client)
				one.client.Close()
				if time.Since(looked) >= every {
					for _, t := range take {
						t()
					}
					looked = time.Now()
				}
			}
			for _, t := range take {
				t()
			}
			n := float64(b.N)
			b.ReportMetric(float64(processorTime(b)-before)/float64(time.Microsecond)/n, "cpu-µs/conn")
			lost := uint64(0)
			for _, l := range layers {
				lost += l.Sees().Lost
			}
			b.ReportMetric(float64(events)/n, "events/conn")
			b.ReportMetric(float64(taken)/n, "packets/conn")
			b.ReportMetric(float64(lost), "lost")
		})
	}
}

func processorTime(b *testing.B) time.Duration {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
