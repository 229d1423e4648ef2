package applog

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// read reads a log of testdata.
func read(t *testing.T, name string) ([]Connection, *Summary) {
	t.Helper()
	var list []Connection
	sum, err := Read(filepath.Join("testdata", name), func(c *Connection) { list = append(list, *c) })
	if err != nil {
		t.Fatal(err)
	}
	return list, sum
}

// told sums up what a log tells: the requests, and how each request without a response
// met the end.
func told(list []Connection) string {
	var parts []string
	requests := 0
	for _, c := range list {
		requests += c.Requests
		for _, u := range c.Unanswered {
			cut := ""
			if u.First != evidence.NotSeen {
				cut = " cut"
			}
			parts = append(parts, fmt.Sprintf("%v %v%s by %v %v", u.Met, u.Basis, cut, c.Close.By, c.Close.How))
		}
	}
	slices.Sort(parts)
	text := fmt.Sprint(requests)
	for i := 0; i < len(parts); {
		n := i
		for n < len(parts) && parts[n] == parts[i] {
			n++
		}
		text += fmt.Sprintf(", %d %s", n-i, parts[i])
		i = n
	}
	return text
}

// The logs were written by the real clients and proxies against 'kabench lab', whose
// behaviour is the truth: an idle timeout of 1 s; a server that reads every third
// request and closes or resets; one that breaks off each response.
func TestLogsOfRealPrograms(t *testing.T) {
	for _, one := range []struct{ file, format, want string }{
		{"reactor-netty-idle.log", ReactorNetty, "3"},
		{"reactor-netty-quiet.log", ReactorNetty, "3"},
		{"reactor-netty-before.log", ReactorNetty, "2, 1 arrived inferred by server fin"},
		{"reactor-netty-plain.log", ReactorNetty, "1, 1 arrived inferred by server fin"},
		{"reactor-netty.jsonl", ReactorNetty, "2, 1 arrived inferred by server fin"},
		{"reactor-netty-during.log", ReactorNetty, "0, 1 arrived seen cut by server fin"},
		{"reactor-netty-reset.log", ReactorNetty, "2, 1 arrived inferred by nobody rst"},
		{"httpclient5-late.log", HttpClient, "2, 2 late inferred by server fin"},
		{"httpclient4-late.log", HttpClient, "2, 2 late inferred by server fin"},
		{"httpclient5-stale.log", HttpClient, "2"},
		{"httpclient5-reset.log", HttpClient, "1, 1 arrived inferred by nobody rst"},
		{"httpclient5-cut.log", HttpClient, "0, 1 arrived seen cut by server fin"},
		{"httpclient5-async.log", HttpClient, "1, 1 crossed unknown by server fin"},
		{"httpclient5-async-idle.log", HttpClient, "1"},
		{"okhttp-events.log", OkHttp, "3, 2 late inferred by server fin"},
		{"okhttp-interceptor.log", OkHttp, "2, 2 crossed unknown by server fin"},
		{"okhttp-reset.log", OkHttp, "3, 1 arrived inferred by nobody rst"},
		{"okhttp-cut.log", OkHttp, "0, 1 arrived seen cut by server fin"},
		{"undici.log", Undici, "2, 2 crossed unknown by server fin"},
		{"node.log", Node, "3, 1 crossed unknown by server fin"},
		{"node-reset.log", Node, "3, 1 forgotten inferred by nobody rst"},
		{"nginx-error.log", Nginx, "0, 5 abandoned seen by client fin, 4 arrived seen cut by server fin, 2 crossed unknown by server fin, 2 forgotten inferred by nobody rst"},
		{"nginx-access.log", Nginx, "20, 1 abandoned seen by client fin"},
		{"haproxy.log", HAProxy, "7, 4 abandoned seen by client fin, 2 arrived inferred by server fin, 4 arrived seen cut by server fin"},
	} {
		list, sum := read(t, one.file)
		if got := told(list); got != one.want {
			t.Errorf("%s tells %q, want %q", one.file, got, one.want)
		}
		if sum.Formats[one.format] == 0 || len(sum.Formats) != 1 {
			t.Errorf("%s is read as %v", one.file, sum.Formats)
		}
		for _, c := range list {
			for _, q := range c.Quotes {
				if strings.Contains(q.Text, "token=abc") {
					t.Errorf("%s line %d: the quotation has the credential", one.file, q.Line)
				}
			}
		}
	}
}

// What the posts' own log excerpts show is what their authors conclude: the server closed
// an idle connection, closed without a response, and broke off a response.
func TestLogsOfPosts(t *testing.T) {
	for file, want := range map[string]string{
		"post-idle.log":   "1",
		"post-server.log": "0, 1 arrived seen by server fin",
		"post-during.log": "0, 1 arrived seen cut by server fin",
		"post-nginx.log":  "0, 1 crossed unknown by server fin",
	} {
		list, _ := read(t, file)
		if got := told(list); got != want {
			t.Errorf("%s tells %q, want %q", file, got, want)
		}
	}
	list, sum := read(t, "post-idle.log")
	c := list[0]
	if c.Close.By != evidence.ByServer || c.Close.Basis != evidence.Inferred || len(c.Quotes) != 2 {
		t.Errorf("the idle connection of the post: %+v, %+v", c.Close, c.Quotes)
	}
	if sum.Timed || c.Close.At != evidence.NotSeen {
		t.Errorf("a log without times has the time %v", c.Close.At)
	}
}

// The idle timeout of the server was 1 s. Clients that wait for events log it; those that
// look at a connection only when they use it do not.
func TestTimers(t *testing.T) {
	for file, least := range map[string]int{"reactor-netty-idle.log": 2, "reactor-netty-quiet.log": 1, "httpclient5-async-idle.log": 1} {
		list, _ := read(t, file)
		closed := 0
		for _, c := range list {
			if c.Close.By != evidence.ByServer {
				continue
			}
			closed++
			idle := c.Close.At - c.Exchanges[len(c.Exchanges)-1].Done
			if (idle - time.Second).Abs() > 20*time.Millisecond {
				t.Errorf("%s: closed after %v, want 1s", file, idle)
			}
			if c.Lazy || c.Server.Port() != 18080 {
				t.Errorf("%s: %+v", file, c)
			}
		}
		if closed < least {
			t.Errorf("%s: %d closes", file, closed)
		}
	}
	for _, file := range []string{"httpclient5-late.log", "httpclient4-late.log", "okhttp-events.log"} {
		list, _ := read(t, file)
		for _, c := range list {
			for _, u := range c.Unanswered {
				if !c.Lazy || u.Idle < time.Second {
					t.Errorf("%s: lazy %v, idle %v", file, c.Lazy, u.Idle)
				}
			}
		}
	}
}

// Each failure quotes the lines that decided it, with their numbers.
func TestQuotes(t *testing.T) {
	list, _ := read(t, "httpclient5-late.log")
	var got []string
	for _, q := range list[0].Quotes {
		got = append(got, fmt.Sprintf("%d %s", q.Line, q.Text[strings.Index(q.Text, "http-outgoing"):]))
	}
	want := []string{`36 http-outgoing-0 << Content-Length: 0`, `52 http-outgoing-0 >> GET /x?token=(blanked) HTTP/1.1`, `63 http-outgoing-0 << "end of stream"`}
	if !slices.Equal(got, want) {
		t.Errorf("quotes %q, want %q", got, want)
	}
}

func TestUndiciPort(t *testing.T) {
	list, _ := read(t, "undici.log")
	if list[0].Client.Port() != 47522 {
		t.Errorf("the failed connection has the local port %v", list[0].Client)
	}
}
