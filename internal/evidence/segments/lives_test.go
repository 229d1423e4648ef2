package segments

import (
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// Beginnings of stories, as the client's and as the server's end see them: the round
// trip is 10 ms.
const (
	atClient = `
0  c S
10 s S.
10 c .
20 c P. GET
31 s P. OK
31 c .
`
	atServer = `
5  c S
5  s S.
15 c .
25 c P. GET
26 s P. OK
36 c .
`
	overTLS13 = `
0  c S
10 s S.
10 c .
11 c P. HELLO
22 s P. HELLO
22 s P. CCS
22 s P. SEALED
23 c P. CCS
23 c P. SEALED
24 c P. SEALED
35 s P. SEALED
36 s P. SEALED
36 c .
`
)

var stories = []struct{ name, text, want string }{
	{"still open", atClient, "1 requests, unknown nobody open"},
	{"the server closes an idle connection", atClient + `
5031 s F.
5031 c .
5040 c F.
5050 s .`, "1 requests, seen server fin at 5.031s; server waits"},
	{"the client closes an idle connection", atClient + `
4031 c F.
4041 s F.
4041 c .`, "1 requests, seen client fin at 4.031s; client waits"},
	{"given up, and answered all the same", atClient + `
1000 c P. GET
1010 s .
1300 c F.
1310 s .
1500 s P. OK
1500 c R`, "1 requests, seen client fin at 1.3s; seen abandoned 300ms idle 969ms"},
	{"half closed, and the response read", atClient + `
1000 c P. GET
1010 s .
1300 c F.
1310 s .
1500 s P. OK
1500 c .
1510 s F.
1510 c .`, "2 requests, seen client fin at 1.3s; client waits"},
	{"crossed, seen at the client", atClient + `
5029 c P. GET
5031 s F. blind
5031 c .
5032 c F.
5039 s R`, "1 requests, seen server fin at 5.031s; seen crossed 2ms idle 4.998s"},
	{"crossed, seen at the server", atServer + `
5026 s F.
5034 c P. GET blind
5034 s R
5036 c .`, "1 requests, seen server fin at 5.026s; seen crossed -8ms idle 5.008s"},
	{"arrived and closed all the same, seen at the client", atClient + `
5029 c P. GET
5040 s F.
5040 c F.
5050 s .`, "1 requests, seen server fin at 5.04s; seen arrived 11ms idle 4.998s; server waits"},
	{"arrived and closed all the same, seen at the server", atServer + `
5034 c P. GET
5035 s F.
5045 c F.
5045 s .`, "1 requests, seen server fin at 5.035s; seen arrived 1ms idle 5.008s; server waits"},
	{"written after the close had come, seen at the client", atClient + `
5031 s F.
5031 c .
7031 c P. GET
7041 s R`, "1 requests, seen server fin at 5.031s; seen late -2s idle 7s"},
	{"written after the close had come, seen at the server", atServer + `
5026 s F.
5036 c .
7036 c P. GET
7036 s R`, "1 requests, seen server fin at 5.026s; seen late -2.01s idle 7.01s"},
	{"only a part had arrived", atClient + `
5029 c P. POST
5030 c P. len=10
5031 s F. blind
5039 s R`, "1 requests, seen server fin at 5.031s; seen crossed 1ms idle 4.998s"},
	{"the server resets a request that had arrived", atClient + `
5029 c P. GET
5040 s R.`, "1 requests, seen server rst at 5.04s; seen arrived 11ms idle 4.998s"},
	{"the server resets an idle connection, and a request crosses", atClient + `
5029 c P. GET
5031 s R. blind`, "1 requests, seen server rst at 5.031s; seen crossed 2ms idle 4.998s"},
	{"the server knows the connection no longer", atClient + `
9029 c P. GET
9039 s R`, "1 requests, inferred server rst at 9.039s; inferred forgotten 10ms idle 8.998s"},
	{"the client waits no longer", atClient + `
1029 c P. GET
1039 s .
3029 c F.
3039 s .`, "1 requests, seen client fin at 3.029s; seen abandoned 2s idle 998ms"},
	{"the client waits no longer and resets", atClient + `
1029 c P. GET
1039 s .
3029 c R.`, "1 requests, seen client rst at 3.029s; seen abandoned 2s idle 998ms"},
	{"a half-close is answered", atClient + `
1029 c FP. GET
1040 s P. OK
1041 s F.
1041 c .`, "2 requests, seen client fin at 1.029s; client waits"},
	{"nothing comes back", atClient + `
60000 c P. GET
60210 c P. again
60640 c P. again
61500 c P. again`, "1 requests, seen nobody silent at 1m0s; seen lost 0s idle 59.969s"},
	{"nothing comes back, and the client gives up", atClient + `
60000 c P. GET
60210 c P. again
60640 c P. again
61500 c F.`, "1 requests, seen nobody silent at 1m0s; seen lost 0s idle 59.969s"},
	{"sent again once, and answered", atClient + `
1000 c P. GET
1210 c P. again
1220 s P. OK`, "2 requests, unknown nobody open"},
	{"the peer comes back", atClient + `
1000 c P. GET
1210 c P. again
1640 c P. again
1650 s P. OK`, "2 requests, unknown nobody open"},
	{"a response without an end ends with the stream", atClient + `
1000 c P. GET
1010 s P. STREAM
1020 s F.`, "2 requests, seen server fin at 1.02s"},
	{"a response is cut off", atClient + `
1000 c P. GET
1010 s P. LONG
1020 s F.`, "1 requests, seen server fin at 1.02s; seen arrived 20ms idle 969ms"},
	{"still waiting", atClient + `
1000 c P. GET
1010 s .`, "1 requests, unknown nobody open; seen waiting 0s idle 969ms"},
	{"408 before the close is no response to a request", atClient + `
5031 s P. 408
5031 s F.
5031 c F.`, "1 requests, seen server fin at 5.031s; server waits"},
	{"the server responds early and resets", `
0  c S
10 s S.
10 c .
20 c P. UPLOAD
21 c P. len=1000
31 s P. BYE
31 s F.
32 c P. len=1000
33 s R`, "0 requests, seen server fin at 31ms; inferred arrived 10ms"},
	{"the server responds early, and the rest of the body was not captured", `
0  c S
10 s S.
10 c .
20 c P. UPLOAD
21 c P. len=1000
31 s P. OK
32 c P. len=9000 lost
33 c P. len=1000
50 s .
60 c P. GET
70 s P. OK
5070 s F.`, "2 requests, seen server fin at 5.07s"},
	{"100 Continue is not the response", `
0  c S
10 s S.
10 c .
20 c P. POST
30 s P. 100
31 c P. len=10
45 s P. OK`, "1 requests, unknown nobody open"},
	{"two requests at once", atClient + `
1000 c P. GET
1001 c P. GET blind
1010 s P. OK
1012 s P. OK`, "3 requests, unknown nobody open"},
	{"both close at the same time, seen at the client", atClient + `
5029 c F.
5031 s F. blind
5031 c .
5039 s .`, "1 requests, inferred server fin at 5.031s; both wait"},
	{"both close at the same time, seen at the server", atServer + `
5029 c F.
5029.1 s F. blind
5029.2 s .
5039 c .`, "1 requests, inferred client fin at 5.029s; both wait"},
	{"a RST follows the FIN", atClient + `
5031 s F.
5031 c .
5035 s R.`, "1 requests, seen server fin at 5.031s"},
	{"keep-alive probes are no data", atClient + `
15000 c . back=1
15010 s .
30000 c . back=1 len=1
30010 s .
45000 c P. GET
45010 s P. OK`, "2 requests, unknown nobody open"},
	{"each segment is seen twice", `
0  c S twice
10 s S. twice
10 c . twice
20 c P. GET twice
31 s P. OK twice
31 c . twice
5029 c P. GET twice
5031 s F. blind twice
5031 c . twice
5039 s R twice`, "1 requests, seen server fin at 5.031s; seen crossed 2ms idle 4.998s"},
	{"started in the middle", `
20 c P. GET
31 s P. OK
31 c .
5029 c P. GET
5031 s F. blind
5031 c .
5039 s R`, "1 requests, seen server fin at 5.031s; seen crossed 2ms idle 4.998s"},
	{"started in the middle of a response", `
31 s . len=1000
32 s P. len=500
31 c .
1029 c P. GET
1040 s P. OK
6040 s F.`, "2 requests, seen server fin at 6.04s"},
	{"started when all was idle", `
5031 s F.
5031 c .
5032 c F.
5042 s .`, "0 requests, seen server fin at 5.031s; server waits"},
	{"out of order", `
0  c S
10 s S.
10 c .
20 c P. POST hold
20 c P. len=10
31 s P. OK`, "1 requests, unknown nobody open"},
	{"a response's first part is seen after the second", atClient + `
1000 c P. GET
1010 s P. LONG hold
1011 s P. len=1000
1012 c .`, "2 requests, unknown nobody open"},
	{"a request was not captured", atClient + `
1000 c P. GET lost
1010 s P. OK
1010 c .
2000 c P. GET
2010 s P. OK`, "3 requests, unknown nobody open"},
	{"a response was not captured", atClient + `
1000 c P. GET
1010 s P. OK lost
1010 c .
2000 c P. GET
2010 s P. OK`, "3 requests, unknown nobody open"},
	{"the request that met the close was not captured", atClient + `
5029 c P. GET lost
5031 s F. blind
5031 c .
5032 c F.
5039 s R`, "1 requests, seen server fin at 5.031s; inferred crossed"},
	{"the server's FIN was not captured", atClient + `
5029 c P. GET
5031 s F. blind lost
5031 c .
5039 s R`, "1 requests, inferred server fin at 5.031s; inferred crossed 2ms idle 4.998s"},
	{"heads are cut by the snap length", `
0  c S
10 s S.
10 c .
20 c P. GET cut=12
31 s P. LONG cut=20
32 s P. len=1000 cut=0
32 c .
1020 c P. GET cut=12
1031 s P. OK cut=20
1031 c .
6029 c P. GET cut=12
6031 s F. blind
6031 c .
6039 s R`, "2 requests, seen server fin at 6.031s; seen crossed 2ms idle 4.998s"},
	{"no payload was captured", `
0  c S
10 s S.
10 c .
20 c P. GET cut=0
31 s P. OK cut=0
31 c .
5029 c P. GET cut=0
5031 s F. blind
5031 c .
5039 s R`, "1 requests, seen server fin at 5.031s; seen crossed 2ms idle 4.998s"},
	{"the SYN is sent again and again", `
0    c S
1000 c S back=1
3000 c S back=1`, "0 requests, unknown nobody open"},
	{"refused", `
0    c S
10 s R.`, "0 requests, inferred server rst at 10ms"},
	{"TLS 1.3, closed by the server", overTLS13 + `
5036 s P. ALERT
5036 s F.
5036 c P. ALERT
5036 c F.
5046 s R`, "1 requests, inferred server close_notify at 5.036s"},
	{"TLS 1.3, a request crosses close_notify", overTLS13 + `
5034 c P. SEALED
5036 s P. ALERT blind
5036 s F. blind
5036 c P. ALERT
5044 s R`, "1 requests, inferred server close_notify at 5.036s; seen crossed 2ms idle 4.998s"},
	{"TLS 1.3, close_notify long before the FIN", overTLS13 + `
5036 s P. ALERT
5036 c .
6000 c P. SEALED
6010 s .
35036 s F.`, "1 requests, inferred server close_notify at 5.036s; seen late -964ms idle 5.964s"},
	{"TLS 1.2", `
0  c S
10 s S.
10 c .
11 c P. HELLO
22 s P. HELLO
23 c P. HELLO
23 c P. CCS
23 c P. HELLO
34 s P. CCS
34 s P. HELLO
35 c P. SEALED
46 s P. SEALED
5046 s P. ALERT2
5046 s F.`, "1 requests, seen server close_notify at 5.046s"},
	{"TLS, nothing captured of the payload", overTLS13 + `
1000 c P. SEALED cut=0
1010 s P. SEALED cut=0
6010 s F.`, "2 requests, seen server fin at 6.01s"},
	{"TLS, from the middle", `
24 c P. SEALED
35 s P. SEALED
36 s P. SEALED
36 c .
5034 c P. SEALED
5036 s P. ALERT blind
5036 s F. blind
5036 c P. ALERT
5044 s R`, "1 requests, inferred server close_notify at 5.036s; seen crossed 2ms idle 4.998s"},
}

// Another protocol has no requests that could be judged.
func TestOtherProtocols(t *testing.T) {
	for name, c := range map[string]struct {
		text    string
		other   bool
		unasked int
	}{
		"a database":       {"0 c S\n10 s S.\n10 c .\n11 c P. QUERY\n22 s P. ROW\n22 c .\n500 c P. QUERY\n520 s F.", true, 0},
		"from the middle":  {"11 c P. QUERY\n22 s P. ROW\n30 c P. QUERY\n40 s P. ROW\n500 c P. QUERY\n520 s F.", true, 0},
		"HTTP":             {atClient + "500 c P. GET\n520 s F.", false, 1},
		"a part of a body": {"11 c P. QUERY\n22 s P. OK\n500 c P. GET\n520 s F.", false, 1},
		"HTTP/2 in TLS: SETTINGS are acknowledged": {overTLS13 + "37 c P. FRAME\n5036 s P. ALERT\n5036 s F.", false, 0},
	} {
		all := live(t, c.text, [2]uint32{1, 1})
		if len(all) != 1 || all[0].Other != c.other || len(all[0].Unanswered) != c.unasked {
			t.Errorf("%s: %s", name, sum(all[0]))
		}
	}
}

func TestStories(t *testing.T) {
	for _, s := range stories {
		for name, isn := range map[string][2]uint32{"": {1000, 2000}, ", numbers wrap": {math.MaxUint32 - 20, math.MaxUint32 - 30}} {
			t.Run(s.name+name, func(t *testing.T) {
				all := live(t, s.text, isn)
				if len(all) != 1 {
					t.Fatalf("%d connections, want 1: %+v", len(all), all)
				}
				if got := sum(all[0]); got != s.want {
					t.Errorf("got  %s\nwant %s\nclose: %s\nunanswered: %+v", got, s.want, all[0].Close.Why, all[0].Unanswered)
				}
			})
		}
	}
}

func TestSidesAreFoundWithoutASYN(t *testing.T) {
	// The client has the lower port, and the server's response is seen first.
	for i, text := range []string{"31 s P. OK\n1000 c P. GET\n1010 s P. OK", "31 c P. GET\n1010 s P. OK"} {
		var all []evidence.Connection
		v := NewLives(func(c *evidence.Connection) { all = append(all, *c) }, nil)
		for _, s := range story(t, text, [2]uint32{1, 1}) {
			if s.Src == serverEnd {
				s.Src, s.Dst = clientEnd, serverEnd
			} else {
				s.Src, s.Dst = serverEnd, clientEnd
			}
			v.Add(&s)
		}
		v.End()
		if len(all) != 1 || all[0].Server != clientEnd || all[0].Guessed {
			t.Errorf("%d: got %+v", i, all)
		}
	}
}

func TestOriginOfARST(t *testing.T) {
	for _, c := range []struct {
		rst    string
		origin evidence.Side
		basis  evidence.Basis
	}{
		{"5029 s R. ttl=57", evidence.ByServer, evidence.Seen}, // its id continues
		{"5029 s R. ttl=57 id=0", evidence.ByServer, evidence.Inferred},
		{"5029 s R. ttl=63", evidence.ByMiddle, evidence.Inferred},
	} {
		all := live(t, atClient+c.rst, [2]uint32{1, 1})
		r := all[0].Resets[0]
		if r.Origin != c.origin || r.Basis != c.basis || r.Why == "" {
			t.Errorf("%s: got %+v", c.rst, r)
		}
		if all[0].Close.By != c.origin {
			t.Errorf("%s: closed by %v", c.rst, all[0].Close.By)
		}
	}
}

func TestWhereItWasSeen(t *testing.T) {
	for want, text := range map[evidence.Side]string{evidence.ByClient: atClient, evidence.ByServer: atServer} {
		if got := live(t, text, [2]uint32{1, 1})[0].Near; got != want {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

// The SYNs of the second connection are missing.
func TestPortsAreUsedAgainUnseen(t *testing.T) {
	var got []string
	v := NewLives(func(c *evidence.Connection) { got = append(got, sum(*c)) }, nil)
	for _, s := range story(t, atClient+"5031 c F.\n5032 s F.\n5042 c .", [2]uint32{1000, 2000}) {
		v.Add(&s)
	}
	for _, s := range story(t, atClient, [2]uint32{500000, 3000000})[3:] {
		s.At += 6 * time.Second
		v.Add(&s)
	}
	v.End()
	if want := []string{"1 requests, seen client fin at 5.031s; client waits", "1 requests, unknown nobody open"}; !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestPortsAreUsedAgain(t *testing.T) {
	all := live(t, atClient+`
5031 s F.
5031 c .
5032 c F.
5042 s .
`, [2]uint32{1000, 2000})
	again := live(t, atClient, [2]uint32{500000, 700000})
	var both []evidence.Connection
	v := NewLives(func(c *evidence.Connection) { both = append(both, *c) }, nil)
	for _, s := range story(t, atClient+"5031 s F.\n5031 c .\n5032 c F.\n5042 s .", [2]uint32{1000, 2000}) {
		v.Add(&s)
	}
	for _, s := range story(t, atClient, [2]uint32{500000, 700000}) {
		s.At += 6 * time.Second
		v.Add(&s)
	}
	v.End()
	if len(both) != 2 || sum(both[0]) != sum(all[0]) || sum(both[1]) != sum(again[0]) {
		t.Errorf("got %d connections", len(both))
	}
}

// A server in TIME_WAIT answers a SYN on the same ports with the old connection's ACK. What
// the client, or a NAT, resets then is the old connection, and the SYN that is sent again belongs
// to the new one.
func TestSYNMeetsTimeWait(t *testing.T) {
	const isn, old = 5_000_000, 2_000_000_000
	c, s := netip.MustParseAddrPort("10.0.0.1:40000"), netip.MustParseAddrPort("10.0.0.2:80")
	get, ok := []byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), []byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
	var seen []evidence.Connection
	lives := NewLives(func(c *evidence.Connection) { seen = append(seen, *c) }, nil)
	for i, p := range []struct {
		from     netip.AddrPort
		flags    Flags
		seq, ack uint32
		payload  []byte
	}{
		{c, FlagSYN, isn, 0, nil},
		{s, FlagACK, 7_000_000, old, nil}, // of the old connection
		{c, FlagRST, old, 0, nil},         // so is this
		{c, FlagSYN, isn, 0, nil},
		{s, FlagSYN | FlagACK, 9_000_000, isn + 1, nil},
		{c, FlagACK, isn + 1, 9_000_001, nil},
		{c, FlagACK, isn + 1, 9_000_001, get},
		{s, FlagACK, 9_000_001, isn + 1 + uint32(len(get)), ok},
	} {
		to := s
		if p.from == s {
			to = c
		}
		lives.Add(&Segment{At: time.Duration(i) * 100 * time.Millisecond, Src: p.from, Dst: to, Flags: p.flags, Seq: p.seq, Ack: p.ack, Payload: p.payload, Len: len(p.payload)})
	}
	lives.End()
	if len(seen) != 1 || seen[0].SYNs != 2 || len(seen[0].Resets) != 0 || seen[0].Requests != 1 || len(seen[0].Unanswered) != 0 {
		t.Errorf("want one connection, whose SYN was sent twice and that answered: %+v", seen)
	}
}
