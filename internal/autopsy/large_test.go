package autopsy

import (
	"bufio"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// TestLargeCapture reads a capture of KABENCH_CAPTURE_MB megabytes (default 8) and says
// how long it took and how much memory. The promise is 1 GB in 30 s and 300 MB.
func TestLargeCapture(t *testing.T) {
	size := 8
	if text := os.Getenv("KABENCH_CAPTURE_MB"); text != "" {
		var err error
		if size, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "large.pcap")
	requests, races := large(t, path, int64(size)<<20)
	defer debug.SetGCPercent(debug.SetGCPercent(50))
	begin := time.Now()
	v := examined(t, Options{Files: []string{path}})
	took := time.Since(begin)
	t.Logf("%d MiB, %d packets, %d requests: %v, at most %d MiB", size, v.Packets, v.Requests, took.Round(time.Millisecond), peak(t)>>20)
	if v.Requests != requests || v.Met["crossed"] != races || v.Servers[0].Facts.Idle.Median.Round(time.Millisecond) != 5*time.Second {
		t.Errorf("%d requests and %v, want %d and %d; %s", v.Requests, v.Met, requests, races, v.Headline)
	}
}

// large writes a capture of connections that carry five exchanges each and are closed by
// the server. One in 100 carries a sixth request, which crosses the close.
func large(t *testing.T, path string, size int64) (requests, races int) {
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := bufio.NewWriterSize(f, 1<<20)
	out := pcapgo.NewWriterNanos(b)
	if err := out.WriteFileHeader(262144, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	// A block of connections repeats, later and from other ports.
	w := &world{}
	for n := range 1000 {
		at := time.Duration(n) * time.Millisecond
		c := w.open(at)
		for i := range 5 {
			c.exchange(at+trip+time.Duration(i)*200*time.Millisecond, fmt.Sprintf("/%d?page=%d", n, i))
		}
		if n%100 == 0 {
			c.races(5*time.Second, 2*time.Millisecond, "/late")
		} else {
			c.ends(c.closes(5 * time.Second))
		}
	}
	atClient := func(s sighting) time.Duration {
		if s.up {
			return s.sent
		}
		return s.sent + trip/2
	}
	list := sorted(w.list, atClient)
	written := int64(0)
	for block := 0; written < size; block++ {
		requests, races = requests+5010, races+10
		for _, s := range list {
			addr := netip.AddrFrom4([4]byte{10, 1, byte(block >> 8), byte(block)})
			if s.Src == serverEnd {
				s.Dst = netip.AddrPortFrom(addr, s.Dst.Port())
			} else {
				s.Src = netip.AddrPortFrom(addr, s.Src.Port())
			}
			packet := packed(&s.Segment, 64)
			info := gopacket.CaptureInfo{Timestamp: began.Add(time.Duration(block)*7*time.Second + atClient(s)), CaptureLength: len(packet), Length: len(packet)}
			if err := out.WritePacket(info, packet); err != nil {
				t.Fatal(err)
			}
			written += int64(16 + len(packet))
		}
	}
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
	return requests, races
}

// peak returns the most memory that this process has had, in bytes; 0: not known.
func peak(t *testing.T) int64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if n, _ := fmt.Sscanf(line, "VmHWM: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}
