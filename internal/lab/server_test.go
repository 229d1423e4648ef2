package lab

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/lab/labtest"
	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

func TestIdleTimeout(t *testing.T) {
	const idle = 30 * time.Millisecond
	s := start(t, script.Server{IdleTimeout: idle, Body: 5})
	c := labtest.Dial(t, s.Addr())
	begin := time.Now()
	c.Send(get)
	c.Response()
	c.Ends(io.EOF)
	if d := time.Since(begin); d < idle {
		t.Errorf("the FIN came after %v, before the timeout", d)
	}
	st := s.Stories()[0]
	if want := (*story.ServerEnds(story.FIN, story.WhyIdleTimeout)); ending(st) != want {
		t.Errorf("story ends %v, want %v", ending(st), want)
	}
	if d := st.ClosedAt.Sub(st.Exchanges[0].Responded); d < idle {
		t.Errorf("closed %v after the answer", d)
	}
	if st.Remote != c.LocalAddr().String() {
		t.Errorf("remote %s, want %v", st.Remote, c.LocalAddr())
	}
	want := Seen{Connections: 1, Requests: 1, Executed: 1, ClosedIdle: 1, ClosedFirst: 1}
	if seen := s.Seen(); seen != want {
		t.Errorf("%+v, want %+v", seen, want)
	}
}

// The timer does not run before the first request, nor while one is served.
func TestIdleTimeoutRunsOnlyWhenIdle(t *testing.T) {
	const idle = 10 * time.Millisecond
	s := start(t, script.Server{IdleTimeout: idle, Delay: script.Delay{A: 5 * idle}})
	c := labtest.Dial(t, s.Addr())
	time.Sleep(5 * idle)
	c.Send(get)
	c.Response()
	c.Ends(io.EOF)
}

func TestClientClosesFirst(t *testing.T) {
	s := start(t, script.Server{IdleTimeout: time.Hour})
	for i, how := range []story.How{story.FIN, story.RST} {
		c := labtest.Dial(t, s.Addr())
		c.Send(get)
		c.Response()
		if how == story.RST {
			c.SetLinger(0)
		}
		c.Close()
		if st := finished(t, s, i); ending(st) != (*story.ClientEnds(how, story.WhyClient)) {
			t.Errorf("%v told as %v", how, ending(st))
		}
	}
	want := Seen{Connections: 2, Requests: 2, Executed: 2, ClientClosed: 2}
	if seen := s.Seen(); seen != want {
		t.Errorf("%+v, want %+v", seen, want)
	}
}

// A client that says it will send no more is still answered.
func TestHalfClose(t *testing.T) {
	s := start(t, script.Server{Delay: script.Delay{A: 5 * time.Millisecond}})
	c := labtest.Dial(t, s.Addr())
	c.Send(get)
	c.CloseWrite()
	c.Response()
	c.Ends(io.EOF)
	if st := s.Stories()[0]; ending(st) != (*story.ClientEnds(story.FIN, story.WhyClient)) {
		t.Errorf("%+v", st)
	}
}

func TestMaxRequests(t *testing.T) {
	for _, unannounced := range []bool{false, true} {
		s := start(t, script.Server{MaxRequests: 3, Unannounced: unannounced})
		c := labtest.Dial(t, s.Addr())
		for use := 1; use <= 3; use++ {
			c.Send(get)
			if said, want := c.Response().Close, use == 3 && !unannounced; said != want {
				t.Errorf("unannounced %v: answer %d says close: %v", unannounced, use, said)
			}
		}
		c.Ends(io.EOF)
		if st := s.Stories()[0]; ending(st) != (*story.ServerEnds(story.FIN, story.WhyMaxRequests)) || st.Requests != 3 {
			t.Errorf("%+v", st)
		}
	}
}

func TestSaidClose(t *testing.T) {
	cases := []struct {
		cfg     script.Server
		request string
	}{
		{script.Server{SayClose: true}, get},
		{script.Server{}, "GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n"},
		{script.Server{}, "GET / HTTP/1.0\r\n\r\n"},
	}
	for _, c := range cases {
		s := start(t, c.cfg)
		conn := labtest.Dial(t, s.Addr())
		conn.Send(c.request)
		if !conn.Response().Close {
			t.Errorf("%q: the answer does not say close", c.request)
		}
		conn.Ends(io.EOF)
		if st := s.Stories()[0]; ending(st) != (*story.ServerEnds(story.FIN, story.WhySaidClose)) {
			t.Errorf("%q: %+v", c.request, st)
		}
	}
}

func TestAnswers(t *testing.T) {
	const http10 = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
	cases := []struct {
		name    string
		cfg     script.Server
		request string
		want    string
	}{
		{"empty", script.Server{}, get, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"status", script.Server{Status: 503, Body: 3}, get, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 3\r\n\r\nkab"},
		{"no content", script.Server{Status: 204}, get, "HTTP/1.1 204 No Content\r\n\r\n"},
		{"chunked", script.Server{Body: 3, Chunked: true}, get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nkab\r\n0\r\n\r\n"},
		{"head", script.Server{Body: 3}, "HEAD / HTTP/1.1\r\nHost: lab\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"},
		{"1.0 kept", script.Server{Body: 3, Chunked: true}, http10, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nkab"},
		{"pipelined", script.Server{}, get + get, strings.Repeat("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 2)},
		{"upload", script.Server{}, post + strings.Repeat("x", 1000), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{"expect", script.Server{}, "POST / HTTP/1.1\r\nHost: lab\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nxx",
			"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			conn := labtest.Dial(t, start(t, c.cfg).Addr())
			conn.Send(c.request)
			conn.CloseWrite()
			if got, err := conn.Rest(); got != c.want || err != io.EOF {
				t.Errorf("read %q, then %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestLargeBodies(t *testing.T) {
	const size = 3<<20 + 7
	for _, chunked := range []bool{false, true} {
		c := labtest.Dial(t, start(t, script.Server{Body: size, Chunked: chunked}).Addr())
		for range 2 {
			c.Send(get)
			resp, err := http.ReadResponse(c.R, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			if err != nil || len(body) != size || !bytes.HasPrefix(body, filler) {
				t.Errorf("chunked %v: %d bytes, %v", chunked, len(body), err)
			}
		}
	}
}

func TestBadRequests(t *testing.T) {
	cases := map[string]string{
		"hello\r\n\r\n": "HTTP/1.1 400 Bad Request\r\n",
		"POST / HTTP/1.1\r\nHost: lab\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n":           "HTTP/1.1 400 Bad Request\r\n",
		"GET / HTTP/1.1\r\nHost: lab\r\nX: " + strings.Repeat("x", 2*serve.MaxHead) + "\r\n": "HTTP/1.1 431 Request Header Fields Too Large\r\n",
	}
	for request, want := range cases {
		s := start(t, script.Server{})
		c := labtest.Dial(t, s.Addr())
		c.Send(request)
		// What was not read makes the end a RST; the answer comes before it.
		if text, err := c.Rest(); !strings.HasPrefix(text, want) || !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%.40q: read %q, then %v", request, text, err)
		}
		if st := s.Stories()[0]; ending(st) != (*story.ServerEnds(story.FIN, story.WhyBadRequest)) {
			t.Errorf("%.40q: %+v", request, st)
		}
	}
}

func TestUnfinishedRequest(t *testing.T) {
	s := start(t, script.Server{})
	for i, part := range []string{"", "GET / HT", post + "xx"} {
		c := labtest.Dial(t, s.Addr())
		c.Send(part)
		c.Close()
		if st := finished(t, s, i); ending(st) != (*story.ClientEnds(story.FIN, story.WhyClient)) {
			t.Errorf("%q: %+v", part, st)
		}
	}
}

func TestDelay(t *testing.T) {
	const delay = 20 * time.Millisecond
	s := start(t, script.Server{Delay: script.Delay{A: delay}})
	c := labtest.Dial(t, s.Addr())
	begin := time.Now()
	c.Send(get)
	c.Response()
	if d := time.Since(begin); d < delay {
		t.Errorf("answered after %v", d)
	}
}

func TestDelaysRepeat(t *testing.T) {
	cfg := script.Server{Delay: script.Delay{Form: script.Exponential, A: time.Millisecond}}
	a, b := start(t, cfg), start(t, cfg)
	for i := range 100 {
		if x, y := a.draw(script.Delays, cfg.Delay), b.draw(script.Delays, cfg.Delay); x != y {
			t.Fatalf("delay %d: %v and %v", i, x, y)
		}
	}
}

// A story keeps the last exchanges, and counts all.
func TestStoryIsBounded(t *testing.T) {
	s := start(t, script.Server{})
	c := labtest.Dial(t, s.Addr())
	const keepExchanges = 64
	const n = keepExchanges + 10
	c.Send(strings.Repeat(get, n))
	for range n {
		c.Response()
	}
	c.CloseWrite()
	st := finished(t, s, 0)
	if st.Requests != n || len(st.Exchanges) != keepExchanges {
		t.Fatalf("%d requests, %d kept", st.Requests, len(st.Exchanges))
	}
	for i, e := range st.Exchanges {
		if e.Use != n-keepExchanges+1+i || e.Responded.Before(e.Read) {
			t.Errorf("exchange %d: %+v", i, e)
		}
	}
}

func TestStartRefusesWhatIsNotValid(t *testing.T) {
	for _, cfg := range []script.Server{{IdleTimeout: -1}, {Fault: script.TLSAlert}, {Status: 204, Chunked: true}} {
		if _, err := Start(cfg, ""); err == nil {
			t.Errorf("%+v was started", cfg)
		}
	}
}

// Close ends what waits for a request, for an answer's delay and for the end of
// a request, and may be called by several.
func TestClose(t *testing.T) {
	s := start(t, script.Server{Delay: script.Delay{A: time.Hour}})
	idle, waiting, sending := labtest.Dial(t, s.Addr()), labtest.Dial(t, s.Addr()), labtest.Dial(t, s.Addr())
	waiting.Send(get)
	sending.Send(post)
	labtest.Eventually(t, "two requests are read", func() bool { return s.Seen().Requests == 2 && s.Seen().Connections == 3 })
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, c := range []*labtest.Client{idle, waiting, sending} {
		c.Ends(io.EOF)
	}
	for _, st := range s.Stories() {
		if ending(st) != (*story.ServerEnds(story.FIN, story.WhyShutdown)) {
			t.Errorf("%+v", st)
		}
	}
	if _, err := net.Dial("tcp", s.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("dial after close: %v", err)
	}
}

func TestURL(t *testing.T) {
	s, err := Start(script.Server{}, "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	resp, err := http.Get(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if _, err := Start(script.Server{}, s.Addr()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a second server on the address: %v", err)
	}
}
