package software

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// frame is a packet of a capture.
type frame struct {
	at   time.Time
	data []byte
	size int // on the wire
	link layers.LinkType
	at0  string // the interface, as pcapng names it; "" in pcap
}

const (
	ethernet = layers.LinkTypeEthernet
	rawIP    = layers.LinkTypeRaw
	cooked1  = layers.LinkType(113)
	cooked2  = layers.LinkType(276)
)

// readFrames reads a capture file of tcpdump or of kabench.
func readFrames(t *testing.T, file string) (list []frame) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := bufio.NewReader(f)
	magic, err := b.Peek(4)
	if err != nil {
		t.Fatal(err)
	}
	if binary.LittleEndian.Uint32(magic) != 0x0a0d0d0a {
		r, err := pcapgo.NewReader(b)
		if err != nil {
			t.Fatal(err)
		}
		for {
			data, info, err := r.ReadPacketData()
			if err != nil {
				atEnd(t, file, err)
				return list
			}
			list = append(list, frame{info.Timestamp, data, info.Length, r.LinkType(), ""})
		}
	}
	r, err := pcapgo.NewNgReader(b, pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, info, err := r.ReadPacketData()
		if err != nil {
			atEnd(t, file, err)
			return list
		}
		i, err := r.Interface(info.InterfaceIndex)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, frame{info.Timestamp, data, info.Length, i.LinkType, i.Name})
	}
}

func atEnd(t *testing.T, file string, err error) {
	t.Helper()
	if !errors.Is(err, io.EOF) {
		t.Fatalf("%s: %v", file, err)
	}
}

// writeFrames writes a capture: pcapng if the frames name interfaces, pcap otherwise.
func writeFrames(t *testing.T, file string, list []frame) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := bufio.NewWriter(f)
	write := writerOf(t, b, list)
	for _, one := range list {
		if err := write(one); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
}

func writerOf(t *testing.T, b *bufio.Writer, list []frame) func(frame) error {
	t.Helper()
	info := func(one frame) gopacket.CaptureInfo {
		return gopacket.CaptureInfo{Timestamp: one.at, CaptureLength: len(one.data), Length: one.size}
	}
	if len(list) == 0 || list[0].at0 == "" {
		w := pcapgo.NewWriterNanos(b)
		link := ethernet
		if len(list) > 0 {
			link = list[0].link
		}
		if err := w.WriteFileHeader(262144, link); err != nil {
			t.Fatal(err)
		}
		return func(one frame) error { return w.WritePacket(info(one), one.data) }
	}
	number := map[string]int{list[0].at0: 0}
	options := func(one frame) pcapgo.NgInterface {
		return pcapgo.NgInterface{Name: one.at0, LinkType: one.link, TimestampResolution: 9}
	}
	w, err := pcapgo.NewNgWriterInterface(b, options(list[0]), pcapgo.NgWriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return func(one frame) error {
		n, known := number[one.at0]
		if !known {
			if n, err = w.AddInterface(options(one)); err != nil {
				return err
			}
			number[one.at0] = n
		}
		i := info(one)
		i.InterfaceIndex = n
		if err := w.WritePacket(i, one.data); err != nil {
			return err
		}
		return w.Flush()
	}
}

// between returns the frames from a time on and before another.
func between(list []frame, from, to time.Time) []frame {
	return only(list, func(f frame) bool { return !f.at.Before(from) && f.at.Before(to) })
}

func only(list []frame, keep func(frame) bool) []frame {
	return slices.DeleteFunc(slices.Clone(list), func(f frame) bool { return !keep(f) })
}

// cutTo keeps the first bytes of each packet, as tcpdump -s does.
func cutTo(list []frame, bytes int) []frame {
	list = slices.Clone(list)
	for i := range list {
		list[i].data = list[i].data[:min(bytes, len(list[i].data))]
	}
	return list
}

// thinned leaves out some of 1000 packets.
func thinned(list []frame, perMille int, seed uint64) []frame {
	random := rand.New(rand.NewPCG(seed, 1))
	return only(list, func(frame) bool { return random.IntN(1000) >= perMille })
}

// servers returns the addresses to which SYNs were sent.
func servers(list []frame) map[netip.AddrPort]bool {
	found := map[netip.AddrPort]bool{}
	for _, f := range relinked(list, ethernet) {
		if s, err := segmentOf(f.data); err == nil && s.flags&(syn|ack) == syn {
			found[s.to] = true
		}
	}
	return found
}

// without leaves out the packets to and from servers: those of an earlier run, whose last
// packets come late.
func without(list []frame, servers map[netip.AddrPort]bool) []frame {
	return only(list, func(f frame) bool {
		s, err := segmentOf(relinked([]frame{f}, ethernet)[0].data)
		return err != nil || !servers[s.from] && !servers[s.to]
	})
}

// twice shows each packet twice, as two interfaces of a router do.
func twice(list []frame) []frame {
	var both []frame
	for _, f := range list {
		again := f
		again.at = f.at.Add(15 * time.Microsecond)
		both = append(both, f, again)
	}
	slices.SortStableFunc(both, func(a, b frame) int { return a.at.Compare(b.at) })
	return both
}

// packetOf returns the IP packet in a frame, and how long its header of the link is; nil
// if there is none.
func packetOf(f frame) (packet []byte, header int) {
	header = map[layers.LinkType]int{ethernet: 14, cooked1: 16, cooked2: 20}[f.link]
	if len(f.data) <= header {
		return nil, header
	}
	return f.data[header:], header
}

// relinked puts the IP packets into headers of another link type.
func relinked(list []frame, link layers.LinkType) []frame {
	var out []frame
	for _, f := range list {
		packet, header := packetOf(f)
		if packet == nil {
			continue
		}
		kind := []byte{8, 0}
		if packet[0]>>4 == 6 {
			kind = []byte{0x86, 0xdd}
		}
		var head []byte
		switch link {
		case ethernet:
			head = append(make([]byte, 12), kind...)
		case cooked1:
			head = append(make([]byte, 14), kind...)
		case cooked2:
			head = append(kind, make([]byte, 18)...)
		}
		f.data, f.size, f.link = append(head, packet...), f.size-header+len(head), link
		out = append(out, f)
	}
	return out
}

// tagged gives Ethernet frames a VLAN tag.
func tagged(list []frame) []frame {
	list = slices.Clone(list)
	for i, f := range list {
		list[i].data = slices.Insert(slices.Clone(f.data), 12, 0x81, 0, 0, 7)
		list[i].size += 4
	}
	return list
}

// wireConns returns the connections of a capture, as a reader sees them that shares no
// code with kabench: each packet at the place where it was seen first.
func wireConns(t *testing.T, list []frame) []*wireConn {
	t.Helper()
	if len(list) == 0 {
		return nil
	}
	if list[0].at0 != "" {
		list = inPlace("client")(list)
	}
	var b bytes.Buffer
	list = slices.DeleteFunc(relinked(list, ethernet), func(f frame) bool { return len(f.data) > 14 && f.data[14]>>4 == 6 }) // of happy-eyeballs: SYNs that nobody answers
	for i := range list {
		list[i].at0 = ""
	}
	w := bufio.NewWriter(&b)
	write := writerOf(t, w, list)
	for _, one := range list {
		if err := write(one); err != nil {
			t.Fatal(err)
		}
	}
	w.Flush()
	conns, err := readCapture(&b)
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return conns
}

// closed returns when the server closed the connection first in any way, the zero time
// if it did not.
func (c *wireConn) closed() time.Time {
	for _, at := range []time.Duration{c.notify, c.serverFIN, c.serverRST} {
		if at != 0 {
			return time.Unix(0, int64(at))
		}
	}
	return time.Time{}
}
