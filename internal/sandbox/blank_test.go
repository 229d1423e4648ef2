package sandbox

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/kabench/kabench/profiles/network"
)

// hidden finds every place of a word.
func hidden(word string) func([]byte) [][2]int {
	return func(text []byte) (places [][2]int) {
		for at := 0; ; {
			i := bytes.Index(text[at:], []byte(word))
			if i < 0 {
				return places
			}
			places = append(places, [2]int{at + i, at + i + len(word)})
			at += i + len(word)
		}
	}
}

// recorded is a record of packets.
func recorded(snap int, packets ...[]byte) *recorder {
	r := newRecorder(network.Record{Packets: 64, Snap: snap}, []string{"client", "server"})
	for _, b := range packets {
		r.enter(b, 0, 0, nil, 1)
	}
	return r
}

// blankedIn is the payloads in r, which is a record of packets, once the word is
// blanked. Nothing else may have changed, and checksums must fit.
func blankedIn(t *testing.T, r *recorder, word string, packets ...[]byte) (payloads []string) {
	t.Helper()
	r.blank(hidden(word))
	for i, before := range packets {
		s, after := r.raw(uint64(i + 1))
		h, _ := parse(before)
		if int(s.size) != len(before) || len(after) != min(len(before), r.snap) {
			t.Fatalf("packet %d: %d of %d bytes, want those of %d", i, len(after), s.size, len(before))
		}
		whole := append(bytes.Clone(after), before[len(after):]...) // what is not kept was not changed: a checksum tells
		if !validChecksums(whole, &h) {
			t.Errorf("packet %d: wrong checksum in %x", i, after)
		}
		for j, c := range after {
			if c != before[j] && (j < h.payload || c != blanking) && j != h.l4+16 && j != h.l4+17 {
				t.Errorf("packet %d: byte %d was %x and is %x", i, j, before[j], c)
			}
		}
		payloads = append(payloads, string(after[min(h.payload, len(after)):]))
	}
	return payloads
}

func TestBlankFollowsTheSequenceNumbers(t *testing.T) {
	const a, b = "10.0.0.1", "10.0.0.2"
	to := func(seq uint32, text string) []byte {
		return segment(t, a, b, 4000, 80, network.PSH|network.ACK, seq, 1, text)
	}
	from := func(seq uint32, text string) []byte {
		return segment(t, b, a, 80, 4000, network.PSH|network.ACK, seq, 1, text)
	}
	for _, c := range []struct {
		name    string
		snap    int
		packets [][]byte
		want    []string
	}{
		{"in one segment", 1500, [][]byte{to(100, "Key: secret;")}, []string{"Key: ******;"}},
		{"at an odd place, at the end", 1500, [][]byte{to(100, "K: secret")}, []string{"K: ******"}},
		{"over three segments", 1500, [][]byte{to(100, "K: se"), to(105, "cr"), to(107, "et;")}, []string{"K: **", "**", "**;"}},
		{"the other direction in between", 1500, [][]byte{to(100, "K: sec"), from(106, "ret"), to(106, "ret")}, []string{"K: ***", "ret", "***"}},
		{"from the server", 1500, [][]byte{from(1, "HTTP/sec"), from(9, "ret")}, []string{"HTTP/***", "***"}},
		{"out of order", 1500, [][]byte{to(106, "ret"), to(100, "K: sec")}, []string{"***", "K: ***"}},
		{"sent again, cut elsewhere", 1500, [][]byte{to(100, "K: sec"), to(103, "secret"), to(104, "ec")}, []string{"K: ***", "******", "**"}},
		{"a gap", 1500, [][]byte{to(100, "K: sec"), to(107, "ret")}, []string{"K: sec", "ret"}},
		{"numbers that begin again", 1500, [][]byte{to(1<<32-3, "sec"), to(0, "ret")}, []string{"***", "***"}},
		{"after a SYN", 1500, [][]byte{segment(t, a, b, 4000, 80, network.SYN, 99, 0, ""), to(100, "sec"), to(103, "ret")}, []string{"", "***", "***"}},
		{"a port used again", 1500, [][]byte{
			segment(t, a, b, 4000, 80, network.SYN, 99, 0, ""), to(100, "sec"),
			segment(t, a, b, 4000, 80, network.SYN, 102, 0, ""), to(103, "ret"),
		}, []string{"", "sec", "", "ret"}},
		{"a cut capture", 40 + 8, [][]byte{to(100, "K=secretandmore"), to(115, "secret")}, []string{"K=******", "******"}},
	} {
		if got := blankedIn(t, recorded(c.snap, c.packets...), "secret", c.packets...); strings.Join(got, "|") != strings.Join(c.want, "|") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestBlankWhereverASegmentEnds cuts a stream anywhere, in any order, and with parts
// that are sent again.
func TestBlankWhereverASegmentEnds(t *testing.T) {
	const word = "tok-5ecret"
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		var stream string
		for range 5 {
			stream += strings.Repeat("x", random.IntN(9)) + word[:random.IntN(2)*len(word)]
		}
		want := strings.ReplaceAll(stream, word, strings.Repeat("*", len(word)))
		begin := random.Uint32()
		var packets [][]byte
		var wants []string
		for at := 0; at < len(stream); {
			n := min(1+random.IntN(7), len(stream)-at)
			back := random.IntN(at + 1)
			for _, from := range []int{at, back} {
				packets = append(packets, segment(t, "10.0.0.1", "10.0.0.2", 4000, 80, network.ACK, begin+uint32(from), 1, stream[from:at+n]))
				wants = append(wants, want[from:at+n])
			}
			at += n
		}
		if len(packets) > 64 {
			continue
		}
		random.Shuffle(len(packets), func(i, j int) {
			packets[i], packets[j], wants[i], wants[j] = packets[j], packets[i], wants[j], wants[i]
		})
		got := blankedIn(t, recorded(1500, packets...), word, packets...)
		if strings.Join(got, "|") != strings.Join(wants, "|") {
			t.Fatalf("%q begins at %d: %q, want %q", stream, begin, got, wants)
		}
	}
}
