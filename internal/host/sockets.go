package host

import (
	"errors"
	"fmt"
	"math/bits"
	"net"
	"net/netip"
)

// State is a TCP state, numbered as in the kernel's net/tcp_states.h.
type State uint8

// The states of a connection's socket.
const (
	Established State = iota + 1
	SynSent
	SynRecv
	FinWait1
	FinWait2
	TimeWait
	Closed
	CloseWait
	LastAck
	Listen
	Closing

	numStates = int(Closing) + 1
)

var stateNames = [numStates]string{
	"", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT",
	"CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING",
}

// String is the state's name as the kernel writes it, without "TCP_".
func (s State) String() string {
	if s > 0 && int(s) < numStates {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// ByState is a number of sockets in each state, indexed by State.
type ByState [numStates]int

// Total is the number of sockets in any state.
func (b *ByState) Total() int {
	n := 0
	for _, k := range b {
		n += k
	}
	return n
}

// Map is the counts above zero by the state's name.
func (b *ByState) Map() map[string]int {
	m := make(map[string]int)
	for s, n := range b {
		if n > 0 {
			m[State(s).String()] = n
		}
	}
	return m
}

// Watch says which sockets to count. An unspecified address stands for the
// loopback address of its family, which is where a connection to it goes; IPv6
// zones are not looked at.
type Watch struct {
	// Remotes are where the client connects to. A socket whose peer is one of
	// them is the client's.
	Remotes []netip.AddrPort
	// Servers are where the server accepts; nil: at Remotes. They differ when
	// something forwards between the two. A socket bound to one of them is the
	// server's.
	Servers []netip.AddrPort
	// Except are client's ends of connections whose sockets do not count, on
	// neither side: they are being closed, or closed. One that is ESTABLISHED has
	// taken the port for itself, and counts.
	Except []netip.AddrPort
}

// SocketCount is the sockets of a Watch at one moment. Listeners are left out.
// Whoever opened the sockets, they count: TIME_WAIT has no owner any more.
type SocketCount struct {
	Client ByState
	Server ByState
	// PortsUsed is the number of different local ports on the client's side,
	// TIME_WAIT included. A port that serves several remotes counts once, one
	// that several local addresses have in use, once for each.
	PortsUsed int
	// ServerSide is whether an address of Servers is one of this machine, so
	// that Server says something. Behind address translation, as with a
	// container's published port, it is true and Server stays empty.
	ServerSide bool
}

// sides tells the client's sockets from the server's, and counts them.
type sides struct {
	remotes, servers, except map[netip.AddrPort]struct{}

	count SocketCount
	ports map[netip.Addr]*portSet // in use on the client's side, by local address
}

// portSet has one bit for each port.
type portSet [1 << 16 / 64]uint64

func newSides(w Watch) (*sides, error) {
	if len(w.Remotes) == 0 {
		return nil, errors.New("no address to look for sockets to")
	}
	if w.Servers == nil {
		w.Servers = w.Remotes
	}
	s := &sides{remotes: endpoints(w.Remotes), servers: endpoints(w.Servers), except: endpoints(w.Except), ports: map[netip.Addr]*portSet{}}
	local, err := localAddrs()
	if err != nil {
		return nil, err
	}
	for server := range s.servers {
		s.count.ServerSide = s.count.ServerSide || server.Addr().IsLoopback() || local[server.Addr()]
	}
	return s, nil
}

// endpoints is the set of addrs in the form in which they are compared.
func endpoints(addrs []netip.AddrPort) map[netip.AddrPort]struct{} {
	set := make(map[netip.AddrPort]struct{}, len(addrs))
	for _, a := range addrs {
		ip := a.Addr().Unmap().WithZone("")
		if ip.IsUnspecified() {
			ip = netip.IPv6Loopback()
			if a.Addr().Unmap().Is4() {
				ip = netip.AddrFrom4([4]byte{127, 0, 0, 1})
			}
		}
		set[netip.AddrPortFrom(ip, a.Port())] = struct{}{}
	}
	return set
}

// localAddrs is the addresses of this machine's interfaces.
func localAddrs() (map[netip.Addr]bool, error) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, err
	}
	local := make(map[netip.Addr]bool, len(addrs))
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil {
			local[p.Addr().Unmap().WithZone("")] = true
		}
	}
	return local, nil
}

// reset forgets the sockets counted.
func (s *sides) reset() {
	s.count = SocketCount{ServerSide: s.count.ServerSide}
	for _, set := range s.ports {
		clear(set[:])
	}
}

// add counts one socket if it is on either side.
func (s *sides) add(state State, local, remote netip.AddrPort) {
	if int(state) >= numStates || state == Listen {
		return
	}
	if _, ok := s.remotes[remote]; ok {
		if _, not := s.except[local]; not && state != Established {
			return
		}
		s.count.Client[state]++
		set := s.ports[local.Addr()]
		if set == nil {
			set = new(portSet)
			s.ports[local.Addr()] = set
		}
		set[local.Port()/64] |= 1 << (local.Port() % 64)
	} else if _, ok := s.servers[local]; ok && s.count.ServerSide {
		if _, not := s.except[remote]; not && state != Established {
			return
		}
		s.count.Server[state]++
	}
}

// total is what was counted since the last reset.
func (s *sides) total() SocketCount {
	c := s.count
	for _, set := range s.ports {
		for _, word := range set {
			c.PortsUsed += bits.OnesCount64(word)
		}
	}
	return c
}
