package http1

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// seen is how a Response, or net/http, reads a stream.
type seen struct {
	HeadRead, Done, Close bool
	Status                int
	Length                int64
	Hint                  time.Duration
	Used                  int    // bytes that belong to the response; when Done
	Err                   string // empty: none
}

// readResponse feeds a response the stream, cut into pieces whose lengths next says,
// and then its end.
func readResponse(t *testing.T, r *Response, method, stream string, next func() int) seen {
	t.Helper()
	r.Reset(method)
	used, err := 0, error(nil)
	for used < len(stream) && err == nil && !r.Done {
		piece := []byte(stream[used:min(used+next(), len(stream))])
		var n int
		n, err = r.Feed(piece)
		used += n
		if err == nil && !r.Done && n < len(piece) {
			t.Fatalf("feed used %d of %d bytes, without an error and without being done", n, len(piece))
		}
		for i := range piece {
			piece[i] = 'x' // the caller reads the next bytes into the same buffer
		}
	}
	if err == nil && !r.Done {
		err = r.End()
	}
	s := seen{HeadRead: r.HeadRead, Done: r.Done, Close: r.Close, Status: r.Status, Length: r.Length, Hint: r.KeepAlive}
	if _, not := errors.AsType[*NotHTTPError](err); not {
		s.Err = notHTTP // how much the text shows depends on the pieces
	} else if err != nil {
		s.Err = err.Error()
	}
	if r.Done {
		s.Used = used
	}
	return s
}

// notHTTP stands for the text of any NotHTTPError.
const notHTTP = "not HTTP"

func whole() int  { return 1 << 30 }
func single() int { return 1 }

func TestResponse(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	complete := func(status int, length int64, used int) seen {
		return seen{HeadRead: true, Done: true, Status: status, Length: length, Hint: NoKeepAlive, Used: used}
	}
	closes := func(s seen) seen { s.Close = true; return s }
	hints := func(s seen, hint time.Duration) seen { s.Hint = hint; return s }
	broken := func(err string) seen { return seen{Hint: NoKeepAlive, Err: err} }
	brokenBody := func(length int64, err string) seen {
		return seen{HeadRead: true, Status: 200, Length: length, Hint: NoKeepAlive, Err: err}
	}
	const cut = "unexpected EOF"
	const chunkedOK = ok + "Transfer-Encoding: chunked\r\n\r\n"
	long := strings.Repeat("x", 5000)

	for _, tt := range []struct {
		name, method, stream string
		want                 seen
	}{
		{"length", "GET", ok + "Content-Length: 5\r\n\r\nhello", complete(200, 5, 43)},
		{"length 0", "GET", ok + "Content-Length: 0\r\n\r\n", complete(200, 0, 38)},
		{"more than the response", "GET", ok + "Content-Length: 5\r\n\r\nhelloHTTP/1.1 408", complete(200, 5, 43)},
		{"head cut", "GET", ok + "Content-Length: 5\r\n", broken(cut)},
		{"nothing", "GET", "", broken(cut)},
		{"body cut", "GET", ok + "Content-Length: 5\r\n\r\nhell", brokenBody(5, cut)},
		{"until the end", "GET", ok + "\r\nhello", closes(complete(200, -1, 24))},
		{"until the end, empty", "GET", ok + "\r\n", closes(complete(200, -1, 19))},
		{"bare line feeds", "GET", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", complete(200, 5, 40)},
		{"names in any case", "GET", ok + "cOnTeNt-LeNgTh:5\r\n\r\nhello", complete(200, 5, 42)},
		{"no reason phrase", "GET", "HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", complete(404, 0, 35)},

		{"HEAD with a length", "HEAD", ok + "Content-Length: 5\r\n\r\n", complete(200, 5, 38)},
		{"HEAD without", "HEAD", ok + "\r\n", complete(200, -1, 19)},
		{"HEAD chunked", "HEAD", chunkedOK, complete(200, -1, 47)},
		{"204", "GET", "HTTP/1.1 204 No Content\r\n\r\n", complete(204, 0, 27)},
		{"204 with a length", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", complete(204, 0, 46)},
		{"304 with a length", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", complete(304, 0, 48)},
		{"304 chunked", "GET", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", complete(304, 0, 57)},
		{"101", "GET", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nwhatever", closes(complete(101, 0, 48))},

		{"close", "GET", ok + "Connection: close\r\nContent-Length: 0\r\n\r\n", closes(complete(200, 0, 57))},
		{"close in a list", "GET", ok + "Connection: x , CLOSE\r\nContent-Length: 0\r\n\r\n", closes(complete(200, 0, 61))},
		{"close in the second field", "GET", ok + "Connection: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", closes(complete(200, 0, 72))},
		{"not close", "GET", ok + "Connection: closed\r\nContent-Length: 0\r\n\r\n", complete(200, 0, 58)},
		{"1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", closes(complete(200, 0, 38))},
		{"1.0 keep-alive", "GET", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n", complete(200, 0, 62)},
		{"1.0 keep-alive and close", "GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive, close\r\nContent-Length: 0\r\n\r\n", closes(complete(200, 0, 69))},
		{"1.0 keep-alive without a length", "GET", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\nhello", closes(complete(200, -1, 48))},
		{"1.0 has no chunks", "GET", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n", closes(complete(200, 2, 68))},
		{"0.0 has chunks", "GET", "HTTP/0.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nhello", closes(complete(200, -1, 52))},

		{"hint", "GET", ok + "Keep-Alive: timeout=5, max=100\r\nContent-Length: 0\r\n\r\n", hints(complete(200, 0, 70), 5*time.Second)},
		{"hint of 0", "GET", ok + "Keep-Alive: max=100 , Timeout = 0\r\nContent-Length: 0\r\n\r\n", hints(complete(200, 0, 73), 0)},
		{"only the first Keep-Alive counts", "GET", ok + "Keep-Alive: max=1\r\nKeep-Alive: timeout=5\r\nContent-Length: 0\r\n\r\n", complete(200, 0, 80)},
		{"hint that is no number", "GET", ok + "Keep-Alive: timeout=5s\r\nContent-Length: 0\r\n\r\n", complete(200, 0, 62)},
		{"an interim response's hint", "GET", "HTTP/1.1 103 Early Hints\r\nKeep-Alive: timeout=5\r\nConnection: close\r\n\r\n" + ok + "Content-Length: 0\r\n\r\n", complete(200, 0, 108)},

		{"interim", "GET", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 8) + ok + "Content-Length: 5\r\n\r\nhello", complete(200, 5, 243)},
		{"too many interim", "GET", strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 9) + ok + "Content-Length: 5\r\n\r\nhello", broken(errTooManyInterim.Error())},
		{"only interim", "GET", "HTTP/1.1 100 Continue\r\n\r\n", broken(cut)},

		{"chunked", "GET", chunkedOK + "5\r\nhello\r\n00A;x=y\r\n0123456789\r\n0\r\n\r\n", complete(200, -1, 83)},
		{"chunked overrides the length", "GET", ok + "Content-Length: 5\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n", complete(200, -1, 78)},
		{"chunked that closes", "GET", ok + "Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", closes(complete(200, -1, 71))},
		{"trailer", "GET", chunkedOK + "0\r\nX: y\r\nZ: a\r\n b\r\n\r\nHTTP", complete(200, -1, 68)},
		{"the largest trailer", "GET", chunkedOK + "0\r\nX:" + long[:4096-6] + "\r\n\r\n", complete(200, -1, 47+3+4096)},
		{"too large a trailer", "GET", chunkedOK + "0\r\nX:" + long[:4096-5] + "\r\n\r\n", brokenBody(-1, "the trailer is larger than 4096 bytes")},
		{"malformed trailer", "GET", chunkedOK + "0\r\nX\r\n\r\n", brokenBody(-1, `in the trailer: malformed header line "X": no colon`)},
		{"trailer ends in a bare line feed", "GET", chunkedOK + "0\r\nX: y\r\n\n", brokenBody(-1, "the trailer does not end in CRLF CRLF")},
		{"trailer's last line ends in a bare line feed", "GET", chunkedOK + "0\r\nX: y\n\r\n", brokenBody(-1, "the trailer does not end in CRLF CRLF")},
		{"bare line feed within a trailer", "GET", chunkedOK + "0\r\nX: y\nZ: a\r\n\r\n", complete(200, -1, 63)},
		{"no trailer, a bare line feed", "GET", chunkedOK + "0\r\n\n", brokenBody(-1, "the trailer does not end in CRLF CRLF")},
		{"chunk cut", "GET", chunkedOK + "5\r\nhel", brokenBody(-1, cut)},
		{"no last chunk", "GET", chunkedOK + "5\r\nhello\r\n", brokenBody(-1, cut)},
		{"trailer cut", "GET", chunkedOK + "0\r\n", brokenBody(-1, cut)},
		{"chunk size is no number", "GET", chunkedOK + "xyz\r\n", brokenBody(-1, `malformed chunked body: chunk size "xyz"`)},
		{"no chunk size", "GET", chunkedOK + "\r\n", brokenBody(-1, `malformed chunked body: chunk size ""`)},
		{"blank before an extension", "GET", chunkedOK + "5 ;x\r\n", brokenBody(-1, `malformed chunked body: chunk size "5 "`)},
		{"blank behind a size", "GET", chunkedOK + "0 \t\r\n\r\n", complete(200, -1, 54)},
		{"the longest chunk size", "GET", chunkedOK + "0000000000000000\r\n\r\n", complete(200, -1, 67)},
		{"chunk size too long", "GET", chunkedOK + "00000000000000000\r\n\r\n", brokenBody(-1, `malformed chunked body: chunk size "00000000000000000"`)},
		{"chunk line ends in a bare line feed", "GET", chunkedOK + "5\nhello", brokenBody(-1, `malformed chunked body: the line "5\n" does not end in its only CR and LF`)},
		{"chunk line is a bare line feed", "GET", chunkedOK + "\n", brokenBody(-1, `malformed chunked body: the line "\n" does not end in its only CR and LF`)},
		{"chunk data too long", "GET", chunkedOK + "5\r\nhello!\r\n", brokenBody(-1, "malformed chunked body: a chunk's data does not end in CRLF")},
		{"chunk data ends in CR", "GET", chunkedOK + "5\r\nhello\r!\r\n", brokenBody(-1, "malformed chunked body: a chunk's data does not end in CRLF")},
		{"the longest chunk line", "GET", chunkedOK + "0;" + long[:4096-4] + "\r\n\r\n", complete(200, -1, 47+4096+2)},
		{"too long a chunk line", "GET", chunkedOK + "0;" + long[:4096-3] + "\r\n\r\n", brokenBody(-1, "malformed chunked body: the line with a chunk's size is longer than 4096 bytes")},
		{"far more extensions than data", "GET", chunkedOK + strings.Repeat("1;"+long[:4000]+"\r\nx\r\n", 5), brokenBody(-1, "malformed chunked body: far more chunk extensions than data")},

		{"equal lengths", "GET", ok + "Content-Length: 2\r\nContent-Length: 2 \r\n\r\nhi", complete(200, 2, 60)},
		{"conflicting lengths", "GET", ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nhi", broken(`malformed header: conflicting Content-Length 2 and "3"`)},
		{"equal lengths, spelt differently", "GET", ok + "Content-Length: 2\r\nContent-Length: 02\r\n\r\nhi", broken(`malformed header: conflicting Content-Length 2 and "02"`)},
		{"list of lengths", "GET", ok + "Content-Length: 2, 2\r\n\r\nhi", broken(`malformed header: Content-Length "2, 2"`)},
		{"negative length", "GET", ok + "Content-Length: -1\r\n\r\n", broken(`malformed header: Content-Length "-1"`)},
		{"empty length", "GET", ok + "Content-Length: \r\n\r\n", broken(`malformed header: Content-Length ""`)},
		{"length too large", "GET", ok + "Content-Length: 9223372036854775808\r\n\r\n", broken(`malformed header: Content-Length "9223372036854775808"`)},
		{"the largest length", "GET", ok + "Content-Length: 9223372036854775807\r\n\r\nhello", brokenBody(1<<63-1, cut)},
		{"malformed length where it means nothing", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: x\r\n\r\n", broken(`malformed header: Content-Length "x"`)},
		{"two encodings", "GET", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", broken("malformed header: more than one Transfer-Encoding")},
		{"another encoding", "GET", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n", broken(`malformed header: Transfer-Encoding "gzip, chunked", want only chunked`)},
		{"Kelvin is no k", "GET", ok + "Transfer-Encoding: chun\u212aed\r\n\r\n", broken(`malformed header: Transfer-Encoding "chun` + "\u212a" + `ed", want only chunked`)},
		{"a length as trailer", "GET", ok + "Transfer-Encoding: chunked\r\nTrailer: x, content-length\r\n\r\n0\r\n\r\n", broken("malformed header: Trailer announces content-length, which cannot be one")},
		{"a length as trailer of no chunks", "GET", ok + "Content-Length: 0\r\nTrailer: content-length\r\n\r\n", complete(200, 0, 63)},

		{"not HTTP", "GET", "SSH-2.0-OpenSSH_9.9\r\n", broken(notHTTP)},
		{"not HTTP, and no line", "GET", "\x15\x03\x03\x00\x02\x02\x0a", broken(notHTTP)},
		{"not HTTP from the fifth byte on", "GET", "HTTP-", broken(notHTTP)},
		{"not HTTP behind an interim response", "GET", "HTTP/1.1 100 Continue\r\n\r\nhello", broken(notHTTP)},
		{"the begin of HTTP", "GET", "HTT", broken(cut)},
		{"empty status line", "GET", "\r\n" + ok, broken(notHTTP)},
		{"no version", "GET", "HTTP/\r\n", broken(`malformed status line "HTTP/"`)},
		{"code 0", "GET", "HTTP/1.1 000 \r\n\r\n" + ok + "\r\n", broken(`malformed status line: status code "000"`)},
		{"code below 100", "GET", "HTTP/1.1 099 \r\n\r\n" + ok + "\r\n", broken(`malformed status line: status code "099"`)},
		{"the lowest code", "GET", "HTTP/1.1 100 \r\n\r\n" + ok + "Content-Length: 0\r\n\r\n", complete(200, 0, 55)},
		{"version", "GET", "HTTP/11 200 OK\r\n", broken(`malformed status line: HTTP version "HTTP/11"`)},
		{"code too long", "GET", "HTTP/1.1 2000 OK\r\n", broken(`malformed status line: status code "2000"`)},
		{"code is no number", "GET", "HTTP/1.1 2x0 OK\r\n", broken(`malformed status line: status code "2x0"`)},
		{"code too short", "GET", "HTTP/1.1 20\r\n", broken(`malformed status line: status code "20"`)},
		{"no colon", "GET", ok + "Server\r\n", broken(`malformed header line "Server": no colon`)},
		{"no name", "GET", ok + ": x\r\n\r\n", broken(`malformed header line ": x"`)},
		{"control character in a name", "GET", ok + "a\x01b: x\r\n\r\n", broken(`malformed header line "a\x01b: x"`)},
		{"control character in a value", "GET", ok + "a: x\x00\r\n\r\n", broken(`malformed header line "a: x\x00"`)},
		{"CR in a value", "GET", ok + "a: x\ry\r\n\r\n", broken(`malformed header line "a: x\ry"`)},
		{"tab before the colon", "GET", ok + "a\t: x\r\n\r\n", broken(`malformed header line "a\t: x"`)},
		{"space before the colon makes another name", "GET", ok + "Content-Length : 5\r\n\r\nhello", closes(complete(200, -1, 44))},
		{"folded", "GET", ok + "X: a\r\n  b\r\nConnection:\r\n \t close \r\nContent-Length: 0\r\n\r\n", closes(complete(200, 0, 73))},
		{"folded into nothing", "GET", ok + "Transfer-Encoding: chunked\r\n \r\n\r\n", broken(`malformed header: Transfer-Encoding "chunked ", want only chunked`)},
		{"the first line folded", "GET", ok + " Content-Length: 5\r\n\r\n", broken(`malformed header: the first line " Content-Length: 5" begins with a blank`)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r Response
			if diff := cmp.Diff(tt.want, readResponse(t, &r, tt.method, tt.stream, whole)); diff != "" {
				t.Errorf("fed whole (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.want, readResponse(t, &r, tt.method, tt.stream, single)); diff != "" {
				t.Errorf("fed byte by byte (-want +got):\n%s", diff)
			}
			if diff := agrees(t, tt.method, tt.stream); diff != "" {
				t.Errorf("unlike net/http (-net/http +response):\n%s", diff)
			}
		})
	}
}

// A head may have 1 MiB, interim ones included.
func TestResponseHeadTooLarge(t *testing.T) {
	const start, end = "HTTP/1.1 200 OK\r\nX: ", "\r\nContent-Length: 0\r\n\r\n"
	const interim = "HTTP/1.1 100 Continue\r\n\r\n"
	pad := strings.Repeat("x", maxHead-len(start)-len(end))
	page := func() int { return 4096 }
	for _, tt := range []struct{ name, stream, want string }{
		{"as large as may be", start + pad + end, ""},
		{"one byte more", start + pad + "x" + end, ErrHeadTooLarge.Error()},
		{"with an interim one", interim + start + pad[len(interim):] + end, ""},
		{"one byte more, with an interim one", interim + start + pad[len(interim)-1:] + end, ErrHeadTooLarge.Error()},
		{"no end of a line", start + pad + pad, ErrHeadTooLarge.Error()},
		{"no line at all", "HTTP/" + strings.Repeat("x", 2*maxHead), ErrHeadTooLarge.Error()},
		{"malformed before that", "HTTP/" + strings.Repeat("x", maxHead-6) + "\n", `malformed status line "HTTP/` + strings.Repeat("x", 75) + `"`},
		{"not HTTP", strings.Repeat("x", 2*maxHead), notHTTP},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for name, next := range map[string]func() int{"whole": whole, "in pages": page, "byte by byte": single} {
				var r Response
				if got := readResponse(t, &r, "GET", tt.stream, next); got.Err != tt.want {
					t.Errorf("%s: error %q, want %q", name, got.Err, tt.want)
				}
			}
		})
	}
}

// The same response serves one response after another, whatever came before, and
// keeps no large buffer.
func TestResponseReset(t *testing.T) {
	var r Response
	for _, stream := range []string{
		"HTTP/1.1 200 OK\r\nConnection: close\r\nKeep-Alive: timeout=1\r\nX: y",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;xyz",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<19),
		"x\n",
	} {
		readResponse(t, &r, "HEAD", stream, single)
		want := seen{HeadRead: true, Done: true, Status: 200, Length: 2, Hint: NoKeepAlive, Used: 40}
		if diff := cmp.Diff(want, readResponse(t, &r, "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", single)); diff != "" {
			t.Errorf("after %.60q (-want +got):\n%s", stream, diff)
		}
		if got := cap(r.lines.buf); got > keptBuffer {
			t.Errorf("after %.60q a buffer of %d bytes is kept, want %d at most", stream, got, keptBuffer)
		}
	}
}

// What the caller may ask before the response is whole.
func TestResponseOnTheWay(t *testing.T) {
	var r Response
	r.Reset("GET")
	feed := func(s string) {
		t.Helper()
		if n, err := r.Feed([]byte(s)); n != len(s) || err != nil {
			t.Fatalf("feed(%q) = %d, %v, want all of it", s, n, err)
		}
	}
	feed("HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r")
	if r.HeadRead || r.Status != 0 {
		t.Errorf("before its head is whole: headRead %t, status %d", r.HeadRead, r.Status)
	}
	feed("")
	feed("\nhel")
	if !r.HeadRead || r.Status != 503 || r.Length != 5 || r.Done {
		t.Errorf("within its body: headRead %t, status %d, length %d, done %t", r.HeadRead, r.Status, r.Length, r.Done)
	}
	if err := r.End(); !errors.Is(err, io.ErrUnexpectedEOF) || r.Done {
		t.Errorf("end within the body: %v, done %t", err, r.Done)
	}
}

func TestKeepAliveIsParsed(t *testing.T) {
	for value, want := range map[string]time.Duration{
		"timeout=5": 5 * time.Second, "timeout=5, max=100": 5 * time.Second, "max=100, Timeout = 7": 7 * time.Second,
		"": NoKeepAlive, "max=3": NoKeepAlive, "timeout=": NoKeepAlive, "timeout=-1": NoKeepAlive, "timeout=0": 0,
		"timeout=99999999999999999999": NoKeepAlive,
	} {
		if got := keepAliveTimeout([]byte(value)); got != want {
			t.Errorf("%q is %v, want %v", value, got, want)
		}
	}
}

func TestSkip(t *testing.T) {
	for _, c := range []struct {
		fed  string
		skip int64
		ok   bool
		rest string // what completes the response
	}{
		{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", 10, true, ""},
		{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12", 3, true, "67890"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", 11, false, "1234567890"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n12", 7, true, "0\r\n0\r\n\r\n"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\n12", 8, false, "34567890\r\n0\r\n\r\n"}, // the line end may be among them
		{"HTTP/1.1 200 OK\r\nContent-Le", 3, false, "ngth: 0\r\n\r\n"},
	} {
		var r Response
		r.Reset("GET")
		if _, err := r.Feed([]byte(c.fed)); err != nil {
			t.Fatal(err)
		}
		if ok := r.Skip(c.skip); ok != c.ok {
			t.Errorf("%q: Skip(%d) is %v", c.fed, c.skip, ok)
		}
		if _, err := r.Feed([]byte(c.rest)); err != nil || !r.Done {
			t.Errorf("%q, %d skipped, %q: done %v, error %v", c.fed, c.skip, c.rest, r.Done, err)
		}
	}
	var r Response
	r.Reset("GET")
	r.Feed([]byte("HTTP/1.1 200 OK\r\n\r\nabc"))
	if !r.Skip(1<<40) || r.Done || r.End() != nil || !r.Done {
		t.Error("a body that ends with the stream may be skipped, and ends with it")
	}
}
