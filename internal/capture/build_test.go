package capture

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"

	"github.com/kabench/kabench/internal/evidence/segments"
)

// tcp returns a TCP segment's bytes, with ten options bytes and two of padding.
func tcp(s *segments.Segment) []byte {
	b := make([]byte, 32, 32+len(s.Payload))
	binary.BigEndian.PutUint16(b, s.Src.Port())
	binary.BigEndian.PutUint16(b[2:], s.Dst.Port())
	binary.BigEndian.PutUint32(b[4:], s.Seq)
	binary.BigEndian.PutUint32(b[8:], s.Ack)
	b[12], b[13] = 8<<4, byte(s.Flags)
	return append(b, s.Payload...)
}

// ip returns a packet of IPv4 or IPv6, by the addresses. extensions are put before TCP
// in IPv6.
func ip(s *segments.Segment, extensions ...byte) []byte {
	body := tcp(s)
	if s.Src.Addr().Is4() {
		b := make([]byte, 20)
		b[0], b[8], b[9] = 0x45, s.TTL, protocolTCP
		binary.BigEndian.PutUint16(b[2:], uint16(20+len(body)))
		binary.BigEndian.PutUint16(b[4:], s.ID)
		b[6] = 0x40
		src, dst := s.Src.Addr().As4(), s.Dst.Addr().As4()
		copy(b[12:], src[:])
		copy(b[16:], dst[:])
		return append(b, body...)
	}
	b := make([]byte, 40)
	b[0], b[6], b[7] = 0x60, protocolTCP, s.TTL
	binary.BigEndian.PutUint16(b[4:], uint16(len(extensions)+len(body)))
	src, dst := s.Src.Addr().As16(), s.Dst.Addr().As16()
	copy(b[8:], src[:])
	copy(b[24:], dst[:])
	if len(extensions) > 0 {
		b[6] = 0
	}
	return append(append(b, extensions...), body...)
}

func etherType(packet []byte) []byte {
	if packet[0]>>4 == 4 {
		return []byte{8, 0}
	}
	return []byte{0x86, 0xdd}
}

// framed puts a packet into a frame of the link type.
func framed(link int, packet []byte) []byte {
	kind := etherType(packet)
	switch link {
	case linkEthernet:
		return append(append(make([]byte, 12), kind...), packet...)
	case linkSLL:
		return append(append(make([]byte, 14), kind...), packet...)
	case linkSLL2:
		return append(append(kind, make([]byte, 18)...), packet...)
	case linkNull, linkLoop:
		family := []byte{2, 0, 0, 0}
		if kind[0] != 8 {
			family[0] = 30
		}
		return append(family, packet...)
	}
	return packet
}

// vlan puts two tags into an Ethernet frame.
func vlan(frame []byte) []byte {
	tags := []byte{0x88, 0xa8, 0, 5, 0x81, 0, 0, 7}
	return append(append(bytes.Clone(frame[:12]), tags...), frame[12:]...)
}

var day = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

// segment returns the n-th segment of a stream, with payload.
func segment(n int, v6 bool) segments.Segment {
	s := segments.Segment{
		Src: netip.MustParseAddrPort("10.1.2.3:40000"), Dst: netip.MustParseAddrPort("10.4.5.6:8080"), Number: int64(n + 1),
		At: time.Duration(n) * time.Millisecond, Flags: segments.FlagACK | segments.FlagPSH, Seq: uint32(100 + 5*n), Ack: 7,
		Len: 5, Payload: []byte("hello"), TTL: 63, ID: uint16(n), HasID: true,
	}
	if v6 {
		s.Src, s.Dst = netip.MustParseAddrPort("[2001:db8::1]:40000"), netip.MustParseAddrPort("[2001:db8::2]:8080")
		s.HasID, s.ID = false, 0
	}
	return s
}

// pcapFile returns a pcap file of frames, one each ms from begin on. snap bounds the
// bytes of each; 0: all are captured.
func pcapFile(t testing.TB, link, snap int, begin time.Time, frames ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriterNanos(&b)
	if err := w.WriteFileHeader(262144, layers.LinkType(link)); err != nil {
		t.Fatal(err)
	}
	for n, f := range frames {
		kept := f
		if snap > 0 {
			kept = f[:min(len(f), snap)]
		}
		info := gopacket.CaptureInfo{Timestamp: begin.Add(time.Duration(n) * time.Millisecond), CaptureLength: len(kept), Length: len(f)}
		if err := w.WritePacket(info, kept); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// ngFile returns a pcapng file of frames, which alternate between the interfaces.
func ngFile(t testing.TB, links []int, begin time.Time, frames ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	names := []string{"client", "server", "third"}
	w, err := pcapgo.NewNgWriterInterface(&b, pcapgo.NgInterface{Name: names[0], LinkType: layers.LinkType(links[0]), TimestampResolution: 9}, pcapgo.NgWriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i, link := range links[1:] {
		if _, err := w.AddInterface(pcapgo.NgInterface{Name: names[i+1], LinkType: layers.LinkType(link), TimestampResolution: 9}); err != nil {
			t.Fatal(err)
		}
	}
	for n, f := range frames {
		info := gopacket.CaptureInfo{
			Timestamp: begin.Add(time.Duration(n) * time.Millisecond), CaptureLength: len(f), Length: len(f), InterfaceIndex: n % len(links),
		}
		if err := w.WritePacket(info, f); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(b []byte) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	w.Write(b)
	w.Close()
	return out.Bytes()
}

func zstdded(b []byte) []byte {
	w, _ := zstd.NewWriter(nil)
	return w.EncodeAll(b, nil)
}

// kept writes a file of the test and returns its path.
func kept(t testing.TB, name string, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
