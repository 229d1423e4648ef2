package segments

import (
	"testing"

	"github.com/kabench/kabench/internal/evidence"
)

// bare returns the connections of a story, from the headers alone.
func bare(t testing.TB, text string) []evidence.Connection {
	t.Helper()
	var all []evidence.Connection
	v := NewLives(func(c *evidence.Connection) { all = append(all, *c) }, nil)
	v.Bare = true
	for _, s := range story(t, text, [2]uint32{1000, 2000}) {
		s.Payload = nil
		v.Add(&s)
	}
	v.End()
	return all
}

const bareTLS = `
0  c S
10 s S.
10 c .
11 c P. len=517
22 s P. len=1800
23 c P. len=80
24 c P. len=300
35 s P. len=500
36 s P. len=2000
36 c .
`

const bareHTTP = `
0  c S
10 s S.
10 c .
20 c P. len=120
31 s P. len=200
31 c .
`

func TestBare(t *testing.T) {
	for _, s := range []struct{ name, text, want string }{
		{"the server closes an idle connection", bareHTTP + "5031 s F.\n5031 c .\n5040 c F.\n5050 s .",
			"1 requests, seen server fin at 5.031s; server waits"},
		{"the client closes an idle connection", bareHTTP + "4031 c F.\n4041 s F.\n4041 c .",
			"1 requests, seen client fin at 4.031s; client waits"},
		{"crossed", bareHTTP + "5029 c P. len=120\n5031 s F. blind\n5041 s R",
			"1 requests, seen server fin at 5.031s; inferred crossed 2ms idle 4.998s"},
		{"late", bareHTTP + "5031 s F.\n5031 c .\n5035 c P. len=120\n5045 s R",
			"1 requests, seen server fin at 5.031s; inferred late -4ms idle 5.004s"},
		{"arrived", bareHTTP + "5029 c P. len=120\n5041 s F.",
			"1 requests, seen server fin at 5.041s; inferred arrived 12ms idle 4.998s"},
		{"a RST answers", bareHTTP + "5029 c P. len=120\n5041 s R",
			"1 requests, inferred server rst at 5.041s; inferred forgotten 12ms idle 4.998s"},
		{"a RST without data", bareHTTP + "5029 c R.", "1 requests, seen client rst at 5.029s"},
		{"a close_notify of the server is no response", bareTLS + "5029 c P. len=300\n5031 s P. len=24 blind\n5031 s F. blind\n5041 s R",
			"2 requests, inferred server close_notify at 5.031s; inferred crossed 2ms idle 4.993s"},
		{"a close_notify of the server does not end the idle time", bareTLS + "5036 s P. len=24\n5036 s F.\n5037 c .\n5037 c P. len=24\n5037 c F.\n5047 s .",
			"2 requests, inferred server close_notify at 5.036s; server waits"},
		{"with the FIN on it", bareTLS + "5036 s FP. len=24\n5037 c F.\n5047 s .",
			"2 requests, inferred server close_notify at 5.036s; server waits"},
		{"a close_notify of the client is no request", bareTLS + "4036 c P. len=24\n4036 c F.\n4047 s F.\n4047 c .",
			"2 requests, seen client fin at 4.036s; client waits"},
		{"a short response, and the server closes at once", bareHTTP + "1000 c P. len=120\n1010 s P. len=27\n1010 s F.\n1020 c F.\n1030 s .",
			"2 requests, seen server fin at 1.01s; server waits"},
		{"the client answers a close_notify and is quicker", bareTLS + "5036 s P. len=24\n5037 c P. len=24\n5037 c F.\n5047 s F.\n5048 c .",
			"2 requests, inferred server close_notify at 5.036s; client waits"},
		{"a short response, and the client closes at once", bareHTTP + "1000 c P. len=120\n1005 s P. len=27\n1006 c F.\n1020 s F.\n1030 c .",
			"2 requests, seen client fin at 1.006s; client waits"},
		{"the server answers the client's close_notify", bareTLS + "4036 c P. len=24\n4036 c F.\n4040 s P. len=24\n4040 s F.\n4041 c .",
			"2 requests, seen client fin at 4.036s; client waits"},
		{"the server answers the client's close_notify and is quicker", bareTLS + "4036 c P. len=24\n4037 s P. len=24\n4037 s F.\n4038 c F.\n4041 s .",
			"2 requests, inferred client close_notify at 4.036s; server waits"},
		{"a frame that ends an HTTP/2 connection", bareTLS + "5036 s P. len=39\n5036 s P. len=24\n5037 c P. len=24\n5037 c F.\n5047 s F.\n5048 c .",
			"2 requests, inferred server close_notify at 5.036s; client waits"},
		{"a frame of HTTP/2 is no request", bareTLS + "3000 c P. len=39\n3010 s F.",
			"2 requests, seen server fin at 3.01s"},
		{"short queries are requests if they are answered", "0 c S\n10 s S.\n10 c .\n20 c P. len=30\n30 s P. len=60\n500 c P. len=30\n505 s F. blind",
			"1 requests, seen server fin at 505ms; inferred crossed 5ms idle 470ms"},
		{"idle before the watch, the server closes", "500 s F.\n501 c .", "0 requests, seen server fin at 500ms"},
		{"idle before the watch, a close_notify", "500 s P. len=24\n500 s F.\n501 c F.\n502 s .", "0 requests, inferred server close_notify at 500ms; server waits"},
		{"idle before the watch, a RST", "500 s R.", "0 requests, inferred server rst at 500ms"},
		{"open", bareHTTP, "1 requests, unknown nobody open"},
	} {
		all := bare(t, s.text)
		if len(all) != 1 {
			t.Errorf("%s: %d connections", s.name, len(all))
			continue
		}
		if got := sum(all[0]); got != s.want {
			t.Errorf("%s:\ngot  %s\nwant %s\n%s\n%+v", s.name, got, s.want, all[0].Close.Why, all[0].Unanswered)
		}
		if n := len(all[0].Exchanges); n > 0 && all[0].Close.How != evidence.Open && all[0].Close.At-all[0].Exchanges[n-1].Done < 0 {
			t.Errorf("%s: the last exchange ends after the close: %+v", s.name, all[0])
		}
		if !all[0].Bare {
			t.Errorf("%s: the connection does not say that only headers were seen", s.name)
		}
	}
}

// Without payload, nobody else is said to have closed first, and no request is made up.
func TestBareStoriesSayNoMore(t *testing.T) {
	for _, s := range stories {
		whole, headers := live(t, s.text, [2]uint32{1000, 2000}), bare(t, s.text)
		if len(whole) != len(headers) {
			t.Errorf("%s: %d connections, and %d without payload", s.name, len(whole), len(headers))
			continue
		}
		for i := range whole {
			a, b := &whole[i], &headers[i]
			if b.Close.How != evidence.Open && a.Close.By != b.Close.By && a.Close.How != evidence.Notify || a.BothWait != b.BothWait || a.TimeWait != b.TimeWait {
				t.Errorf("%s:\nwith payload %s\nwithout      %s", s.name, sum(*a), sum(*b))
			}
			if len(b.Unanswered) > len(a.Unanswered) {
				t.Errorf("%s: requests without a response:\nwith payload %+v\nwithout      %+v", s.name, a.Unanswered, b.Unanswered)
			}
		}
	}
}
