package dialers

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// serveAt is a server at an address of its own, with the port of another.
func serveAt(t *testing.T, ip string, port uint16) netip.AddrPort {
	t.Helper()
	addr := netip.AddrPortFrom(netip.MustParseAddr(ip), port)
	server, err := lab.Start(script.Server{}, addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	return addr
}

// namedAt is the URL of a name, at the port of addr.
func namedAt(addr netip.AddrPort) string {
	return strings.Replace("http://"+addr.String()+"/", addr.Addr().String(), "shop.test", 1)
}

// leftSockets returns how many sockets c watches.
func leftSockets(c *Client) int { return len(c.loop.tokens.places) - len(c.loop.tokens.free) }

// An address that does not answer is passed over after FallbackDelay, in both engines,
// whether its connect goes on or not.
func TestFallbackDelay(t *testing.T) {
	t.Parallel()
	const delay = 30 * time.Millisecond
	hole := blackHole(t, [4]byte{127, 0, 0, 4})
	next := serveAt(t, "127.0.0.5", hole.Port())
	answer := make(chan struct{})
	close(answer)
	for _, fallback := range []pool.Fallback{pool.FallbackRace, pool.FallbackAbandon} {
		t.Run(fallback.String(), func(t *testing.T) {
			t.Parallel()
			var sockets atomic.Int32
			control := func(string, string, syscall.RawConn) error { sockets.Add(1); return nil }
			d := &Dialer{
				FallbackDelay: delay, Fallback: fallback, Control: control,
				Resolver: slowNames(t, answer, [4]byte{127, 0, 0, 4}, [4]byte{127, 0, 0, 5}),
			}
			c := newClient(t, pool.Default(), d, long, request(t, "GET", namedAt(hole), nil))
			e := c.do(t)
			if took := e.Connected - e.Resolved; !e.OK() || took < delay {
				t.Errorf("%s, connected after %v: %v", outcome(e), took, e.Err)
			}
			if n := leftSockets(c); n != 1 || sockets.Load() != 2 {
				t.Errorf("%d sockets were opened, and %d are left, want 2 and 1", sockets.Load(), n)
			}
			begin := time.Now()
			conn, err := d.connect(t.Context(), []netip.AddrPort{hole, next})
			if err != nil || time.Since(begin) < delay {
				t.Fatalf("after %v: %v", time.Since(begin), err)
			}
			if at := conn.RemoteAddr().String(); at != next.String() || sockets.Load() != 4 {
				t.Errorf("connected to %s with %d sockets", at, sockets.Load()-2)
			}
			conn.Close()
		})
	}
}

// An address that fails is passed over at once, however long FallbackDelay is.
func TestFallbackAtOnce(t *testing.T) {
	t.Parallel()
	server, err := lab.Start(script.Server{}, "127.0.0.6:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	next := netip.MustParseAddrPort(server.Addr())
	refused := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.7"), next.Port())
	answer := make(chan struct{})
	close(answer)
	for _, fallback := range []pool.Fallback{pool.FallbackRace, pool.FallbackAbandon} {
		d := &Dialer{FallbackDelay: time.Hour, Fallback: fallback, Resolver: slowNames(t, answer, [4]byte{127, 0, 0, 7}, [4]byte{127, 0, 0, 6})}
		c := newClient(t, pool.Default(), d, long, request(t, "GET", namedAt(next), nil))
		if e := c.do(t); !e.OK() {
			t.Errorf("%v: %s: %v", fallback, outcome(e), e.Err)
		}
		conn, err := d.connect(t.Context(), []netip.AddrPort{refused, next})
		if err != nil {
			t.Fatalf("%v: %v", fallback, err)
		}
		conn.Close()
		if _, err := d.connect(t.Context(), []netip.AddrPort{refused, refused}); CauseOf(err) != results.CauseRefused {
			t.Errorf("%v: two that refuse: %v", fallback, err)
		}
	}
}

// The first address answers after the second was begun: in a race its connection counts, and
// the other is given up; a client that had abandoned it does not get one.
func TestALateFirstAddress(t *testing.T) {
	t.Parallel()
	answer := make(chan struct{})
	close(answer)
	for name, c := range map[string]struct {
		fallback pool.Fallback
		ip       byte
		want     string
	}{
		"race":    {pool.FallbackRace, 8, "before_response/timeout"}, // connected: nobody serves there
		"abandon": {pool.FallbackAbandon, 10, "connect/timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, fd := closedHole(t, [4]byte{127, 0, 0, c.ip})
			second := serveNobody(t, [4]byte{127, 0, 0, c.ip + 1}, first.Port())
			begun := make(chan struct{}, 2)
			d := &Dialer{
				FallbackDelay: 20 * time.Millisecond, Fallback: c.fallback, Timeout: 5 * time.Second,
				Control:  func(string, string, syscall.RawConn) error { begun <- struct{}{}; return nil },
				Resolver: slowNames(t, answer, first.Addr().As4(), second.Addr().As4()),
			}
			policy := pool.Default()
			policy.ResponseTimeout = 50 * time.Millisecond
			client := newClient(t, policy, d, long, request(t, "GET", namedAt(first), nil))
			opened := make(chan struct{})
			go func() {
				defer close(opened)
				<-begun
				<-begun // the first SYN comes again 1 s after it was lost
				if held, _, err := unix.Accept(fd); err == nil {
					t.Cleanup(func() { unix.Close(held) })
				}
			}()
			e := client.do(t)
			<-opened
			if got := outcome(e); !strings.HasPrefix(got, c.want) {
				t.Errorf("%s, want %s: %v", got, c.want, e.Err)
			}
			if n := leftSockets(client); n != 0 {
				t.Errorf("%d sockets are left", n)
			}
		})
	}
}

// serveNobody is a black hole at a port that is given.
func serveNobody(t *testing.T, ip [4]byte, port uint16) netip.AddrPort {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: ip, Port: int(port)}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4(ip), port)
	conn, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return addr
}

// A dial's Timeout bounds all of a race.
func TestFallbackWithinTheTimeout(t *testing.T) {
	t.Parallel()
	hole := blackHole(t, [4]byte{127, 0, 0, 12})
	answer := make(chan struct{})
	close(answer)
	d := &Dialer{
		Timeout: 300 * time.Millisecond, FallbackDelay: 20 * time.Millisecond,
		Resolver: slowNames(t, answer, [4]byte{127, 0, 0, 12}, [4]byte{127, 0, 0, 12}),
	}
	c := newClient(t, pool.Default(), d, long, request(t, "GET", namedAt(hole), nil))
	if e := c.do(t); !strings.HasPrefix(outcome(e), "connect/timeout") {
		t.Errorf("%s: %v", outcome(e), e.Err)
	}
	if n := leftSockets(c); n != 0 {
		t.Errorf("%d sockets are left", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := d.connect(ctx, []netip.AddrPort{hole, hole}); CauseOf(err) != results.CauseTimeout {
		t.Errorf("%v", err)
	}
}

func TestAlternate(t *testing.T) {
	addrs := func(texts ...string) (list []netip.AddrPort) {
		for _, text := range texts {
			list = append(list, netip.AddrPortFrom(netip.MustParseAddr(text), 80))
		}
		return list
	}
	for _, c := range [][2][]netip.AddrPort{
		{addrs("::1", "::2", "1.1.1.1"), addrs("::1", "1.1.1.1", "::2")},
		{addrs("1.1.1.1", "::1", "::2", "::3", "2.2.2.2"), addrs("1.1.1.1", "::1", "2.2.2.2", "::2", "::3")},
		{addrs("::1"), addrs("::1")},
	} {
		if got := alternate(c[0]); !slices.Equal(got, c[1]) {
			t.Errorf("%v: %v, want %v", c[0], got, c[1])
		}
	}
}

// Addresses are used again until they are too old.
func TestResolveCache(t *testing.T) {
	t.Parallel()
	next := blackHole(t, [4]byte{127, 0, 0, 13}) // for a port that is in use
	serveAt(t, "127.0.0.14", next.Port())
	answer := make(chan struct{}, 100)
	for range cap(answer) {
		answer <- struct{}{}
	}
	lookups := func() int { return cap(answer) - len(answer) }
	policy := pool.Default()
	policy.MaxIdle = 0 // each request dials
	d := &Dialer{ResolveCache: time.Hour, Resolver: slowNames(t, answer, [4]byte{127, 0, 0, 14})}
	c := newClient(t, policy, d, long, request(t, "GET", namedAt(next), nil))
	for range 3 {
		if e := c.do(t); !e.OK() {
			t.Fatal(outcome(e), e.Err)
		}
	}
	one := lookups() // for A, and for AAAA, which slowNames answers with a referral
	if one < 2 || one > 4 {
		t.Errorf("%d queries in three dials", one)
	}
	d.ResolveCache = time.Nanosecond
	for range 2 {
		if e := c.do(t); !e.OK() {
			t.Fatal(outcome(e), e.Err)
		}
	}
	if n := lookups(); n != 3*one {
		t.Errorf("%d queries, want %d", n, 3*one)
	}
}
