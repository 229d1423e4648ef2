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

	"github.com/kabench/kabench/profiles/script"
)

func TestIdleTimeout(t *testing.T) {
	const idle = 30 * time.Millisecond
	s := start(t, script.Server{IdleTimeout: idle, Body: 5})
	c := dial(t, s.Addr())
	begin := time.Now()
	c.send(get)
	c.answer()
	c.ends(io.EOF)
	if d := time.Since(begin); d < idle {
		t.Errorf("the FIN came after %v, before the timeout", d)
	}
	st := s.Stories()[0]
	if want := (ending{ByServer, FIN, WhyIdleTimeout}); st.ending() != want {
		t.Errorf("story ends %v, want %v", st.ending(), want)
	}
	if d := st.ClosedAt.Sub(st.Exchanges[0].Answered); d < idle {
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
	c := dial(t, s.Addr())
	time.Sleep(5 * idle)
	c.send(get)
	c.answer()
	c.ends(io.EOF)
}

func TestClientClosesFirst(t *testing.T) {
	s := start(t, script.Server{IdleTimeout: time.Hour})
	for i, how := range []How{FIN, RST} {
		c := dial(t, s.Addr())
		c.send(get)
		c.answer()
		if how == RST {
			c.SetLinger(0)
		}
		c.Close()
		if st := finished(t, s, i); st.ending() != (ending{ByClient, how, WhyClient}) {
			t.Errorf("%v told as %v", how, st.ending())
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
	c := dial(t, s.Addr())
	c.send(get)
	c.CloseWrite()
	c.answer()
	c.ends(io.EOF)
	if st := s.Stories()[0]; st.ending() != (ending{ByClient, FIN, WhyClient}) {
		t.Errorf("%+v", st)
	}
}

func TestMaxRequests(t *testing.T) {
	for _, unannounced := range []bool{false, true} {
		s := start(t, script.Server{MaxRequests: 3, Unannounced: unannounced})
		c := dial(t, s.Addr())
		for use := 1; use <= 3; use++ {
			c.send(get)
			if said, want := c.answer().Close, use == 3 && !unannounced; said != want {
				t.Errorf("unannounced %v: answer %d says close: %v", unannounced, use, said)
			}
		}
		c.ends(io.EOF)
		if st := s.Stories()[0]; st.ending() != (ending{ByServer, FIN, WhyMaxRequests}) || st.Requests != 3 {
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
		conn := dial(t, s.Addr())
		conn.send(c.request)
		if !conn.answer().Close {
			t.Errorf("%q: the answer does not say close", c.request)
		}
		conn.ends(io.EOF)
		if st := s.Stories()[0]; st.ending() != (ending{ByServer, FIN, WhySaidClose}) {
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
			conn := dial(t, start(t, c.cfg).Addr())
			conn.send(c.request)
			conn.CloseWrite()
			if got, err := conn.rest(); got != c.want || err != io.EOF {
				t.Errorf("read %q, then %v; want %q", got, err, c.want)
			}
		})
	}
}

func TestLargeBodies(t *testing.T) {
	const size = 3<<20 + 7
	for _, chunked := range []bool{false, true} {
		c := dial(t, start(t, script.Server{Body: size, Chunked: chunked}).Addr())
		for range 2 {
			c.send(get)
			resp, err := http.ReadResponse(c.r, nil)
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
		"POST / HTTP/1.1\r\nHost: lab\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n":     "HTTP/1.1 400 Bad Request\r\n",
		"GET / HTTP/1.1\r\nHost: lab\r\nX: " + strings.Repeat("x", 2*maxHead) + "\r\n": "HTTP/1.1 431 Request Header Fields Too Large\r\n",
	}
	for request, want := range cases {
		s := start(t, script.Server{})
		c := dial(t, s.Addr())
		c.send(request)
		// What was not read makes the end a RST; the answer comes before it.
		if text, err := c.rest(); !strings.HasPrefix(text, want) || !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("%.40q: read %q, then %v", request, text, err)
		}
		if st := s.Stories()[0]; st.ending() != (ending{ByServer, FIN, WhyBadRequest}) {
			t.Errorf("%.40q: %+v", request, st)
		}
	}
}

func TestUnfinishedRequest(t *testing.T) {
	s := start(t, script.Server{})
	for i, part := range []string{"", "GET / HT", post + "xx"} {
		c := dial(t, s.Addr())
		c.send(part)
		c.Close()
		if st := finished(t, s, i); st.ending() != (ending{ByClient, FIN, WhyClient}) {
			t.Errorf("%q: %+v", part, st)
		}
	}
}

func TestDelay(t *testing.T) {
	const delay = 20 * time.Millisecond
	s := start(t, script.Server{Delay: script.Delay{A: delay}})
	c := dial(t, s.Addr())
	begin := time.Now()
	c.send(get)
	c.answer()
	if d := time.Since(begin); d < delay {
		t.Errorf("answered after %v", d)
	}
}

func TestDelaysRepeat(t *testing.T) {
	cfg := script.Server{Delay: script.Delay{Form: script.Exponential, A: time.Millisecond}}
	a, b := start(t, cfg), start(t, cfg)
	for i := range 100 {
		if x, y := a.draw(cfg.Delay), b.draw(cfg.Delay); x != y {
			t.Fatalf("delay %d: %v and %v", i, x, y)
		}
	}
}

// A story keeps the last exchanges, and counts all.
func TestStoryIsBounded(t *testing.T) {
	s := start(t, script.Server{})
	c := dial(t, s.Addr())
	const n = keepExchanges + 10
	c.send(strings.Repeat(get, n))
	for range n {
		c.answer()
	}
	c.CloseWrite()
	st := finished(t, s, 0)
	if st.Requests != n || len(st.Exchanges) != keepExchanges {
		t.Fatalf("%d requests, %d kept", st.Requests, len(st.Exchanges))
	}
	for i, e := range st.Exchanges {
		if e.Use != n-keepExchanges+1+i || e.Answered.Before(e.Read) {
			t.Errorf("exchange %d: %+v", i, e)
		}
	}
}

func TestStoriesAreBounded(t *testing.T) {
	var s stories
	for range keepStories + 3 {
		s.begin(new(net.TCPAddr), new(net.TCPAddr), time.Now())
	}
	told := s.told()
	if len(told) != keepStories || told[0].ID != 4 || told[keepStories-1].ID != keepStories+3 {
		t.Errorf("%d stories, from %d to %d", len(told), told[0].ID, told[len(told)-1].ID)
	}
	if n := s.count(); n != keepStories+3 {
		t.Errorf("%d counted", n)
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
	idle, waiting, sending := dial(t, s.Addr()), dial(t, s.Addr()), dial(t, s.Addr())
	waiting.send(get)
	sending.send(post)
	eventually(t, "two requests are read", func() bool { return s.Seen().Requests == 2 && s.Seen().Connections == 3 })
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, c := range []*client{idle, waiting, sending} {
		c.ends(io.EOF)
	}
	for _, st := range s.Stories() {
		if st.ending() != (ending{ByServer, FIN, WhyShutdown}) {
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
