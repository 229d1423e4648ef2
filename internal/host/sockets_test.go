package host

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func addrs(list ...string) []netip.AddrPort {
	var out []netip.AddrPort
	for _, s := range list {
		out = append(out, netip.MustParseAddrPort(s))
	}
	return out
}

func TestSidesAreToldApart(t *testing.T) {
	type socket struct {
		state         State
		local, remote string
	}
	for _, tc := range []struct {
		name    string
		watch   Watch
		sockets []socket
		want    SocketCount
	}{{
		name:  "both ends of a connection on this machine",
		watch: Watch{Remotes: addrs("127.0.0.1:80")},
		sockets: []socket{
			{Established, "127.0.0.1:40000", "127.0.0.1:80"},
			{Established, "127.0.0.1:80", "127.0.0.1:40000"},
		},
		want: SocketCount{Client: ByState{Established: 1}, Server: ByState{Established: 1}, PortsUsed: 1, ServerSide: true},
	}, {
		name:  "a target elsewhere has no side here, even at a port that is also used here",
		watch: Watch{Remotes: addrs("192.0.2.77:80")},
		sockets: []socket{
			{TimeWait, "192.0.2.1:40000", "192.0.2.77:80"},
			{TimeWait, "127.0.0.1:80", "127.0.0.1:40000"},
			{TimeWait, "192.0.2.77:80", "192.0.2.1:40000"},
		},
		want: SocketCount{Client: ByState{TimeWait: 1}, PortsUsed: 1},
	}, {
		name:  "a port towards two remotes is one port",
		watch: Watch{Remotes: addrs("192.0.2.77:80", "192.0.2.78:80")},
		sockets: []socket{
			{TimeWait, "192.0.2.1:40000", "192.0.2.77:80"},
			{CloseWait, "192.0.2.1:40000", "192.0.2.78:80"},
			{SynSent, "192.0.2.1:65535", "192.0.2.78:80"},
		},
		want: SocketCount{Client: ByState{TimeWait: 1, CloseWait: 1, SynSent: 1}, PortsUsed: 2},
	}, {
		name:  "each local address has ports of its own",
		watch: Watch{Remotes: addrs("127.0.0.1:80")},
		sockets: []socket{
			{Established, "127.0.0.2:40000", "127.0.0.1:80"},
			{TimeWait, "127.0.0.3:40000", "127.0.0.1:80"},
		},
		want: SocketCount{Client: ByState{Established: 1, TimeWait: 1}, PortsUsed: 2, ServerSide: true},
	}, {
		name:  "something forwards in between: its own sockets are on neither side",
		watch: Watch{Remotes: addrs("127.0.0.1:81"), Servers: addrs("127.0.0.1:80")},
		sockets: []socket{
			{Established, "127.0.0.1:40000", "127.0.0.1:81"},
			{Established, "127.0.0.1:81", "127.0.0.1:40000"},
			{FinWait2, "127.0.0.1:50000", "127.0.0.1:80"},
			{CloseWait, "127.0.0.1:80", "127.0.0.1:50000"},
		},
		want: SocketCount{Client: ByState{Established: 1}, Server: ByState{CloseWait: 1}, PortsUsed: 1, ServerSide: true},
	}, {
		name:  "unspecified, mapped and zoned addresses are what a connection to them shows",
		watch: Watch{Remotes: addrs("0.0.0.0:80", "[::]:80", "[::ffff:192.0.2.77]:80", "[fe80::1%eth9]:80")},
		sockets: []socket{
			{Established, "127.0.0.1:1", "127.0.0.1:80"},
			{Established, "[::1]:2", "[::1]:80"},
			{Established, "192.0.2.1:3", "192.0.2.77:80"},
			{Established, "[fe80::2]:4", "[fe80::1]:80"},
		},
		want: SocketCount{Client: ByState{Established: 4}, PortsUsed: 4, ServerSide: true},
	}, {
		name:  "what an excepted end leaves behind does not count, what is opened there again does",
		watch: Watch{Remotes: addrs("127.0.0.1:80"), Except: addrs("127.0.0.1:40000")},
		sockets: []socket{
			{TimeWait, "127.0.0.1:40000", "127.0.0.1:80"},
			{CloseWait, "127.0.0.1:80", "127.0.0.1:40000"},
			{TimeWait, "127.0.0.1:40001", "127.0.0.1:80"},
			{LastAck, "127.0.0.1:80", "127.0.0.1:40001"},
			{Established, "127.0.0.1:40000", "127.0.0.1:80"},
			{Established, "127.0.0.1:80", "127.0.0.1:40000"},
		},
		want: SocketCount{Client: ByState{TimeWait: 1, Established: 1}, Server: ByState{LastAck: 1, Established: 1}, PortsUsed: 2, ServerSide: true},
	}, {
		name:  "listeners and states unknown to us are left out",
		watch: Watch{Remotes: addrs("127.0.0.1:80")},
		sockets: []socket{
			{Listen, "127.0.0.1:80", "0.0.0.0:0"},
			{State(200), "127.0.0.1:80", "127.0.0.1:40000"},
		},
		want: SocketCount{ServerSide: true},
	}} {
		t.Run(tc.name, func(t *testing.T) {
			s, err := newSides(tc.watch)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // a reset leaves nothing behind
				s.reset()
				for _, sock := range tc.sockets {
					s.add(sock.state, netip.MustParseAddrPort(sock.local), netip.MustParseAddrPort(sock.remote))
				}
				if diff := cmp.Diff(tc.want, s.total()); diff != "" {
					t.Errorf("-want +got\n%s", diff)
				}
			}
		})
	}
}

func TestNothingToWatchIsAnError(t *testing.T) {
	if _, err := newSides(Watch{}); err == nil {
		t.Error("no error")
	}
}

func TestStateNames(t *testing.T) {
	for state, want := range map[State]string{
		Established: "ESTABLISHED", FinWait2: "FIN_WAIT2", TimeWait: "TIME_WAIT",
		CloseWait: "CLOSE_WAIT", Closing: "CLOSING", 0: "state(0)", 12: "state(12)",
	} {
		if got := state.String(); got != want {
			t.Errorf("state %d is %q, want %q", uint8(state), got, want)
		}
	}
	b := ByState{Established: 2, TimeWait: 3}
	if diff := cmp.Diff(map[string]int{"ESTABLISHED": 2, "TIME_WAIT": 3}, b.Map()); diff != "" {
		t.Error(diff)
	}
	if b.Total() != 5 {
		t.Errorf("total %d, want 5", b.Total())
	}
}
