package lab

import (
	"io"
	"strings"
	"testing"
	"time"
)

const (
	get10  = "GET / HTTP/1.0\r\n\r\n"
	keep10 = "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"
	keep11 = "GET / HTTP/1.1\r\nHost: lab\r\nConnection: keep-alive\r\n\r\n"
)

// A connection of HTTP/1.0 is kept only when both sides say so.
func TestHTTP10KeepAlive(t *testing.T) {
	const length = "Content-Length: 3\r\n"
	for _, test := range []struct {
		name, request string
		cfg           Config
		head          string
		why           Why // "": kept
	}{
		{"neither", get10, Config{Version: HTTP10, IgnoreKeepAlive: true}, length, WhyNotKept},
		{"client only", keep10, Config{Version: HTTP10, IgnoreKeepAlive: true}, length, WhyNotKept},
		{"server only", get10, Config{Version: HTTP10}, length + "Connection: close\r\n", WhySaidClose},
		{"both", keep10, Config{Version: HTTP10}, length + "Connection: keep-alive\r\n", ""},
		{"both, hinted", keep10, Config{Version: HTTP10, Hint: "timeout=5"}, length + "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n", ""},
		{"neither, hinted", get10, Config{Version: HTTP10, IgnoreKeepAlive: true, Hint: "timeout=5"}, length, WhyNotKept},
		{"1.1 that says nothing", get, Config{Version: HTTP10}, length + "Connection: close\r\n", WhySaidClose},
		{"1.1 that asks", keep11, Config{Version: HTTP10}, length + "Connection: keep-alive\r\n", ""},
		{"1.0 of a 1.1 server", get10, Config{}, length + "Connection: close\r\n", WhySaidClose},
		{"kept by a 1.1 server", keep10, Config{}, length + "Connection: keep-alive\r\n", ""},
		{"ignored by a 1.1 server", keep10, Config{IgnoreKeepAlive: true}, length, WhyNotKept},
		{"1.1 needs no word", keep11, Config{IgnoreKeepAlive: true}, length, ""},
		{"no length", keep10, Config{Version: HTTP10, UntilClose: true}, "Connection: close\r\n", WhyUntilClose},
		{"no length, unsaid", keep10, Config{Version: HTTP10, UntilClose: true, Unannounced: true}, "", WhyUntilClose},
		{"no length in 1.1", get, Config{UntilClose: true}, "Connection: close\r\n", WhyUntilClose},
		{"last", keep10, Config{Version: HTTP10, MaxRequests: 1}, length + "Connection: close\r\n", WhyMaxRequests},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.cfg.Body = 3
			s := start(t, test.cfg)
			c := dial(t, s.Addr())
			c.send(test.request)
			want := test.cfg.Version.wire() + " 200 OK\r\n" + test.head + "\r\nkab"
			got := make([]byte, len(want))
			if _, err := io.ReadFull(c.r, got); err != nil || string(got) != want {
				t.Fatalf("read %q, %v; want %q", got, err, want)
			}
			if test.why == "" {
				c.send(test.request)
				c.answer()
				return
			}
			c.ends(io.EOF)
			if st := s.Stories()[0]; st.ending() != (ending{ByServer, FIN, test.why}) {
				t.Errorf("ended %v, want %v", st.ending(), test.why)
			}
		})
	}
}

// Cut short, a body with a length is known to be, and one without is not.
func TestTruncatedBodies(t *testing.T) {
	for _, test := range []struct {
		cfg  Config
		want string
	}{
		{Config{Body: 16}, "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\nkabench "},
		{Config{Body: 16, UntilClose: true}, "HTTP/1.1 200 OK\r\n\r\nkabench "},
		{Config{Body: 16, UntilClose: true, Version: HTTP10}, "HTTP/1.0 200 OK\r\n\r\nkabench "},
	} {
		test.cfg.Fault = CloseDuringResponse
		s := start(t, test.cfg)
		if got, err := tell(t, s.Addr(), get); got != test.want || err != io.EOF {
			t.Errorf("read %q, then %v; want %q", got, err, test.want)
		}
		if st := s.Stories()[0]; st.ending() != (ending{ByServer, FIN, WhyFault}) || !st.Exchanges[0].Executed {
			t.Errorf("%+v", st)
		}
	}
}

// Headers and body of an answer are one write, or two.
func TestSplitWrites(t *testing.T) {
	for split, want := range map[bool]int{false: 1, true: 2} {
		server, c := pair(t, Config{Body: 5, SplitWrites: split})
		writes := &countingWrites{Conn: server.raw}
		server.attach(writes)
		c.send(get)
		if e := server.exchange(1); e != nil {
			t.Fatal(*e)
		}
		if c.answer(); writes.n != want {
			t.Errorf("split %v: %d writes", split, writes.n)
		}
	}
}

// The close_notify may come long before the FIN, and a client that goes on it
// ends the wait.
func TestNotifyLead(t *testing.T) {
	const lead = 50 * time.Millisecond
	for _, leaves := range []bool{false, true} {
		cfg := Config{TLS: true, IdleTimeout: time.Millisecond, NotifyLead: lead}
		if leaves {
			cfg.NotifyLead = time.Hour
		}
		s := start(t, cfg)
		conn, tapped, secure := dialTLS(t, s)
		if _, err := io.WriteString(secure, get); err != nil {
			t.Fatal(err)
		}
		conn.answer()
		conn.ends(io.EOF)
		if tapped.lastRecord() != recordAlert {
			t.Fatal("no close_notify came")
		}
		if leaves {
			conn.CloseWrite()
		}
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("after the close_notify: %v", err)
		}
		if st := s.Stories()[0]; !leaves && time.Since(st.ClosedAt) < lead {
			t.Errorf("the FIN came %v after the close_notify", time.Since(st.ClosedAt))
		}
	}
}

func TestMessagesValidate(t *testing.T) {
	for want, cfg := range map[string]Config{
		"version: unknown(9) is unknown":    {Version: 9},
		"chunked: HTTP/1.0 has no chunks":   {Version: HTTP10, Chunked: true},
		"until_close: is for a body":        {UntilClose: true, Chunked: true},
		"hint: is never sent with until":    {UntilClose: true, Hint: "timeout=5"},
		"split_writes: has no effect":       {SplitWrites: true},
		"upload: unknown(9) is unknown":     {Upload: 9},
		"upload: answer_close never":        {Upload: AnswerClose, Fault: CloseWhileReading},
		"max_connections: -1 is not":        {MaxConnections: -1},
		"backlog: 1048577 is not":           {Backlog: maxPlaces + 1},
		"threads: -1 is not":                {Threads: -1},
		"accept_pause: \"uniform LEAST":     {AcceptPause: Delay{Uniform, 2, 1}},
		"notify_lead: -1ns is not":          {NotifyLead: -1, TLS: true},
		"notify_lead: needs TLS":            {NotifyLead: 1},
		"reload_every: -1ns is negative":    {ReloadEvery: -1},
		"reload: unknown(9) is unknown":     {Reload: 9},
		"unannounced: has no effect withou": {Unannounced: true},
	} {
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%+v: %v, want %s...", cfg, err, want)
		}
	}
}

// Every name reads back as what it names.
func TestNames(t *testing.T) {
	for _, name := range versionNames {
		reads(t, name, new(Version))
	}
	for _, name := range uploadNames {
		reads(t, name, new(Upload))
	}
	for _, name := range reloadNames {
		reads(t, name, new(Reload))
	}
}

func reads(t *testing.T, name string, v interface {
	String() string
	UnmarshalText([]byte) error
}) {
	t.Helper()
	if err := v.UnmarshalText([]byte(name)); err != nil || v.String() != name {
		t.Errorf("%q is read as %q, %v", name, v, err)
	}
	if err := v.UnmarshalText([]byte("no such")); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("no such name: %v", err)
	}
}
