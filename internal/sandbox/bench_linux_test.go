package sandbox

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"
	"unsafe"

	"github.com/kabench/kabench/profiles/network"
	"golang.org/x/sys/unix"
)

// BenchmarkDelay sends UDP packets at a steady rate over a link of 5 ms and
// reports how much longer they took, from just before the sender's system call
// to the receiving kernel's own stamp. "busy" has one goroutine per processor
// that never rests, in the same process, which a load generator should not.
//
// Measured at 20,000 packets/s on two processors, quiet: 0.05 ms in the median and
// 0.10 to 0.14 ms at p99 in six runs of six. With other programs at work there:
// 0.03 to 0.05 ms in the median. At p99 0.10 to 0.30 ms in 5 of the 6 runs in
// which the kernel's CPU pressure was below 40 %, 2 ms in the sixth; 0.1 to 9 ms
// above that. "busy": 0.2 to several ms at p99. What stalls is that Go's
// scheduler takes each thread's turn away every 10 ms and returns it by way of an
// ordinary thread, which must first be given a processor; not locking the wire to
// its thread was no better. A wire that is late says so (Stats).
func BenchmarkDelay(b *testing.B) {
	for _, c := range []struct {
		name string
		rate int // packets/s
		busy bool
	}{{"1000", 1000, false}, {"20000", 20000, false}, {"50000", 50000, false}, {"1000-busy", 1000, true}, {"20000-busy", 20000, true}} {
		b.Run(c.name, func(b *testing.B) { benchmarkDelay(b, c.rate, c.busy) })
	}
}

func benchmarkDelay(b *testing.B, rate int, busy bool) {
	const delay = 5 * time.Millisecond
	n := startNetwork(b, network.Config{
		Hosts: []network.Host{{Name: "server"}},
		Links: []network.Link{{Between: [2]string{"client", "server"}, Conditions: network.Conditions{Delay: delay}}},
	})
	if busy {
		processors := runtime.GOMAXPROCS(0) - 1 // one is the wire's
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range processors {
			wg.Go(func() { spin(stop) })
		}
		defer func() { close(stop); wg.Wait() }()
	}
	conn, err := n.Host("server").ListenPacket(context.Background(), "udp4", ":0")
	if err != nil {
		b.Fatal(err)
	}
	udp := conn.(*net.UDPConn)
	defer udp.Close()
	stampArrivals(b, udp)
	to := netip.AddrPortFrom(n.Addr("server"), uint16(udp.LocalAddr().(*net.UDPAddr).Port))

	errs := make(chan []time.Duration)
	go func() { errs <- delayErrors(udp, delay) }()

	client, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	runtime.LockOSThread()
	_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
	packet := make([]byte, 100)
	interval := time.Second / time.Duration(rate)
	begin := time.Now()
	sent := 0
	for b.Loop() {
		if ahead := time.Duration(sent)*interval - time.Since(begin); ahead > 0 {
			ts := unix.NsecToTimespec(int64(ahead))
			_ = unix.Nanosleep(&ts, nil)
		}
		binary.BigEndian.PutUint64(packet, uint64(time.Now().UnixNano()))
		if _, err := client.Write(packet); err != nil {
			b.Fatal(err)
		}
		sent++
	}
	elapsed := time.Since(begin)
	runtime.UnlockOSThread()
	time.Sleep(2 * delay) // what the last packets take; those later than that count as missing
	udp.Close()
	late := <-errs
	slices.Sort(late)
	if len(late) == 0 {
		b.Fatal("nothing arrived")
	}
	at := func(q float64) float64 { return late[int(q*float64(len(late)-1))].Seconds() * 1e6 }
	b.ReportMetric(float64(sent)/elapsed.Seconds(), "packets/s")
	b.ReportMetric(at(.5), "µs-p50")
	b.ReportMetric(at(.99), "µs-p99")
	b.ReportMetric(at(.999), "µs-p99.9")
	b.ReportMetric(float64(sent-len(late)), "missing")
	s := n.Stats()
	b.ReportMetric(s.LateP99.Seconds()*1e6, "µs-late-p99")
}

func spin(stop <-chan struct{}) {
	for x := uint64(1); ; x++ {
		if x%4096 == 0 {
			select {
			case <-stop:
				return
			default:
			}
		}
	}
}

func stampArrivals(b *testing.B, conn *net.UDPConn) {
	raw, err := conn.SyscallConn()
	if err != nil {
		b.Fatal(err)
	}
	var inner error
	err = raw.Control(func(fd uintptr) {
		inner = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
		_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20)
	})
	if err != nil || inner != nil {
		b.Fatal(err, inner)
	}
}

// delayErrors reads packets until conn is closed.
func delayErrors(conn *net.UDPConn, delay time.Duration) (late []time.Duration) {
	packet, oob := make([]byte, 200), make([]byte, 200)
	for {
		_, n, _, _, err := conn.ReadMsgUDPAddrPort(packet, oob)
		if err != nil {
			return late
		}
		messages, err := unix.ParseSocketControlMessage(oob[:n])
		if err != nil || len(messages) == 0 {
			continue
		}
		ts := (*unix.Timespec)(unsafe.Pointer(&messages[0].Data[0]))
		late = append(late, time.Duration(ts.Nano()-int64(binary.BigEndian.Uint64(packet)))-delay)
	}
}

// BenchmarkRelay is one packet through the deciding part alone: read, looked
// up, recorded, queued, delivered.
func BenchmarkRelay(b *testing.B) {
	c, err := newCore(network.Config{
		Hosts:     []network.Host{{Name: "server"}},
		Balancers: []network.Balancer{{Name: "balancer", Backends: []string{"server"}, Flows: network.Flows{Idle: time.Second}}},
	})
	if err != nil {
		b.Fatal(err)
	}
	c.deliver = func(int, []byte) bool { return true }
	packet := make([]byte, 40)
	reset{src: addrNumber(c.addrs[0][0]), dst: addrNumber(c.addrs[2][0]), sport: 1000, dport: 80, flags: network.ACK}.write(packet)
	b.ReportAllocs()
	now := int64(0)
	for b.Loop() {
		now += 1000
		f := c.frame()
		f.n = copy(f.buf, packet)
		c.receive(f, 0, now)
		c.advance(now)
	}
}

// BenchmarkCarry asks and answers on 32 connections as fast as they go, over a
// link of 1 ms, and reports the packets that the wire carried.
func BenchmarkCarry(b *testing.B) {
	n := startNetwork(b, clientServer(network.Link{Conditions: network.Conditions{Delay: time.Millisecond}}))
	port := echo(b, n.Host("server"), 0)
	var wg sync.WaitGroup
	asks := make(chan struct{})
	for range 32 {
		conn := dial(b, n.Addr("server"), port)
		wg.Go(func() {
			for range asks {
				if _, err := ask(conn); err != nil {
					b.Error(err)
				}
			}
		})
	}
	before := n.Stats().Packets
	begin := time.Now()
	for b.Loop() {
		asks <- struct{}{}
	}
	close(asks)
	wg.Wait()
	s := n.Stats()
	b.ReportMetric(float64(s.Packets-before)/time.Since(begin).Seconds(), "packets/s")
	b.ReportMetric(s.LateP99.Seconds()*1e6, "µs-late-p99")
}
