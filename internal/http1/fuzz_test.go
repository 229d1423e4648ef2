package http1

import (
	"bufio"
	"bytes"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// netHTTPResponse is how net/http reads a stream that begins with a response.
func netHTTPResponse(method, stream string) (s seen) {
	s.Hint = NoKeepAlive
	src := strings.NewReader(stream)
	br := bufio.NewReader(src)
	var resp *http.Response
	for range maxInterim + 1 {
		r, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			s.Err = err.Error()
			return s
		}
		if r.StatusCode < 100 {
			s.Err = "net/http bears a code that is in no class"
			return s
		}
		if r.StatusCode >= 200 || r.StatusCode == http.StatusSwitchingProtocols {
			resp = r
			break
		}
	}
	if resp == nil {
		s.Err = errTooManyInterim.Error()
		return s
	}
	untilEOF := resp.ContentLength < 0 && len(resp.TransferEncoding) == 0 && resp.Body != http.NoBody
	s.HeadRead, s.Status, s.Length = true, resp.StatusCode, resp.ContentLength
	s.Close = resp.Close || untilEOF || resp.StatusCode == http.StatusSwitchingProtocols
	for part := range strings.SplitSeq(resp.Header.Get("Keep-Alive"), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		n, err := strconv.ParseUint(strings.TrimSpace(value), 10, 31)
		if err == nil && strings.EqualFold(strings.TrimSpace(name), "timeout") {
			s.Hint = time.Duration(n) * time.Second
			break
		}
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		s.Err = err.Error()
		return s
	}
	s.Done = true
	s.Used = len(stream) - src.Len() - br.Buffered()
	return s
}

// agrees compares how Response and net/http read a stream; empty: the
// same. Only whether there is an error is compared, not its words.
//
// There are two deliberate differences. A code below 100 is malformed: see
// netHTTPResponse. And fields behind the last chunk that end with a
// bare LF are malformed at once. net/http waits for CRLF CRLF, for ever if need
// be, and accepts them if that comes later, in what is no part of the response.
func agrees(t *testing.T, method, stream string) string {
	t.Helper()
	var r Response
	got, want := readResponse(t, &r, method, stream, whole), netHTTPResponse(method, stream)
	if got.Err == errTrailerEnd.Error() {
		if want.Done && want.Used == len(stream) {
			return "net/http accepts the trailer, and nothing follows it"
		}
		want.Done, want.Used, want.Err = false, 0, got.Err
	}
	if got.Err != "" && want.Err != "" {
		got.Err, want.Err = "", ""
	}
	return cmp.Diff(want, got)
}

// checkResponse compares a Response with net/http, and with itself fed in pieces.
func checkResponse(t *testing.T, method, stream string, seed uint64) {
	t.Helper()
	if diff := agrees(t, method, stream); diff != "" {
		t.Fatalf("%s %q: unlike net/http (-net/http +response):\n%s", method, stream, diff)
	}
	var r Response
	rnd := rand.New(rand.NewPCG(seed, 0))
	most := 1 + rnd.IntN(40)
	random := func() int { return rnd.IntN(most + 1) }
	want := readResponse(t, &r, method, stream, whole)
	for name, next := range map[string]func() int{"byte by byte": single, "in random pieces": random} {
		if diff := cmp.Diff(want, readResponse(t, &r, method, stream, next)); diff != "" {
			t.Fatalf("%s %q, fed %s (-whole +pieces):\n%s", method, stream, name, diff)
		}
	}
}

func methodOf(head bool) string {
	if head {
		return "HEAD"
	}
	return "GET"
}

// FuzzResponse compares response with net/http on any bytes.
func FuzzResponse(f *testing.F) {
	for _, stream := range []string{
		nginxResponse,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\nHTTP/1.1",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 200 OK\nConnection: keep-alive, x\nKeep-Alive: timeout=5, max=1\nContent-Length: 2\n\nhi",
		"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200\r\nConnection:\r\n close\r\n\r\nuntil the end",
		"HTTP/0.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/9.9 +20 OK\r\n\r\nHTTP/1.1 101 x\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\n\n\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\n",
	} {
		f.Add([]byte(stream), false, uint64(1))
		f.Add([]byte(stream), true, uint64(2))
	}
	f.Fuzz(func(t *testing.T, stream []byte, head bool, seed uint64) {
		checkResponse(t, methodOf(head), string(stream), seed)
	})
}

// pieces are what FuzzResponsePieces builds streams from.
var pieces = strings.Split("HTTP/1.1 200 OK\r\n|HTTP/1.0 200 OK\r\n|HTTP/1.1 100 Continue\r\n\r\n|HTTP/1.1 204 \n|HTTP/1.1 304\r\n|HTTP/1.1 101 x\r\n|HTTP/0.9 200 \r\n|HTTP/0.0 200 \r\n|HTTP/2.0  503 a b\r\n|HTTP/1.1 099 \r\n|HTTP/1.1 |HTTP/|+12|-00|-01|"+
	"\r\n|\n|\r|\r\n\r\n|\n\n| |\t|:|,|;|=|0|1|5|a|F|\x00|\x7f|\u0080|\u212a|\u00a0|"+
	"Content-Length: 5\r\n|Content-Length:5\n|Content-Length: 05\r\n|Content-Length: 0\r\n|content-length:|Content-Length |"+
	"Transfer-Encoding: chunked\r\n|Transfer-Encoding: CHUNKED\n|Transfer-Encoding: gzip\r\n|Transfer-Encoding:|chunked|chun\u212aed|"+
	"Connection: close\r\n|Connection: keep-alive\r\n|connection:|close|Keep-Alive|keep-alive: timeout=5\r\n|Keep-Alive:|timeout=|Timeout = 0|max=1, timeout=9|"+
	"Trailer: x\r\n|Trailer: a, Content-Length\r\n|Trailer:|trailer|transfer-encoding|Server: nginx\r\n|X: y\r\n| folded\r\n|"+
	"5\r\nhello\r\n|0\r\n|0\r\n\r\n|1;x=y\r\n.\r\n|0;x\r\n|hello|ffffffffffffffff|4\r\n", "|")

// FuzzResponsePieces compares response with net/http on streams that are nearly
// responses: each byte picks a piece of one.
func FuzzResponsePieces(f *testing.F) {
	pick := func(pieces ...string) (picks []byte) {
		for _, p := range pieces {
			for i, q := range pieces {
				if p == q {
					picks = append(picks, byte(i))
				}
			}
		}
		if len(picks) < len(pieces) {
			f.Fatalf("%q: not all of these are pieces", pieces)
		}
		return picks
	}
	for _, picks := range [][]byte{
		pick("HTTP/1.1 200 OK\r\n", "Content-Length: 5\r\n", "Server: nginx\r\n", "\r\n", "hello", "HTTP/1.1 "),
		pick("HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.0 200 OK\r\n", "Connection: keep-alive\r\n", "keep-alive: timeout=5\r\n", "Content-Length: 0\r\n", "\r\n"),
		pick("HTTP/1.1 200 OK\r\n", "Transfer-Encoding: chunked\r\n", "Trailer: x\r\n", "\r\n", "5\r\nhello\r\n", "1;x=y\r\n.\r\n", "0\r\n", "X: y\r\n", "\r\n"),
		pick("HTTP/1.1 200 OK\r\n", "X: y\r\n", " folded\r\n", "Content-Length:5\n", " ", "\n", "\n", "hello"),
		pick("HTTP/1.1 200 OK\r\n", "connection:", "close", ",", "Keep-Alive", "\r\n\r\n", "hello"),
	} {
		f.Add(picks, false, uint64(1))
		f.Add(picks, true, uint64(2))
	}
	f.Fuzz(func(t *testing.T, picks []byte, head bool, seed uint64) {
		var stream strings.Builder
		for _, p := range picks {
			stream.WriteString(pieces[int(p)%len(pieces)])
		}
		checkResponse(t, methodOf(head), stream.String(), seed)
	})
}

// nginxResponse is what nginx 1.28 sends for a small file, as a rule in one piece.
const nginxResponse = "HTTP/1.1 200 OK\r\nServer: nginx/1.28.0\r\nDate: Mon, 02 Jun 2025 10:11:12 GMT\r\nContent-Type: application/octet-stream\r\n" +
	"Content-Length: 100\r\nLast-Modified: Mon, 02 Jun 2025 09:00:00 GMT\r\nConnection: keep-alive\r\nETag: \"683d6a30-64\"\r\nAccept-Ranges: bytes\r\n\r\n" +
	"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"

// A response that arrives as responses do is read without allocating.
func TestResponseAllocates(t *testing.T) {
	for name, stream := range map[string]string{
		"length":  nginxResponse,
		"chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nKeep-Alive: timeout=5\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n",
	} {
		b := []byte(stream)
		var r Response
		read := func(first int) {
			r.Reset("GET")
			for _, piece := range [][]byte{b[:first], b[first:]} {
				if n, err := r.Feed(piece); n != len(piece) || err != nil {
					t.Fatalf("%s: feed = %d of %d, %v", name, n, len(piece), err)
				}
			}
			if !r.Done {
				t.Fatalf("%s: not done", name)
			}
		}
		for _, first := range []int{0, 30, len(b) - 3} {
			// What else goes on in the process is counted too: reading allocates only
			// if it does each time.
			least := math.Inf(1)
			for try := 0; try < 20 && least > 0; try++ {
				least = min(least, testing.AllocsPerRun(100, func() { read(first) }))
			}
			if least != 0 {
				t.Errorf("%s, cut at %d: %.0f allocations, want none", name, first, least)
			}
		}
	}
}

func BenchmarkResponse(b *testing.B) {
	stream := []byte(nginxResponse)
	b.Run("response", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(int64(len(stream)))
		var r Response
		for b.Loop() {
			r.Reset("GET")
			if _, err := r.Feed(stream); err != nil || !r.Done {
				b.Fatal(err)
			}
		}
	})
	b.Run("response in two pieces", func(b *testing.B) {
		b.ReportAllocs()
		var r Response
		for b.Loop() {
			r.Reset("GET")
			r.Feed(stream[:100])
			if _, err := r.Feed(stream[100:]); err != nil || !r.Done {
				b.Fatal(err)
			}
		}
	})
	b.Run("net-http", func(b *testing.B) {
		b.ReportAllocs()
		src := bytes.NewReader(stream)
		br := bufio.NewReader(src)
		req := &http.Request{Method: "GET"}
		for b.Loop() {
			src.Reset(stream)
			br.Reset(src)
			resp, err := http.ReadResponse(br, req)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, resp.Body); err != nil {
				b.Fatal(err)
			}
		}
	})
}
