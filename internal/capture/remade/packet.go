package remade

import (
	"encoding/binary"

	"github.com/kabench/kabench/internal/evidence/segments"
)

// The lengths of the headers, which have no options.
const (
	header4   = 20
	header6   = 40
	headerTCP = 20
)

const (
	protocolTCP = 6
	window      = 0xffff // the true one says which system it is
)

// Packet returns a packet of IP that carries s, from its first byte to the last one
// that was captured, and its length on the wire.
func Packet(s *segments.Segment) (b []byte, size int) {
	if s.Src.Addr().Is4() {
		b = make([]byte, header4, header4+headerTCP+len(s.Payload))
		size = header4 + headerTCP + s.Len
		b[0], b[6], b[8], b[9] = 0x45, 0x40, s.TTL, protocolTCP
		if size <= 0xffff { // 0 says that it is longer than the field can say
			binary.BigEndian.PutUint16(b[2:], uint16(size))
		}
		binary.BigEndian.PutUint16(b[4:], s.ID)
		src, dst := s.Src.Addr().As4(), s.Dst.Addr().As4()
		copy(b[12:], src[:])
		copy(b[16:], dst[:])
		binary.BigEndian.PutUint16(b[10:], ^fold(sum(b)))
		return appendTCP(b, b[12:20], s), size
	}
	b = make([]byte, header6, header6+headerTCP+len(s.Payload))
	size = header6 + headerTCP + s.Len
	b[0], b[6], b[7] = 0x60, protocolTCP, s.TTL
	if long := headerTCP + s.Len; long <= 0xffff {
		binary.BigEndian.PutUint16(b[4:], uint16(long))
	}
	src, dst := s.Src.Addr().As16(), s.Dst.Addr().As16()
	copy(b[8:], src[:])
	copy(b[24:], dst[:])
	return appendTCP(b, b[8:40], s), size
}

// appendTCP appends the segment. Bytes that were not captured count as zero in its
// checksum.
func appendTCP(b, addresses []byte, s *segments.Segment) []byte {
	var h [headerTCP]byte
	binary.BigEndian.PutUint16(h[0:], s.Src.Port())
	binary.BigEndian.PutUint16(h[2:], s.Dst.Port())
	binary.BigEndian.PutUint32(h[4:], s.Seq)
	binary.BigEndian.PutUint32(h[8:], s.Ack)
	h[12], h[13] = headerTCP/4<<4, byte(s.Flags)
	binary.BigEndian.PutUint16(h[14:], window)
	length := headerTCP + s.Len
	total := sum(addresses) + protocolTCP + uint64(length>>16) + uint64(length&0xffff) + sum(h[:]) + sum(s.Payload)
	binary.BigEndian.PutUint16(h[16:], ^fold(total))
	return append(append(b, h[:]...), s.Payload...)
}

// sum adds the 16-bit words of b (RFC 1071).
func sum(b []byte) (total uint64) {
	for ; len(b) > 1; b = b[2:] {
		total += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		total += uint64(b[0]) << 8
	}
	return total
}

func fold(total uint64) uint16 {
	for total > 0xffff {
		total = total>>16 + total&0xffff
	}
	return uint16(total)
}
