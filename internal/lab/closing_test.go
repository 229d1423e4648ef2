package lab

import (
	"errors"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/lab/labtest"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

// pair is a connection that the test serves itself, step by step, and its
// client.
func pair(t *testing.T, cfg script.Server) (*conn, *labtest.Client) {
	t.Helper()
	s := start(t, cfg)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := labtest.Dial(t, ln.Addr().String())
	raw, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { raw.Close() })
	return newConn(s, raw.(*net.TCPConn)), c
}

// When the timer fires a request lies in the socket, unread.
func TestTimerVersusData(t *testing.T) {
	if !canPeek(t) {
		t.Skip("needs a look into the socket, which is for Unix")
	}
	const idle = time.Second
	for _, test := range []struct {
		cfg  script.Server
		want error // of the client's read; nil: an answer
	}{
		{script.Server{IdleTimeout: idle, TimerVsData: script.TimerServe}, nil},
		{script.Server{IdleTimeout: idle, TimerVsData: script.TimerServe, AfterFIN: script.AfterFIN(time.Hour)}, nil},
		{script.Server{IdleTimeout: idle, TimerVsData: script.TimerRST}, syscall.ECONNRESET},
		{script.Server{IdleTimeout: idle}, syscall.ECONNRESET},
		{script.Server{IdleTimeout: idle, TimerVsData: script.TimerFIN, AfterFIN: script.AfterFIN(time.Hour)}, io.EOF},
		{script.Server{IdleTimeout: idle, AfterFIN: script.AfterFIN(time.Hour)}, io.EOF},
	} {
		server, c := pair(t, test.cfg)
		c.Send(get)
		labtest.Eventually(t, "the request to arrive", func() bool { return waiting(server.raw) })
		server.setIdle(time.Now().Add(-2*idle), script.FaultNone)
		e := server.exchange(2)
		if test.want == nil {
			if e != nil {
				t.Errorf("%v: ended %v", test.cfg.TimerVsData, *e)
			}
			c.Response()
			continue
		}
		if want := (*story.ServerEnds(story.FIN, story.WhyIdleTimeout)); e == nil || *e != want {
			t.Fatalf("%v: ended %v, want %v", test.cfg.TimerVsData, e, want)
		}
		closed := make(chan struct{})
		go func() {
			server.close(e)
			close(closed)
		}()
		c.Ends(test.want)
		c.Close()
		<-closed
	}
}

func canPeek(t *testing.T) bool {
	server, c := pair(t, script.Server{})
	c.Send(get)
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if waiting(server.raw) {
			return true
		}
	}
	return false
}

// With nothing in the socket the close is a FIN, whatever wins otherwise.
func TestIdleTimerAlone(t *testing.T) {
	for v := script.Either; v <= script.TimerRST; v++ {
		cfg := script.Server{IdleTimeout: 20 * time.Millisecond, TimerVsData: v}
		if v == script.TimerFIN {
			cfg.AfterFIN = script.AfterFIN(time.Hour)
		}
		s := start(t, cfg)
		c := labtest.Dial(t, s.Addr())
		begin := time.Now()
		c.Send(get)
		c.Response()
		c.Ends(io.EOF)
		if d := time.Since(begin); d < cfg.IdleTimeout {
			t.Errorf("%v: closed after %v", v, d)
		}
		if st := s.Stories()[0]; ending(st) != (*story.ServerEnds(story.FIN, story.WhyIdleTimeout)) {
			t.Errorf("%v: %+v", v, st)
		}
	}
}

// Before the timer, requests are served, whatever wins at it.
func TestBeforeTheTimer(t *testing.T) {
	for _, v := range []script.TimerVsData{script.TimerServe, script.TimerRST} {
		s := start(t, script.Server{IdleTimeout: time.Hour, TimerVsData: v})
		c := labtest.Dial(t, s.Addr())
		for range 3 {
			c.Send(get)
			c.Response()
		}
	}
}

func TestIdleLate(t *testing.T) {
	const idle, late = 10 * time.Millisecond, 60 * time.Millisecond
	s := start(t, script.Server{IdleTimeout: idle, IdleLate: script.Delay{A: late}})
	c := labtest.Dial(t, s.Addr())
	c.Send(get)
	c.Response()
	c.Ends(io.EOF)
	st := s.Stories()[0]
	if d := st.ClosedAt.Sub(st.Exchanges[0].Responded); d < idle+late {
		t.Errorf("closed %v after the answer, want at least %v", d, idle+late)
	}
}

// Every FIN of a server with manners is followed by its drain: what comes then
// is taken, however often it is written.
func TestAfterFINDrains(t *testing.T) {
	for name, cfg := range map[string]script.Server{
		"idle":         {IdleTimeout: 10 * time.Millisecond},
		"max requests": {MaxRequests: 1},
		"said close":   {SayClose: true},
	} {
		cfg.AfterFIN = script.AfterFIN(time.Hour)
		s := start(t, cfg)
		c := labtest.Dial(t, s.Addr())
		c.Send(get)
		c.Response()
		c.Ends(io.EOF)
		for range 20 {
			c.Send(get)
			time.Sleep(time.Millisecond) // for a RST, if one were sent, to arrive
		}
		c.Ends(io.EOF)
		if seen := s.Seen(); seen.Requests != 1 || seen.ClosedFirst != 1 {
			t.Errorf("%s: %+v", name, seen)
		}
	}
}

// A closed socket answers what comes after its FIN with a RST, and so does a
// draining one when its time is over.
func TestAfterFINCloses(t *testing.T) {
	for _, after := range []script.AfterFIN{0, script.AfterFIN(20 * time.Millisecond)} {
		s := start(t, script.Server{IdleTimeout: 10 * time.Millisecond, AfterFIN: after})
		c := labtest.Dial(t, s.Addr())
		c.Send(get)
		c.Response()
		c.Ends(io.EOF)
		labtest.Eventually(t, "a write to fail", func() bool {
			_, err := io.WriteString(c, get)
			if err != nil && !errors.Is(err, syscall.EPIPE) && !errors.Is(err, syscall.ECONNRESET) {
				t.Fatal(err)
			}
			return err != nil
		})
	}
}

// Faults are what they say, manners or not.
func TestFaultsDoNotDrain(t *testing.T) {
	s := start(t, script.Server{Fault: script.CloseBeforeResponse, AfterFIN: script.AfterFIN(time.Hour)})
	c := labtest.Dial(t, s.Addr())
	c.Send(get)
	c.Ends(io.EOF)
	labtest.Eventually(t, "a write to fail", func() bool {
		_, err := io.WriteString(c, get)
		return err != nil
	})
}

// Over TLS the FIN of a draining server follows a close_notify too.
func TestAfterFINOverTLS(t *testing.T) {
	for _, bare := range []bool{false, true} {
		cfg := script.Server{IdleTimeout: 10 * time.Millisecond, AfterFIN: script.AfterFIN(time.Hour), TLS: true}
		if bare {
			cfg.Fault = script.TLSNoCloseNotify
		}
		s := start(t, cfg)
		conn, tapped, secure := labtest.DialTLS(t, s)
		if _, err := io.WriteString(secure, get); err != nil {
			t.Fatal(err)
		}
		conn.Response()
		conn.Ends(io.EOF)
		if notified := tapped.LastRecord() == labtest.RecordAlert; notified == bare {
			t.Errorf("fault %v: close_notify: %v", cfg.Fault, notified)
		}
	}
}

func TestHint(t *testing.T) {
	const asking = "GET / HTTP/1.1\r\nHost: lab\r\nConnection: Keep-Alive, TE\r\n\r\n"
	const closing = "GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n"
	for _, test := range []struct {
		cfg     script.Server
		request string
		want    string
	}{
		{script.Server{}, asking, ""},
		{script.Server{Hint: "timeout=5"}, get, "timeout=5"},
		{script.Server{Hint: "timeout=5"}, asking, "timeout=5"},
		{script.Server{Hint: "timeout=5", HintIfAsked: true}, get, ""},
		{script.Server{Hint: "timeout=5, max=100", HintIfAsked: true}, asking, "timeout=5, max=100"},
		{script.Server{Hint: "timeout=5"}, closing, ""},
		{script.Server{Hint: "timeout=5", MaxRequests: 1}, get, ""},
	} {
		s := start(t, test.cfg)
		c := labtest.Dial(t, s.Addr())
		c.Send(test.request)
		resp := c.Response()
		if got := resp.Header.Get("Keep-Alive"); got != test.want {
			t.Errorf("%+v, %q: hint %q, want %q", test.cfg, test.request, got, test.want)
		}
	}
}
