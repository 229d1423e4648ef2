package packetring

import (
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/sandbox/sandboxtest"
	"github.com/vishvananda/netlink"
)

var up = sync.OnceValue(func() error {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	return err
})

// serve starts a server. exchange passes 1,000 bytes and 5,000 back over a new connection to it.
func serve(t *testing.T, address string) (at netip.AddrPort, exchange func()) {
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
	return l.Addr().(*net.TCPAddr).AddrPort(), func() {
		t.Helper()
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		for _, way := range []struct {
			from, to net.Conn
			n        int
		}{{c, s, 1000}, {s, c, 5000}} {
			if _, err := way.from.Write(make([]byte, way.n)); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(way.to, make([]byte, way.n)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// packet is one that was taken.
type packet struct {
	flags   byte
	payload int // bytes on the wire
	taken   int // bytes of it
}

// take returns the packets that a ring has taken until a connection was closed at both ends.
func take(t *testing.T, r *Ring) (all []packet) {
	t.Helper()
	fins := 0
	for deadline := time.Now().Add(10 * time.Second); fins < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no two FINs among %+v", all)
		}
		r.Drain(func(data []byte, size int, wall int64) {
			header := 40
			if data[0]>>4 == 4 {
				header = int(data[0]&15) * 4
			}
			p := packet{flags: data[header+13]}
			header += int(data[header+12]>>4) * 4
			p.payload, p.taken = size-header, len(data)-header
			if all = append(all, p); p.flags&1 != 0 {
				fins++
			}
			if at := time.Unix(0, wall); time.Since(at).Abs() > time.Minute {
				t.Errorf("a packet has the time %v", at)
			}
		})
	}
	return all
}

func TestWhatIsTaken(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		at, exchange := serve(t, address)
		_, elsewhere := serve(t, address)
		anywhere := netip.AddrPortFrom(netip.IPv6Unspecified(), at.Port())
		nobody := netip.MustParseAddrPort("192.0.2.1:80")
		for _, c := range []struct {
			name string
			ends []netip.AddrPort
			what What
		}{
			{"whole", []netip.AddrPort{at}, Whole},
			{"headers", []netip.AddrPort{at}, Headers},
			{"headers, anywhere", []netip.AddrPort{nobody, anywhere}, Headers},
			{"lean", []netip.AddrPort{at}, Lean},
			{"lean, on all interfaces", []netip.AddrPort{at, nobody}, Lean},
		} {
			r, err := Open(c.ends, c.what)
			if err != nil {
				t.Fatal(err)
			}
			elsewhere()
			exchange()
			all := take(t, r)
			r.Close()
			sum, taken, syns, bare := 0, 0, 0, 0
			for _, p := range all {
				sum, taken = sum+p.payload, taken+p.taken
				if p.flags&2 != 0 {
					syns++
				}
				if p.payload == 0 && p.flags&7 == 0 {
					bare++
				}
			}
			if sum != 6000 || syns != 2 {
				t.Errorf("%s %s: %d bytes passed and %d SYNs, want 6000 and 2: %+v", address, c.name, sum, syns, all)
			}
			if want := map[What]int{Whole: 6000}[c.what]; taken != want {
				t.Errorf("%s %s: %d bytes of payload were taken, want %d", address, c.name, taken, want)
			}
			if (bare == 0) != (c.what == Lean) {
				t.Errorf("%s %s: %d segments that only acknowledge: %+v", address, c.name, bare, all)
			}
		}
	}
}

// Without ends, everybody's connections are taken.
func TestEverything(t *testing.T) {
	_, exchange := serve(t, "127.0.0.1:0")
	_, six := serve(t, "[::1]:0")
	r, err := Open(nil, Headers)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, one := range []func(){exchange, six} {
		one()
		if all := take(t, r); len(all) < 8 {
			t.Errorf("%+v", all)
		}
	}
}

// What the ring has no room for is counted.
func TestLost(t *testing.T) {
	sandboxtest.Need(t)
	if err := up(); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		if c, err := l.Accept(); err == nil {
			_, _ = io.Copy(c, c)
			c.Close()
		}
	}()
	r, err := Open([]netip.AddrPort{l.Addr().(*net.TCPAddr).AddrPort()}, Headers)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	one := make([]byte, 1)
	for range Headers.Frames()/2 + 1000 { // each is two packets, or more
		if _, err := c.Write(one); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, one); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	r.Drain(func([]byte, int, int64) { n++ })
	if lost := r.Lost(); n < Headers.Frames() || lost == 0 || r.Noticed() != lost {
		t.Errorf("%d packets came, %d were lost, %d noticed", n, lost, r.Noticed())
	}
}
