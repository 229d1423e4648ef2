package sandbox

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/kabench/kabench/profiles/network"
)

// segment is a whole TCP packet with right checksums, made by a library.
func segment(t testing.TB, src, dst string, sport, dport uint16, flags network.Flags, seq, ack uint32, payload string) []byte {
	t.Helper()
	ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: ipOf(src), DstIP: ipOf(dst)}
	tcp := &layers.TCP{
		SrcPort: layers.TCPPort(sport), DstPort: layers.TCPPort(dport), Seq: seq, Ack: ack, Window: 1000,
		FIN: flags&network.FIN != 0, SYN: flags&network.SYN != 0, RST: flags&network.RST != 0, PSH: flags&network.PSH != 0, ACK: flags&network.ACK != 0, URG: flags&network.URG != 0,
	}
	if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
		t.Fatal(err)
	}
	buf := gopacket.NewSerializeBuffer()
	err := gopacket.SerializeLayers(buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ip, tcp, gopacket.Payload(payload))
	if err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func ipOf(addr string) []byte { return addrOf(number(addr)).AsSlice() }

func TestParseAgreesWithGopacket(t *testing.T) {
	b := segment(t, "10.0.0.1", "10.0.0.2", 40000, 80, network.PSH|network.ACK, 1<<31, 77, "hello")
	h, ok := parse(b)
	want := header{
		proto: protoTCP, src: number("10.0.0.1"), dst: number("10.0.0.2"), sport: 40000, dport: 80,
		flags: network.PSH | network.ACK, seq: 1 << 31, ack: 77, window: 1000, l4: 20, payload: 40, end: 45,
	}
	if !ok || h != want {
		t.Errorf("parse: %+v, %v; want %+v", h, ok, want)
	}
	if h.next() != 1<<31+5 {
		t.Errorf("next number %d, want five after the first", h.next())
	}
}

func TestResetsAreWhatTCPAcceptsAndSends(t *testing.T) {
	for _, c := range []struct {
		name     string
		flags    network.Flags
		data     string
		seq, ack uint32
		want     reset
	}{
		{"data is answered at the number it acknowledges", network.PSH | network.ACK, "GET", 10, 20, reset{seq: 20, flags: network.RST}},
		{"a SYN is answered by acknowledging it", network.SYN, "", 10, 0, reset{ack: 11, flags: network.RST | network.ACK}},
	} {
		h, _ := parse(segment(t, "10.0.0.1", "10.0.0.2", 1, 2, c.flags, c.seq, c.ack, c.data))
		got, ok := answerTo(&h)
		c.want.src, c.want.dst, c.want.sport, c.want.dport = h.dst, h.src, 2, 1
		if !ok || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", c.name, got, ok, c.want)
		}
		b := make([]byte, 40)
		back, valid := parse(b[:got.write(b)])
		if !valid || back.flags != got.flags || back.seq != got.seq || back.ack != got.ack || !validChecksums(b, &back) {
			t.Errorf("%s: written as %+v", c.name, back)
		}
	}
	h, _ := parse(segment(t, "10.0.0.1", "10.0.0.2", 1, 2, network.RST, 5, 0, ""))
	if _, ok := answerTo(&h); ok {
		t.Error("a RST was answered")
	}
}

func validChecksums(b []byte, h *header) bool {
	ihl := int(b[0]&15) * 4
	return checksum(0, b[:ihl]) == 0 && (h.l4 == 0 || l4Checksum(b, h) == 0)
}

// FuzzReaddress holds that no packet makes the parser or the rewriter panic, and
// that a packet with right checksums has right ones under its new addresses.
func FuzzReaddress(f *testing.F) {
	f.Add(segment(f, "10.0.0.1", "10.0.0.2", 40000, 80, network.PSH|network.ACK, 1, 2, "hello"), uint32(0x0a4d0001), uint32(0xffffffff))
	f.Add(segment(f, "0.0.0.0", "255.255.255.255", 0, 0, network.SYN, 0, 0, ""), uint32(0), uint32(0))
	f.Add([]byte{0x45}, uint32(1), uint32(2))
	f.Add([]byte{0x4f, 0, 0, 60, 0, 0, 0, 0, 1, 6, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}, uint32(1), uint32(2))
	udp := append([]byte{0x45, 0, 0, 28, 0, 0, 0, 0, 1, 17, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8}, 0, 1, 0, 2, 0, 8, 0, 0)
	f.Add(udp, uint32(1), uint32(2))
	f.Fuzz(func(t *testing.T, b []byte, src, dst uint32) {
		h, ok := parse(b)
		if !ok {
			return
		}
		if h.payload > h.end || h.end > 1<<16 {
			t.Fatalf("payload from %d to %d", h.payload, h.end)
		}
		if h.end > len(b) { // captured in part: must not panic
			readdress(b, &h, src, dst)
			report(b, &h, uint16(src), uint16(dst))
			return
		}
		whole := bytes.Clone(b)
		setChecksums(whole, &h)
		noUDPSum := h.proto == protoUDP && h.l4 != 0 && binary.BigEndian.Uint16(whole[h.l4+6:]) == 0
		readdress(whole, &h, src, dst)
		again, ok := parse(whole)
		if !ok || again != h || h.src != src || h.dst != dst {
			t.Fatalf("after readdress: %+v, %+v", again, h)
		}
		if report(whole, &h, uint16(src), uint16(dst)); h.isTCP() && (h.sport != uint16(src) || h.dport != uint16(dst)) {
			t.Fatalf("after report: %+v", h)
		}
		if again, _ = parse(whole); again != h {
			t.Fatalf("after report: %+v, %+v", again, h)
		}
		if noUDPSum {
			h.l4 = 0
		}
		if !validChecksums(whole, &h) {
			t.Fatalf("a checksum is wrong after readdress and report: %x", whole)
		}
	})
}

// setChecksums gives the packet the checksums that it should have.
func setChecksums(b []byte, h *header) {
	ihl := int(b[0]&15) * 4
	binary.BigEndian.PutUint16(b[10:], 0)
	binary.BigEndian.PutUint16(b[10:], checksum(0, b[:ihl]))
	at := h.l4 + 16
	if h.proto == protoUDP {
		at = h.l4 + 6
		if h.l4 != 0 && binary.BigEndian.Uint16(b[at:]) == 0 {
			return // has none
		}
	}
	if h.l4 != 0 {
		binary.BigEndian.PutUint16(b[at:], 0)
		sum := l4Checksum(b, h)
		if h.proto == protoUDP && sum == 0 {
			sum = 0xffff
		}
		binary.BigEndian.PutUint16(b[at:], sum)
	}
}
