package applog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/klauspost/compress/zstd"

	"github.com/kabench/kabench/internal/evidence"
)

func write(t *testing.T, name string, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBadLogs(t *testing.T) {
	for _, one := range []struct{ want, text string }{
		{"is empty: name a log", ""},
		{"no line about a connection", "2024-01-01 10:00:00 INFO started\n2024-01-01 10:00:01 INFO stopped\n"},
		{"neither a packet capture nor a log", "a\x00\x01\x02b\n\x00\x00"},
		{"set the logger reactor.netty", strings.Repeat("x", 3*maxLine)},
		{"no line about", "\xff\xfe\xfd"},
		{"no line about a connection", "{\"message\":\"hello\"}\n{\"message\":\n{}\nnull\n"},
		{"no line about a connection", "[]\n[id: 0x]\n[-1, L: - R:]\n"},
		{"no line about a connection", "http-outgoing-0 << \"end of stream\"\nhttp-outgoing-0: Shutdown connection\n"},
	} {
		_, err := Read(write(t, "app.log", []byte(one.text)), func(*Connection) {})
		if err == nil || !strings.Contains(err.Error(), one.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%.40q: %v, want %q", one.text, err, one.want)
		}
	}
	if _, err := Read(t.TempDir(), nil); err == nil || !strings.Contains(err.Error(), "is a directory") {
		t.Errorf("a directory: %v", err)
	}
	if _, err := Read(filepath.Join(t.TempDir(), "none"), nil); err == nil {
		t.Error("a file that is not there is read")
	}
}

func TestCompressedLogs(t *testing.T) {
	plain, err := os.ReadFile("testdata/haproxy.log")
	if err != nil {
		t.Fatal(err)
	}
	var gz, zs bytes.Buffer
	g := gzip.NewWriter(&gz)
	g.Write(plain)
	g.Close()
	z, _ := zstd.NewWriter(&zs)
	z.Write(plain)
	z.Close()
	want, _ := read(t, "haproxy.log")
	for name, packed := range map[string][]byte{"a.gz": gz.Bytes(), "a.zst": zs.Bytes()} {
		n := 0
		if _, err := Read(write(t, name, packed), func(*Connection) { n++ }); err != nil || n != len(want) {
			t.Errorf("%s: %d connections, want %d; %v", name, n, len(want), err)
		}
	}
	if _, err := Read(write(t, "cut.gz", gz.Bytes()[:gz.Len()/2]), func(*Connection) {}); err == nil || !strings.Contains(err.Error(), "cannot be read behind line") {
		t.Errorf("a cut file: %v", err)
	}
}

// endless is a line that does not end before n bytes.
type endless struct{ n int }

func (e *endless) Read(p []byte) (int, error) {
	if e.n <= 0 {
		return 0, io.EOF
	}
	n := min(len(p), e.n)
	e.n -= n
	for i := range p[:n] {
		p[i] = "[id: 0x1234abcd, "[i%17]
	}
	return n, nil
}

func TestLongLine(t *testing.T) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r := newReader("x", func(*Connection) {})
	if err := r.all(bufio.NewReaderSize(&endless{100 << 20}, 1<<16)); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 32<<20 {
		t.Errorf("a line of 100 MB took %d bytes", grown)
	}
	if r.sum.Lines != 1 || r.long != 1 {
		t.Errorf("%d lines, %d long", r.sum.Lines, r.long)
	}
}

// Connections that never end are bounded.
func TestManyOpenConnections(t *testing.T) {
	taken := 0
	r := newReader("x", func(*Connection) { taken++ })
	var text strings.Builder
	for i := range 2*maxLives + 10 {
		text.WriteString("[" + hex(i) + "] REGISTERED\n")
	}
	if err := r.all(bufio.NewReader(strings.NewReader(text.String()))); err != nil {
		t.Fatal(err)
	}
	if len(r.lives.open) > maxLives || taken == 0 {
		t.Errorf("%d open, %d taken", len(r.lives.open), taken)
	}
	r.end()
	if taken != 2*maxLives+10 {
		t.Errorf("%d of %d connections came out", taken, 2*maxLives+10)
	}
}

func hex(i int) string {
	const digits = "0123456789abcdef"
	b := make([]byte, 8)
	for n := range b {
		b[7-n] = digits[i>>(4*n)&15]
	}
	return string(b)
}

func TestSafe(t *testing.T) {
	for text, lacks := range map[string][]string{
		"\x1b[31mred\x1b]0;title\x07 [1234abcd] READ":              {"\x1b", "\x07"},
		"http-outgoing-0 >> \"Authorization: Bearer abcdef12345\"": {"abcdef12345"},
		"http-outgoing-0 >> \"Cookie: session=s3cr3tvalue\"":       {"s3cr3tvalue"},
		"{uri=http://user:pa55word@host/x?api_key=k3y&b=1, m":      {"pa55word", "k3y"},
		"\u202eevil\u0000":         {"\u202e", "\u0000"},
		strings.Repeat("x", 1<<20): {strings.Repeat("x", maxQuote+1)},
	} {
		got := Safe(text)
		for _, bad := range lacks {
			if strings.Contains(got, bad) {
				t.Errorf("Safe(%.40q) = %q has %q", text, got, bad)
			}
		}
	}
	spring := "2024-01-01T00:00:00.000Z DEBUG 1 --- [main] o.a.hc.core5.reactor.IOSessionImpl  : c-0000000000 "
	if got := Safe(spring + "-1 bytes read"); !strings.HasSuffix(got, "-1 bytes read") {
		t.Errorf("the name of a logger hides its message: %q", got)
	}
	if got := Safe(spring + ">> \"Cookie: a=s3cr3tvalue\""); strings.Contains(got, "s3cr3tvalue") {
		t.Errorf("Safe = %q", got)
	}
	if got := Safe("GET /x?token=abc&size=3 HTTP/1.1 200"); got != "GET /x?token=(blanked)&size=3 HTTP/1.1 200" {
		t.Errorf("the rest of the line is gone: %q", got)
	}
}

func TestTimes(t *testing.T) {
	for text, want := range map[string]string{
		"2024-04-28T10:06:34.5+09:00 x":                 "2024-04-28T10:06:34.5+09:00 true true",
		"2024-04-28 10:06:34,123 x":                     "2024-04-28T10:06:34.123Z true false",
		"2024/04/28 10:06:34 [error]":                   "2024-04-28T10:06:34Z true false",
		`1.2.3.4 - - [28/Apr/2024:10:06:34 -0530] "GET`: "2024-04-28T10:06:34-05:30 true true",
		"10:06:34.123 [main] DEBUG":                     "1970-01-01T10:06:34.123Z false false",
		"[28/Nov/2026:23:51:43.020] f":                  "2026-11-28T23:51:43.02Z true false",
		"Apr 28 10:06:34 host app[1]: x":                "1970-01-01T10:06:34Z false false",
	} {
		s, ok := stampIn(text)
		got := s.at.Format(time.RFC3339Nano) + " " + map[bool]string{true: "true ", false: "false "}[s.dated] + map[bool]string{true: "true", false: "false"}[s.zoned]
		if !ok || got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
	for _, text := range []string{"Date: Tue, 23 Sep 2025 06:09:17 GMT", "no time", "99:99:99", "1:2:3", "2024-13-40"} {
		if s, ok := stampIn(text); ok {
			t.Errorf("%q has the time %v", text, s.at)
		}
	}
}

// A log without dates goes on over midnight, and one that jumps says so.
func TestMidnightAndJumps(t *testing.T) {
	var got []evidence.Connection
	r := newReader("x", func(c *Connection) { got = append(got, c.Connection) })
	lines := "23:59:59.900 [1234abcd, L:/127.0.0.1:5 - R:h/127.0.0.1:80] ACTIVE\n" +
		"23:59:59.950 [1234abcd-1, L:/127.0.0.1:5 - R:h/127.0.0.1:80] WRITE: 5B\n" +
		"00:00:00.950 [1234abcd-1, L:/127.0.0.1:5 - R:h/127.0.0.1:80] READ: 5B\n" +
		"00:00:00.951 [1234abcd-1, L:/127.0.0.1:5 - R:h/127.0.0.1:80] Received last HTTP packet\n" +
		"00:00:05.951 [1234abcd, L:/127.0.0.1:5 ! R:h/127.0.0.1:80] INACTIVE\n"
	if err := r.all(bufio.NewReader(strings.NewReader(lines))); err != nil {
		t.Fatal(err)
	}
	r.end()
	if idle := got[0].Close.At - got[0].Exchanges[0].Done; idle != 5*time.Second {
		t.Errorf("idle for %v over midnight", idle)
	}
	r = newReader("x", func(*Connection) {})
	back := "2024-01-01 10:00:10 [1234abcd] REGISTERED\n2024-01-01 10:00:00 [1234abcd] UNREGISTERED\n"
	if err := r.all(bufio.NewReader(strings.NewReader(back))); err != nil {
		t.Fatal(err)
	}
	if r.clock.jumps != 1 {
		t.Errorf("%d jumps", r.clock.jumps)
	}
}

func TestEnvelopes(t *testing.T) {
	inner := "[1234abcd, L:/127.0.0.1:5 - R:h/127.0.0.1:80] ACTIVE"
	for name, text := range map[string]string{
		"colours": "\x1b[2m2024-01-01T00:00:00.000Z\x1b[0;39m \x1b[32mDEBUG\x1b[0;39m " + inner,
		"CRI":     "2024-01-01T00:00:00.000000001Z stdout F " + inner,
		"Docker":  `{"log":"` + inner + `\n","stream":"stdout","time":"2024-01-01T00:00:00.1Z"}`,
		"ECS":     `{"@timestamp":"2024-01-01T00:00:00.000Z","log.level":"DEBUG","message":"` + inner + `","log":{"logger":"x"}}`,
		"millis":  `{"ts":1704067200000,"msg":"` + inner + `"}`,
		"nested":  `{"log":"{\"@timestamp\":\"2024-01-01T00:00:00.000Z\",\"message\":\"` + inner + `\"}\n","time":"2024-01-01T00:00:00Z"}`,
	} {
		var got []Connection
		r := newReader("x", func(c *Connection) { got = append(got, *c) })
		if err := r.all(bufio.NewReader(strings.NewReader(text + "\n"))); err != nil {
			t.Fatal(err)
		}
		r.end()
		if len(got) != 1 || got[0].Server.Port() != 80 || !got[0].Timed || r.clock.begin.Year() != 2024 {
			t.Errorf("%s: %+v, %v", name, got, r.clock.begin)
		}
	}
}

// In a log without lines about connections, the errors of the application are counted,
// each once, however often its trace repeats it.
func TestErrorsOfApplications(t *testing.T) {
	text := "2024-05-01 10:00:00.123 ERROR 1 --- [exec-1] c.e.OrderService : call failed\n" +
		"org.springframework.WebClientRequestException: Connection prematurely closed BEFORE response\n" +
		"\tat org.springframework.web.Connection reset(X.java:136)\n" +
		"Caused by: reactor.netty.http.client.PrematureCloseException: Connection prematurely closed BEFORE response\n" +
		"2024-05-01 10:00:05.123 ERROR 1 --- [exec-1] x : java.io.IOException: unexpected end of stream on http://pay.internal:8080/...\n" +
		"2024-05-01 10:00:06.123 ERROR 1 --- [exec-1] x : I/O error on POST request for \"http://10.1.2.3:8080/pay?token=abc\": Connection reset\n"
	var got []Connection
	sum, err := Read(write(t, "app.log", []byte(text)), func(c *Connection) { got = append(got, *c) })
	if err != nil {
		t.Fatal(err)
	}
	if told(got) != "0, 2 crossed unknown by server fin, 1 forgotten inferred by nobody rst" || sum.Formats[Errors] != 3 {
		t.Errorf("%s, %v", told(got), sum.Formats)
	}
	if got[1].Host != "pay.internal:8080" || got[2].Server.String() != "10.1.2.3:8080" || got[1].Close.At != 5*time.Second {
		t.Errorf("%+v", got)
	}
	text += "2024-05-01 10:00:07.123 DEBUG [1234abcd, L:/127.0.0.1:5 - R:h/127.0.0.1:80] ACTIVE\n"
	got = nil
	if sum, err = Read(write(t, "app.log", []byte(text)), func(c *Connection) { got = append(got, *c) }); err != nil || len(got) != 1 || sum.Formats[Errors] != 0 {
		t.Errorf("with a format of connections: %v, %d connections, %v", err, len(got), sum.Formats)
	}
}

func clean(text string) bool {
	for _, r := range text {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// sound checks what must hold whatever a log says.
func sound(t *testing.T, text []byte) {
	r := newReader("x", func(c *Connection) {
		for _, q := range c.Quotes {
			if !clean(q.Text) || !clean(q.Shows) || q.Line < 1 {
				t.Errorf("quotation %+v", q)
			}
		}
		if len(c.Exchanges) > evidence.KeptFirst+1 || c.Requests < len(c.Exchanges) {
			t.Errorf("%d exchanges of %d", len(c.Exchanges), c.Requests)
		}
		for _, e := range c.Exchanges {
			if e.Sent < 0 || e.First < e.Sent || e.Done < e.First {
				t.Errorf("exchange %+v", e)
			}
		}
		if len(c.Unanswered) > 1 || c.Until < 0 || c.Since < 0 || c.Slack <= 0 {
			t.Errorf("%+v", c)
		}
		for _, u := range c.Unanswered {
			if u.Apart < 0 || u.Idle < evidence.NotSeen || u.Why == "" || len(c.Quotes) == 0 {
				t.Errorf("unanswered %+v", u)
			}
		}
		evidence.Infer([]evidence.Connection{c.Connection})
	})
	if err := r.all(bufio.NewReaderSize(bytes.NewReader(text), 16)); err != nil {
		t.Fatal(err)
	}
	r.end()
	r.result("x")
}

// fuzz runs the seeds of one format.
func fuzz(f *testing.F, patterns ...string) {
	for _, pattern := range patterns {
		files, _ := filepath.Glob("testdata/" + pattern)
		if len(files) == 0 {
			f.Fatal("no seeds " + pattern)
		}
		for _, name := range files {
			text, err := os.ReadFile(name)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(text[:min(len(text), 8<<10)])
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) { sound(t, text) })
}

func FuzzReactorNetty(f *testing.F) { fuzz(f, "reactor-netty*", "post-[ids]*") }
func FuzzHttpClient(f *testing.F)   { fuzz(f, "httpclient*") }
func FuzzOkHttp(f *testing.F)       { fuzz(f, "okhttp*") }
func FuzzNode(f *testing.F)         { fuzz(f, "node*", "undici*") }
func FuzzProxies(f *testing.F)      { fuzz(f, "nginx*", "haproxy*", "post-nginx*") }
