package capture

import (
	"bufio"
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"net/netip"

	"github.com/kabench/kabench/internal/evidence/segments"
)

var equal = cmp.Options{cmpopts.EquateComparable(netip.AddrPort{})}

// all returns the segments of captures, by place.
func all(t testing.TB, files ...string) ([][]segments.Segment, *Summary) {
	t.Helper()
	var got [][]segments.Segment
	sum, err := Read(files, func(place int, s *segments.Segment) {
		for len(got) <= place {
			got = append(got, nil)
		}
		s2 := *s
		s2.Payload = bytes.Clone(s.Payload)
		got[place] = append(got[place], s2)
	})
	if err != nil {
		t.Fatal(err)
	}
	return got, sum
}

func TestLinkTypes(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		var want []segments.Segment
		for n := range 3 {
			want = append(want, segment(n, v6))
		}
		links := []int{linkNull, linkEthernet, linkRawBSD, linkRaw, linkLoop, linkSLL, linkSLL2, linkIPv4}
		for _, link := range links {
			var frames [][]byte
			for _, s := range want {
				frames = append(frames, framed(link, ip(&s)))
			}
			plain := pcapFile(t, link, 0, day, frames...)
			files := map[string][]byte{"pcap": plain, "gzip": gzipped(plain), "zstd": zstdded(plain), "pcapng": ngFile(t, []int{link}, day, frames...)}
			if link == linkEthernet {
				var tagged, padded [][]byte
				for _, f := range frames {
					tagged = append(tagged, vlan(f))
					padded = append(padded, append(bytes.Clone(f), 0, 0, 0))
				}
				files["vlan"], files["padded"] = pcapFile(t, link, 0, day, tagged...), pcapFile(t, link, 0, day, padded...)
			}
			for name, b := range files {
				got, sum := all(t, kept(t, "a", b))
				if diff := cmp.Diff([][]segments.Segment{want}, got, equal); diff != "" {
					t.Errorf("link type %d, %s, IPv6 %v (-want +got):\n%s", link, name, v6, diff)
				}
				if sum.Segments != 3 || sum.Cut != 0 || len(sum.Notes) != 0 || !sum.Begin.Equal(day) || sum.End.Sub(day) != 2*time.Millisecond {
					t.Errorf("link type %d, %s: %+v", link, name, sum)
				}
			}
		}
	}
}

func TestSnapLength(t *testing.T) {
	s := segment(0, false)
	s.Payload = bytes.Repeat([]byte("x"), 1000)
	s.Len = 1000
	got, sum := all(t, kept(t, "a", pcapFile(t, linkEthernet, 96, day, framed(linkEthernet, ip(&s)))))
	if g := got[0][0]; g.Len != 1000 || len(g.Payload) != 96-14-20-32 || sum.Cut != 1 {
		t.Errorf("%d of %d bytes, %d cut", len(g.Payload), g.Len, sum.Cut)
	}
}

func TestExtensionsAndFragments(t *testing.T) {
	s := segment(0, true)
	options := []byte{60, 0, 0, 0, 0, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0} // hop-by-hop, destination options
	first := []byte{protocolTCP, 0, 0, 1, 0, 0, 0, 9}
	later := []byte{protocolTCP, 0, 0, 9, 0, 0, 0, 9}
	got, sum := all(t, kept(t, "a", pcapFile(t, linkRaw, 0, day, ip(&s, append(bytes.Clone(options), first...)...), ip(&s, append(bytes.Clone(options), later...)...))))
	if diff := cmp.Diff([][]segments.Segment{{s}}, got, equal); diff != "" || sum.Fragments != 1 {
		t.Errorf("%d fragments (-want +got):\n%s", sum.Fragments, diff)
	}
	// The length of a segment that the network card cuts is not in the header.
	s = segment(0, false)
	b := ip(&s)
	b[2], b[3] = 0, 0
	got, _ = all(t, kept(t, "a", pcapFile(t, linkRaw, 0, day, b)))
	if diff := cmp.Diff([][]segments.Segment{{s}}, got, equal); diff != "" {
		t.Errorf("without a length (-want +got):\n%s", diff)
	}
}

func frames(link int, from, to int) (list [][]byte) {
	for n := from; n < to; n++ {
		s := segment(n, false)
		list = append(list, framed(link, ip(&s)))
	}
	return list
}

func TestSeveralFiles(t *testing.T) {
	one := kept(t, "one", pcapFile(t, linkEthernet, 0, day, frames(linkEthernet, 0, 10)...))
	two := kept(t, "two", pcapFile(t, linkEthernet, 0, day.Add(10*time.Millisecond), frames(linkEthernet, 10, 20)...))
	three := kept(t, "three", pcapFile(t, linkEthernet, 0, day.Add(20*time.Second), frames(linkEthernet, 20, 30)...))
	got, sum := all(t, three, two, one)
	if len(got) != 1 || len(got[0]) != 30 || len(sum.Places) != 1 || len(sum.Places[0].Files) != 3 {
		t.Fatalf("rotated files: %d places, %+v", len(got), sum.Places)
	}
	for i, s := range got[0] {
		if s.Seq != uint32(100+5*i) || i > 0 && s.At < got[0][i-1].At {
			t.Fatalf("segment %d is %+v", i, s)
		}
	}
	long := kept(t, "long", pcapFile(t, linkEthernet, 0, day, frames(linkEthernet, 0, 2000)...))
	other := kept(t, "other", pcapFile(t, linkEthernet, 0, day.Add(time.Second), frames(linkEthernet, 0, 10)...))
	got, sum = all(t, other, long)
	if len(got) != 2 || len(got[0]) != 2000 || got[1][0].At != time.Second {
		t.Errorf("captures of two places: %+v", sum.Places)
	}
	got, sum = all(t, kept(t, "ng", ngFile(t, []int{linkRaw, linkRaw}, day, frames(linkRaw, 0, 10)...)))
	if len(got) != 2 || len(got[1]) != 5 || sum.Places[1].Interface != "server" {
		t.Errorf("two interfaces: %+v", sum.Places)
	}
	got, _ = all(t, kept(t, "mixed", ngFile(t, []int{linkRaw, linkEthernet}, day, frames(linkRaw, 0, 1)[0], frames(linkEthernet, 1, 2)[0])))
	if len(got) != 2 || len(got[1]) != 1 {
		t.Errorf("interfaces of two link types: %d places", len(got))
	}
}

func TestDamagedFiles(t *testing.T) {
	whole := pcapFile(t, linkEthernet, 0, day, frames(linkEthernet, 0, 10)...)
	ng := ngFile(t, []int{linkEthernet}, day, frames(linkEthernet, 0, 10)...)
	for name, b := range map[string][]byte{
		"within a packet": whole[:len(whole)-3], "behind a header": whole[:len(whole)-len(frames(linkEthernet, 9, 10)[0])],
		"within a header": whole[:len(whole)-len(frames(linkEthernet, 9, 10)[0])-5], "pcapng": ng[:len(ng)-9],
		"gzip": gzipped(whole)[:len(gzipped(whole))-12], "zstd": append(zstdded(whole[:len(whole)/2]), zstdded(whole[len(whole)/2:])[:20]...),
	} {
		path := kept(t, "a", b)
		got, sum := func() (n int, sum *Summary) {
			sum, err := Read([]string{path}, func(int, *segments.Segment) { n++ })
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			return n, sum
		}()
		if sum == nil {
			continue
		}
		if got < 4 || len(sum.Notes) != 1 || !strings.Contains(sum.Notes[0], "the packets before were read") {
			t.Errorf("%s: %d segments, %q", name, got, sum.Notes)
		}
	}
}

func TestErrors(t *testing.T) {
	udp := framed(linkEthernet, ip(&segments.Segment{Src: segment(0, false).Src, Dst: segment(0, false).Dst}))
	udp[14+9] = 17
	for _, c := range []struct {
		b    []byte
		want string
	}{
		{nil, "is empty: capture again"},
		{[]byte("12:00 GET / 200"), "is no packet capture: it is a text; make one with tcpdump"},
		{[]byte("PK\x03\x04zip"), "a zip archive"},
		{[]byte{1, 2, 3, 4, 5}, "it begins with 01 02 03 04"},
		{[]byte{0xd4, 0xc3, 0xb2, 0xa1, 2}, "its header cannot be read"},
		{[]byte{0x0a, 0x0d, 0x0d, 0x0a, 2}, "its header cannot be read"},
		{[]byte{0x1f, 0x8b, 9, 9}, "cannot be unpacked"},
		{zstdded(bytes.Repeat([]byte("abc"), 99))[:12], "cannot be read: unexpected EOF"},
		{pcapFile(t, linkEthernet, 0, day), "no packet was captured"},
		{pcapFile(t, linkEthernet, 0, day, udp), "none of the 1 packets is TCP"},
		{pcapFile(t, 127, 0, day, udp), "link type 127, which kabench does not read"},
		{pcapFile(t, linkEthernet, 40, day, frames(linkEthernet, 0, 2)...), "cut before the end of their TCP headers"},
	} {
		_, err := Read([]string{kept(t, "FILE", c.b)}, func(int, *segments.Segment) {})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("got %v, want %q", err, c.want)
		}
	}
	dir := t.TempDir()
	path := kept(t, "a", pcapFile(t, linkEthernet, 0, day, frames(linkEthernet, 0, 2)...))
	for want, files := range map[string][]string{
		"is a directory": {dir}, "no such file": {dir + "/x"}, "is named twice": {path, path}, "no capture was named": {}, "must be the only capture": {path, Stdin},
	} {
		if _, err := Read(files, func(int, *segments.Segment) {}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// FuzzRead reads arbitrary bytes as captures, whole and compressed.
func FuzzRead(f *testing.F) {
	for _, link := range []int{linkEthernet, linkSLL2, linkRaw, linkNull} {
		b := pcapFile(f, link, 0, day, frames(link, 0, 3)...)
		f.Add(b)
		f.Add(b[:len(b)-7])
		f.Add(gzipped(b))
		f.Add(zstdded(b))
		f.Add(ngFile(f, []int{link, link}, day, frames(link, 0, 3)...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		in := &file{name: "a", close: func() {}}
		defer func() { in.close() }()
		if err := in.begin(bufio.NewReader(bytes.NewReader(b))); err != nil {
			if err.Error() == "" || strings.Contains(err.Error(), "\n") {
				t.Errorf("%q", err)
			}
			return
		}
		var p packet
		var s segments.Segment
		for n := 0; n < 1e5 && in.next(&p) == nil; n++ {
			in.channel(p.channel)
			if decode(p.link, p.data, p.size, &s) == isTCP && (s.Len < 0 || len(s.Payload) > s.Len || !s.Src.IsValid()) {
				t.Fatalf("%+v", s)
			}
		}
	})
}

// BenchmarkRead reads small segments: b.SetBytes counts the bytes of the file.
func BenchmarkRead(b *testing.B) {
	raw := pcapFile(b, linkEthernet, 0, day, frames(linkEthernet, 0, 100000)...)
	path := kept(b, "a", raw)
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		n := 0
		if _, err := Read([]string{path}, func(int, *segments.Segment) { n++ }); err != nil || n != 100000 {
			b.Fatal(err, n)
		}
	}
}
