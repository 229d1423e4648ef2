package segments

import (
	"net/netip"
	"strings"
	"time"
)

// Flags are the flags of a TCP header (RFC 9293 §3.1).
type Flags uint8

const (
	FlagFIN Flags = 1 << iota
	FlagSYN
	FlagRST
	FlagPSH
	FlagACK
	FlagURG
)

// String returns the flags as tcpdump writes them, such as "S." or "F."; "none" if
// there are none.
func (f Flags) String() string {
	var b strings.Builder
	for i, letter := range "FSRP.U" {
		if f&(1<<i) != 0 {
			b.WriteRune(letter)
		}
	}
	if b.Len() == 0 {
		return "none"
	}
	return b.String()
}

// Segment is a TCP segment as it was seen at one place.
type Segment struct {
	At       time.Duration // since the start of the observation
	Number   int64         // of the packet in its file, from 1; 0: it has none
	Src, Dst netip.AddrPort
	Flags    Flags
	Seq, Ack uint32
	Len      int    // bytes of payload on the wire
	Payload  []byte // its captured beginning, which may be shorter than Len
	TTL      uint8  // or the hop limit of IPv6; 0: not known
	ID       uint16 // the IP identification
	HasID    bool   // false: IPv6, or ID is not known
}

// next returns the sequence number after the segment; SYN and FIN count one each.
func (s *Segment) next() uint32 {
	next := s.Seq + uint32(s.Len)
	if s.Flags&FlagSYN != 0 {
		next++
	}
	if s.Flags&FlagFIN != 0 {
		next++
	}
	return next
}

// after reports whether the sequence number a comes after b. Numbers wrap.
func after(a, b uint32) bool { return int32(a-b) > 0 }
