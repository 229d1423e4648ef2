package autopsy

import (
	"bufio"
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/kabench/kabench/internal/evidence/segments"
)

// TestTinyConnections reads captures of KABENCH_TINY connections (default 60,000) that
// carry at most one request each, and logs how much memory that took.
func TestTinyConnections(t *testing.T) {
	if testing.Short() {
		t.Skip("-short leaves large captures out")
	}
	n := 60_000
	if text := os.Getenv("KABENCH_TINY"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	get, ok := "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	const syn, ack, fin, rst = segments.FlagSYN, segments.FlagACK, segments.FlagFIN, segments.FlagRST
	one := netip.MustParseAddrPort("10.0.0.1:80")
	for name, c := range map[string]struct {
		servers bool // each connection has a server of its own
		same    bool // each begins with the same number
		list    []piece
		failed  bool
	}{
		"only a SYN":                     {list: []piece{{true, syn, ""}}},
		"a request that is refused":      {list: []piece{{true, syn, ""}, {false, syn | ack, ""}, {true, ack, get}, {false, rst | ack, ""}}, failed: true},
		"a request, never closed":        {list: []piece{{true, syn, ""}, {false, syn | ack, ""}, {true, ack, get}}},
		"a whole exchange":               {list: []piece{{true, syn, ""}, {false, syn | ack, ""}, {true, ack, get}, {false, ack, ok}, {true, fin | ack, ""}, {false, fin | ack, ""}}},
		"each to a server of its own":    {servers: true, list: []piece{{true, syn, ""}, {false, syn | ack, ""}, {true, ack, get}, {false, ack, ok}, {false, fin | ack, ""}}},
		"each fails at another server":   {servers: true, list: []piece{{true, syn, ""}, {false, syn | ack, ""}, {true, ack, get}, {false, rst | ack, ""}}, failed: true},
		"from the middle, without SYNs":  {servers: true, list: []piece{{true, ack, get}, {false, ack, ok}}},
		"all begin with the same number": {servers: true, same: true, list: []piece{{true, syn, ""}, {false, syn | ack, ""}, {true, ack, get}}},
	} {
		t.Run(name, func(t *testing.T) {
			defer debug.SetGCPercent(debug.SetGCPercent(50)) // as the command does
			path := filepath.Join(t.TempDir(), "tiny.pcap")
			tiny(t, path, n, func(i int) netip.AddrPort {
				if c.servers {
					return netip.AddrPortFrom(netip.AddrFrom4([4]byte{172, byte(i >> 16), byte(i >> 8), byte(i)}), 80)
				}
				return one
			}, c.same, c.list)
			begin := time.Now()
			var v *Verdict
			used := highest(func() { v = examined(t, Options{Files: []string{path}}) })
			t.Logf("%d connections, %d packets: %v, at most %d MiB; %s", n, v.Packets, time.Since(begin).Round(time.Millisecond), used>>20, v.Headline)
			if v.Connections != n || used > 500<<20 {
				t.Errorf("%d connections were counted, and %d MiB used", v.Connections, used>>20)
			}
			if c.failed != v.Found || len(v.Failures) > MaxListed || len(v.Servers) > maxServers || len(v.Clients) > maxClients {
				t.Errorf("found %v, %d failures, %d servers and %d clients are listed", v.Found, len(v.Failures), len(v.Servers), len(v.Clients))
			}
		})
	}
}

// piece is a segment of a tiny connection.
type piece struct {
	up    bool
	flags segments.Flags
	text  string
}

// tiny writes a capture of n connections, each from an address of its own.
func tiny(t *testing.T, path string, n int, server func(int) netip.AddrPort, same bool, list []piece) {
	t.Helper()
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
	for i := range n {
		var from [4]byte
		binary.BigEndian.PutUint32(from[:], 11<<24+uint32(i))
		ends := [2]netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4(from), 40000), server(i)}
		next := [2]uint32{1000, 2000}
		if !same {
			next = [2]uint32{uint32(i) * 77_777, uint32(i) * 99_999}
		}
		for j, p := range list {
			side := 1
			if p.up {
				side = 0
			}
			s := segments.Segment{Src: ends[side], Dst: ends[1-side], Flags: p.flags, Seq: next[side], Len: len(p.text), Payload: []byte(p.text)}
			if p.flags&segments.FlagACK != 0 {
				s.Ack = next[1-side]
			}
			next[side] += uint32(len(p.text))
			if p.flags&(segments.FlagSYN|segments.FlagFIN) != 0 {
				next[side]++
			}
			packet := packed(&s, 64)
			at := began.Add(time.Duration(i)*20*time.Microsecond + time.Duration(j)*time.Microsecond)
			if err := out.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(packet), Length: len(packet)}, packet); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := b.Flush(); err != nil {
		t.Fatal(err)
	}
}

// highest returns the most bytes of the heap that were in use while do ran.
func highest(do func()) uint64 {
	runtime.GC()
	var most atomic.Uint64
	done, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most.Store(max(most.Load(), m.HeapInuse))
			select {
			case <-done:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	do()
	close(done)
	<-stopped
	return most.Load()
}
