package lab

import (
	"io"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/lab/labtest"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
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
		cfg           script.Server
		head          string
		why           story.Why // "": kept
	}{
		{"neither", get10, script.Server{Version: script.HTTP10, IgnoreKeepAlive: true}, length, story.WhyNotKept},
		{"client only", keep10, script.Server{Version: script.HTTP10, IgnoreKeepAlive: true}, length, story.WhyNotKept},
		{"server only", get10, script.Server{Version: script.HTTP10}, length + "Connection: close\r\n", story.WhySaidClose},
		{"both", keep10, script.Server{Version: script.HTTP10}, length + "Connection: keep-alive\r\n", ""},
		{"both, hinted", keep10, script.Server{Version: script.HTTP10, Hint: "timeout=5"}, length + "Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n", ""},
		{"neither, hinted", get10, script.Server{Version: script.HTTP10, IgnoreKeepAlive: true, Hint: "timeout=5"}, length, story.WhyNotKept},
		{"1.1 that says nothing", get, script.Server{Version: script.HTTP10}, length + "Connection: close\r\n", story.WhySaidClose},
		{"1.1 that asks", keep11, script.Server{Version: script.HTTP10}, length + "Connection: keep-alive\r\n", ""},
		{"1.0 of a 1.1 server", get10, script.Server{}, length + "Connection: close\r\n", story.WhySaidClose},
		{"kept by a 1.1 server", keep10, script.Server{}, length + "Connection: keep-alive\r\n", ""},
		{"ignored by a 1.1 server", keep10, script.Server{IgnoreKeepAlive: true}, length, story.WhyNotKept},
		{"1.1 needs no word", keep11, script.Server{IgnoreKeepAlive: true}, length, ""},
		{"no length", keep10, script.Server{Version: script.HTTP10, UntilClose: true}, "Connection: close\r\n", story.WhyUntilClose},
		{"no length, unsaid", keep10, script.Server{Version: script.HTTP10, UntilClose: true, Unannounced: true}, "", story.WhyUntilClose},
		{"no length in 1.1", get, script.Server{UntilClose: true}, "Connection: close\r\n", story.WhyUntilClose},
		{"last", keep10, script.Server{Version: script.HTTP10, MaxRequests: 1}, length + "Connection: close\r\n", story.WhyMaxRequests},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.cfg.Body = 3
			s := start(t, test.cfg)
			c := labtest.Dial(t, s.Addr())
			c.Send(test.request)
			want := test.cfg.Version.Protocol() + " 200 OK\r\n" + test.head + "\r\nkab"
			got := make([]byte, len(want))
			if _, err := io.ReadFull(c.R, got); err != nil || string(got) != want {
				t.Fatalf("read %q, %v; want %q", got, err, want)
			}
			if test.why == "" {
				c.Send(test.request)
				c.Response()
				return
			}
			c.Ends(io.EOF)
			if st := s.Stories()[0]; ending(st) != (*story.ServerEnds(story.FIN, test.why)) {
				t.Errorf("ended %v, want %v", ending(st), test.why)
			}
		})
	}
}

// Cut short, a body with a length is known to be, and one without is not.
func TestTruncatedBodies(t *testing.T) {
	for _, test := range []struct {
		cfg  script.Server
		want string
	}{
		{script.Server{Body: 16}, "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\nkabench "},
		{script.Server{Body: 16, UntilClose: true}, "HTTP/1.1 200 OK\r\n\r\nkabench "},
		{script.Server{Body: 16, UntilClose: true, Version: script.HTTP10}, "HTTP/1.0 200 OK\r\n\r\nkabench "},
	} {
		test.cfg.Fault = script.CloseDuringResponse
		s := start(t, test.cfg)
		if got, err := labtest.Tell(t, s.Addr(), get); got != test.want || err != io.EOF {
			t.Errorf("read %q, then %v; want %q", got, err, test.want)
		}
		if st := s.Stories()[0]; ending(st) != (*story.ServerEnds(story.FIN, story.WhyFault)) || !st.Exchanges[0].Executed {
			t.Errorf("%+v", st)
		}
	}
}

// Headers and body of an answer are one write, or two.
func TestSplitWrites(t *testing.T) {
	for split, want := range map[bool]int{false: 1, true: 2} {
		server, c := pair(t, script.Server{Body: 5, SplitWrites: split})
		writes := &countingWrites{Conn: server.raw}
		server.attach(writes)
		c.Send(get)
		if e := server.exchange(1); e != nil {
			t.Fatal(*e)
		}
		if c.Response(); writes.n != want {
			t.Errorf("split %v: %d writes", split, writes.n)
		}
	}
}

// The close_notify may come long before the FIN, and a client that goes on it
// ends the wait.
func TestNotifyLead(t *testing.T) {
	const lead = 50 * time.Millisecond
	for _, leaves := range []bool{false, true} {
		cfg := script.Server{TLS: true, IdleTimeout: time.Millisecond, NotifyLead: lead}
		if leaves {
			cfg.NotifyLead = time.Hour
		}
		s := start(t, cfg)
		conn, tapped, secure := labtest.DialTLS(t, s)
		if _, err := io.WriteString(secure, get); err != nil {
			t.Fatal(err)
		}
		conn.Response()
		conn.Ends(io.EOF)
		if tapped.LastRecord() != labtest.RecordAlert {
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
