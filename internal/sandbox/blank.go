package sandbox

import (
	"encoding/binary"
	"slices"

	"github.com/kabench/kabench/profiles/network"
)

// blanking replaces each byte that must not be shown.
const blanking = '*'

// sent holds the packets that one end of a connection sent and the record still has.
type sent struct {
	first    uint32 // sequence number of place 0: that of the SYN, or else of the first packet kept
	segments []carrying
}

// carrying is a packet with payload.
type carrying struct {
	at      int64 // place of the payload, counted from first
	packet  []byte
	payload []byte // the part that is kept, within packet
	sum     int    // where in packet the checksum is
}

// blank overwrites the places that find returns for the bytes sent over TCP.
func (r *recorder) blank(find func(sent []byte) [][2]int) {
	for _, s := range r.sent() {
		slices.SortStableFunc(s.segments, func(a, b carrying) int { return int(min(max(a.at-b.at, -1), 1)) })
		var bytes []byte
		from, begin := 0, int64(0) // of the bytes joined so far: the index of their first segment, and its place
		for i, seg := range s.segments {
			if seg.at > begin+int64(len(bytes)) { // a gap
				blankIn(s.segments[from:i], begin, find(bytes))
				bytes = bytes[:0]
			}
			if len(bytes) == 0 {
				from, begin = i, seg.at
			}
			if known := begin + int64(len(bytes)) - seg.at; known < int64(len(seg.payload)) {
				bytes = append(bytes, seg.payload[known:]...)
			}
		}
		blankIn(s.segments[from:], begin, find(bytes))
	}
}

// sent returns what each end of each connection sent.
func (r *recorder) sent() (all []*sent) {
	type direction struct {
		src, dst     uint32
		sport, dport uint16
	}
	now := map[direction]*sent{} // the connection that uses the addresses now
	for id := r.oldest(); id <= r.count; id++ {
		_, b := r.raw(id)
		h, ok := parse(b)
		if !ok || !h.isTCP() {
			continue
		}
		d := direction{h.src, h.dst, h.sport, h.dport}
		s, syn := now[d], h.flags&network.SYN != 0
		if s == nil || syn && s.first != h.seq {
			s = &sent{first: h.seq}
			now[d] = s
			all = append(all, s)
		}
		if end := min(len(b), h.end); h.payload < end {
			at := int64(int32(h.seq - s.first))
			if syn {
				at++
			}
			s.segments = append(s.segments, carrying{at, b, b[h.payload:end], h.l4 + 16})
		}
	}
	return all
}

// blankIn overwrites the places, counted from begin, in every segment that holds a
// part of one. So it overwrites retransmitted bytes too.
func blankIn(segments []carrying, begin int64, places [][2]int) {
	if len(places) == 0 {
		return
	}
	for _, seg := range segments {
		offset := seg.at - begin
		first, _ := slices.BinarySearchFunc(places, offset, func(place [2]int, at int64) int {
			if int64(place[1]) <= at {
				return -1
			}
			return 1
		})
		for _, place := range places[first:] {
			from, to := int64(place[0])-offset, int64(place[1])-offset
			if from >= int64(len(seg.payload)) {
				break
			}
			for i := max(from, 0); i < min(to, int64(len(seg.payload))); i++ {
				seg.put(int(i), blanking)
			}
		}
	}
}

// put changes one byte of the payload and corrects the checksum. The length of a TCP
// header is a multiple of 4 bytes, so an even byte of the payload is the high byte of
// a word.
func (s carrying) put(i int, c byte) {
	old, new := uint32(s.payload[i]), uint32(c)
	if i%2 == 0 {
		old, new = old<<8, new<<8
	}
	s.payload[i] = c
	if field := s.packet[s.sum:]; len(field) >= 2 {
		binary.BigEndian.PutUint16(field, fixChecksum(binary.BigEndian.Uint16(field), old, new))
	}
}
