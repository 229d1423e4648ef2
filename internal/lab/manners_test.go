package lab

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pair is a connection that the test serves itself, step by step, and its
// client.
func pair(t *testing.T, cfg Config) (*conn, *client) {
	t.Helper()
	s := start(t, cfg)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := dial(t, ln.Addr().String())
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
		cfg  Config
		want error // of the client's read; nil: an answer
	}{
		{Config{IdleTimeout: idle, TimerVsData: TimerServe}, nil},
		{Config{IdleTimeout: idle, TimerVsData: TimerServe, AfterFIN: AfterFIN(time.Hour)}, nil},
		{Config{IdleTimeout: idle, TimerVsData: TimerRST}, syscall.ECONNRESET},
		{Config{IdleTimeout: idle}, syscall.ECONNRESET},
		{Config{IdleTimeout: idle, TimerVsData: TimerFIN, AfterFIN: AfterFIN(time.Hour)}, io.EOF},
		{Config{IdleTimeout: idle, AfterFIN: AfterFIN(time.Hour)}, io.EOF},
	} {
		server, c := pair(t, test.cfg)
		c.send(get)
		eventually(t, "the request to arrive", func() bool { return waiting(server.raw) })
		server.setIdle(time.Now().Add(-2*idle), FaultNone)
		e := server.exchange(2)
		if test.want == nil {
			if e != nil {
				t.Errorf("%v: ended %v", test.cfg.TimerVsData, *e)
			}
			c.answer()
			continue
		}
		if want := (ending{ByServer, FIN, WhyIdleTimeout}); e == nil || *e != want {
			t.Fatalf("%v: ended %v, want %v", test.cfg.TimerVsData, e, want)
		}
		closed := make(chan struct{})
		go func() {
			server.close(*e)
			close(closed)
		}()
		c.ends(test.want)
		c.Close()
		<-closed
	}
}

func canPeek(t *testing.T) bool {
	server, c := pair(t, Config{})
	c.send(get)
	for end := time.Now().Add(time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if waiting(server.raw) {
			return true
		}
	}
	return false
}

// With nothing in the socket the close is a FIN, whatever wins otherwise.
func TestIdleTimerAlone(t *testing.T) {
	for v := Either; int(v) < len(timerVsDataNames); v++ {
		cfg := Config{IdleTimeout: 20 * time.Millisecond, TimerVsData: v}
		if v == TimerFIN {
			cfg.AfterFIN = AfterFIN(time.Hour)
		}
		s := start(t, cfg)
		c := dial(t, s.Addr())
		begin := time.Now()
		c.send(get)
		c.answer()
		c.ends(io.EOF)
		if d := time.Since(begin); d < cfg.IdleTimeout {
			t.Errorf("%v: closed after %v", v, d)
		}
		if st := s.Stories()[0]; st.ending() != (ending{ByServer, FIN, WhyIdleTimeout}) {
			t.Errorf("%v: %+v", v, st)
		}
	}
}

// Before the timer, requests are served, whatever wins at it.
func TestBeforeTheTimer(t *testing.T) {
	for _, v := range []TimerVsData{TimerServe, TimerRST} {
		s := start(t, Config{IdleTimeout: time.Hour, TimerVsData: v})
		c := dial(t, s.Addr())
		for range 3 {
			c.send(get)
			c.answer()
		}
	}
}

func TestIdleLate(t *testing.T) {
	const idle, late = 10 * time.Millisecond, 60 * time.Millisecond
	s := start(t, Config{IdleTimeout: idle, IdleLate: Delay{A: late}})
	c := dial(t, s.Addr())
	c.send(get)
	c.answer()
	c.ends(io.EOF)
	st := s.Stories()[0]
	if d := st.ClosedAt.Sub(st.Exchanges[0].Answered); d < idle+late {
		t.Errorf("closed %v after the answer, want at least %v", d, idle+late)
	}
}

// Every FIN of a server with manners is followed by its drain: what comes then
// is taken, however often it is written.
func TestAfterFINDrains(t *testing.T) {
	for name, cfg := range map[string]Config{
		"idle":         {IdleTimeout: 10 * time.Millisecond},
		"max requests": {MaxRequests: 1},
		"said close":   {SayClose: true},
	} {
		cfg.AfterFIN = AfterFIN(time.Hour)
		s := start(t, cfg)
		c := dial(t, s.Addr())
		c.send(get)
		c.answer()
		c.ends(io.EOF)
		for range 20 {
			c.send(get)
			time.Sleep(time.Millisecond) // for a RST, if one were sent, to arrive
		}
		c.ends(io.EOF)
		if seen := s.Seen(); seen.Requests != 1 || seen.ClosedFirst != 1 {
			t.Errorf("%s: %+v", name, seen)
		}
	}
}

// A closed socket answers what comes after its FIN with a RST, and so does a
// draining one when its time is over.
func TestAfterFINCloses(t *testing.T) {
	for _, after := range []AfterFIN{0, AfterFIN(20 * time.Millisecond)} {
		s := start(t, Config{IdleTimeout: 10 * time.Millisecond, AfterFIN: after})
		c := dial(t, s.Addr())
		c.send(get)
		c.answer()
		c.ends(io.EOF)
		eventually(t, "a write to fail", func() bool {
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
	s := start(t, Config{Fault: CloseBeforeResponse, AfterFIN: AfterFIN(time.Hour)})
	c := dial(t, s.Addr())
	c.send(get)
	c.ends(io.EOF)
	eventually(t, "a write to fail", func() bool {
		_, err := io.WriteString(c, get)
		return err != nil
	})
}

// Over TLS the FIN of a draining server follows a close_notify too.
func TestAfterFINOverTLS(t *testing.T) {
	for _, bare := range []bool{false, true} {
		cfg := Config{IdleTimeout: 10 * time.Millisecond, AfterFIN: AfterFIN(time.Hour), TLS: true}
		if bare {
			cfg.Fault = TLSNoCloseNotify
		}
		s := start(t, cfg)
		conn, tapped, secure := dialTLS(t, s)
		if _, err := io.WriteString(secure, get); err != nil {
			t.Fatal(err)
		}
		conn.answer()
		conn.ends(io.EOF)
		if notified := tapped.lastRecord() == recordAlert; notified == bare {
			t.Errorf("fault %v: close_notify: %v", cfg.Fault, notified)
		}
	}
}

func TestHint(t *testing.T) {
	const asking = "GET / HTTP/1.1\r\nHost: lab\r\nConnection: Keep-Alive, TE\r\n\r\n"
	const closing = "GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n"
	for _, test := range []struct {
		cfg     Config
		request string
		want    string
	}{
		{Config{}, asking, ""},
		{Config{Hint: "timeout=5"}, get, "timeout=5"},
		{Config{Hint: "timeout=5"}, asking, "timeout=5"},
		{Config{Hint: "timeout=5", HintIfAsked: true}, get, ""},
		{Config{Hint: "timeout=5, max=100", HintIfAsked: true}, asking, "timeout=5, max=100"},
		{Config{Hint: "timeout=5"}, closing, ""},
		{Config{Hint: "timeout=5", MaxRequests: 1}, get, ""},
	} {
		s := start(t, test.cfg)
		c := dial(t, s.Addr())
		c.send(test.request)
		resp := c.answer()
		if got := resp.Header.Get("Keep-Alive"); got != test.want {
			t.Errorf("%+v, %q: hint %q, want %q", test.cfg, test.request, got, test.want)
		}
	}
}

func TestMannersValidate(t *testing.T) {
	bad := map[string]Config{
		"idle_late: ":                          {IdleLate: Delay{Form: 9}},
		"timer_vs_data: unknown(9) is unknown": {TimerVsData: 9},
		"timer_vs_data: fin needs":             {TimerVsData: TimerFIN},
		"timer_vs_data: rst never happens":     {TimerVsData: TimerRST, AfterFIN: 1},
		"after_fin: -1ns is not between":       {AfterFIN: -1},
		"after_fin: 2h0m0s is not between":     {AfterFIN: AfterFIN(2 * time.Hour)},
		"hint: is no header value":             {Hint: "timeout=5\r\nX: y"},
		"hint: is longer":                      {Hint: strings.Repeat("x", 201)},
		"hint_if_asked: has no effect":         {HintIfAsked: true},
		"hint: is never sent with say_close":   {Hint: "timeout=5", SayClose: true},
	}
	for want, cfg := range bad {
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%+v: %v, want %s...", cfg, err, want)
		}
	}
}

func TestTimerVsDataText(t *testing.T) {
	for v := Either; int(v) < len(timerVsDataNames); v++ {
		text, _ := v.MarshalText()
		var back TimerVsData
		if err := back.UnmarshalText(text); err != nil || back != v {
			t.Errorf("%s: %v, %v", text, back, err)
		}
	}
	var v TimerVsData
	if err := v.UnmarshalText([]byte("win")); err == nil || !strings.Contains(err.Error(), "serve") {
		t.Errorf("win: %v", err)
	}
}

func FuzzAfterFIN(f *testing.F) {
	for _, text := range []string{"closed", "drain 2s", "drain", "drain 0s", "drain -1s", "drain 2h", "drain x", "2s", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var a, again AfterFIN
		if err := a.UnmarshalText([]byte(text)); err != nil {
			return
		}
		if err := (Config{AfterFIN: a}).Validate(); err != nil {
			t.Errorf("%q: read, not valid: %v", text, err)
		}
		if err := again.UnmarshalText([]byte(a.String())); err != nil || again != a {
			t.Errorf("%v is read as %v, %v", a, again, err)
		}
	})
}
