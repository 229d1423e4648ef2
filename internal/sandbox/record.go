package sandbox

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/kabench/kabench/profiles/network"
)

// Packet is one packet as the wire saw it.
type Packet struct {
	ID   uint64        // counted from 1, in the order in which packets entered
	At   time.Duration // when it entered, since the network's Start
	Left time.Duration // when it was delivered to the receiving host; 0: never
	From string        // the host that sent it; "" when the wire made it
	To   string        // the host that received it; "" when none did
	Fate Fate
	By   string // the rule, link, balancer or NAT that decided the fate or made the packet

	Src, Dst         netip.AddrPort // as it entered
	SeenSrc, SeenDst netip.AddrPort // as it was delivered: others behind a balancer or NAT
	Proto            uint8          // IP protocol: 6 is TCP
	Flags            network.Flags
	Seq, Ack         uint32
	Window           uint16
	Len              int    // bytes of payload
	Size             int    // bytes of the whole packet
	Payload          []byte // the captured beginning of the payload
}

// ByLink reports whether the wire made the packet: it is the RST of a rule or of a
// middlebox.
func (p Packet) ByLink() bool { return p.From == "" }

// slot is one packet in the ring; its captured bytes are in the recorder's slab.
type slot struct {
	id, prev uint64 // prev: the previous packet of the same connection; 0: none
	in, out  int64  // ns since the start; out < 0: not delivered
	src, dst uint32 // as delivered
	sport    uint16 // as delivered
	dport    uint16
	from, to int16  // nodes; -1: none
	by       uint16 // index of names
	kept     uint16 // bytes captured
	size     uint16
	fate     Fate
}

// recorder keeps the last packets in a ring. It allocates memory once, and then only
// one index entry per connection.
type recorder struct {
	slots []slot
	slab  []byte
	snap  int
	count uint64 // packets so far; the id of the newest one
	last  map[flowKey]uint64
	names []string // of the rules, links, balancers and NATs that decide fates; 0 is none
	nodes []string // names of the nodes
	fates [16]uint64
}

func newRecorder(c network.Record, nodes []string) *recorder {
	return &recorder{
		slots: make([]slot, c.Packets),
		slab:  make([]byte, c.Packets*c.Snap),
		snap:  c.Snap,
		last:  map[flowKey]uint64{},
		names: []string{""},
		nodes: nodes,
	}
}

// name registers the name of a rule, link, balancer or NAT.
func (r *recorder) name(name string) uint16 {
	r.names = append(r.names, name)
	return uint16(len(r.names) - 1)
}

// enter records the packet b of the node from (-1: the wire) and returns its id. key is
// the connection under which it can be found; nil: none.
func (r *recorder) enter(b []byte, from int, by uint16, key *flowKey, now int64) uint64 {
	r.count++
	id := r.count
	i := int(id % uint64(len(r.slots)))
	s := &r.slots[i]
	if s.id != 0 && s.fate == FateInFlight {
		r.fates[FateInFlight]--
	}
	*s = slot{id: id, in: now, out: -1, from: int16(from), to: -1, by: by, size: uint16(min(len(b), 1<<16-1))}
	s.kept = uint16(copy(r.slab[i*r.snap:(i+1)*r.snap], b))
	if key != nil {
		s.prev = r.last[*key]
		r.last[*key] = id
	}
	r.fates[FateInFlight]++
	return id
}

// setFate records the fate of a packet.
func (r *recorder) setFate(id uint64, fate Fate, by uint16, now int64) *slot {
	s := &r.slots[id%uint64(len(r.slots))]
	r.fates[fate]++
	if s.id != id {
		return nil // newer packets have overwritten it
	}
	r.fates[FateInFlight]--
	s.fate = fate
	if by != 0 {
		s.by = by
	}
	return s
}

// delivered records that the packet reached the node to at now, with the header h.
func (r *recorder) delivered(id uint64, to int, h *header, now int64) {
	if s := r.setFate(id, FateDelivered, 0, now); s != nil {
		s.out, s.to = now, int16(to)
		s.src, s.dst, s.sport, s.dport = h.src, h.dst, h.sport, h.dport
	}
}

// oldest returns the smallest id that is still kept; 1 before the first packet.
func (r *recorder) oldest() uint64 {
	if n := uint64(len(r.slots)); r.count > n {
		return r.count - n + 1
	}
	return 1
}

// raw returns the slot of a kept packet and its captured bytes.
func (r *recorder) raw(id uint64) (slot, []byte) {
	i := int(id % uint64(len(r.slots)))
	s := r.slots[i]
	return s, r.slab[i*r.snap : i*r.snap+int(s.kept)]
}

// connection returns the last n packets of key that are kept, oldest first;
// n <= 0: all.
func (r *recorder) connection(key flowKey, n int) []Packet {
	var ids []uint64
	for id := r.last[key]; id != 0 && id >= r.oldest() && (n <= 0 || len(ids) < n); {
		ids = append(ids, id)
		s, _ := r.raw(id)
		id = s.prev
	}
	packets := make([]Packet, len(ids))
	for i, id := range ids {
		packets[len(ids)-1-i] = r.packet(id)
	}
	return packets
}

// connections returns the connection of each kept packet that has one, by the packet's
// id.
func (r *recorder) connections() map[uint64]flowKey {
	of := map[uint64]flowKey{}
	for key, id := range r.last {
		for id != 0 && id >= r.oldest() {
			of[id] = key
			s, _ := r.raw(id)
			id = s.prev
		}
	}
	return of
}

// packet returns a kept packet, as a value that shares no memory with the ring.
func (r *recorder) packet(id uint64) Packet {
	s, b := r.raw(id)
	p := Packet{ID: id, At: time.Duration(s.in), Fate: s.fate, By: r.names[s.by], Size: int(s.size)}
	if s.from >= 0 {
		p.From = r.nodes[s.from]
	}
	h, ok := parse(b)
	if ok {
		p.Src, p.Dst = addrPort(h.src, h.sport), addrPort(h.dst, h.dport)
		p.Proto, p.Flags, p.Seq, p.Ack, p.Window = h.proto, h.flags, h.seq, h.ack, h.window
		p.Len = h.dataLen()
		if h.payload < len(b) {
			p.Payload = append([]byte(nil), b[h.payload:min(len(b), h.end)]...)
		}
	}
	if s.out >= 0 {
		p.Left, p.To = time.Duration(s.out), r.nodes[s.to]
		p.SeenSrc, p.SeenDst = addrPort(s.src, s.sport), addrPort(s.dst, s.dport)
	}
	return p
}

func addrPort(addr uint32, port uint16) netip.AddrPort {
	return netip.AddrPortFrom(addrOf(addr), port)
}

func addrOf(addr uint32) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], addr)
	return netip.AddrFrom4(b)
}

func addrNumber(a netip.Addr) uint32 {
	b := a.Unmap().As4()
	return binary.BigEndian.Uint32(b[:])
}
