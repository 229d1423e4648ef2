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

// String returns the name of the state as the kernel writes it, without "TCP_".
func (s State) String() string {
	if s > 0 && int(s) < numStates {
		return stateNames[s]
	}
	return fmt.Sprintf("state(%d)", uint8(s))
}

// ByState is the number of sockets in each state, indexed by State.
type ByState [numStates]int

// Total returns the number of sockets in all states.
func (b *ByState) Total() int {
	n := 0
	for _, k := range b {
		n += k
	}
	return n
}

// Map returns the numbers above zero, by the name of the state.
func (b *ByState) Map() map[string]int {
	m := make(map[string]int)
	for s, n := range b {
		if n > 0 {
			m[State(s).String()] = n
		}
	}
	return m
}

// Watch says which sockets to count. An unspecified address stands for the loopback
// address of its family, because a connection to it goes there. IPv6 zones are ignored.
type Watch struct {
	// Remotes are the addresses to which the client connects. A socket whose peer is
	// one of them belongs to the client.
	Remotes []netip.AddrPort
	// Servers are the addresses at which the server accepts; nil: Remotes. The two
	// differ if something forwards connections. A socket bound to one of Servers
	// belongs to the server.
	Servers []netip.AddrPort
	// Except are connections that do not count on either side, given by the client's
	// end: they are closed or being closed. If such a socket is ESTABLISHED, a new
	// connection uses the port, and it counts.
	Except []netip.AddrPort
}

// SocketCount has the numbers of the sockets of a Watch at one moment, without
// listeners. The sockets of all programs count, because a socket in TIME_WAIT has no
// owner.
type SocketCount struct {
	Client ByState
	Server ByState
	// PortsUsed is the number of different local ports on the client's side,
	// TIME_WAIT included. A port that is used towards several remotes counts once; a
	// port that is used at several local addresses counts once for each.
	PortsUsed int
	// ServerSide reports whether an address of Servers belongs to this machine, so that
	// Server is known. With address translation, as for the published port of a
	// container, ServerSide is true and Server stays empty.
	ServerSide bool
}

// sides separates the sockets of client and server, and counts them.
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

// endpoints returns the set of addrs in the form in which they are compared.
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

// localAddrs returns the addresses of this machine's interfaces.
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

// reset starts a new count.
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

// total returns the count since the last reset.
func (s *sides) total() SocketCount {
	c := s.count
	for _, set := range s.ports {
		for _, word := range set {
			c.PortsUsed += bits.OnesCount64(word)
		}
	}
	return c
}
