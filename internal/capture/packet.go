package capture

import (
	"encoding/binary"
	"net/netip"

	"github.com/kabench/kabench/internal/evidence/segments"
)

// Link types of captures (the numbers are pcap's).
const (
	linkNull     = 0 // BSD and macOS loopback: the address family in the host's byte order
	linkEthernet = 1
	linkRawBSD   = 12
	linkRawOpen  = 14 // OpenBSD's number for it
	linkRaw      = 101
	linkLoop     = 108 // OpenBSD loopback
	linkSLL      = 113 // tcpdump -i any, before version 4.99
	linkIPv4     = 228
	linkIPv6     = 229
	linkSLL2     = 276 // tcpdump -i any
)

// What a packet turns out to be.
type kind uint8

const (
	isTCP kind = iota
	notIP
	notTCP
	fragment // a later part of a TCP segment, without its header
	tooShort // the headers were not captured
)

// known reports whether packets of this link type can be read.
func known(link int) bool {
	switch link {
	case linkNull, linkEthernet, linkRawBSD, linkRawOpen, linkRaw, linkLoop, linkSLL, linkIPv4, linkIPv6, linkSLL2:
		return true
	}
	return false
}

// IP takes the TCP segment out of an IP packet of size bytes; data is its captured
// beginning. It returns false if there is none, or if its header was not captured. It fills all fields of s
// except the time and the number; s.Payload is a part of data.
func IP(data []byte, size int, s *segments.Segment) bool {
	return len(data) > 0 && decodeIP(data, size, s) == isTCP
}

// decode takes the TCP segment out of a packet. size is the length of the packet on the
// wire, data its captured beginning. It fills all fields of s except the time and the
// number; s.Payload is a part of data.
//
// The headers are decoded here and not by gopacket's layers: those build a value for
// each layer, and most of a packet is not needed.
func decode(link int, data []byte, size int, s *segments.Segment) kind {
	at, k := network(link, data)
	if k != isTCP {
		return k
	}
	return decodeIP(data[at:], size-at, s)
}

// network returns where the IP header begins.
func network(link int, b []byte) (at int, k kind) {
	var protocol int // where the EtherType is
	switch link {
	case linkNull, linkLoop:
		return within(4, b)
	case linkEthernet:
		protocol = 12
	case linkSLL:
		protocol, at = 14, 16
	case linkSLL2:
		protocol, at = 0, 20
	default:
		return within(0, b)
	}
	if len(b) < protocol+2 {
		return 0, tooShort
	}
	kind := binary.BigEndian.Uint16(b[protocol:])
	at = max(at, protocol+2)
	for kind == 0x8100 || kind == 0x88a8 || kind == 0x9100 { // VLAN tags
		if len(b) < at+4 {
			return 0, tooShort
		}
		kind = binary.BigEndian.Uint16(b[at+2:])
		at += 4
	}
	if kind != 0x0800 && kind != 0x86dd {
		return 0, notIP
	}
	return within(at, b)
}

func within(at int, b []byte) (int, kind) {
	if at >= len(b) {
		return 0, tooShort
	}
	return at, isTCP
}

const (
	protocolTCP = 6
	tcpHeader   = 20
)

func decodeIP(b []byte, size int, s *segments.Segment) kind {
	switch b[0] >> 4 {
	case 4:
		return decodeIPv4(b, size, s)
	case 6:
		return decodeIPv6(b, size, s)
	}
	return notIP
}

func decodeIPv4(b []byte, size int, s *segments.Segment) kind {
	if len(b) < 20 {
		return tooShort
	}
	header := int(b[0]&15) * 4
	total := int(binary.BigEndian.Uint16(b[2:]))
	if total == 0 { // the network card cuts it into packets: it is longer than the field can say
		total = size
	}
	switch {
	case header < 20 || total < header:
		return notIP
	case b[9] != protocolTCP:
		return notTCP
	case binary.BigEndian.Uint16(b[6:])&0x1fff != 0:
		return fragment
	case header > len(b):
		return tooShort
	}
	src, dst := netip.AddrFrom4([4]byte(b[12:16])), netip.AddrFrom4([4]byte(b[16:20]))
	s.TTL, s.ID, s.HasID = b[8], binary.BigEndian.Uint16(b[4:]), true
	return decodeTCP(b[header:], total-header, src, dst, s)
}

func decodeIPv6(b []byte, size int, s *segments.Segment) kind {
	if len(b) < 40 {
		return tooShort
	}
	total := 40 + int(binary.BigEndian.Uint16(b[4:]))
	if total == 40 {
		total = size
	}
	next, at := b[6], 40
	for next != protocolTCP {
		var length int
		switch next {
		case 0, 43, 60: // hop-by-hop options, routing, destination options
			if len(b) < at+2 {
				return tooShort
			}
			length = 8 + int(b[at+1])*8
		case 44: // fragment
			if len(b) < at+8 {
				return tooShort
			}
			if binary.BigEndian.Uint16(b[at+2:])&0xfff8 != 0 {
				if b[at] == protocolTCP {
					return fragment
				}
				return notTCP
			}
			length = 8
		case 51: // authentication
			if len(b) < at+2 {
				return tooShort
			}
			length = 8 + int(b[at+1])*4
		default:
			return notTCP
		}
		next = b[at]
		at += length
	}
	if at > len(b) {
		return tooShort
	}
	s.TTL, s.ID, s.HasID = b[7], 0, false
	return decodeTCP(b[at:], total-at, netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40])), s)
}

// decodeTCP decodes a segment of length bytes with its header, from its captured
// beginning.
func decodeTCP(b []byte, length int, src, dst netip.Addr, s *segments.Segment) kind {
	if len(b) < tcpHeader {
		return tooShort
	}
	header := int(b[12]>>4) * 4
	if header < tcpHeader || header > length {
		return notTCP
	}
	s.Src = netip.AddrPortFrom(src, binary.BigEndian.Uint16(b))
	s.Dst = netip.AddrPortFrom(dst, binary.BigEndian.Uint16(b[2:]))
	s.Seq, s.Ack = binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])
	s.Flags = segments.Flags(b[13] & 0x3f)
	s.Len = length - header
	s.Payload = nil
	if header < len(b) {
		s.Payload = b[header:min(len(b), length)]
	}
	return isTCP
}
