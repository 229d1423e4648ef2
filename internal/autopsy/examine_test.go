package autopsy

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/evidence/segments"
)

// trip is the round trip of the worlds.
const trip = 10 * time.Millisecond

// sighting is a segment that passes both ends of a link.
type sighting struct {
	segments.Segment
	sent time.Duration // at its sender; the other end sees it half a trip later
	up   bool          // from the client
}

// world makes connections to one server and keeps their segments.
type world struct {
	list   []sighting
	port   uint16
	damage func(n int) bool // the n-th packet is missing in the capture; nil: none is
	gone   int              // requests that meet a close and are missing
}

var (
	clientAddr = netip.MustParseAddr("10.0.0.1")
	serverEnd  = netip.MustParseAddrPort("10.25.3.7:8080")
)

// talker is a connection of a world.
type talker struct {
	w          *world
	end        netip.AddrPort
	seq, ack   [2]uint32 // of the client and of the server: the next number, and what was acknowledged
	ids        [2]uint16
	toMiddle   bool
	lastServed time.Duration
}

func (w *world) open(at time.Duration) *talker {
	w.port++
	c := &talker{w: w, end: netip.AddrPortFrom(clientAddr, 40000+w.port), seq: [2]uint32{uint32(w.port) * 1000, 77}}
	c.send(at, true, segments.FlagSYN, "", false)
	c.send(at+trip/2, false, segments.FlagSYN|segments.FlagACK, "", true)
	c.send(at+trip, true, segments.FlagACK, "", true)
	return c
}

// send sends a segment at a time of its sender. knows says whether it acknowledges all
// that the other side has sent; else it repeats what it acknowledged before.
func (c *talker) send(at time.Duration, up bool, flags segments.Flags, payload string, knows bool) {
	side, other := 1, 0
	s := segments.Segment{Src: serverEnd, Dst: c.end, Flags: flags, Payload: []byte(payload), Len: len(payload), HasID: true}
	if up {
		side, other = 0, 1
		s.Src, s.Dst = c.end, serverEnd
	}
	c.ids[side]++
	s.Seq, s.ID = c.seq[side], c.ids[side]
	if knows {
		c.ack[side] = c.seq[other]
	}
	if flags&segments.FlagACK != 0 {
		s.Ack = c.ack[side]
	}
	c.seq[side] += uint32(len(payload))
	if flags&(segments.FlagSYN|segments.FlagFIN) != 0 {
		c.seq[side]++
	}
	c.w.list = append(c.w.list, sighting{s, at, up})
}

const data = segments.FlagPSH | segments.FlagACK

// exchange sends a request at the time at and its response; it returns when the
// response is at the client.
func (c *talker) exchange(at time.Duration, target string) time.Duration {
	c.send(at, true, data, "GET "+target+" HTTP/1.1\r\nHost: a\r\n\r\n", true)
	c.send(at+trip/2+time.Millisecond, false, data, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true)
	c.lastServed = at + trip/2 + time.Millisecond
	c.send(at+trip+time.Millisecond, true, segments.FlagACK, "", true)
	return at + trip + time.Millisecond
}

// closes makes the server close, idle after its last response.
func (c *talker) closes(after time.Duration) (at time.Duration) {
	at = c.lastServed + after
	c.send(at, false, segments.FlagFIN|segments.FlagACK, "", true)
	return at
}

// ends makes the client answer the server's FIN.
func (c *talker) ends(at time.Duration) {
	c.send(at+trip/2, true, segments.FlagFIN|segments.FlagACK, "", true)
	c.send(at+trip, false, segments.FlagACK, "", true)
}

// races makes a request cross the server's FIN.
func (c *talker) races(after, before time.Duration, target string) {
	fin := c.closes(after)
	request := fin + trip/2 - before // the FIN is not there yet
	c.send(request, true, data, "GET "+target+" HTTP/1.1\r\nHost: a\r\n\r\n", false)
	c.send(fin+trip/2, true, segments.FlagACK, "", true)
	rst := segments.Segment{Src: serverEnd, Dst: c.end, Flags: segments.FlagRST, Seq: c.ack[0] - 1}
	c.w.list = append(c.w.list, sighting{rst, request + trip/2, false})
}

var began = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// capture writes the world as it is seen at one end, whose clock is ahead, and returns
// the file. snap bounds the bytes of each packet; 0: all.
func (w *world) capture(t testing.TB, atClient bool, ahead time.Duration, snap int) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), map[bool]string{true: "client.pcap", false: "server.pcap"}[atClient])
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := pcapgo.NewWriterNanos(f)
	if err := out.WriteFileHeader(262144, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	at := func(s sighting) time.Duration {
		if s.up != atClient {
			return s.sent + trip/2 + ahead
		}
		return s.sent + ahead
	}
	for n, s := range sorted(w.list, at) {
		if w.damage != nil && w.damage(n) {
			if strings.HasPrefix(string(s.Payload), "GET /late") {
				w.gone++
			}
			continue
		}
		ttl := byte(64)
		if s.up != atClient {
			ttl = 57
		}
		packet := packed(&s.Segment, ttl)
		kept := packet
		if snap > 0 {
			kept = packet[:min(snap, len(packet))]
		}
		if err := out.WritePacket(gopacket.CaptureInfo{Timestamp: began.Add(at(s)), CaptureLength: len(kept), Length: len(packet)}, kept); err != nil {
			t.Fatal(err)
		}
	}
	return path
}

func sorted(list []sighting, at func(sighting) time.Duration) []sighting {
	return slices.SortedStableFunc(slices.Values(list), func(a, b sighting) int { return cmp.Compare(at(a), at(b)) })
}

func packed(s *segments.Segment, ttl byte) []byte {
	b := make([]byte, 40, 40+len(s.Payload))
	b[0], b[6], b[8], b[9] = 0x45, 0x40, ttl, 6
	binary.BigEndian.PutUint16(b[2:], uint16(40+len(s.Payload)))
	binary.BigEndian.PutUint16(b[4:], s.ID)
	src, dst := s.Src.Addr().As4(), s.Dst.Addr().As4()
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	binary.BigEndian.PutUint16(b[20:], s.Src.Port())
	binary.BigEndian.PutUint16(b[22:], s.Dst.Port())
	binary.BigEndian.PutUint32(b[24:], s.Seq)
	binary.BigEndian.PutUint32(b[28:], s.Ack)
	b[32], b[33] = 5<<4, byte(s.Flags)
	return append(b, s.Payload...)
}

// idleRace is a world in which three of 43 requests cross the server's close.
func idleRace() *world {
	w := &world{}
	for n := range 20 {
		at := time.Duration(n) * 337 * time.Millisecond
		c := w.open(at)
		c.exchange(at+trip, "/a")
		done := c.exchange(at+700*time.Millisecond, "/b")
		if n < 3 {
			c.races(5*time.Second, 2*time.Millisecond, fmt.Sprintf("/late?n=%d&token=hunter2", n))
			continue
		}
		_ = done
		c.ends(c.closes(5 * time.Second))
	}
	return w
}

func examined(t testing.TB, o Options) *Verdict {
	t.Helper()
	v, err := Examine(o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// The verdict is the same from the client's capture, from the server's, from both with
// clocks that differ, and without most of the payload.
func TestRaceFromEachEnd(t *testing.T) {
	w := idleRace()
	client, server := w.capture(t, true, 0, 0), w.capture(t, false, 0, 0)
	for name, files := range map[string][]string{
		"client": {client}, "server": {server}, "client, 60 bytes": {w.capture(t, true, 0, 60)},
		"both": {client, w.capture(t, false, 3*time.Second, 0)}, "both, an hour apart": {client, w.capture(t, false, time.Hour, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			v := examined(t, Options{Files: files})
			if v.Requests != 43 || v.Connections != 20 || len(v.Failures) != 3 || v.Met["crossed"] != 3 || v.Incident != "idle-race" {
				t.Fatalf("%d requests on %d connections, %v, %q", v.Requests, v.Connections, v.Met, v.Incident)
			}
			want := "3 of 43 requests met the server's close: 10.25.3.7:8080 closes idle connections after 5.00 s"
			if !strings.HasPrefix(v.Headline, want) || !strings.Contains(v.Headline, "their connections had been idle for ") || !strings.Contains(v.Headline, "they crossed the close, ") {
				t.Errorf("got %s\nwant %s ...", v.Headline, want)
			}
			if idle := v.Servers[0].Facts.Idle; idle.Closes < 17 || idle.Low > 5*time.Second || idle.High < 5*time.Second || idle.High-idle.Low > 20*time.Millisecond {
				t.Errorf("the server's timer: %+v", idle)
			}
			f := v.Failures[0]
			if strings.Contains(f.Line, "hunter2") || name != "client, 60 bytes" && !strings.HasPrefix(f.Line, "GET /late?n=0") {
				t.Errorf("the request is %q", f.Line)
			}
			if earliest, _, ok := v.EarliestClose(); !ok || (earliest-5*time.Second).Abs() > 20*time.Millisecond {
				t.Errorf("the earliest close came after %v, %v", earliest, ok)
			}
			places := len(files)
			if len(v.Places) != places {
				t.Fatalf("%d places", len(v.Places))
			}
			if places == 2 && (v.Places[0].Near != evidence.ByClient || v.Places[1].Near != evidence.ByServer || v.Places[1].Shakes != 20) {
				t.Errorf("places: %+v", v.Places)
			}
			if ahead := map[string]float64{"both": 3, "both, an hour apart": 3600}[name]; places == 2 && math.Abs(v.Places[1].Clock-ahead) > 0.001 {
				t.Errorf("the clocks differ by %v s, want %v", v.Places[1].Clock, ahead)
			}
		})
	}
}

// A part of the failures is not counted twice, and none is invented, where nothing
// failed.
func TestNothingFound(t *testing.T) {
	w := &world{}
	c := w.open(0)
	c.exchange(trip, "/a")
	slow := w.open(time.Second)
	slow.send(time.Second+trip, true, data, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n", true)
	slow.send(3*time.Second, false, data, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true)
	v := examined(t, Options{Files: []string{w.capture(t, true, 0, 0)}})
	want := "No request met a close: all of 2 requests got a response; 1 response took over 1 s (at most 2.00 s), all as the first on their connections."
	if v.Headline != want || v.Found || v.Incident != "" {
		t.Errorf("got  %s\nwant %s", v.Headline, want)
	}
	if _, _, ok := v.EarliestClose(); ok {
		t.Error("nothing is to be set")
	}
}

// RSTs that a machine in between makes are seen at the client only.
func TestRSTFromTheMiddle(t *testing.T) {
	w := &world{}
	for n := range 5 {
		at := time.Duration(n) * time.Second
		c := w.open(at)
		c.exchange(at+trip, "/a")
		c.send(at+10*time.Second, true, data, "GET /b HTTP/1.1\r\nHost: a\r\n\r\n", true)
	}
	server := w.capture(t, false, 0, 0)
	for _, s := range w.list {
		if s.up && s.Len > 0 && s.sent > 9*time.Second {
			w.list = append(w.list, sighting{segments.Segment{Src: s.Dst, Dst: s.Src, Flags: segments.FlagRST, Seq: s.Ack}, s.sent - trip/4, false})
		}
	}
	v := examined(t, Options{Files: []string{w.capture(t, true, 0, 0), server}})
	if v.Met["forgotten"] != 5 || v.Resets["middle"] != 5 || v.Incident != "lb-rst-unknown-flow" || !strings.Contains(v.Headline, "a machine between the ends sent the RST (it was seen at the client, and did not leave the server)") {
		t.Errorf("%s\n%v %v %s", v.Headline, v.Met, v.Resets, v.Incident)
	}
}

func TestOnlyOneServer(t *testing.T) {
	path := idleRace().capture(t, true, 0, 0)
	if v := examined(t, Options{Files: []string{path}, Server: serverEnd}); len(v.Failures) != 3 {
		t.Errorf("%d failures", len(v.Failures))
	}
	_, err := Examine(Options{Files: []string{path}, Server: netip.MustParseAddrPort("10.25.3.8:8080")})
	if err == nil || err.Error() != "no segment to or from 10.25.3.8:8080 was captured; servers there are 10.25.3.7:8080" {
		t.Errorf("got %v", err)
	}
}
