package lab

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/lab/labtest"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

func link(t *testing.T, delay time.Duration, target string) *Link {
	t.Helper()
	l, err := StartLink(script.Link{Delay: delay}, "", target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// accept is the server's end of a connection through a link.
func accept(t *testing.T, delay time.Duration) (atClient, atServer *labtest.Client, l *Link) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	l = link(t, delay, ln.Addr().String())
	atClient = labtest.Dial(t, l.Addr())
	conn, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return atClient, labtest.NewClient(t, conn), l
}

// What a client sees of the faults is the same through a link.
func TestLinkFaults(t *testing.T) {
	for _, c := range faultCases {
		t.Run(c.cfg.Fault.String(), func(t *testing.T) {
			s := start(t, c.cfg)
			l := link(t, time.Millisecond, s.Addr())
			if text, err := labtest.Tell(t, l.Addr(), c.send); text != c.want || !errors.Is(err, c.err) {
				t.Errorf("read %q, then %v; want %q, then %v", text, err, c.want, c.err)
			}
		})
	}
}

func TestLinkDelays(t *testing.T) {
	const delay = 20 * time.Millisecond
	s := start(t, script.Server{MaxRequests: 2, Unannounced: true})
	l := link(t, delay, s.Addr())
	begin := time.Now()
	c := labtest.Dial(t, l.Addr())
	for range 2 {
		sent := time.Now()
		c.Send(get)
		c.Response()
		if d := time.Since(sent); d < 2*delay {
			t.Errorf("answered after %v", d)
		}
	}
	c.Ends(io.EOF)
	ended := time.Now()
	st := s.Stories()[0]
	if d := st.AcceptedAt.Sub(begin); d < delay {
		t.Errorf("the server heard of the connection after %v", d)
	}
	if d := ended.Sub(st.ClosedAt); d < delay {
		t.Errorf("the FIN came after %v", d)
	}
}

func TestLinkDelaysReset(t *testing.T) {
	const delay = 20 * time.Millisecond
	c, s, _ := accept(t, delay)
	s.SetLinger(0)
	begin := time.Now()
	s.Close()
	c.Ends(syscall.ECONNRESET)
	if d := time.Since(begin); d < delay {
		t.Errorf("the RST came after %v", d)
	}
	c, s, _ = accept(t, delay)
	c.SetLinger(0)
	begin = time.Now()
	c.Close()
	s.Ends(syscall.ECONNRESET)
	if d := time.Since(begin); d < delay {
		t.Errorf("the RST came after %v", d)
	}
}

// The race that the link is there for: the server has closed, its FIN is on the
// way, the client does not know and sends a request.
func TestLinkIdleRace(t *testing.T) {
	const delay = 300 * time.Millisecond
	s := start(t, script.Server{IdleTimeout: time.Millisecond})
	l := link(t, delay, s.Addr())
	c := labtest.Dial(t, l.Addr())
	c.Send(get)
	c.Response() // has travelled for longer than the timeout
	closed := finished(t, s, 0).ClosedAt
	c.Send(get) // the write succeeds
	c.Ends(io.EOF)
	if d := time.Since(closed); d < delay {
		t.Errorf("the FIN came after %v", d)
	}
	if seen := s.Seen(); seen.Requests != 1 || seen.ClosedIdle != 1 {
		t.Errorf("%+v", seen)
	}
}

// A client that ignores the FIN and writes on learns that nobody is there.
func TestLinkWritesAfterFIN(t *testing.T) {
	c, s, _ := accept(t, time.Millisecond)
	s.Close()
	c.Ends(io.EOF)
	var err error
	labtest.Eventually(t, "a write fails", func() bool {
		_, err = c.Write([]byte("x"))
		return err != nil
	})
	if !errors.Is(err, syscall.EPIPE) {
		t.Error(err)
	}
}

// A half-closed connection carries the other direction on.
func TestLinkHalfClose(t *testing.T) {
	c, s, _ := accept(t, time.Millisecond)
	c.Send("question")
	c.CloseWrite()
	if text, err := s.Rest(); text != "question" || err != io.EOF {
		t.Fatalf("%q, %v", text, err)
	}
	s.Send("answer")
	s.Close()
	if text, err := c.Rest(); text != "answer" || err != io.EOF {
		t.Fatalf("%q, %v", text, err)
	}

	c, s, _ = accept(t, time.Millisecond)
	s.CloseWrite()
	c.Ends(io.EOF)
	c.Send("still")
	c.Close()
	if text, err := s.Rest(); text != "still" || err != io.EOF {
		t.Fatalf("%q, %v", text, err)
	}
}

// More than may be under way at once arrives whole, both ways at the same time.
func TestLinkCarriesAll(t *testing.T) {
	const size = 3 * flowLimit
	c, s, _ := accept(t, 5*time.Millisecond)
	sum := make(chan [sha256.Size]byte)
	for i, end := range []*labtest.Client{c, s} {
		go func() {
			end.Write(bytes.Repeat([]byte{byte(i), 1, 2}, size/3))
			end.CloseWrite()
		}()
		go func() {
			got, err := io.ReadAll(end)
			if err != nil {
				t.Error(err)
			}
			sum <- sha256.Sum256(got)
		}()
	}
	want := map[[sha256.Size]byte]bool{}
	for i := range 2 {
		want[sha256.Sum256(bytes.Repeat([]byte{byte(i), 1, 2}, size/3))] = true
	}
	for range 2 {
		delete(want, <-sum)
	}
	if len(want) != 0 {
		t.Error("what arrived is not what was sent")
	}
}

// A RST reaches a client that does not read what was sent before it.
func TestLinkResetPassesUnreadData(t *testing.T) {
	c, s, _ := accept(t, time.Millisecond)
	wrote := make(chan error)
	go func() {
		for {
			if _, err := s.Write(make([]byte, 1<<16)); err != nil {
				wrote <- err
				return
			}
		}
	}()
	// Once the server cannot write any more, everything on the way is full.
	s.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	<-wrote
	s.SetLinger(0)
	s.Close()
	var err error
	labtest.Eventually(t, "a write fails", func() bool {
		_, err = c.Write([]byte("x"))
		return err != nil
	})
	if !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
}

func TestLinkToNobody(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	const delay = 10 * time.Millisecond
	l := link(t, delay, ln.Addr().String())
	begin := time.Now()
	c := labtest.Dial(t, l.Addr())
	c.Send(get)
	c.Ends(syscall.ECONNRESET)
	if d := time.Since(begin); d < 2*delay {
		t.Errorf("refused after %v", d)
	}
}

// Close ends connections in every state: dialing, idle, with data on the way.
func TestLinkClose(t *testing.T) {
	_, s, l := accept(t, time.Millisecond)
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	s.Ends(io.EOF)
	if err := l.Close(); err != nil {
		t.Error(err)
	}

	l = link(t, time.Hour, s.LocalAddr().String())
	c := labtest.Dial(t, l.Addr())
	c.Send(strings.Repeat("x", 1000))
	l.Close()
	if _, err := c.Rest(); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		t.Error(err)
	}
}

func TestLinkURL(t *testing.T) {
	l := link(t, 0, "127.0.0.1:1")
	through := l.URL(&url.URL{Scheme: "https", Host: "example.org", Path: "/a", RawQuery: "b=c"})
	if want := "https://" + l.Addr() + "/a?b=c"; through.String() != want {
		t.Errorf("%s, want %s", through, want)
	}
}

func TestLinkConfig(t *testing.T) {
	for _, delay := range []time.Duration{-1, 2 * time.Hour} {
		if _, err := StartLink(script.Link{Delay: delay}, "", "127.0.0.1:1"); err == nil {
			t.Errorf("a delay of %v was accepted", delay)
		}
	}
	if _, err := StartLink(script.Link{}, "", "nowhere"); err == nil {
		t.Error("a target without a port was accepted")
	}
}

// A link with a timer ends or forgets a connection on which nothing has passed for so long,
// and what each end then sees is what such a device shows it.
func TestLinkForgets(t *testing.T) {
	const idle = 300 * time.Millisecond
	through := func(t *testing.T, how script.Expiry, idle time.Duration) (c *labtest.Client, s *Server) {
		t.Helper()
		s = start(t, script.Server{})
		l, err := StartLink(script.Link{Delay: time.Millisecond, IdleTimeout: idle, AtExpiry: how}, "", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		c = labtest.Dial(t, l.Addr())
		c.Send(get)
		c.Response()
		return c, s
	}
	for how, end := range map[script.Expiry]error{script.Fin: io.EOF, script.Reset: syscall.ECONNRESET} {
		t.Run(how.String(), func(t *testing.T) {
			begin := time.Now()
			c, s := through(t, how, idle)
			c.Ends(end)
			if d := time.Since(begin); d < idle {
				t.Errorf("it ended after %v", d)
			}
			if st := finished(t, s, 0); st.First != story.ByClient { // as the server sees it: the link is its client
				t.Errorf("the server says that %v closed first", st.First)
			}
		})
	}
	t.Run("rst_next", func(t *testing.T) {
		c, s := through(t, script.ResetNext, idle)
		time.Sleep(idle) // nothing may pass for so long; longer does no harm
		c.Send(get)      // the write succeeds
		c.Ends(syscall.ECONNRESET)
		if st := s.Stories()[0]; !st.ClosedAt.IsZero() || s.Seen().Requests != 1 {
			t.Errorf("the server has heard of it: %+v, %+v", st, s.Seen())
		}
	})
	t.Run("used", func(t *testing.T) {
		c, _ := through(t, script.ResetNext, 2*time.Second)
		for range 5 {
			time.Sleep(500 * time.Millisecond) // each is well within the timer, all together are not
			c.Send(get)
			c.Response()
		}
	})
}

func TestLinkCannotForgetLikeThis(t *testing.T) {
	for want, cfg := range map[string]script.Link{
		"cannot drop":          {IdleTimeout: time.Second, AtExpiry: script.Drop},
		"cannot reroute":       {IdleTimeout: time.Second, AtExpiry: script.Reroute},
		"say what":             {IdleTimeout: time.Second},
		"without idle_timeout": {AtExpiry: script.Fin},
		"negative":             {IdleTimeout: -1},
		"unknown(9)":           {IdleTimeout: time.Second, AtExpiry: 9},
	} {
		if _, err := StartLink(cfg, "", "127.0.0.1:1"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want %q", cfg, err, want)
		}
	}
}
