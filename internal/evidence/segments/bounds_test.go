package segments

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// Connections that are never closed make room for others.
func TestManyTinyConnections(t *testing.T) {
	const n = 4 * maxLives
	done, asked := 0, 0
	v := NewLives(func(c *evidence.Connection) {
		done++
		asked += len(c.Unanswered)
	}, nil)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	get := []byte(words["GET"])
	for i := range n {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 40000)
		v.Add(&Segment{At: time.Duration(i), Src: from, Dst: serverEnd, Flags: FlagSYN, Seq: 1})
		v.Add(&Segment{At: time.Duration(i), Src: from, Dst: serverEnd, Flags: FlagACK, Seq: 2, Ack: 1, Len: len(get), Payload: get})
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if open := len(v.open); open > maxLives {
		t.Errorf("%d connections are followed, want at most %d", open, maxLives)
	}
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > 150<<20 {
		t.Errorf("%d MiB are used", used>>20)
	}
	v.End()
	if done != n || asked != n || v.Early != n-maxLives {
		t.Errorf("%d connections and %d requests of %d were reported, %d early", done, asked, n, v.Early)
	}
}

// A connection's exchanges are counted, and a bounded number is kept.
func TestManyExchanges(t *testing.T) {
	var got evidence.Connection
	each := 0
	v := NewLives(func(c *evidence.Connection) { got = *c }, func(_ *evidence.Connection, e evidence.Exchange, nth int) {
		if each++; nth != each {
			t.Fatalf("exchange %d is numbered %d", each, nth)
		}
	})
	s := Segment{Src: clientEnd, Dst: serverEnd, Flags: FlagSYN}
	v.Add(&s)
	get, ok := []byte(words["GET"]), []byte(words["OK"])
	seq, ack := uint32(1), uint32(1)
	const n = 1000
	for i := range n {
		at := time.Duration(i) * time.Second
		v.Add(&Segment{At: at, Src: clientEnd, Dst: serverEnd, Flags: FlagACK, Seq: seq, Ack: ack, Len: len(get), Payload: get})
		seq += uint32(len(get))
		v.Add(&Segment{At: at + 1, Src: serverEnd, Dst: clientEnd, Flags: FlagACK, Seq: ack, Ack: seq, Len: len(ok), Payload: ok})
		ack += uint32(len(ok))
	}
	v.End()
	if got.Requests != n || each != n || len(got.Exchanges) != evidence.KeptFirst+keptNewest {
		t.Errorf("%d exchanges, %d reported, %d kept", got.Requests, each, len(got.Exchanges))
	}
	last := got.Exchanges[len(got.Exchanges)-1]
	if last.Sent != (n-1)*time.Second || got.Exchanges[0].Sent != 0 {
		t.Errorf("the first and the last exchange are %v and %v", got.Exchanges[0], last)
	}
	if got.LongestIdle != time.Second-1 {
		t.Errorf("the longest idle time is %v", got.LongestIdle)
	}
}

// calm is a connection with ten exchanges that the client closes: no request meets a
// close.
func calm(t testing.TB, request, response string) []Segment {
	text := "0 c S\n10 s S.\n10 c .\n"
	for range 10 {
		text += "20 c P. " + request + "\n25 s .\n31 s P. " + response + "\n31 c .\n"
	}
	list := story(t, text+"4000 c F.\n4010 s F.\n4010 c .", [2]uint32{7, 9})
	for i := range list {
		list[i].At = time.Duration(i) * 20 * time.Millisecond
	}
	return list
}

// Segments that are missing, seen twice or seen in another order make no race out of a
// connection without one.
func TestDamageMakesNoRace(t *testing.T) {
	damage(t, calm(t, "GET", "OK"), false)
	damage(t, calm(t, "len=120", "len=300"), true)
}

func damage(t *testing.T, whole []Segment, bare bool) {
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 3000 {
		var list []Segment
		for _, s := range whole {
			switch random.IntN(20) {
			case 0: // not captured
			case 1:
				list = append(list, s, s)
			default:
				list = append(list, s)
			}
		}
		for i := range len(list) - 1 {
			if random.IntN(20) == 0 {
				list[i].At, list[i+1].At = list[i+1].At, list[i].At
				list[i], list[i+1] = list[i+1], list[i]
				i++
			}
		}
		v := NewLives(func(c *evidence.Connection) {
			for _, u := range c.Unanswered {
				if u.Met == evidence.Crossed || u.Met == evidence.Late || u.Met == evidence.Forgotten {
					t.Fatalf("round %d: %s\n%+v", round, sum(*c), list)
				}
			}
			if c.Requests > 10 {
				t.Fatalf("round %d: %s", round, sum(*c))
			}
		}, nil)
		v.Bare = bare
		for _, s := range list {
			v.Add(&s)
		}
		v.End()
	}
}

// FuzzSegments feeds segments of two connections with arbitrary fields.
func FuzzSegments(f *testing.F) {
	for _, s := range stories {
		var b []byte
		for _, s := range story(f, s.text, [2]uint32{1000, 2000}) {
			b = append(b, encode(&s)...)
		}
		f.Add(b, false)
		f.Add(b, true)
	}
	f.Fuzz(func(t *testing.T, b []byte, bare bool) {
		opened, done := 0, 0
		v := NewLives(func(c *evidence.Connection) {
			done++
			if len(c.Unanswered) > maxPending+1 || len(c.Exchanges) > evidence.KeptFirst+keptNewest {
				t.Errorf("%d unanswered, %d exchanges", len(c.Unanswered), len(c.Exchanges))
			}
			if c.Close.How != evidence.Open && c.Close.Basis == evidence.Unknown || c.Close.Why == "" {
				t.Errorf("a statement without a reason: %+v", c.Close)
			}
			for _, u := range c.Unanswered {
				if u.Why == "" {
					t.Errorf("a statement without a reason: %+v", u)
				}
			}
		}, nil)
		v.Bare = bare
		var at time.Duration
		for len(b) > 16 {
			s, n := decode(b)
			b = b[n:]
			at += s.At
			s.At = at
			if s.Flags&(FlagSYN|FlagACK) == FlagSYN {
				opened++
			}
			v.Add(s)
			for _, l := range v.open {
				for _, f := range l.flows {
					if len(f.held) > maxHeld {
						t.Fatalf("%d segments are held", len(f.held))
					}
				}
			}
		}
		v.End()
		if len(v.open) != 0 {
			t.Errorf("%d connections are left", len(v.open))
		}
	})
}

func encode(s *Segment) []byte {
	b := make([]byte, 16, 16+len(s.Payload))
	if s.Src == serverEnd {
		b[0] |= 1
	}
	b[1] = byte(s.Flags)
	binary.BigEndian.PutUint32(b[2:], s.Seq)
	binary.BigEndian.PutUint32(b[6:], s.Ack)
	b[10], b[11] = s.TTL, byte(s.ID)
	binary.BigEndian.PutUint16(b[12:], uint16(s.Len))
	binary.BigEndian.PutUint16(b[14:], uint16(len(s.Payload)))
	return append(b, s.Payload...)
}

func decode(b []byte) (*Segment, int) {
	s := &Segment{Src: clientEnd, Dst: serverEnd, Flags: Flags(b[1]), TTL: b[10], ID: uint16(b[11]), HasID: b[0]&8 != 0}
	if b[0]&1 != 0 {
		s.Src, s.Dst = s.Dst, s.Src
	}
	if b[0]&2 != 0 {
		s.Src, s.Dst = netip.AddrPortFrom(s.Src.Addr(), s.Src.Port()+1), netip.AddrPortFrom(s.Dst.Addr(), s.Dst.Port()+1)
	}
	s.At = time.Duration(b[0]>>4) * 500 * time.Microsecond
	s.Seq, s.Ack = binary.BigEndian.Uint32(b[2:]), binary.BigEndian.Uint32(b[6:])
	s.Len = int(binary.BigEndian.Uint16(b[12:]))
	n := min(int(binary.BigEndian.Uint16(b[14:])), len(b)-16, s.Len)
	s.Payload = b[16 : 16+n]
	return s, 16 + n
}

// What 50,000 connections hold is bounded: unfinished heads, segments that wait for
// earlier ones, pipelined requests, and many exchanges each.
func TestWeight(t *testing.T) {
	head := []byte("GET / HTTP/1.1\r\nX: " + strings.Repeat("a", 12000))
	pipelined := bytes.Repeat([]byte("GET /"+strings.Repeat("b", 190)+" HTTP/1.1\r\n\r\n"), maxPending)
	small, reply := bytes.Repeat([]byte("GET / HTTP/1.1\r\n\r\n"), 50), bytes.Repeat([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"), 50)
	server := netip.MustParseAddrPort("10.0.0.9:80")
	for name, feed := range map[string]func(v *Lives, client netip.AddrPort){
		"heads": func(v *Lives, client netip.AddrPort) { v.Add(said(client, server, 1, 1, head)) },
		"held": func(v *Lives, client netip.AddrPort) {
			v.Add(&Segment{Src: client, Dst: server, Flags: FlagSYN})
			for i := range uint32(8) {
				v.Add(said(client, server, 70000+i*20000, 1, head))
			}
		},
		"pipelined": func(v *Lives, client netip.AddrPort) { v.Add(said(client, server, 1, 1, pipelined)) },
		"exchanges": func(v *Lives, client netip.AddrPort) {
			for i := range uint32(2) {
				v.Add(said(client, server, 1+i*uint32(len(small)), 1+i*uint32(len(reply)), small))
				v.Add(said(server, client, 1+i*uint32(len(reply)), 1+(i+1)*uint32(len(small)), reply))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			requests := 0
			v := NewLives(func(c *evidence.Connection) { requests += c.Requests + len(c.Unanswered) }, nil)
			for n := range 12_000 {
				feed(v, netip.AddrPortFrom(netip.AddrFrom4([4]byte{11, byte(n >> 16), byte(n >> 8), byte(n)}), 1000))
				if v.weight > maxWeight {
					t.Fatalf("%d connections hold %d bytes", n+1, v.weight)
				}
			}
			v.End()
			if v.weight != 0 || name == "exchanges" && requests != 12_000*100 {
				t.Errorf("%d bytes are left, and %d requests were counted", v.weight, requests)
			}
		})
	}
}

func said(src, dst netip.AddrPort, seq, ack uint32, b []byte) *Segment {
	return &Segment{Src: src, Dst: dst, Flags: FlagACK | FlagPSH, Seq: seq, Ack: ack, Len: len(b), Payload: b}
}
