package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// newWatcher skips the test where sock_diag is refused, but not under CI.
func newWatcher(t testing.TB, w Watch) *SocketWatcher {
	t.Helper()
	watcher, err := NewSocketWatcher(w)
	if err == nil {
		t.Cleanup(func() { watcher.Close() })
		_, err = watcher.Count()
	}
	if refused(err) && os.Getenv("CI") == "" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return watcher
}

// refused reports whether the kernel has no sock_diag, or none for us. ENOENT is
// its answer without the inet_diag or tcp_diag module.
func refused(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.EPROTONOSUPPORT) || errors.Is(err, unix.ENOENT)
}

// listen listens where no socket is left of others: the port the kernel picks
// may be one that connections in TIME_WAIT still lead to.
func listen(t testing.TB, network, address string) (net.Listener, netip.AddrPort) {
	t.Helper()
	for {
		l, err := net.Listen(network, address)
		if network != "tcp4" && err != nil {
			t.Skip(err) // no IPv6 here
		}
		if err != nil {
			t.Fatal(err)
		}
		target := netip.MustParseAddrPort(l.Addr().String())
		if target.Addr().IsUnspecified() {
			target = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), target.Port())
		}
		w := newWatcher(t, Watch{Remotes: []netip.AddrPort{target}})
		c, err := w.Count()
		if err != nil {
			t.Fatal(err)
		}
		if c.Client.Total()+c.Server.Total() == 0 {
			t.Cleanup(func() { l.Close() })
			return l, target
		}
		l.Close()
	}
}

// await looks until the count is as wanted. The kernel needs a moment: a FIN
// may be acknowledged late.
func await(t testing.TB, w *SocketWatcher, want SocketCount) {
	t.Helper()
	var got SocketCount
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		var err error
		if got, err = w.Count(); err != nil {
			t.Fatal(err)
		}
		if got == want {
			return
		}
	}
	t.Fatalf("after 30 s, -want +got\n%s", cmp.Diff(want, got))
}

// pair is a connection from both ends.
type pair struct{ client, server net.Conn }

func connect(t testing.TB, network string, l net.Listener, address string) pair {
	t.Helper()
	client, err := net.Dial(network, address)
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close(); server.Close() })
	return pair{client, server}
}

func TestCountFollowsAConnection(t *testing.T) {
	for _, tc := range []struct{ name, network, listenOn, address string }{
		{"IPv4", "tcp4", "tcp4", "127.0.0.1:0"},
		{"IPv6", "tcp6", "tcp6", "[::1]:0"},
		{"IPv4 client of a server on both families", "tcp4", "tcp", ":0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			l, target := listen(t, tc.listenOn, tc.address)
			w := newWatcher(t, Watch{Remotes: []netip.AddrPort{target}})
			await(t, w, SocketCount{ServerSide: true}) // the listener is not counted

			a := connect(t, tc.network, l, target.String())
			b := connect(t, tc.network, l, target.String())
			await(t, w, SocketCount{
				Client: ByState{Established: 2}, Server: ByState{Established: 2}, PortsUsed: 2, ServerSide: true,
			})

			a.client.Close()
			await(t, w, SocketCount{
				Client: ByState{FinWait2: 1, Established: 1}, Server: ByState{CloseWait: 1, Established: 1}, PortsUsed: 2, ServerSide: true,
			})
			a.server.Close()
			await(t, w, SocketCount{
				Client: ByState{TimeWait: 1, Established: 1}, Server: ByState{Established: 1}, PortsUsed: 2, ServerSide: true,
			})

			b.server.Close()
			await(t, w, SocketCount{
				Client: ByState{TimeWait: 1, CloseWait: 1}, Server: ByState{FinWait2: 1}, PortsUsed: 2, ServerSide: true,
			})
			b.client.Close()
			await(t, w, SocketCount{
				Client: ByState{TimeWait: 1}, Server: ByState{TimeWait: 1}, PortsUsed: 1, ServerSide: true,
			})
		})
	}
}

func TestCountLeavesOthersOut(t *testing.T) {
	var at [3]netip.AddrPort
	for i := range at {
		var l net.Listener
		l, at[i] = listen(t, "tcp4", "127.0.0.1:0")
		connect(t, "tcp4", l, at[i].String())
	}
	watched, also, other := at[0], at[1], at[2]

	want := SocketCount{Client: ByState{Established: 2}, Server: ByState{Established: 2}, PortsUsed: 2, ServerSide: true}
	remotes := []netip.AddrPort{watched, also}
	await(t, newWatcher(t, Watch{Remotes: remotes}), want)

	t.Run("with forwarding in between", func(t *testing.T) {
		await(t, newWatcher(t, Watch{Remotes: remotes[:1], Servers: []netip.AddrPort{other}}),
			SocketCount{Client: ByState{Established: 1}, Server: ByState{Established: 1}, PortsUsed: 1, ServerSide: true})
	})
	t.Run("with more addresses than one filter holds", func(t *testing.T) {
		for i := range 5000 {
			remotes = append(remotes, netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}), uint16(i)))
		}
		w := newWatcher(t, Watch{Remotes: remotes})
		if socketFilter(w.sides) != nil {
			t.Fatal("the filter was expected to be too long")
		}
		await(t, w, want)
	})
	t.Run("with nearly as many as it holds", func(t *testing.T) {
		await(t, newWatcher(t, Watch{Remotes: remotes[:1500]}), want)
	})
}

// The kernel checks a filter before it runs it, so a malformed one is refused.
func TestFilterIsAccepted(t *testing.T) {
	for n := 1; n < 40; n++ {
		var remotes []netip.AddrPort
		for i := range n {
			ip := netip.AddrFrom4([4]byte{127, 0, 0, byte(i + 1)})
			if i%3 == 1 {
				ip = netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i))
			}
			remotes = append(remotes, netip.AddrPortFrom(ip, 9))
		}
		w := newWatcher(t, Watch{Remotes: remotes})
		if filter := socketFilter(w.sides); len(filter) == 0 {
			t.Fatalf("no filter for %d addresses", n)
		}
	}
}

func TestCountAfterCloseIsAnError(t *testing.T) {
	w := newWatcher(t, Watch{Remotes: addrs("127.0.0.1:9")})
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Count(); err == nil {
		t.Error("no error")
	}
}

// message is a netlink message as the kernel sends it.
func message(kind uint16, seq uint32, data []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.NLMSG_HDRLEN+len(data)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, 0)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	return append(append(b, data...), make([]byte, -len(data)&3)...)
}

func socketMessage(seq uint32, family uint8, state State, local, remote netip.AddrPort) []byte {
	data := make([]byte, sizeofDiagMsg)
	data[0], data[1] = family, uint8(state)
	binary.BigEndian.PutUint16(data[4:], local.Port())
	binary.BigEndian.PutUint16(data[6:], remote.Port())
	if family == unix.AF_INET {
		copy(data[8:], local.Addr().AsSlice())
		copy(data[24:], remote.Addr().AsSlice())
	} else {
		l, r := local.Addr().As16(), remote.Addr().As16()
		copy(data[8:], l[:])
		copy(data[24:], r[:])
	}
	return message(unix.SOCK_DIAG_BY_FAMILY, seq, data)
}

func TestParseDump(t *testing.T) {
	a, b := netip.MustParseAddrPort("127.0.0.1:40000"), netip.MustParseAddrPort("127.0.0.1:80")
	socket := socketMessage(7, unix.AF_INET, TimeWait, a, b)
	refused := binary.NativeEndian.AppendUint32(nil, uint32(0xffffffff-uint32(unix.EACCES)+1))
	for _, tc := range []struct {
		name    string
		in      []byte
		sockets int
		done    bool
		fails   bool
		is      error
	}{
		{name: "nothing"},
		{name: "two sockets", in: append(socket[:len(socket):len(socket)], socketMessage(7, unix.AF_INET6, TimeWait, a, b)...), sockets: 2},
		{name: "the end", in: append(socket[:len(socket):len(socket)], message(unix.NLMSG_DONE, 7, make([]byte, 4))...), sockets: 1, done: true},
		{name: "the end with an error", in: message(unix.NLMSG_DONE, 7, refused), done: true, fails: true, is: unix.EACCES},
		{name: "refused", in: message(unix.NLMSG_ERROR, 7, refused), done: true, fails: true, is: unix.EACCES},
		{name: "of an earlier request", in: append(socketMessage(6, unix.AF_INET, TimeWait, a, b), message(unix.NLMSG_DONE, 6, make([]byte, 4))...)},
		{name: "cut in its header", in: socket[:10], fails: true},
		{name: "cut in its data", in: socket[:60], fails: true},
		{name: "too short for a socket", in: message(unix.SOCK_DIAG_BY_FAMILY, 7, make([]byte, 20)), fails: true},
		{name: "a length below its header's", in: make([]byte, 16), fails: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			sockets := 0
			done, err := parseDump(tc.in, 7, func(s *DiagSocket) {
				sockets++
				if s.State != TimeWait || s.Local != a || s.Remote != b {
					t.Errorf("%+v, want %v %v %v", s, TimeWait, a, b)
				}
			})
			if done != tc.done || sockets != tc.sockets || (err != nil) != tc.fails || tc.is != nil && !errors.Is(err, tc.is) {
				t.Errorf("%d sockets, done %v, error %v; want %+v", sockets, done, err, tc)
			}
		})
	}
}

func FuzzParseDump(f *testing.F) {
	a := netip.MustParseAddrPort("127.0.0.1:1")
	f.Add(append(socketMessage(7, unix.AF_INET, Established, a, a), message(unix.NLMSG_DONE, 7, nil)...))
	f.Add(socketMessage(7, 200, State(99), a, a))
	f.Add([]byte{17, 0, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 1})
	s, err := newSides(Watch{Remotes: []netip.AddrPort{a}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s.reset()
		_, _ = parseDump(b, 7, func(d *DiagSocket) { s.add(d.State, d.Local, d.Remote) }) // must not panic
	})
}

// BenchmarkCount shows what one look costs with a thousand sockets in
// TIME_WAIT on the client's side.
func BenchmarkCount(b *testing.B) {
	const sockets = 1000
	l, target := listen(b, "tcp4", "127.0.0.1:0")
	w := newWatcher(b, Watch{Remotes: []netip.AddrPort{target}})
	for range sockets {
		p := connect(b, "tcp4", l, l.Addr().String())
		p.client.Close()
		p.server.Close()
	}
	b.ReportAllocs()
	seen := 0 // the kernel may have used some again (tcp_tw_reuse)
	for b.Loop() {
		c, err := w.Count()
		if err != nil {
			b.Fatal(err)
		}
		seen = c.Client.Total()
	}
	b.ReportMetric(float64(seen), "sockets")
}
