package sandbox

import (
	"cmp"
	"container/heap"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// wireTap is the name of the interface of packets that the wire made itself.
const wireTap = "wire"

// sight is a packet at one place: where it entered, or where it was delivered.
type sight struct {
	at      int64
	id      uint64
	tap     int
	size    int
	data    []byte
	comment string
}

// before orders sights by time, and sights of the same moment by their order of
// appearance.
func (s sight) before(o sight) int {
	return cmp.Or(cmp.Compare(s.at, o.at), cmp.Compare(s.id, o.id))
}

// arrivals are deliveries that have not been written yet, the earliest first.
type arrivals []sight

func (a arrivals) Len() int           { return len(a) }
func (a arrivals) Less(i, j int) bool { return a[i].before(a[j]) < 0 }
func (a arrivals) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *arrivals) Push(s any)        { *a = append(*a, s.(sight)) }
func (a *arrivals) Pop() any {
	last := len(*a) - 1
	s := (*a)[last]
	*a = (*a)[:last]
	return s
}

// pcapWriter writes a record as pcapng.
type pcapWriter struct {
	*pcapgo.NgWriter
	start   time.Time
	pending arrivals
}

// newPcapWriter begins a file with one interface per host, and one for the wire.
func newPcapWriter(w io.Writer, hosts []string, start time.Time, comment string) (*pcapWriter, error) {
	options := pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{
		Hardware: runtime.GOARCH, OS: runtime.GOOS, Application: "kabench", Comment: comment,
	}}
	p := &pcapWriter{start: start}
	for i, name := range append(hosts[:len(hosts):len(hosts)], wireTap) {
		// Not LINKTYPE_RAW: libpcap 1.10.3 compares the number of a second interface (101)
		// with its internal number of the first one (12), and rejects the file.
		tap := pcapgo.NgInterface{Name: name, LinkType: layers.LinkTypeIPv4, TimestampResolution: 9}
		var err error
		if i == 0 {
			p.NgWriter, err = pcapgo.NewNgWriterInterface(w, tap, options)
		} else {
			_, err = p.AddInterface(tap)
		}
		if err != nil {
			return nil, err
		}
	}
	return p, nil
}

// add first writes all deliveries up to the time at which the packet entered, then
// the packet, and keeps its delivery for later. It must be called in the order of ids.
// The caller keeps data.
func (p *pcapWriter) add(s slot, data []byte, hosts int, by string) error {
	entered := sight{at: s.in, id: s.id, tap: int(s.from), size: int(s.size), data: data, comment: comment(s, by)}
	if s.from < 0 {
		entered.tap = hosts
	}
	for len(p.pending) > 0 && p.pending[0].before(entered) < 0 {
		if err := p.write(heap.Pop(&p.pending).(sight)); err != nil {
			return err
		}
	}
	if err := p.write(entered); err != nil {
		return err
	}
	if s.out >= 0 {
		seen := append([]byte(nil), data...)
		if h, ok := parse(seen); ok {
			readdress(seen, &h, s.src, s.dst)
			report(seen, &h, s.sport, s.dport)
		}
		heap.Push(&p.pending, sight{at: s.out, id: s.id, tap: int(s.to), size: int(s.size), data: seen})
	}
	return nil
}

// end writes the remaining deliveries.
func (p *pcapWriter) end() error {
	for len(p.pending) > 0 {
		if err := p.write(heap.Pop(&p.pending).(sight)); err != nil {
			return err
		}
	}
	return p.Flush()
}

func (p *pcapWriter) write(s sight) error {
	options := pcapgo.NgPacketOptions{PacketID: &s.id}
	if s.comment != "" {
		options.Comments = []string{s.comment}
	}
	return p.WritePacketWithOptions(gopacket.CaptureInfo{
		Timestamp: p.start.Add(time.Duration(s.at)), CaptureLength: len(s.data), Length: s.size, InterfaceIndex: s.tap,
	}, s.data, options)
}

// comment returns what happened to a packet; "" if a host sent it and it was
// delivered.
func comment(s slot, by string) string {
	switch {
	case s.from < 0:
		return fmt.Sprintf("made by %s, %s", by, s.fate)
	case s.fate == FateDelivered:
		return ""
	case by == "":
		return s.fate.String()
	}
	return fmt.Sprintf("%s by %s", s.fate, by)
}
