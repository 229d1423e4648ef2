package segments

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

var (
	clientEnd = netip.MustParseAddrPort("10.0.0.1:40000")
	serverEnd = netip.MustParseAddrPort("10.0.0.2:8080")
)

// words are what a story writes for payloads.
var words = map[string]string{
	"GET":    "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n",
	"POST":   "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n",
	"UPLOAD": "POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 11000\r\n\r\n",
	"PART":   strings.Repeat("a part of a body ", 60),
	"OK":     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
	"LONG":   "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
	"STREAM": "HTTP/1.1 200 OK\r\n\r\nabc",
	"BYE":    "HTTP/1.1 200 OK\r\nConnection: close\r\nKeep-Alive: timeout=5\r\nContent-Length: 2\r\n\r\nok",
	"408":    "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n",
	"100":    "HTTP/1.1 100 Continue\r\n\r\n",
	"HELLO":  record(22, 200), // a client's or a server's handshake
	"CCS":    record(20, 1),
	"FRAME":  record(23, 26), // a control frame of HTTP/2
	"QUERY":  "Q\x00\x00\x00\x10select 1\x00",
	"ROW":    "T\x00\x00\x00\x10one row\x00\x00",
	"SEALED": record(23, 100), // data, or an encrypted handshake
	"ALERT":  record(23, 19),  // of TLS 1.3
	"ALERT2": record(21, 26),  // of TLS 1.2
}

func record(kind byte, size int) string {
	return string([]byte{kind, 3, 3, byte(size >> 8), byte(size)}) + strings.Repeat("x", size)
}

// story makes segments from lines "TIME SIDE FLAGS [PAYLOAD] [OPTION ...]". TIME is in ms.
// SIDE is c or s. Sequence numbers go on where the side stopped; it acknowledges all
// that the other side has sent, except with the option blind: then what it did before.
//
//	blind   has not received the segments of the other side since its last own
//	again   sends the side's last data once more
//	back=N  begins N bytes before the next number
//	len=N   N bytes of payload that are not captured
//	cut=N   only N bytes of the payload are captured
//	ttl=N   id=N
//	lost    the segment was sent, and not captured
//	hold    it is captured after the next line
//	twice   it is captured twice
func story(t testing.TB, text string, isn [2]uint32) []Segment {
	t.Helper()
	var list []Segment
	var held []Segment
	next, acked := isn, [2]uint32{}
	var last [2]Segment
	ids := [2]uint16{100, 9000}
	for n, line := range strings.Split(strings.TrimSpace(text), "\n") {
		f := strings.Fields(line)
		if len(f) == 0 {
			continue
		}
		if len(f) < 3 {
			t.Fatalf("line %d: %q", n+1, line)
		}
		ms, err := strconv.ParseFloat(f[0], 64)
		if err != nil {
			t.Fatal(err)
		}
		side, other := 0, 1
		s := Segment{At: time.Duration(ms * 1e6), Number: int64(n + 1), Src: clientEnd, Dst: serverEnd, TTL: 64, HasID: true}
		if f[1] == "s" {
			side, other = 1, 0
			s.Src, s.Dst, s.TTL = serverEnd, clientEnd, 57
		}
		for _, letter := range f[2] {
			s.Flags |= 1 << strings.IndexRune("FSRP.U", letter)
		}
		s.Seq = next[side]
		ids[side]++
		s.ID = ids[side]
		ack := next[other]
		var lost, hold, twice bool
		cut := -1
		for _, o := range f[3:] {
			name, value, _ := strings.Cut(o, "=")
			v, _ := strconv.Atoi(value)
			switch name {
			case "blind":
				ack = acked[side]
			case "again":
				s.Seq, s.Len, s.Payload = last[side].Seq, last[side].Len, last[side].Payload
			case "back":
				s.Seq -= uint32(v)
			case "len":
				s.Len = v
			case "cut":
				cut = v
			case "ttl":
				s.TTL = uint8(v)
			case "id":
				s.ID = uint16(v)
			case "lost":
				lost = true
			case "hold":
				hold = true
			case "twice":
				twice = true
			default:
				word, ok := words[name]
				if !ok {
					t.Fatalf("line %d: unknown word %q", n+1, name)
				}
				s.Payload, s.Len = []byte(word), len(word)
			}
		}
		if s.Len > 0 {
			last[side] = s
		}
		if cut >= 0 {
			s.Payload = s.Payload[:min(cut, len(s.Payload))]
		}
		if s.Flags&FlagACK != 0 {
			s.Ack, acked[side] = ack, ack
		}
		if s.Flags&FlagRST == 0 && after(s.next(), next[side]) {
			next[side] = s.next()
		}
		if s.Flags == FlagRST { // it rejects a segment of no connection
			s.Seq, s.ID = acked[other], 0
		}
		if !lost && !hold {
			list = append(list, s)
		}
		if twice {
			copied := s
			copied.At += 20 * time.Microsecond
			copied.TTL--
			list = append(list, copied)
		}
		if !hold {
			for _, h := range held {
				h.At = s.At
				list = append(list, h)
			}
			held = nil
		} else if !lost {
			held = append(held, s)
		}
	}
	return list
}

// live returns the connections of a story.
func live(t testing.TB, text string, isn [2]uint32) []evidence.Connection {
	t.Helper()
	var all []evidence.Connection
	v := NewLives(func(c *evidence.Connection) { all = append(all, *c) }, nil)
	for _, s := range story(t, text, isn) {
		v.Add(&s)
	}
	v.End()
	return all
}

// sum writes what a test compares.
func sum(c evidence.Connection) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d requests, %v %v %v", c.Requests, c.Close.Basis,
		c.Close.By, c.Close.How)
	if c.Close.At != evidence.NotSeen {
		fmt.Fprintf(&b, " at %v", c.Close.At)
	}
	for _, u := range c.Unanswered {
		fmt.Fprintf(&b, "; %v %v", u.Basis, u.Met)
		if u.Sent != evidence.NotSeen {
			fmt.Fprintf(&b, " %v", u.Apart)
		}
		if u.Idle != evidence.NotSeen {
			fmt.Fprintf(&b, " idle %v", u.Idle)
		}
	}
	switch {
	case c.BothWait:
		b.WriteString("; both wait")
	case c.TimeWait != evidence.Nobody:
		fmt.Fprintf(&b, "; %v waits", c.TimeWait)
	}
	return b.String()
}
