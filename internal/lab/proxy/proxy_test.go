package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/lab/labtest"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

func startProxy(t *testing.T, cfg script.Proxy, backends ...string) *Proxy {
	t.Helper()
	p, err := Start(cfg, "", backends...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// backend is a server played by the test.
type backend struct {
	net.Listener
	t *testing.T
}

func listenBackend(t *testing.T) backend {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return backend{ln, t}
}

func (b backend) addr() string { return b.Addr().String() }

// next is the next connection of the proxy, and the request on it.
func (b backend) next() (*labtest.Client, *http.Request) {
	b.t.Helper()
	conn, err := b.Accept()
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { conn.Close() })
	c := labtest.NewClient(b.t, conn)
	return c, request(c)
}

func request(c *labtest.Client) *http.Request {
	c.T.Helper()
	req, err := http.ReadRequest(c.R)
	if err != nil {
		c.T.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, req.Body); err != nil {
		c.T.Fatal(err)
	}
	return req
}

const empty = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// upstreamEnded waits for the end of the proxy's i-th connection to servers.
func upstreamEnded(t *testing.T, p *Proxy, i int) story.Story {
	t.Helper()
	var st story.Story
	labtest.Eventually(t, "the end of a connection to a server is told", func() bool {
		if all := p.Upstream(); len(all) > i {
			st = all[i]
		}
		return !st.ClosedAt.IsZero()
	})
	return st
}

// A proxy has stories of its clients' connections and of its own.
func TestProxyKeepsBothSides(t *testing.T) {
	s := start(t, script.Server{Body: 5})
	p := startProxy(t, script.Proxy{}, s.Addr())
	for range 2 {
		c := labtest.Dial(t, p.Addr())
		for range 3 {
			c.Send(get)
			if resp := c.Response(); resp.StatusCode != 200 || resp.ContentLength != 5 || resp.Close {
				t.Errorf("%+v", resp)
			}
		}
		c.Close()
	}
	labtest.Eventually(t, "both clients' ends are told", func() bool { return p.Seen().ClosedByClient == 2 })
	want := Seen{Requests: 6, Attempts: 6, Connections: 2, ClosedByClient: 2, Upstream: 1}
	if seen := p.Seen(); seen != want {
		t.Errorf("%+v, want %+v", seen, want)
	}
	up, server := p.Upstream()[0], s.Stories()[0]
	if up.Local != server.Remote || up.Remote != s.Addr() || up.Requests != 6 || server.Requests != 6 {
		t.Errorf("the connection is %+v to the proxy and %+v to the server", up, server)
	}
	for _, st := range p.Stories() {
		if st.Requests != 3 || ending(st) != (*story.ClientEnds(story.FIN, story.WhyClient)) {
			t.Errorf("%+v", st)
		}
		for _, e := range st.Exchanges {
			if e.Responded.Before(e.Read) {
				t.Errorf("%+v", e)
			}
		}
	}
}

// Each side has a timer of its own.
func TestProxyIdleTimeouts(t *testing.T) {
	const short = 30 * time.Millisecond
	s := start(t, script.Server{})
	for _, unwatched := range []bool{false, true} {
		p := startProxy(t, script.Proxy{Upstream: script.Upstream{IdleTimeout: short, Unwatched: unwatched}}, s.Addr())
		c := labtest.Dial(t, p.Addr())
		c.Send(get)
		c.Response()
		if unwatched { // the proxy checks the timer when it uses the connection
			time.Sleep(2 * short)
			c.Send(get)
			c.Response()
		}
		st := upstreamEnded(t, p, 0)
		if ending(st) != (*story.ClientEnds(story.FIN, story.WhyIdleTimeout)) || st.ClosedAt.Sub(st.Exchanges[0].Responded) < short {
			t.Errorf("unwatched %v: %+v", unwatched, st)
		}
		c.Send(get)
		c.Response()
		if seen := p.Seen(); seen.Stale != 0 || seen.UpstreamClosedByProxy == 0 {
			t.Errorf("unwatched %v: %+v", unwatched, seen)
		}
	}
	p := startProxy(t, script.Proxy{IdleTimeout: short}, s.Addr())
	c := labtest.Dial(t, p.Addr())
	c.Send(get)
	c.Response()
	c.Ends(io.EOF)
	if st := p.Stories()[0]; ending(st) != (*story.ServerEnds(story.FIN, story.WhyIdleTimeout)) {
		t.Errorf("%+v", st)
	}
	if st := p.Upstream()[0]; !st.ClosedAt.IsZero() {
		t.Errorf("the server's side went too: %+v", st)
	}
}

func TestProxyMaxRequestsAndLifetime(t *testing.T) {
	s := start(t, script.Server{})
	for want, cfg := range map[story.Why]script.Upstream{
		story.WhyMaxRequests: {MaxRequests: 2},
		story.WhyLifetime:    {MaxLifetime: 1}, // is over with the first request
	} {
		p := startProxy(t, script.Proxy{Upstream: cfg}, s.Addr())
		c := labtest.Dial(t, p.Addr())
		for range 4 {
			c.Send(get)
			c.Response()
		}
		seen, st := p.Seen(), upstreamEnded(t, p, 0)
		if ending(st) != (*story.ClientEnds(story.FIN, want)) || seen.Upstream != map[story.Why]uint64{story.WhyMaxRequests: 2, story.WhyLifetime: 4}[want] {
			t.Errorf("%v: %+v, %+v", want, st, seen)
		}
	}
	p := startProxy(t, script.Proxy{MaxRequests: 2}, s.Addr())
	c := labtest.Dial(t, p.Addr())
	for use := 1; use <= 2; use++ {
		c.Send(get)
		if c.Response().Close != (use == 2) {
			t.Errorf("answer %d", use)
		}
	}
	c.Ends(io.EOF)
	if st := p.Stories()[0]; ending(st) != (*story.ServerEnds(story.FIN, story.WhyMaxRequests)) {
		t.Errorf("%+v", st)
	}
}

// Of two idle connections one is used as the order says, or there is place for
// only one.
func TestProxyOrder(t *testing.T) {
	for _, cfg := range []script.Upstream{{Order: script.LIFO}, {Order: script.FIFO}, {MaxIdle: 1}} {
		b := listenBackend(t)
		p := startProxy(t, script.Proxy{Upstream: cfg}, b.addr())
		first, second := labtest.Dial(t, p.Addr()), labtest.Dial(t, p.Addr())
		first.Send(get)
		older, _ := b.next()
		second.Send(get)
		younger, _ := b.next()
		older.Send(empty)
		first.Response()
		younger.Send(empty)
		second.Response()
		if cfg.MaxIdle == 1 {
			older.Ends(io.EOF)
			if st := upstreamEnded(t, p, 0); ending(st) != (*story.ClientEnds(story.FIN, story.WhySurplus)) {
				t.Errorf("%+v", st)
			}
		}
		first.Send(get)
		used := younger
		if cfg.Order == script.FIFO {
			used = older
		}
		request(used)
		used.Send(empty)
		first.Response()
	}
}

// A server's FIN ends an idle connection that is watched, and shows on one that
// is not when it is used.
func TestProxyWatches(t *testing.T) {
	for _, unwatched := range []bool{false, true} {
		b := listenBackend(t)
		p := startProxy(t, script.Proxy{Upstream: script.Upstream{Unwatched: unwatched}}, b.addr())
		c := labtest.Dial(t, p.Addr())
		c.Send(get)
		server, _ := b.next()
		server.Send(empty)
		c.Response()
		server.CloseWrite()
		if !unwatched {
			if st := upstreamEnded(t, p, 0); ending(st) != (*story.ServerEnds(story.FIN, story.WhyServer)) {
				t.Errorf("%+v", st)
			}
			c.Send(get)
			server, _ := b.next()
			server.Send(empty)
			if resp := c.Response(); resp.StatusCode != 200 {
				t.Error(resp.Status)
			}
			continue
		}
		c.Send(get)
		request(server)
		server.Close()
		if resp := c.Response(); resp.StatusCode != 502 {
			t.Error(resp.Status)
		}
		if seen := p.Seen(); seen.Stale != 1 || seen.BadGateways != 1 || seen.UpstreamClosedByServer != 1 {
			t.Errorf("%+v", seen)
		}
	}
}

// What a proxy does when a kept connection turns out dead, by method.
func TestProxyRetry(t *testing.T) {
	const put = "PUT / HTTP/1.1\r\nHost: lab\r\nX-Request-Id: 2\r\nContent-Length: 1\r\n\r\nx"
	const postOne = "POST / HTTP/1.1\r\nHost: lab\r\nX-Request-Id: 2\r\nContent-Length: 1\r\n\r\nx"
	for _, test := range []struct {
		retry      script.Retry
		request    string
		status     int
		executed   uint64
		duplicates uint64
	}{
		{script.RetryNone, put, 502, 2, 0},
		{script.RetryNone, postOne, 502, 2, 0},
		{script.RetryUnsent, put, 502, 2, 0},
		{script.RetryIdempotent, put, 200, 3, 1},
		{script.RetryIdempotent, postOne, 502, 2, 0},
		{script.RetryAlways, put, 200, 3, 1},
		{script.RetryAlways, postOne, 200, 3, 1},
	} {
		for _, fault := range []script.Fault{script.CloseBeforeResponse, script.ResetBeforeResponse} {
			s := start(t, script.Server{Fault: fault, FaultOn: script.OnReused})
			p := startProxy(t, script.Proxy{Upstream: script.Upstream{Retry: test.retry}}, s.Addr())
			c := labtest.Dial(t, p.Addr())
			c.Send(get)
			c.Response()
			c.Send(test.request)
			if resp := c.Response(); resp.StatusCode != test.status || resp.Close {
				t.Errorf("%v, %.4s: %s, says close: %v", test.retry, test.request, resp.Status, resp.Close)
			}
			seen, server := p.Seen(), s.Seen()
			retried := test.duplicates
			if seen.Retries != retried || seen.Attempts != 2+retried || seen.Stale != 1 || seen.BadGateways != 1-retried {
				t.Errorf("%v, %.4s: %+v", test.retry, test.request, seen)
			}
			if server.Executed != test.executed || server.Duplicates != test.duplicates {
				t.Errorf("%v, %.4s: the server saw %+v", test.retry, test.request, server)
			}
			if st := upstreamEnded(t, p, 0); ending(st) != (*story.ServerEnds(howOf(fault), story.WhyServer)) {
				t.Errorf("%v: %+v", fault, st)
			}
		}
	}
}

// A request is sent again as often as Retries says, or, without it, until a
// fresh connection to each server has failed.
func TestProxyRetries(t *testing.T) {
	for retries, want := range map[int]uint64{0: 2, 1: 2, 3: 4} {
		a, b := start(t, script.Server{Fault: script.CloseBeforeResponse}), start(t, script.Server{Fault: script.CloseBeforeResponse})
		p := startProxy(t, script.Proxy{Upstream: script.Upstream{Retry: script.RetryIdempotent, Retries: retries}}, a.Addr(), b.Addr())
		c := labtest.Dial(t, p.Addr())
		c.Send(get)
		if resp := c.Response(); resp.StatusCode != 502 {
			t.Error(resp.Status)
		}
		if seen := p.Seen(); seen.Attempts != want || a.Seen().Requests != want/2 || b.Seen().Requests != want/2 {
			t.Errorf("retries %d: %+v", retries, seen)
		}
	}
}

// A server that cannot be reached is passed by, if the request may go to
// another; else each style has its status.
func TestProxyUnreached(t *testing.T) {
	gone := listenBackend(t)
	gone.Close()
	s := start(t, script.Server{})
	p := startProxy(t, script.Proxy{Upstream: script.Upstream{Retry: script.RetryUnsent}}, gone.addr(), s.Addr())
	c := labtest.Dial(t, p.Addr())
	c.Send(post + strings.Repeat("x", 1000))
	if resp := c.Response(); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
	if seen := p.Seen(); seen.Attempts != 2 || seen.Retries != 1 || seen.Upstream != 1 {
		t.Errorf("%+v", seen)
	}
	for style, want := range map[script.ErrorStyle]int{script.LikeNginx: 502, script.LikeALB: 502, script.LikeHAProxy: 503} {
		p := startProxy(t, script.Proxy{Errors: style}, gone.addr())
		c := labtest.Dial(t, p.Addr())
		c.Send(get)
		if resp := c.Response(); resp.StatusCode != want {
			t.Errorf("%v: %s", style, resp.Status)
		}
	}
}

// A server that does not answer in time is a 504, or another server's turn.
func TestProxyTimeout(t *testing.T) {
	silent, s := start(t, script.Server{Fault: script.Silent}), start(t, script.Server{})
	upstream := script.Upstream{Timeout: 30 * time.Millisecond, Retry: script.RetryIdempotent}
	p := startProxy(t, script.Proxy{Upstream: upstream}, silent.Addr())
	c := labtest.Dial(t, p.Addr())
	c.Send(get)
	if resp := c.Response(); resp.StatusCode != 504 {
		t.Error(resp.Status)
	}
	if st := upstreamEnded(t, p, 0); ending(st) != (*story.ClientEnds(story.FIN, story.WhyTimeout)) {
		t.Errorf("%+v", st)
	}
	if seen := p.Seen(); seen.Timeouts != 1 || seen.Attempts != 1 {
		t.Errorf("%+v", seen)
	}
	both := startProxy(t, script.Proxy{Upstream: upstream}, silent.Addr(), s.Addr())
	c = labtest.Dial(t, both.Addr())
	c.Send(get)
	// On a busy machine the second server may be too slow as well.
	resp := c.Response()
	if ok := resp.StatusCode == 200 && s.Seen().Requests == 1; !ok && resp.StatusCode != 504 {
		t.Error(resp.Status)
	}
	if seen := both.Seen(); seen.Retries != 1 || silent.Seen().Requests != 2 {
		t.Errorf("%+v", seen)
	}
}

// HAProxy says nothing when a kept connection failed under a later request of a
// client, who is to send it again.
func TestProxyLikeHAProxy(t *testing.T) {
	s := start(t, script.Server{Fault: script.CloseBeforeResponse, FaultOn: script.OnReused})
	p := startProxy(t, script.Proxy{Errors: script.LikeHAProxy}, s.Addr())
	c := labtest.Dial(t, p.Addr())
	c.Send(get)
	c.Response()
	c.Send(get)
	c.Ends(io.EOF)
	if st := p.Stories()[0]; ending(st) != (*story.ServerEnds(story.FIN, story.WhyUpstream)) || !st.Exchanges[1].Responded.IsZero() {
		t.Errorf("%+v", st)
	}
	c = labtest.Dial(t, p.Addr())
	c.Send(get)
	c.Response()
	c = labtest.Dial(t, p.Addr())
	c.Send(get)
	if resp := c.Response(); resp.StatusCode != 502 {
		t.Errorf("a client's first request: %s", resp.Status)
	}
	if seen := p.Seen(); seen.Silent != 1 || seen.BadGateways != 1 || seen.Stale != 2 {
		t.Errorf("%+v", seen)
	}
}

func TestProxyErrorPages(t *testing.T) {
	gone := listenBackend(t)
	gone.Close()
	for style, want := range map[script.ErrorStyle]string{
		script.LikeNginx:   "Server: nginx\r\nContent-Type: text/html\r\nContent-Length: 150\r\nConnection: close\r\n\r\n<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n",
		script.LikeALB:     "Server: awselb/2.0\r\nContent-Type: text/html\r\nContent-Length: 122\r\nConnection: close\r\n\r\n<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n</body>\r\n</html>\r\n",
		script.LikeHAProxy: "Cache-Control: no-cache\r\nContent-Type: text/html\r\nContent-Length: 107\r\nConnection: close\r\n\r\n<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this request.\n</body></html>\n",
	} {
		p := startProxy(t, script.Proxy{Errors: style}, gone.addr())
		got, err := labtest.Tell(t, p.Addr(), "GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")
		if _, rest, _ := strings.Cut(got, "\r\n"); rest != want || err != io.EOF {
			t.Errorf("%v: read %q, then %v", style, got, err)
		}
		for status := range reasons {
			if reason, _, body := errorPage(style, status); !strings.Contains(body, reason) {
				t.Errorf("%v: %d is %q: %q", style, status, reason, body)
			}
		}
	}
}

// A body that the server cuts short is cut short for the client.
func TestProxyTruncates(t *testing.T) {
	for _, cfg := range []script.Server{
		{Fault: script.CloseDuringResponse, Body: 16},
		{Fault: script.ResetDuringResponse, Body: 16},
		{Fault: script.CloseDuringResponse, Body: 16, Chunked: true},
	} {
		s := start(t, cfg)
		p := startProxy(t, script.Proxy{}, s.Addr())
		c := labtest.Dial(t, p.Addr())
		c.Send(get)
		resp, err := http.ReadResponse(c.R, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != 200 || string(body) != "kabench " || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%v: %s, %q, %v", cfg.Fault, resp.Status, body, err)
		}
		if st := p.Stories()[0]; ending(st) != (*story.ServerEnds(story.FIN, story.WhyUpstream)) {
			t.Errorf("%v: %+v", cfg.Fault, st)
		}
		if st := p.Upstream()[0]; ending(st) != (*story.ServerEnds(howOf(cfg.Fault), story.WhyServer)) {
			t.Errorf("%v: %+v", cfg.Fault, st)
		}
		if seen := p.Seen(); seen.Truncated != 1 {
			t.Errorf("%v: %+v", cfg.Fault, seen)
		}
	}
}

// What is no answer is a 502, and is not asked for again.
func TestProxyGarbage(t *testing.T) {
	s := start(t, script.Server{Fault: script.Garbage})
	p := startProxy(t, script.Proxy{Upstream: script.Upstream{Retry: script.RetryAlways}}, s.Addr(), s.Addr())
	c := labtest.Dial(t, p.Addr())
	c.Send(get)
	if resp := c.Response(); resp.StatusCode != 502 {
		t.Error(resp.Status)
	}
	if st := p.Upstream()[0]; st.Why != story.WhyBadResponse || s.Seen().Requests != 1 {
		t.Errorf("%+v", st)
	}
}

func TestProxyBadRequests(t *testing.T) {
	s := start(t, script.Server{})
	p := startProxy(t, script.Proxy{}, s.Addr())
	for request, want := range map[string]string{
		"hello\r\n\r\n":                                               "HTTP/1.1 400 ",
		"GET / HTTP/2.0\r\n\r\n":                                      "HTTP/1.1 400 ",
		"GET / HTTP/1.1\r\nno colon\r\n\r\n":                          "HTTP/1.1 400 ",
		"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n":         "HTTP/1.1 413 ",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n": "HTTP/1.1 400 ",
	} {
		if got, err := labtest.Tell(t, p.Addr(), request); !strings.HasPrefix(got, want) || !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%q: read %q, then %v", request, got, err)
		}
	}
	if n := s.Seen().Requests; n != 0 {
		t.Errorf("%d requests reached the server", n)
	}
}

// Close ends what is idle and what waits for a server.
func TestProxyClose(t *testing.T) {
	for _, unwatched := range []bool{false, true} {
		s, silent := start(t, script.Server{}), start(t, script.Server{Fault: script.Silent})
		p := startProxy(t, script.Proxy{Upstream: script.Upstream{Unwatched: unwatched}}, s.Addr(), silent.Addr())
		idle, busy := labtest.Dial(t, p.Addr()), labtest.Dial(t, p.Addr())
		idle.Send(get)
		idle.Response()
		busy.Send(get)
		labtest.Eventually(t, "the request is at the server", func() bool { return silent.Seen().Requests == 1 })
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		idle.Ends(io.EOF)
		busy.Ends(io.EOF)
		for _, st := range append(p.Stories(), p.Upstream()...) {
			if st.Why != story.WhyShutdown || st.How != story.FIN {
				t.Errorf("%+v", st)
			}
		}
	}
}

// Two workers keep a connection each, which carries three requests: nginx in
// front of Tomcat as in row 13. All connections are closed by the proxy.
func TestProxyAsNginxBeforeTomcat(t *testing.T) {
	s := start(t, script.Server{IdleTimeout: 20 * time.Second, MaxRequests: 20, MaxConnections: 8, Threads: 4, Backlog: 1})
	p := startProxy(t, script.Proxy{Workers: 2, Upstream: script.Upstream{
		MaxIdle: 1, MaxRequests: 3, MaxLifetime: 10 * time.Second, IdleTimeout: 9 * time.Second, Retry: script.RetryIdempotent}}, s.Addr())
	for range 10 {
		c := labtest.Dial(t, p.Addr())
		c.Send("GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")
		if resp := c.Response(); resp.StatusCode != 200 {
			t.Error(resp.Status)
		}
		c.Ends(io.EOF)
	}
	p.Close()
	for i, want := range []int{3, 3, 2, 2} {
		if st := p.Upstream()[i]; st.Requests != want || st.First != story.ByClient {
			t.Errorf("connection %d: %+v", i, st)
		}
	}
	if seen := p.Seen(); seen.Upstream != 4 || seen.Attempts != 10 || seen.UpstreamClosedByProxy != 4 {
		t.Errorf("%+v", seen)
	}
}

func TestStartProxyRefuses(t *testing.T) {
	if _, err := Start(script.Proxy{}, ""); err == nil || !strings.Contains(err.Error(), "there is no server") {
		t.Error(err)
	}
	if _, err := Start(script.Proxy{}, "", "nowhere"); err == nil || !strings.Contains(err.Error(), `server "nowhere"`) {
		t.Error(err)
	}
	if _, err := Start(script.Proxy{MaxRequests: -1}, "", "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), "proxy: max_requests") {
		t.Error(err)
	}
}

// Many clients at once, on a server whose timer is as short as its answers are
// apart: every request is answered once, whatever became of connections.
func TestProxyRaces(t *testing.T) {
	s := start(t, script.Server{IdleTimeout: time.Millisecond, Body: 100})
	p := startProxy(t, script.Proxy{Workers: 2, Upstream: script.Upstream{
		IdleTimeout: time.Millisecond, MaxIdle: 3, Retry: script.RetryIdempotent, RetryFresh: true}}, s.Addr())
	const clients, each = 8, 50
	done := make(chan error, clients)
	for range clients {
		c := labtest.Dial(t, p.Addr())
		go func() {
			r := bufio.NewReader(c)
			for i := range each {
				io.WriteString(c, get)
				resp, err := http.ReadResponse(r, nil)
				if err == nil {
					_, err = io.Copy(io.Discard, resp.Body)
				}
				if err == nil && resp.StatusCode != 200 {
					err = errors.New(resp.Status)
				}
				if err != nil {
					done <- err
					return
				}
				if i%10 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
			done <- nil
		}()
	}
	for range clients {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	p.Close()
	seen := p.Seen()
	if seen.Requests != clients*each || seen.Attempts != seen.Requests+seen.Retries || seen.Stale != seen.Retries {
		t.Errorf("%+v", seen)
	}
	if seen.UpstreamClosedByProxy+seen.UpstreamClosedByServer != seen.Upstream {
		t.Errorf("connections lost: %+v", seen)
	}
}

// A server whose queue is full does not refuse: the proxy's connect is over in
// time or not at all, and its client gets a 504.
func TestProxyConnectTimeout(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("says what Linux does")
	}
	s := start(t, script.Server{MaxConnections: 1, Backlog: 1})
	for { // until a connect is not answered: the first is served, and the queue has room for few
		conn, err := net.DialTimeout("tcp", s.Addr(), 500*time.Millisecond)
		if err != nil {
			break
		}
		defer conn.Close()
	}
	p := startProxy(t, script.Proxy{Upstream: script.Upstream{ConnectTimeout: 300 * time.Millisecond, Retry: script.RetryUnsent}}, s.Addr())
	c := labtest.Dial(t, p.Addr())
	c.Send(get)
	if resp := c.Response(); resp.StatusCode != 504 {
		t.Error(resp.Status)
	}
	if seen := p.Seen(); seen.Timeouts != 1 || seen.Upstream != 0 || s.Seen().Requests != 0 {
		t.Errorf("%+v", seen)
	}
}
