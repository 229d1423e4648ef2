package lab

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/lab/labtest"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

// With one place the next connection is accepted when the first has ended, and
// the client only notices the wait.
func TestMaxConnections(t *testing.T) {
	s := start(t, script.Server{MaxConnections: 1})
	first := labtest.Dial(t, s.Addr())
	first.Send(get)
	first.Response()
	second := labtest.Dial(t, s.Addr())
	second.Send(get)
	first.Close()
	second.Response()
	all := s.Stories()
	if len(all) != 2 || all[1].AcceptedAt.Before(all[0].ClosedAt) {
		t.Errorf("%+v", all)
	}
}

// One thread serves one request at a time.
func TestThreads(t *testing.T) {
	const n = 4
	s := start(t, script.Server{Threads: 1, Delay: script.Delay{A: 2 * time.Millisecond}})
	var all sync.WaitGroup
	for range n {
		c := labtest.Dial(t, s.Addr())
		c.Send(get + get)
		all.Go(func() { c.Rest() }) // to the end of the connection
	}
	labtest.Eventually(t, "all are answered", func() bool {
		answered := 0
		for _, st := range s.Stories() {
			for _, e := range st.Exchanges {
				if !e.Responded.IsZero() {
					answered++
				}
			}
		}
		return answered == 2*n
	})
	s.Close()
	all.Wait()
	var served []story.Exchange
	for _, st := range s.Stories() {
		served = append(served, st.Exchanges...)
	}
	for i, a := range served {
		for _, b := range served[:i] {
			if a.Read.Before(b.Responded) && b.Read.Before(a.Responded) {
				t.Errorf("at the same time: %v to %v, %v to %v", a.Read, a.Responded, b.Read, b.Responded)
			}
		}
	}
}

func TestAcceptPause(t *testing.T) {
	const pause = 50 * time.Millisecond
	s := start(t, script.Server{AcceptPause: script.Delay{A: pause}})
	for range 2 {
		labtest.Dial(t, s.Addr())
	}
	labtest.Eventually(t, "both are accepted", func() bool { return len(s.Stories()) == 2 })
	if all := s.Stories(); all[1].AcceptedAt.Sub(all[0].AcceptedAt) < pause {
		t.Errorf("accepted at %v and %v", all[0].AcceptedAt, all[1].AcceptedAt)
	}
}

// A server that waits for a place, a pause or a thread can be closed.
func TestCloseWhileFull(t *testing.T) {
	for _, cfg := range []script.Server{{MaxConnections: 1}, {Threads: 1}, {AcceptPause: script.Delay{A: time.Hour}}} {
		cfg.Fault = script.Silent
		s := start(t, cfg)
		for range 2 {
			labtest.Dial(t, s.Addr()).Send(get)
		}
		labtest.Eventually(t, "one is read", func() bool { return s.Seen().Requests == 1 })
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A queue of one holds two on Linux (backlog + 1); then SYNs are dropped, not
// refused, and connects wait for a place.
func TestBacklogDropsSYNs(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("says what Linux does")
	}
	s := start(t, script.Server{MaxConnections: 1, Backlog: 1})
	served := labtest.Dial(t, s.Addr())
	served.Send(get)
	served.Response()
	queued := []*labtest.Client{labtest.Dial(t, s.Addr()), labtest.Dial(t, s.Addr())}
	// More may seem to be connected: the client is when the SYN-ACK has come, and
	// the queue may fill before its ACK does. Four cannot be.
	dropped := 0
	for range 4 {
		conn, err := net.DialTimeout("tcp", s.Addr(), 500*time.Millisecond) // the SYN is sent again after 1 s
		if err == nil {
			defer conn.Close()
			continue
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) && !strings.Contains(err.Error(), "timeout") {
			t.Fatalf("dial: %v, want no answer", err)
		}
		dropped++
	}
	if dropped == 0 {
		t.Error("no SYN was dropped")
	}
	if n := len(s.Stories()); n != 1 {
		t.Errorf("%d accepted", n)
	}
	served.Close()
	for _, c := range queued {
		c.Send(get)
		c.Response()
		c.Close()
	}
}

type countingWrites struct {
	net.Conn
	n int
}

func (c *countingWrites) Write(p []byte) (int, error) {
	c.n++
	return c.Conn.Write(p)
}

// At a reload, a server closes idle connections, says close in the responses to busy
// ones, and serves later connections as before.
func TestReload(t *testing.T) {
	s := start(t, script.Server{})
	idle, busy, fresh := labtest.Dial(t, s.Addr()), labtest.Dial(t, s.Addr()), labtest.Dial(t, s.Addr())
	idle.Send(get)
	idle.Response()
	busy.Send(post)
	labtest.Eventually(t, "all are accepted, and two requests read", func() bool { return s.Seen().Requests == 2 && s.Seen().Connections == 3 })
	if n := s.Reload(); n != 3 {
		t.Errorf("%d were open", n)
	}
	idle.Ends(io.EOF)
	busy.Send(strings.Repeat("x", 1000))
	fresh.Send(get)
	for _, c := range []*labtest.Client{busy, fresh} {
		if !c.Response().Close {
			t.Error("the answer does not say close")
		}
		c.Ends(io.EOF)
	}
	for _, st := range s.Stories() {
		if ending(st) != (*story.ServerEnds(story.FIN, story.WhyReload)) {
			t.Errorf("%+v", st)
		}
	}
	later := labtest.Dial(t, s.Addr())
	for range 2 {
		later.Send(get)
		if later.Response().Close {
			t.Error("a connection of after the reload is told to close")
		}
	}
	if n := s.Seen().Reloads; n != 1 {
		t.Errorf("%d reloads", n)
	}
}

// A server that announces its reload closes nothing that is idle.
func TestReloadAnnounced(t *testing.T) {
	s := start(t, script.Server{Reload: script.Announce})
	c := labtest.Dial(t, s.Addr())
	c.Send(get)
	c.Response()
	s.Reload()
	c.Send(get)
	if !c.Response().Close {
		t.Error("the answer does not say close")
	}
	c.Ends(io.EOF)
}

// A server that stops closes idle connections, lets busy ones end, and refuses others.
func TestStop(t *testing.T) {
	s := start(t, script.Server{ReloadOn: script.Moments{"": "deploy"}, StopOn: script.Moments{"": "gone"}})
	idle, busy := labtest.Dial(t, s.Addr()), labtest.Dial(t, s.Addr())
	idle.Send(get)
	idle.Response()
	busy.Send(post)
	labtest.Eventually(t, "two requests are read", func() bool { return s.Seen().Requests == 2 })
	if n := s.Stop(); n != 2 {
		t.Errorf("%d were open", n)
	}
	s.Event("gone") // again
	idle.Ends(io.EOF)
	busy.Send(strings.Repeat("x", 1000))
	if !busy.Response().Close {
		t.Error("the answer does not say close")
	}
	busy.Ends(io.EOF)
	if c, err := net.Dial("tcp", s.Addr()); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("a connect after the stop: %v, %v", c, err)
	}
	if n := s.Seen().Reloads; n != 0 {
		t.Errorf("%d reloads", n)
	}
	for _, event := range []string{"deploy", "another", ""} {
		s.Event(event)
	}
	if n := s.Seen().Reloads; n != 1 {
		t.Errorf("%d reloads after one event of it", n)
	}
	if err := s.Close(); err != nil {
		t.Errorf("close after stop: %v", err)
	}
}

func TestReloadEvery(t *testing.T) {
	s := start(t, script.Server{ReloadEvery: 5 * time.Millisecond})
	for i := range 3 {
		c := labtest.Dial(t, s.Addr())
		c.Send(get)
		c.Response()
		c.Ends(io.EOF)
		if st := s.Stories()[i]; ending(st) != (*story.ServerEnds(story.FIN, story.WhyReload)) {
			t.Errorf("%+v", st)
		}
	}
}

// Reloads meet requests at any moment: every client is answered, or sees a
// close before an answer has begun.
func TestReloadRaces(t *testing.T) {
	s := start(t, script.Server{Body: 10})
	done := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
				s.Reload()
			}
		}
	})
	for range 200 {
		c := labtest.Dial(t, s.Addr())
		for range 5 {
			if _, err := io.WriteString(c, get); err != nil {
				break
			}
			if _, err := c.R.Peek(1); err != nil {
				break
			}
			if c.Response().Close {
				break
			}
		}
		c.Close()
	}
	close(done)
	all.Wait()
}
