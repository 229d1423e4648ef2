package sandbox

import (
	"encoding/binary"

	"github.com/kabench/kabench/profiles/network"
)

const (
	protoTCP = 6
	protoUDP = 17

	ipHeader  = 20 // bytes, without options
	tcpHeader = 20
)

// header is what the wire needs of a packet. Addresses are in host order.
type header struct {
	proto    uint8
	src, dst uint32
	// The rest is zero in later fragments and in other protocols.
	sport, dport uint16
	flags        network.Flags
	seq, ack     uint32
	window       uint16
	l4           int // where the TCP or UDP header begins; 0: it cannot be read
	payload      int // where the payload begins
	end          int // where the packet ends, by its IP header
}

// parse reads an IPv4 packet. b is the packet or its captured beginning. ok is false
// if b is no IPv4 packet.
func parse(b []byte) (h header, ok bool) {
	if len(b) < ipHeader || b[0]>>4 != 4 {
		return h, false
	}
	ihl := int(b[0]&15) * 4
	h.end = int(binary.BigEndian.Uint16(b[2:]))
	if ihl < ipHeader || ihl > len(b) || h.end < ihl {
		return h, false
	}
	h.proto = b[9]
	h.src, h.dst = binary.BigEndian.Uint32(b[12:]), binary.BigEndian.Uint32(b[16:])
	h.payload = ihl
	if binary.BigEndian.Uint16(b[6:])&0x1fff != 0 { // a later fragment
		return h, true
	}
	l4 := b[ihl:min(len(b), h.end)]
	switch {
	case h.proto == protoTCP && len(l4) >= tcpHeader:
		offset := int(l4[12]>>4) * 4
		if offset < tcpHeader || ihl+offset > h.end {
			return h, true
		}
		h.seq, h.ack = binary.BigEndian.Uint32(l4[4:]), binary.BigEndian.Uint32(l4[8:])
		h.flags = network.Flags(l4[13] & 0x3f)
		h.window = binary.BigEndian.Uint16(l4[14:])
		h.payload = ihl + offset
	case h.proto == protoUDP && len(l4) >= 8:
		h.payload = ihl + 8
	default:
		return h, true
	}
	h.l4 = ihl
	h.sport, h.dport = binary.BigEndian.Uint16(l4), binary.BigEndian.Uint16(l4[2:])
	return h, true
}

func (h *header) isTCP() bool { return h.proto == protoTCP && h.l4 != 0 }

// dataLen returns how many bytes of payload the packet carries.
func (h *header) dataLen() int { return h.end - h.payload }

// next returns the sequence number after the packet; SYN and FIN count one each.
func (h *header) next() uint32 {
	next := h.seq + uint32(h.dataLen())
	if h.flags&network.SYN != 0 {
		next++
	}
	if h.flags&network.FIN != 0 {
		next++
	}
	return next
}

// fixChecksum returns the checksum sum after a 32-bit field that it covers has changed
// from old to new (RFC 1624, equation 3).
func fixChecksum(sum uint16, old, new uint32) uint16 {
	s := uint32(^sum) + uint32(^uint16(old>>16)) + uint32(^uint16(old)) + new>>16 + new&0xffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return ^uint16(s)
}

// readdress gives the packet b new addresses and corrects its checksums. It updates h,
// the header of b. b may be the captured beginning of a packet.
func readdress(b []byte, h *header, src, dst uint32) {
	ip := binary.BigEndian.Uint16(b[10:])
	ip = fixChecksum(fixChecksum(ip, h.src, src), h.dst, dst)
	binary.BigEndian.PutUint16(b[10:], ip)
	binary.BigEndian.PutUint32(b[12:], src)
	binary.BigEndian.PutUint32(b[16:], dst)
	at := h.l4 + 16
	if h.proto == protoUDP {
		at = h.l4 + 6
	}
	if h.l4 != 0 && at+2 <= len(b) {
		sum := binary.BigEndian.Uint16(b[at:])
		fixed := fixChecksum(fixChecksum(sum, h.src, src), h.dst, dst)
		switch {
		case h.proto == protoUDP && sum == 0: // in UDP, 0 means no checksum
			fixed = 0
		case h.proto == protoUDP && fixed == 0:
			fixed = 0xffff
		}
		binary.BigEndian.PutUint16(b[at:], fixed)
	}
	h.src, h.dst = src, dst
}

// report gives the TCP packet b new ports, as readdress gives a packet addresses.
func report(b []byte, h *header, sport, dport uint16) {
	if !h.isTCP() || h.l4+4 > len(b) {
		return
	}
	if at := h.l4 + 16; at+2 <= len(b) {
		sum := binary.BigEndian.Uint16(b[at:])
		binary.BigEndian.PutUint16(b[at:], fixChecksum(sum, uint32(h.sport)<<16|uint32(h.dport), uint32(sport)<<16|uint32(dport)))
	}
	binary.BigEndian.PutUint16(b[h.l4:], sport)
	binary.BigEndian.PutUint16(b[h.l4+2:], dport)
	h.sport, h.dport = sport, dport
}

// checksum returns the Internet checksum (RFC 1071) of b, added to the partial sum s.
func checksum(s uint32, b []byte) uint16 {
	for ; len(b) >= 2; b = b[2:] {
		s += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		s += uint32(b[0]) << 8
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return ^uint16(s)
}

// l4Checksum returns the TCP or UDP checksum over the whole packet b. If the field of
// the checksum is 0, the result is the checksum to store; otherwise the result is 0 if
// the stored checksum is right.
func l4Checksum(b []byte, h *header) uint16 {
	length := uint32(h.end - h.l4)
	pseudo := h.src>>16 + h.src&0xffff + h.dst>>16 + h.dst&0xffff + uint32(h.proto) + length
	return checksum(pseudo, b[h.l4:h.end])
}

// reset describes a RST segment.
type reset struct {
	src, dst     uint32
	sport, dport uint16
	seq, ack     uint32
	flags        network.Flags // RST, with ACK where ack means something
}

// answerTo returns the RST that a host without the connection sends for the segment h
// (RFC 9293 §3.10.7.1). Its sequence number is the one that h acknowledges; if h
// acknowledges none, the RST acknowledges h. ok is false if h is a RST, for which none
// is sent.
func answerTo(h *header) (r reset, ok bool) {
	r = reset{src: h.dst, dst: h.src, sport: h.dport, dport: h.sport, flags: network.RST}
	if h.flags&network.ACK != 0 {
		r.seq = h.ack
	} else {
		r.ack, r.flags = h.next(), network.RST|network.ACK
	}
	return r, h.flags&network.RST == 0
}

// inPlaceOf returns a RST that the receiver of h accepts as its peer's: it has the
// sequence number of h.
func inPlaceOf(h *header) reset {
	return reset{src: h.src, dst: h.dst, sport: h.sport, dport: h.dport, seq: h.seq, ack: h.ack, flags: network.RST | h.flags&network.ACK}
}

// write writes the packet to b, which must have 40 bytes, and returns its length.
func (r reset) write(b []byte) int {
	b = b[:ipHeader+tcpHeader]
	clear(b)
	b[0], b[8], b[9] = 0x45, 64, protoTCP
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[6:], 0x4000) // don't fragment, as Linux sends it
	binary.BigEndian.PutUint32(b[12:], r.src)
	binary.BigEndian.PutUint32(b[16:], r.dst)
	binary.BigEndian.PutUint16(b[10:], checksum(0, b[:ipHeader]))
	tcp := b[ipHeader:]
	binary.BigEndian.PutUint16(tcp, r.sport)
	binary.BigEndian.PutUint16(tcp[2:], r.dport)
	binary.BigEndian.PutUint32(tcp[4:], r.seq)
	binary.BigEndian.PutUint32(tcp[8:], r.ack)
	tcp[12], tcp[13] = tcpHeader/4<<4, uint8(r.flags)
	h, _ := parse(b)
	binary.BigEndian.PutUint16(tcp[16:], l4Checksum(b, &h))
	return len(b)
}
