package redact

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
)

// Addresses and ports are numbered in the order in which they appear, so that nothing
// of the old ones is left but their kind.

// The kinds of addresses that stay apart. What a kind is replaced by is of that kind.
type kind uint8

const (
	loopback4 kind = iota
	private4
	local4
	public4
	loopback6
	private6
	local6
	public6
	kinds
)

var carrier = netip.MustParsePrefix("100.64.0.0/10") // addresses behind a provider's NAT

func kindOf(a netip.Addr) kind {
	k := public4
	switch {
	case a.IsLoopback():
		k = loopback4
	case a.IsPrivate(), carrier.Contains(a):
		k = private4
	case a.IsLinkLocalUnicast():
		k = local4
	}
	if a.Is6() {
		k += loopback6 - loopback4
	}
	return k
}

// numbered returns the n-th address of a kind, from 1.
func numbered(k kind, n uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], n)
	switch k {
	case loopback4:
		return netip.AddrFrom4([4]byte{127, b[1], b[2], b[3]})
	case private4:
		return netip.AddrFrom4([4]byte{10, b[1], b[2], b[3]})
	case local4:
		return netip.AddrFrom4([4]byte{169, 254, b[2], b[3]})
	case public4:
		if n < 1<<17 { // for benchmarks (RFC 2544)
			return netip.AddrFrom4([4]byte{198, 18 + b[1], b[2], b[3]})
		}
		return netip.AddrFrom4([4]byte{240 + b[0]&15, b[1], b[2], b[3]}) // reserved (RFC 1112)
	}
	wide := [16]byte{}
	copy(wide[12:], b[:])
	switch k {
	case private6:
		wide[0] = 0xfd
	case local6:
		wide[0], wide[1] = 0xfe, 0x80
	case public6: // for documents (RFC 3849)
		copy(wide[:], []byte{0x20, 0x01, 0x0d, 0xb8})
	}
	return netip.AddrFrom16(wide)
}

// host is a replaced address with what is replaced beside it.
type host struct {
	address netip.Addr
	ports   uint32          // ports that were replaced as a client's
	start   uint32          // of these ports
	ids     uint16          // by how much its IP identifications are moved
	hops    map[uint8]uint8 // its TTLs
	first   uint8           // the first of its TTLs that is not a system's own
}

// recent is a bounded map: it forgets what was not used among the newest most entries.
type recent[K comparable, V any] struct {
	now, before map[K]V
	most        int
}

func (r *recent[K, V]) get(k K) (v V, ok bool) {
	if v, ok = r.now[k]; ok {
		return v, true
	}
	if v, ok = r.before[k]; ok {
		r.put(k, v)
	}
	return v, ok
}

func (r *recent[K, V]) put(k K, v V) {
	if len(r.now) >= r.most || r.now == nil {
		r.now, r.before = map[K]V{}, r.now
	}
	r.now[k] = v
}

// names replaces addresses and ports.
type names struct {
	rng     *rand.Rand
	count   [kinds]uint32
	hosts   recent[netip.Addr, *host]
	ends    recent[netip.AddrPort, uint16]
	servers map[uint16]uint16 // ports of servers by their old number
}

const maxHosts, maxEnds = 100_000, 150_000

func newNames(rng *rand.Rand) *names {
	return &names{
		rng: rng, hosts: recent[netip.Addr, *host]{most: maxHosts}, ends: recent[netip.AddrPort, uint16]{most: maxEnds},
		servers: map[uint16]uint16{80: 80, 443: 443, 8080: 8080},
	}
}

func (n *names) host(a netip.Addr) *host {
	a = a.WithZone("")
	if h, ok := n.hosts.get(a); ok {
		return h
	}
	k := kindOf(a)
	n.count[k]++
	h := &host{address: numbered(k, n.count[k]), start: n.rng.Uint32N(clientPorts), ids: uint16(n.rng.Uint32N(1<<16 - 1)), hops: map[uint8]uint8{}}
	n.hosts.put(a, h)
	return h
}

// The new ports. Those of servers are lower, because the lower port is taken for the
// server's where no handshake was captured.
const (
	firstServer = 2000
	serverPorts = 6000
	firstClient = 20_000
	clientPorts = 1<<16 - firstClient
)

// end replaces an address with its port.
func (n *names) end(a netip.AddrPort, server bool) netip.AddrPort {
	h := n.host(a.Addr())
	port, ok := n.ends.get(a)
	switch {
	case ok:
	case server:
		if port, ok = n.servers[a.Port()]; !ok {
			port = firstServer + uint16(len(n.servers))%serverPorts
			n.servers[a.Port()] = port
		}
		n.ends.put(a, port)
	default:
		port = uint16(firstClient + (h.start+h.ports)%clientPorts)
		h.ports++
		n.ends.put(a, port)
	}
	return netip.AddrPortFrom(h.address, port)
}

// id moves an IP identification. 0 stands for none and remains; the distance of two
// others remains too.
func (h *host) id(id uint16) uint16 {
	if id == 0 {
		return 0
	}
	return uint16((uint32(id)-1+uint32(h.ids))%(1<<16-1)) + 1
}

// hop returns the TTL that stands for an old one. Those that systems begin with remain:
// such a packet has passed no router. Of the others the differences remain, where they
// can.
func (h *host) hop(old uint8) uint8 {
	if begun(old) {
		return old
	}
	if h.first == 0 {
		h.first = old
	}
	if ttl, ok := h.hops[old]; ok {
		return ttl
	}
	ttl := uint8(min(max(50+int(old)-int(h.first), 1), 254))
	for h.taken(ttl) {
		ttl = ttl%254 + 1
	}
	h.hops[old] = ttl
	return ttl
}

func begun(ttl uint8) bool { return ttl == 0 || ttl == 64 || ttl == 128 || ttl == 255 }

func (h *host) taken(ttl uint8) bool {
	if begun(ttl) {
		return true
	}
	for _, used := range h.hops {
		if used == ttl {
			return true
		}
	}
	return false
}
