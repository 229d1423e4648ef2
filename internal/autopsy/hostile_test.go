package autopsy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// One connection that goes on for ever, whatever it carries, takes a bounded memory and
// gives a verdict.
func TestEndlessConnections(t *testing.T) {
	const n = 20_000
	for name, c := range map[string]struct {
		first string // of the client
		reply string // to it
		up    func(i int) string
		down  func(i int) string
	}{
		"a request head":      {first: "GET / HTTP/1.1\r\n", up: func(int) string { return "X: " + strings.Repeat("a", 1000) + "\r\n" }},
		"a request line":      {first: "GET /", up: func(int) string { return strings.Repeat("a", 1000) }},
		"a response head":     {first: "GET / HTTP/1.1\r\n\r\n", reply: "HTTP/1.1 200 OK\r\n", down: func(int) string { return "X: " + strings.Repeat("a", 1000) + "\r\n" }},
		"interim responses":   {first: "GET / HTTP/1.1\r\n\r\n", down: func(int) string { return "HTTP/1.1 102 Wait\r\n\r\n" }},
		"small chunks":        {first: "GET / HTTP/1.1\r\n\r\n", reply: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", down: func(int) string { return "1\r\na\r\n" }},
		"a chunk's extension": {first: "GET / HTTP/1.1\r\n\r\n", reply: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;", down: func(int) string { return strings.Repeat("a", 1000) }},
		"pipelined requests":  {up: func(int) string { return strings.Repeat("GET / HTTP/1.1\r\n\r\n", 50) }},
		"lengths that lie": {up: func(int) string {
			return "POST / HTTP/1.1\r\nContent-Length: 9223372036854775807\r\nContent-Length: -1\r\n\r\n"
		}},
		"responses alone": {down: func(int) string { return "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" }},
		"TLS records":     {up: func(int) string { return "\x16\x03\x01\x00\x01\x01\x17\x03\x03\x00\x13" + strings.Repeat("a", 19) }},
		"blank lines":     {up: func(int) string { return strings.Repeat("\r\n", 500) }},
	} {
		for _, holes := range []bool{false, true} {
			w := &world{}
			talk := w.open(0)
			if c.first != "" {
				talk.send(trip, true, data, c.first, true)
			}
			if c.reply != "" {
				talk.send(2*trip, false, data, c.reply, true)
			}
			for i := range n {
				at := 3*trip + time.Duration(i)*time.Millisecond
				if c.up != nil {
					talk.send(at, true, data, c.up(i), true)
				}
				if c.down != nil {
					talk.send(at, false, data, c.down(i), true)
				}
			}
			if holes { // every third packet is missing
				w.damage = func(n int) bool { return n > 6 && n%3 == 0 }
			}
			path := w.capture(t, true, 0, 0)
			w.list = nil
			var v *Verdict
			if used := highest(func() { v = examined(t, Options{Files: []string{path}}) }); used > 100<<20 {
				t.Errorf("%s, holes %v: %d MiB", name, holes, used>>20)
			}
			if v.Connections != 1 || v.Headline == "" || len(v.Headline) > 1000 {
				t.Errorf("%s, holes %v: %d connections: %s", name, holes, v.Connections, v.Headline)
			}
		}
	}
}

// A clock that jumps, back or far ahead, is said, and nothing is invented.
func TestClockJumps(t *testing.T) {
	for name, jump := range map[string]time.Duration{"back": -time.Hour, "ahead": 30 * 365 * 24 * time.Hour, "to 1970": -56 * 365 * 24 * time.Hour} {
		w := &world{}
		for n := range 20 {
			at := time.Duration(n) * 300 * time.Millisecond
			c := w.open(at)
			c.exchange(at+trip, "/a")
			c.ends(c.closes(5 * time.Second))
		}
		list := sorted(w.list, func(s sighting) time.Duration { return s.sent })
		for i := range list {
			if i > len(list)/2 {
				list[i].sent += jump
			}
		}
		path := inOrder(t, list)
		v := examined(t, Options{Files: []string{path}})
		if v.Found || v.Connections == 0 {
			t.Errorf("%s: %s", name, v.Headline)
		}
		if jump < 0 && !strings.Contains(strings.Join(v.Notes, " "), "went back") {
			t.Errorf("%s: notes %q", name, v.Notes)
		}
	}
}

// inOrder writes segments in the order in which they are, whatever their times.
func inOrder(t *testing.T, list []sighting) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "jump.pcap")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := pcapgo.NewWriterNanos(f)
	if err := out.WriteFileHeader(262144, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	for _, s := range list {
		packet := packed(&s.Segment, 64)
		if err := out.WritePacket(gopacket.CaptureInfo{Timestamp: began.Add(s.sent), CaptureLength: len(packet), Length: len(packet)}, packet); err != nil {
			t.Fatal(err)
		}
	}
	return path
}
