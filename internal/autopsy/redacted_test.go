package autopsy

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/kabench/kabench/internal/capture"
	"github.com/kabench/kabench/internal/capture/redact"
	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
)

// shared examines captures, writes them again without what must not be shown, and
// returns the verdict and the file.
func shared(t testing.TB, o Options) (*Verdict, string) {
	t.Helper()
	var b bytes.Buffer
	w := redact.NewWriter(&b)
	o.Segment = w.Take
	v := examined(t, o)
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "redacted.pcapng")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return v, path
}

// sameVerdict checks that two verdicts say the same in all that is no name.
func sameVerdict(t *testing.T, want, got *Verdict) {
	t.Helper()
	if text := Differs(want, got); text != "" {
		t.Fatalf("the verdict is another one: %s", text)
	}
	meetings := func(v *Verdict) (list []evidence.Unanswered) {
		for _, f := range v.Failures {
			u := f.Unanswered
			if u.Line != "" {
				u.Line = "a method and a target"
			}
			list = append(list, u)
		}
		return list
	}
	if diff := cmp.Diff(meetings(want), meetings(got), cmpopts.IgnoreFields(evidence.Unanswered{}, "Why")); diff != "" {
		t.Errorf("failures (-before +redacted):\n%s", diff)
	}
	facts := func(v *Verdict) (list []string) {
		for _, s := range v.Servers {
			s.Facts.Address = ""
			text, err := json.Marshal(s.Facts)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, string(text))
		}
		slices.Sort(list)
		return list
	}
	if diff := cmp.Diff(facts(want), facts(got)); diff != "" {
		t.Errorf("servers (-before +redacted):\n%s", diff)
	}
	places := func(v *Verdict) (list []string) {
		for _, p := range v.Places {
			list = append(list, fmt.Sprintf("%d segments near %v, %d shakes, %.9f s", p.Segments, p.Near, p.Shakes, p.Clock))
		}
		return list
	}
	if diff := cmp.Diff(places(want), places(got)); diff != "" {
		t.Errorf("places (-before +redacted):\n%s", diff)
	}
	if want.Connects != got.Connects || want.Slow != got.Slow || !cmp.Equal(want.TimeWait, got.TimeWait) {
		t.Errorf("connects, slow responses or TIME_WAIT differ: %+v and %+v", want, got)
	}
}

// A redacted capture gives the same verdict, from each end, of both ends at once, cut to
// 60 bytes, and damaged.
func TestRedactedVerdict(t *testing.T) {
	w := idleRace()
	client := w.capture(t, true, 0, 0)
	kinds := map[string][]string{
		"client": {client}, "server": {w.capture(t, false, 0, 0)}, "client, 60 bytes": {w.capture(t, true, 0, 60)},
		"both": {client, w.capture(t, false, 3*time.Second, 0)},
	}
	for name, damage := range map[string]func(*rand.Rand, int, int) bool{
		"1 % missing":   func(r *rand.Rand, n, all int) bool { return r.IntN(100) == 0 },
		"the beginning": func(r *rand.Rand, n, all int) bool { return n < all/4 },
	} {
		w, _ := traffic(1, 20)
		random := rand.New(rand.NewPCG(1, 2))
		w.damage = func(n int) bool { return damage(random, n, len(w.list)) }
		kinds[name] = []string{w.capture(t, true, 0, 0)}
	}
	for name, files := range kinds {
		t.Run(name, func(t *testing.T) {
			want, path := shared(t, Options{Files: files})
			if !want.Found {
				t.Fatal("the capture has no failures to compare")
			}
			sameVerdict(t, want, examined(t, Options{Files: []string{path}}))
			checksums(t, path)
		})
	}
}

// A segment that comes in the wrong order, twice, or late is blanked as what it is.
func TestRedactedOutOfOrder(t *testing.T) {
	w := &world{}
	for n := range 40 {
		at := time.Duration(n) * 200 * time.Millisecond
		c := w.open(at)
		c.send(at+trip, true, data, "POST /a HTTP/1.1\r\nContent-Le", true)
		c.send(at+trip+1, true, data, "ngth: 40\r\n\r\nGET /secret HTTP/1.1\r\n", true)
		c.send(at+trip+2, true, data, "Cookie: secret\r\n\r\n", true)
		c.send(at+2*trip, false, data, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true)
		c.lastServed = at + 2*trip
		if n%4 == 0 {
			c.races(time.Second, time.Millisecond, "/late")
			continue
		}
		c.ends(c.closes(time.Second))
	}
	random := rand.New(rand.NewPCG(3, 4))
	for i := range w.list { // by a few positions
		w.list[i].sent += time.Duration(random.IntN(3))
	}
	want, path := shared(t, Options{Files: []string{w.capture(t, true, 0, 0)}})
	sameVerdict(t, want, examined(t, Options{Files: []string{path}}))
	if len(want.Failures) < 10 {
		t.Errorf("only %d failures were there to compare", len(want.Failures))
	}
}

// checksums checks the packets of a redacted capture: every checksum is valid, and there
// are no TCP options.
func checksums(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewNgReader(f, pcapgo.DefaultNgReaderOptions)
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for {
		b, info, err := r.ReadPacketData()
		if err != nil {
			break
		}
		if info.CaptureLength < info.Length {
			continue
		}
		p := gopacket.NewPacket(b, layers.LayerTypeIPv4, gopacket.Default)
		ip, _ := p.NetworkLayer().(*layers.IPv4)
		tcp, _ := p.TransportLayer().(*layers.TCP)
		if ip == nil || tcp == nil || len(tcp.Options) > 0 {
			t.Fatalf("packet %d is %v", checked+1, p)
		}
		if err := tcp.SetNetworkLayerForChecksum(ip); err != nil {
			t.Fatal(err)
		}
		again := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(again, gopacket.SerializeOptions{ComputeChecksums: true}, ip, tcp, gopacket.Payload(tcp.Payload)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(again.Bytes(), b) {
			t.Fatalf("packet %d: with valid checksums it is\n% x, not\n% x", checked+1, again.Bytes(), b)
		}
		checked++
	}
	if checked == 0 && !strings.Contains(t.Name(), "60_bytes") {
		t.Error("no packet was checked")
	}
}

// secrets are what a hostile capture has in its fields.
var secret = func() (list []string) {
	for n := range 20 {
		list = append(list, fmt.Sprintf("hunter%02dSecretKEY", n))
	}
	return list
}()

// Nothing that a capture says in any field is in the redacted one, in any encoding.
func TestSecretsAreRedacted(t *testing.T) {
	private, public, wide := netip.MustParseAddr("10.77.13.214"), netip.MustParseAddr("93.184.216.119"), netip.MustParseAddr("2a02:26f0:3f4e:9c71:b1d2:e3f4:1234:5678")
	path := hostile(t, private, public, wide)
	_, redactedPath := shared(t, Options{Files: []string{path}})
	before, _ := os.ReadFile(path)
	after, err := os.ReadFile(redactedPath)
	if err != nil {
		t.Fatal(err)
	}
	after = lower(after)
	forms := map[string]string{}
	for _, s := range secret {
		if !bytes.Contains(before, []byte(s)) {
			t.Errorf("%s is not in the capture, so that nothing is tested", s)
		}
		forms["the secret "+s] = s
	}
	for _, a := range []netip.Addr{private, public, wide} {
		forms["the address "+a.String()] = string(a.AsSlice())
		forms["the text of the address "+a.String()] = a.String()
	}
	forms["the MAC address"] = "\x02\xde\xad\xbe\xef\x77"
	forms["the port"] = "\xb5\x3c" + "\x7a\x69" // of the client and the server
	forms["the date"] = string(binary.LittleEndian.AppendUint32(nil, uint32(began.UnixNano()>>32)))
	forms["the TCP timestamp"] = "\x5e\xc2\xe7\x01"
	for what, text := range forms {
		for encoding, encoded := range encodings(text) {
			if bytes.Contains(after, lower([]byte(encoded))) {
				t.Errorf("%s is in the redacted capture, as %s", what, encoding)
			}
		}
	}
	segs := 0
	if _, err := capture.Read([]string{redactedPath}, func(_ int, s *segments.Segment) { segs++ }); err != nil || segs != 16 {
		t.Errorf("%d segments are in the redacted capture, %v", segs, err)
	}
}

// lower makes ASCII letters small, and leaves all other bytes as they are.
func lower(b []byte) []byte {
	b = slices.Clone(b)
	for i, c := range b {
		if 'A' <= c && c <= 'Z' {
			b[i] |= 0x20
		}
	}
	return b
}

// encodings returns a text in the forms in which it may be hidden.
func encodings(text string) map[string]string {
	b := []byte(text)
	reversed := slices.Clone(b)
	slices.Reverse(reversed)
	wide := []byte{}
	for _, c := range b {
		wide = append(wide, c, 0)
	}
	list := map[string]string{
		"it is": text, "its beginning": text[:max(len(text)-3, 4)], "hex": hex.EncodeToString(b), "reversed": string(reversed),
		"UTF-16": string(wide), "URL": url.QueryEscape(text),
	}
	for shift := range 3 { // where in the text before base64 it begins
		encoded := base64.StdEncoding.EncodeToString(append(make([]byte, shift), b...))
		list[fmt.Sprint("base64 ", shift)] = strings.TrimRight(encoded[(shift*8+5)/6:], "=")[:len(b)]
	}
	return list
}

// hostile writes a pcapng file with a secret in each field that can have one.
func hostile(t *testing.T, private, public, wide netip.Addr) string {
	t.Helper()
	var b bytes.Buffer
	out, err := pcapgo.NewNgWriterInterface(&b, pcapgo.NgInterface{
		Name: secret[0], Comment: secret[1], Description: secret[2], Filter: "host " + secret[3], OS: secret[4], LinkType: layers.LinkTypeEthernet, TimestampResolution: 9,
	}, pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Hardware: secret[5], OS: secret[6], Application: secret[7], Comment: secret[8]}})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	send := func(src, dst netip.Addr, up bool, seq, ack uint32, flags string, payload string) {
		n++
		client, server := layers.TCPPort(0xb53c), layers.TCPPort(0x7a69)
		tcp := &layers.TCP{SrcPort: client, DstPort: server, Seq: seq, Ack: ack, SYN: strings.Contains(flags, "S"), FIN: strings.Contains(flags, "F"), ACK: true, PSH: true}
		tcp.Options = []layers.TCPOption{{OptionType: layers.TCPOptionKindTimestamps, OptionLength: 10, OptionData: []byte{0x5e, 0xc2, 0xe7, 1, 0, 0, 0, 1}}}
		if flags == "S" && up {
			tcp.ACK = false
		}
		if !up {
			tcp.SrcPort, tcp.DstPort, src, dst = server, client, dst, src
		}
		ether := &layers.Ethernet{SrcMAC: []byte{2, 0xde, 0xad, 0xbe, 0xef, 0x77}, DstMAC: []byte{2, 0xde, 0xad, 0xbe, 0xef, 0x77}, EthernetType: layers.EthernetTypeIPv4}
		var ip gopacket.SerializableLayer = &layers.IPv4{Version: 4, TTL: 61, Protocol: layers.IPProtocolTCP, SrcIP: src.AsSlice(), DstIP: dst.AsSlice(), Id: uint16(n)}
		if src.Is6() {
			ether.EthernetType = layers.EthernetTypeIPv6
			ip = &layers.IPv6{Version: 6, HopLimit: 61, NextHeader: layers.IPProtocolTCP, SrcIP: src.AsSlice(), DstIP: dst.AsSlice()}
		}
		tcp.SetNetworkLayerForChecksum(ip.(gopacket.NetworkLayer))
		frame := gopacket.NewSerializeBuffer()
		if err := gopacket.SerializeLayers(frame, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, ether, ip, tcp, gopacket.Payload(payload)); err != nil {
			t.Fatal(err)
		}
		info := gopacket.CaptureInfo{Timestamp: began.Add(time.Duration(n) * time.Millisecond), CaptureLength: len(frame.Bytes()), Length: len(frame.Bytes())}
		if err := out.WritePacketWithOptions(info, frame.Bytes(), pcapgo.NgPacketOptions{Comments: []string{secret[9]}}); err != nil {
			t.Fatal(err)
		}
	}
	talk := func(src, dst netip.Addr, pieces ...string) {
		seq, ack := uint32(1000*n+1), uint32(5000*n+7)
		send(src, dst, true, seq, 0, "S", "")
		send(src, dst, false, ack, seq+1, "S", "")
		seq, ack = seq+1, ack+1
		for _, piece := range pieces {
			up := !strings.HasPrefix(piece, "<")
			piece = strings.TrimPrefix(piece, "<")
			if up {
				send(src, dst, true, seq, ack, "", piece)
				seq += uint32(len(piece))
			} else {
				send(src, dst, false, ack, seq, "", piece)
				ack += uint32(len(piece))
			}
		}
		send(src, dst, false, ack, seq, "F", "")
	}
	talk(private, public, "POST /"+secret[10]+"?k="+secret[10]+" HTTP/1.1\r\nHost: "+secret[11]+"\r\n"+secret[12]+": 1\r\nConnection: "+secret[12]+"\r\nAuthorization: "+secret[13]+
		"\r\nContent-Length: 40\r\n\r\n"+(secret[14] + strings.Repeat("-", 40))[:40],
		"<HTTP/1.1 200 "+secret[15]+"\r\nKeep-Alive: timeout=5, "+secret[16]+"="+secret[16]+"\r\nTransfer-Encoding: chunked\r\n\r\n10;"+secret[16]+"\r\n"+secret[17][:16]+"\r\n0\r\n"+secret[17]+": a\r\n\r\n",
		secret[17]+" / HTTP/1.1\r\n\r\n")
	hello := "\x01\x00\x00\x40" + secret[18]
	talk(private, public.Next(), "\x16\x03\x01\x00"+string(rune(len(hello)))+hello, "<\x16\x03\x03\x00"+string(rune(len(secret[18])))+secret[18])
	talk(wide, netip.MustParseAddr("2a02:26f0:3f4e:9c71:b1d2:e3f4:1234:5678").Next(), secret[19]+"\r\n", "<"+secret[19]+"\r\n")
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	names := secret[19] + "." + secret[5]
	record := append(slices.Clone(private.AsSlice()), names+"\x00"...)
	block := binary.LittleEndian.AppendUint16(nil, 1) // a name of an IPv4 address
	block = binary.LittleEndian.AppendUint16(block, uint16(len(record)))
	block = append(block, record...)
	for len(block)%4 != 0 {
		block = append(block, 0)
	}
	block = append(block, 0, 0, 0, 0)
	for _, kind := range []uint32{4, 0x0bad, 0x0000000a} { // names, a program's own, TLS secrets
		b.Write(binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, kind), uint32(len(block)+12)))
		b.Write(block)
		b.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(block)+12)))
	}
	path := filepath.Join(t.TempDir(), "hostile.pcapng")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestLargeRedacted redacts a capture of KABENCH_CAPTURE_MB megabytes (default 8), and says
// how long it took and how much memory.
func TestLargeRedacted(t *testing.T) {
	size := 8
	if text := os.Getenv("KABENCH_CAPTURE_MB"); text != "" {
		fmt.Sscan(text, &size)
	}
	path := filepath.Join(t.TempDir(), "large.pcap")
	large(t, path, int64(size)<<20)
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	begin := time.Now()
	f, err := os.Create(filepath.Join(t.TempDir(), "redacted.pcapng"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w, g := redact.NewWriter(f), NewGatherer(netip.AddrPort{})
	v := examined(t, Options{Files: []string{path}, Segment: func(place int, s *segments.Segment) {
		w.Take(place, s)
		g.Take(place, s)
	}})
	if err := w.End(); err != nil {
		t.Fatal(err)
	}
	seen := g.End(v, v.Servers[0].Address)
	t.Logf("%d MiB, %d packets: %v, at most %d MiB; %d of %d requests are gathered", size, v.Packets, time.Since(begin).Round(time.Millisecond), peak(t)>>20, len(seen.Requests), v.Requests)
	if text := Differs(v, examined(t, Options{Files: []string{f.Name()}})); text != "" {
		t.Error(text)
	}
	if len(seen.Requests)+seen.Left != v.Requests {
		t.Errorf("%d requests are gathered and %d left out, of %d", len(seen.Requests), seen.Left, v.Requests)
	}
}
