package lab

import (
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/lab/labtest"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

// faultCases say what a raw client sees of each fault on a plain connection.
var faultCases = []struct {
	cfg   script.Server
	send  string
	want  string // what is read before err
	err   error
	how   story.How
	reads int // requests the server read
}{
	{script.Server{Fault: script.CloseBeforeResponse}, get, "", io.EOF, story.FIN, 1},
	{script.Server{Fault: script.ResetBeforeResponse}, get, "", syscall.ECONNRESET, story.RST, 1},
	{script.Server{Fault: script.CloseBeforeResponse}, post + strings.Repeat("x", 1000), "", io.EOF, story.FIN, 1},
	{script.Server{Fault: script.CloseInHeaders}, get, "HTTP/1.1 200 OK\r\nCo", io.EOF, story.FIN, 1},
	{script.Server{Fault: script.ResetInHeaders}, get, "HTTP/1.1 200 OK\r\nCo", syscall.ECONNRESET, story.RST, 1},
	{script.Server{Fault: script.CloseDuringResponse, Body: 16}, get, "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\nkabench ", io.EOF, story.FIN, 1},
	{script.Server{Fault: script.ResetDuringResponse, Body: 16}, get, "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\nkabench ", syscall.ECONNRESET, story.RST, 1},
	{script.Server{Fault: script.CloseDuringResponse, Body: 16, Chunked: true}, get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nkabench \r\n", io.EOF, story.FIN, 1},
	{script.Server{Fault: script.ResetDuringResponse, Body: 16, Chunked: true}, get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nkabench \r\n", syscall.ECONNRESET, story.RST, 1},
	// The rest of the body is unread when the server closes: the kernel resets.
	{script.Server{Fault: script.CloseWhileReading}, post + strings.Repeat("x", 1000), "", syscall.ECONNRESET, story.FIN, 1},
	{script.Server{Fault: script.CloseWhileReading}, post + "x", "", io.EOF, story.FIN, 1},
	{script.Server{Fault: script.CloseWhileReading}, get, "", io.EOF, story.FIN, 1},
	{script.Server{Fault: script.ResetWhileReading}, post + "x", "", syscall.ECONNRESET, story.RST, 1},
	{script.Server{Fault: script.ResetWhileReading}, post + strings.Repeat("x", 1000), "", syscall.ECONNRESET, story.RST, 1},
	{script.Server{Fault: script.CloseOnIdle}, get, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", io.EOF, story.FIN, 1},
	{script.Server{Fault: script.ResetOnIdle}, get, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", syscall.ECONNRESET, story.RST, 1},
	{script.Server{Fault: script.ResetOnIdle, IdleTimeout: time.Millisecond}, get, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", syscall.ECONNRESET, story.RST, 1},
	{script.Server{Fault: script.Garbage}, get, "this is not HTTP\r\n\r\n", io.EOF, story.FIN, 1},
	{script.Server{Fault: script.CloseOnAccept}, "", "", io.EOF, story.FIN, 0},
	{script.Server{Fault: script.ResetOnAccept}, "", "", syscall.ECONNRESET, story.RST, 0},
}

func TestFaults(t *testing.T) {
	for _, c := range faultCases {
		t.Run(c.cfg.Fault.String(), func(t *testing.T) {
			s := start(t, c.cfg)
			if text, err := labtest.Tell(t, s.Addr(), c.send); text != c.want || !errors.Is(err, c.err) {
				t.Errorf("read %q, then %v; want %q, then %v", text, err, c.want, c.err)
			}
			st := s.Stories()[0]
			if want := (*story.ServerEnds(c.how, story.WhyFault)); ending(st) != want {
				t.Errorf("story ends %v, want %v", ending(st), want)
			}
			if st.Requests != c.reads {
				t.Errorf("%d requests read, want %d", st.Requests, c.reads)
			}
			if seen := s.Seen(); seen.ClosedFirst != 1 || seen.ClosedIdle != 0 || seen.ClientClosed != 0 {
				t.Errorf("%+v", seen)
			}
		})
	}
}

// What never ends stops when the client leaves, and when the server is closed.
func TestEndless(t *testing.T) {
	cases := []struct {
		cfg  script.Server
		want string
	}{
		{script.Server{Fault: script.EndlessHeaders}, "HTTP/1.1 200 OK\r\nX-Endless-0: kabench"},
		{script.Server{Fault: script.EndlessBody}, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nkabench"},
		{script.Server{Fault: script.EndlessBody, Chunked: true}, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2000\r\nkabench"},
	}
	for _, c := range cases {
		s := start(t, c.cfg)
		gone, stays := labtest.Dial(t, s.Addr()), labtest.Dial(t, s.Addr())
		gone.Send(get)
		stays.Send(get)
		head := make([]byte, len(c.want))
		if _, err := io.ReadFull(gone.R, head); err != nil || string(head) != c.want {
			t.Errorf("%v: read %q, %v; want %q", c.cfg.Fault, head, err, c.want)
		}
		if _, err := io.CopyN(io.Discard, gone.R, 1<<20); err != nil {
			t.Errorf("%v: after 1 MiB: %v", c.cfg.Fault, err)
		}
		gone.Close()
		labtest.Eventually(t, "the server stops for the one that left", func() bool { return s.Seen().ClientClosed == 1 })
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if seen := s.Seen(); seen.ClosedFirst != 1 {
			t.Errorf("%v: %+v", c.cfg.Fault, seen)
		}
	}
}

func TestSilent(t *testing.T) {
	s := start(t, script.Server{Fault: script.Silent})
	c := labtest.Dial(t, s.Addr())
	c.Send(get)
	c.Send(get) // read as well, as anything is
	labtest.Eventually(t, "the request is read", func() bool { return s.Seen().Requests == 1 })
	c.CloseWrite()
	c.Ends(io.EOF)
	if st := finished(t, s, 0); ending(st) != (*story.ClientEnds(story.FIN, story.WhyClient)) || !st.Exchanges[0].Responded.IsZero() {
		t.Errorf("%+v", st)
	}
}

func TestFaultOn(t *testing.T) {
	// Three connections of up to three requests; x is an exchange that was struck.
	cases := map[script.FaultOn]string{script.OnAll: "x|x|x", script.OnFresh: "x|x|x", script.OnReused: "ox|ox|ox", 1: "x|x|x", 2: "ox|ox|ox", 3: "oox|oox|oox", 4: "ooo|x|ooo"}
	for on, want := range cases {
		s := start(t, script.Server{Fault: script.CloseBeforeResponse, FaultOn: on})
		var got []string
		for range 3 {
			c, seen := labtest.Dial(t, s.Addr()), ""
			for range 3 {
				c.Send(get)
				if _, err := c.R.Peek(1); err != nil {
					seen += "x"
					break
				}
				c.Response()
				seen += "o"
			}
			got = append(got, seen)
		}
		if got := strings.Join(got, "|"); got != want {
			t.Errorf("%v: %s, want %s", on, got, want)
		}
	}
}

// A fault on some connections counts connections.
func TestFaultOnConnections(t *testing.T) {
	s := start(t, script.Server{Fault: script.ResetOnAccept, FaultOn: 2})
	c := labtest.Dial(t, s.Addr())
	c.Send(get + get)
	c.Response()
	c.Response()
	if _, err := labtest.Tell(t, s.Addr(), ""); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("the second connection: %v", err)
	}
	c = labtest.Dial(t, s.Addr())
	c.Send(get)
	c.Response()
}

// A client that asks again in time is served by a server that resets on idle.
func TestResetOnIdleServesWhoIsNotIdle(t *testing.T) {
	s := start(t, script.Server{Fault: script.ResetOnIdle, IdleTimeout: time.Minute})
	c := labtest.Dial(t, s.Addr())
	for range 3 {
		c.Send(get)
		c.Response()
	}
}
