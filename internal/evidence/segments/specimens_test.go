package segments

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// Segments that are seen twice in a fast exchange: the copies come when five further
// segments have passed.
func TestCopiesFarApart(t *testing.T) {
	list := story(t, `
0     c S
0.003 s S.
0.005 c .
0.013 c P. GET
0.014 s .
90    s P. OK
90    c .
1090  s F.
1090  c F.
1090  s .`, [2]uint32{7, 9})
	n := len(list)
	for _, s := range list[:n] {
		s.At += 15 * time.Microsecond
		s.TTL--
		list = append(list, s)
	}
	slices.SortStableFunc(list, func(a, b Segment) int { return int(a.At - b.At) })
	v := NewLives(func(c *evidence.Connection) {
		if c.Requests != 1 || len(c.Unanswered) != 0 || c.Close.By != evidence.ByServer {
			t.Errorf("got %s", sum(*c))
		}
	}, nil)
	for _, s := range list {
		v.Add(&s)
	}
	v.End()
	if v.Copies != n {
		t.Errorf("%d copies were found, of %d", v.Copies, n)
	}
}

// A client's close_notify that was not captured is no request without a response.
func TestMissingCloseNotify(t *testing.T) {
	for _, alert := range []string{"ALERT", "ALERT2"} {
		for _, c := range live(t, overTLS13+`
500 c P. SEALED lost
500 s .
512 s P. SEALED
512 c .
900 c P. `+alert+` lost
910 s P. `+alert+`
910 c .
911 s F.
920 c F.
930 s .`, [2]uint32{7, 9}) {
			if c.Requests != 2 || len(c.Unanswered) != 0 {
				t.Errorf("%s: got %s: %+v", alert, sum(c), c.Unanswered)
			}
		}
	}
}

// Which end is the client is guessed from the ports, where a capture begins in the
// middle. A connection that opens later shows that the guess was wrong: what the guess
// made of the bytes is then no finding.
func TestWrongGuess(t *testing.T) {
	// The server has the higher port, and the bytes do not say which end asks.
	high, low := netip.MustParseAddrPort("10.0.0.2:45463"), netip.MustParseAddrPort("10.0.0.1:37764")
	moved := func(list []Segment, port uint16) []Segment {
		for i, s := range list {
			ends := map[netip.AddrPort]netip.AddrPort{serverEnd: high, clientEnd: netip.AddrPortFrom(low.Addr(), port)}
			list[i].Src, list[i].Dst = ends[s.Src], ends[s.Dst]
		}
		return list
	}
	first := moved(story(t, `
0   s P. SEALED
40  c .
400 c P. ALERT
400 s .
401 c F.
440 s .
480 s P. ALERT
480 c R blind`, [2]uint32{700, 900}), low.Port())
	later := moved(story(t, overTLS13, [2]uint32{7, 9}), low.Port()+1)
	var all []evidence.Connection
	v := NewLives(func(c *evidence.Connection) { all = append(all, *c) }, nil)
	for _, s := range append(first, later...) {
		s.At += time.Second
		v.Add(&s)
	}
	v.End()
	for _, c := range all {
		if c.Server != high || len(c.Unanswered) != 0 || c.Guessed {
			t.Errorf("the server is said to be %v: %s", c.Server, sum(c))
		}
	}
	if i := slices.IndexFunc(all, func(c evidence.Connection) bool { return c.Client == low }); i < 0 || all[i].Close.By != evidence.ByClient {
		t.Errorf("the connection whose ends were guessed: %+v", all)
	}
}

// Connections without a SYN: the end that several of them share is the server.
func TestSharedEnd(t *testing.T) {
	high := netip.MustParseAddrPort("10.0.0.2:45463")
	var list []Segment
	for n := range uint16(3) {
		for _, s := range story(t, `
0   s P. SEALED
40  c .
400 s P. ALERT
400 s F.
440 c .
480 c F.
481 s .`, [2]uint32{700, 900}) {
			s.At += time.Duration(n) * 10 * time.Millisecond
			ends := map[netip.AddrPort]netip.AddrPort{serverEnd: high, clientEnd: netip.AddrPortFrom(clientEnd.Addr(), 37000+n)}
			s.Src, s.Dst = ends[s.Src], ends[s.Dst]
			list = append(list, s)
		}
	}
	slices.SortStableFunc(list, func(a, b Segment) int { return int(a.At - b.At) })
	v := NewLives(func(c *evidence.Connection) {
		if c.Server != high || len(c.Unanswered) != 0 || c.Close.By != evidence.ByServer {
			t.Errorf("the server is said to be %v: %s", c.Server, sum(*c))
		}
	}, nil)
	for _, s := range list {
		v.Add(&s)
	}
	v.End()
}

// A capture that begins within an upload: the rest of its body, after the server's close,
// is no request.
func TestBodyFromTheMiddle(t *testing.T) {
	for _, c := range live(t, `
0  c P. PART
10 s .
10 c P. PART
20 s P. OK
20 s F.
21 c P. PART
30 c P. PART
40 s .
50 c F.
60 s .`, [2]uint32{7, 9}) {
		if c.Requests != 1 || len(c.Unanswered) != 0 {
			t.Errorf("got %s: %+v", sum(c), c.Unanswered)
		}
	}
}

// The end of the handshake and the first request are in one segment, which was not
// captured.
func TestMissingFirstRequest(t *testing.T) {
	for name, text := range map[string]string{
		"the request": `
0  c S
10 s S.
10 c .
11 c P. HELLO
22 s P. HELLO
22 s P. CCS
22 s P. SEALED
23 c P. CCS lost
23 c P. SEALED lost
24 c P. SEALED lost
35 s P. SEALED`,
		"the first hello": `
0  c S
10 s S.
10 c .
11 c P. HELLO lost
22 s P. HELLO
22 s P. CCS
22 s P. SEALED
23 c P. CCS
23 c P. SEALED
24 c P. SEALED
35 s P. SEALED`,
	} {
		for _, c := range live(t, text+`
36 c .
1036 s P. ALERT
1036 s F.
1036 c .
1100 c P. ALERT
1110 s R`, [2]uint32{7, 9}) {
			if c.Requests != 1 || len(c.Unanswered) != 0 || c.Close.By != evidence.ByServer {
				t.Errorf("%s: got %s: %+v", name, sum(c), c.Unanswered)
			}
		}
	}
}

// The body of an upload goes on after the response and the server's FIN: it is no
// further request, whatever was captured of it.
func TestBodyAfterTheResponse(t *testing.T) {
	for name, text := range map[string]string{
		"cut":         "20 c P. UPLOAD cut=30\n30 s P. OK\n30 s F.\n31 c .\n",
		"whole":       "20 c P. UPLOAD\n30 s P. OK\n30 s F.\n31 c .\n",
		"one missing": "20 c P. UPLOAD\n30 s P. OK\n30 s F.\n31 c .\n32 c P. len=300 lost\n38 s .\n50 c . len=200\n",
	} {
		for _, c := range live(t, "0 c S\n10 s S.\n10 c .\n"+text+`
60 c P. PART cut=30
70 s .
70 c P. PART cut=30
80 s .
90 c F.
100 s .`, [2]uint32{7, 9}) {
			if c.Requests != 1 || len(c.Unanswered) != 0 {
				t.Errorf("%s: got %s: %+v", name, sum(c), c.Unanswered)
			}
		}
	}
}

// The server closed before the capture began. The client still writes a request,
// finds the FIN and closes at once: it did not give up.
func TestCloseBeforeTheCapture(t *testing.T) {
	for _, c := range live(t, `
0    c P. GET
0.01 c F.
80   s R`, [2]uint32{7, 9}) {
		if len(c.Unanswered) != 1 || c.Unanswered[0].Met != evidence.Forgotten || c.Unanswered[0].Basis != evidence.Inferred {
			t.Errorf("got %s: %+v", sum(c), c.Unanswered)
		}
	}
}
