package redact

import (
	"bytes"
	"strings"
	"testing"
)

// blanked returns what stands for the pieces of one direction.
func blanked(pieces ...string) string {
	var p protocol
	h := half{protocol: &p}
	var out []string
	for _, piece := range pieces {
		b := []byte(piece)
		h.blank(b, true)
		out = append(out, string(b))
	}
	return strings.Join(out, "|")
}

func TestBlank(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []string
		want string
	}{
		{"a request", []string{"GET /a?b=c HTTP/1.1\r\nHost: a.b\r\nCookie: d\r\n\r\n"}, "GET /xxxxx HTTP/1.1\r\nxxxx:xxxx\r\nxxxxxx:xx\r\n\r\n"},
		{"in pieces", []string{"GET /ab", "c HT", "TP/1.0\r", "\nConnec", "tion: keep", "-alive\r\n\r\nGET / HTTP/1.1\r\n\r\n"},
			"GET /xx|x HT|TP/1.0\r|\nConnec|tion: keep|-alive\r\n\r\nGET / HTTP/1.1\r\n\r\n"},
		{"an unknown method", []string{"GETSECRET /a HTTP/1.1\r\n\r\n"}, "XXXXXXXXX /x HTTP/1.1\r\n\r\n"},
		{"a target with spaces", []string{"GET /a HTTP/1.1 b HTTP/1.1\r\n\r\n"}, "GET /x xxxxxxxx x HTTP/1.1\r\n\r\n"},
		{"a body", []string{"POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nGET /GET / HTTP/1.1\r\n\r\n"}, "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nxxxxxGET / HTTP/1.1\r\n\r\n"},
		{"a response", []string{"HTTP/1.1 404 Not here\r\nServer: s\r\nKeep-Alive: timeout=5, max=9, id=7\r\nConnection: Keep-Alive, X-Secret\r\nContent-Length: 4\r\n\r\nHTTP"},
			"HTTP/1.1 404 xxxxxxxx\r\nxxxxxx:xx\r\nKeep-Alive: timeout=5, max=9, xxxx\r\nConnection: keep-alive, xxxxxxxx\r\nContent-Length: 4\r\n\r\nxxxx"},
		{"a version and more", []string{"HTTP/1.1,secret 200 OK\r\n\r\n"}, strings.Repeat("x", 26)},
		{"a method and more", []string{"GET,A / HTTP/1.1\r\n\r\n"}, strings.Repeat("x", 20)},
		{"a field and more", []string{"GET / HTTP/1.1\r\nConnection;a: close\r\nConnection: close;a\r\n\r\n"}, "GET / HTTP/1.1\r\nxxxxxxxxxxxx:xxxxxx\r\nConnection: xxxxxxx\r\n\r\n"},
		{"chunks", []string{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;id=4\r\nabc\r\n0\r\nSum: 1\r\n\r\nHTTP/1.1 204 a\r\n\r\n"},
			"HTTP/1.1 200 xx\r\nTransfer-Encoding: chunked\r\n\r\n3;xxxx\r\nxxx\r\n0\r\nxxx:xx\r\n\r\nHTTP/1.1 204 x\r\n\r\n"},
		{"until the end", []string{"HTTP/1.0 200 OK\r\n\r\nabc", "HTTP/1.1 200 OK\r\n\r\n"}, "HTTP/1.0 200 xx\r\n\r\nxxx|xxxxxxxxxxxxxxxxxxx"},
		{"to HEAD", []string{"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"}, "HTTP/1.1 200 xx\r\nContent-Length: 9\r\n\r\n|HTTP/1.1 200 xx\r\n\r\n"},
		{"interim", []string{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"}, "HTTP/1.1 100 xxxxxxxx\r\n\r\nHTTP/1.1 200 xx\r\nContent-Length: 0\r\n\r\n"},
		{"two numbers", []string{"HTTP/1.1 200 OK\r\nContent-Length: 12 34\r\n\r\n"}, "HTTP/1.1 200 xx\r\nContent-Length: 12 xx\r\n\r\n"},
		{"a folded line", []string{"GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n"}, "GET / HTTP/1.1\r\nx:xx\r\n x\r\n\r\n"},
		{"TLS", []string{"\x16\x03\x01\x00\x04sniX\x14\x03\x03\x00\x01a", "\x17\x03\x03\x00\x02ab"}, "\x16\x03\x01\x00\x04xxxx\x14\x03\x03\x00\x01x|\x17\x03\x03\x00\x02xx"},
		{"TLS out of step", []string{"\x17\x03\x03\x00\x01ab", "cd", "\x17\x03\x03\x00\x01a"}, "\x17\x03\x03\x00\x01xx|xx|\x17\x03\x03\x00\x01x"},
		{"another protocol", []string{"*1\r\n$4\r\nPING\r\n", "PRI * HTTP/2.0\r\n"}, strings.Repeat("x", 14) + "|" + strings.Repeat("x", 16)},
	} {
		if got := blanked(c.in...); got != c.want {
			t.Errorf("%s:\ngot  %q\nwant %q", c.name, got, c.want)
		}
	}
}

func TestBlankAfterAGap(t *testing.T) {
	var p protocol
	h := half{protocol: &p}
	take := func(text string) string {
		b := []byte(text)
		h.blank(b, true)
		return string(b)
	}
	take("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nab")
	h.miss(6)
	if got := take("cdGET / HTTP/1.1\r\n\r\n"); got != "xxGET / HTTP/1.1\r\n\r\n" {
		t.Errorf("behind a gap in a body: %q", got)
	}
	take("GET /a")
	h.miss(3)
	if got := take("secret: b\r\nConnection: close\r\n\r\nGET / "); got != strings.Repeat("x", 38) {
		t.Errorf("behind a gap in a head: %q", got)
	}
	if got := take("GET /b HTTP/1.1\r\n"); got != "GET /x HTTP/1.1\r\n" {
		t.Errorf("at the next request: %q", got)
	}
}

// FuzzBlank: what is left consists of the words and numbers that may stay, and blanking it
// again changes nothing.
func FuzzBlank(f *testing.F) {
	f.Add([]byte("GET /a HTTP/1.1\r\nConnection: close\r\n\r\n"), uint8(7))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"), uint8(3))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nKeep-Alive: timeout=5\r\n\r\nabc"), uint8(60))
	f.Add([]byte("\x16\x03\x01\x00\x02ab\x17\x03\x03\x00\x01a"), uint8(5))
	f.Fuzz(func(t *testing.T, text []byte, cut uint8) {
		pieces := func(b []byte) (list []string) {
			n := int(cut)%61 + 1
			for ; len(b) > n; b = b[n:] {
				list = append(list, string(b[:n]))
			}
			return append(list, string(b))
		}
		join := func(s string, n int) []byte {
			b := []byte(strings.Join(strings.Split(s, "|"), ""))
			if len(b) != n {
				t.Skip() // the text has the separator
			}
			return b
		}
		once := join(blanked(pieces(text)...), len(text))
		if again := join(blanked(pieces(once)...), len(text)); !bytes.Equal(once, again) {
			t.Errorf("%q\nbecomes %q\nand then %q", text, once, again)
		}
	})
}
