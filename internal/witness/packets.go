package witness

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"runtime"
	"slices"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/kabench/kabench/internal/evidence/segments"
)

const (
	keptPackets  = 1 << 17 // of all connections, the newest ones
	keptFailures = 64      // connections on which a request failed, whose packets are kept for good
	keptEach     = 256     // packets of each of those, the newest ones
)

// kept are the headers of the newest packets, and those of the first connections on which
// a request failed.
type kept struct {
	slots    []slot
	count    uint64 // packets so far; the id of the newest one
	failures map[uint64][]slot
	which    []*conn // of failures, in order
}

// slot is the header of one packet.
type slot struct {
	id, prev   uint64 // prev: of the same connection; 0: none
	at         time.Duration
	seq, ack   uint32
	length     int32
	flags      segments.Flags
	ttl        uint8
	fromClient bool
	conn       *conn
}

// keep keeps the header of a packet, which segments has taken.
func (w *Witness) keep(s *segments.Segment) {
	c := w.conns.open[ends{s.Src, s.Dst}]
	if c == nil {
		c = w.conns.open[ends{s.Dst, s.Src}]
	}
	if c == nil {
		return
	}
	w.closes(c, s)
	k := &w.kept
	k.count++
	one := slot{
		id: k.count, prev: c.last, at: s.At, seq: s.Seq, ack: s.Ack, length: int32(s.Len), flags: s.Flags, ttl: s.TTL,
		fromClient: s.Src == c.client, conn: c,
	}
	c.last = k.count
	if len(k.slots) < keptPackets {
		k.slots = append(k.slots, one)
	} else {
		k.slots[int((k.count-1)%keptPackets)] = one
	}
	if list, failed := k.failures[c.n]; failed && len(list) < keptEach {
		k.failures[c.n] = append(list, one)
	}
}

// keepFailure keeps the packets of a connection on which a request failed.
func (w *Witness) keepFailure(c *conn) {
	k := &w.kept
	if _, already := k.failures[c.n]; already || len(k.failures) == keptFailures {
		return
	}
	if k.failures == nil {
		k.failures = map[uint64][]slot{}
	}
	k.failures[c.n] = k.of(c, keptEach/2)
	k.which = append(k.which, c)
}

// of returns the newest n packets of a connection that are still there, the oldest first.
func (k *kept) of(c *conn, n int) []slot {
	var back []slot
	for id := c.last; id != 0 && id+keptPackets > k.count && len(back) < n; {
		s := k.slots[int((id-1)%keptPackets)]
		if s.id != id {
			break
		}
		back = append(back, s)
		id = s.prev
	}
	slices.Reverse(back)
	return back
}

// Packets returns the packets of a connection that are kept, the oldest first: of the first
// 64 connections on which a request failed the last ones before the failure and what
// followed, and of others what is among the newest 131,072 of all. Segments have no payload. Times are
// offsets from epoch.
func (w *Witness) Packets(conn uint64, epoch time.Time) []segments.Segment {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.drain()
	list, failed := w.kept.failures[conn]
	if !failed {
		for i := len(w.kept.slots) - 1; i >= 0 && list == nil; i-- {
			if c := w.kept.slots[i].conn; c.n == conn {
				list = w.kept.of(c, keptPackets)
			}
		}
	}
	at := w.offsets(epoch)
	out := make([]segments.Segment, 0, len(list))
	for _, s := range list {
		one := s.segment()
		one.At = at(one.At)
		out = append(out, one)
	}
	return out
}

func (s *slot) segment() segments.Segment {
	out := segments.Segment{At: s.at, Number: int64(s.id), Src: s.conn.client, Dst: s.conn.server, Flags: s.flags, Seq: s.seq, Ack: s.ack, Len: int(s.length), TTL: s.ttl}
	if !s.fromClient {
		out.Src, out.Dst = out.Dst, out.Src
	}
	return out
}

// Failed returns the connections whose packets are kept because a request failed on them.
func (w *Witness) Failed() (all []uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.kept.which {
		all = append(all, c.n)
	}
	return all
}

// WritePcapng writes the packets that are kept, in the order of time, as a pcapng file. It
// holds the headers of IP and TCP alone: no payload was kept, so there is no secret in it.
func (w *Witness) WritePcapng(out io.Writer) error {
	w.mu.Lock()
	w.drain()
	packets := w.kept.all()
	lost := w.lost
	w.mu.Unlock()
	taps := pcapgo.NgInterface{Name: "any", LinkType: layers.LinkTypeRaw, TimestampResolution: 9}
	ng, err := pcapgo.NewNgWriterInterface(out, taps, pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{
		Hardware: runtime.GOARCH, OS: runtime.GOOS, Application: "kabench", Comment: fmt.Sprintf("headers alone; %d packets were lost", lost),
	}})
	if err != nil {
		return err
	}
	for i := range packets {
		header, size := packets[i].header()
		info := gopacket.CaptureInfo{Timestamp: w.clock.Base.Add(packets[i].at), CaptureLength: len(header), Length: size}
		if err := ng.WritePacket(info, header); err != nil {
			return err
		}
	}
	return ng.Flush()
}

// all returns every packet that is kept, once, in the order in which they came.
func (k *kept) all() (list []slot) {
	first := uint64(1)
	if k.count > keptPackets {
		first = k.count - keptPackets + 1
	}
	for _, c := range k.which {
		for _, s := range k.failures[c.n] {
			if s.id < first {
				list = append(list, s)
			}
		}
	}
	slices.SortFunc(list, func(a, b slot) int { return cmp.Compare(a.id, b.id) })
	for id := first; id <= k.count; id++ {
		list = append(list, k.slots[int((id-1)%keptPackets)])
	}
	return list
}

// header returns the headers of a packet, with the fields that are known, and the size of
// the whole packet.
func (s *slot) header() (b []byte, size int) {
	one := s.segment()
	tcp := make([]byte, 20)
	binary.BigEndian.PutUint16(tcp, one.Src.Port())
	binary.BigEndian.PutUint16(tcp[2:], one.Dst.Port())
	binary.BigEndian.PutUint32(tcp[4:], one.Seq)
	binary.BigEndian.PutUint32(tcp[8:], one.Ack)
	tcp[12], tcp[13] = 5<<4, byte(one.Flags)
	b = append(ipHeader(one.Src.Addr(), one.Dst.Addr(), one.TTL, len(tcp)+one.Len), tcp...)
	return b, len(b) + one.Len
}

const protocolTCP = 6

func ipHeader(src, dst netip.Addr, ttl uint8, length int) []byte {
	if src.Is4() {
		ip := make([]byte, 20)
		ip[0], ip[8], ip[9] = 4<<4|5, ttl, protocolTCP
		binary.BigEndian.PutUint16(ip[2:], uint16(min(20+length, 1<<16-1)))
		copy(ip[12:], src.AsSlice())
		copy(ip[16:], dst.AsSlice())
		return ip
	}
	ip := make([]byte, 40)
	ip[0], ip[6], ip[7] = 6<<4, protocolTCP, ttl
	binary.BigEndian.PutUint16(ip[4:], uint16(min(length, 1<<16-1)))
	copy(ip[8:], src.AsSlice())
	copy(ip[24:], dst.AsSlice())
	return ip
}
