package probe

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

// story finds the lab's story of each connection by the client's address.
func stories(s *lab.Server) map[string]story.Story {
	all := map[string]story.Story{}
	for _, st := range s.Stories() {
		all[st.Remote] = st
	}
	return all
}

// compare checks the times and ends that the probe has seen against the server's own
// story. Both are taken in this process, so they differ by what a busy machine makes of
// a moment.
func compare(t *testing.T, site Site, s *lab.Server) {
	t.Helper()
	const busy = 150 * time.Millisecond
	all := stories(s)
	for _, c := range site.Connections {
		st, found := all[c.Client.String()]
		if !found {
			t.Errorf("the server does not know %v", c.Client)
			continue
		}
		sent := 0
		for _, e := range c.Exchanges {
			if e.Sent != evidence.NotSeen {
				sent++
			}
		}
		if st.Requests > sent {
			t.Errorf("%v: the server has read %d requests, and the probe sent %d", c.Client, st.Requests, sent)
		}
		if idle, closed := idleAtClose(&c); closed && st.Why == story.WhyIdleTimeout && len(c.Exchanges) == len(st.Exchanges) {
			is := st.ClosedAt.Sub(st.Exchanges[len(st.Exchanges)-1].Responded)
			if d := (idle - is).Abs(); d > c.Slack+busy {
				t.Errorf("%v: idle for %v when it was closed; the server says %v", c.Client, idle, is)
			}
		}
		if byServer := st.First == story.ByServer; st.First != "" && c.Close.At != evidence.NotSeen && !byServer {
			t.Errorf("%v: the probe says that the server closed first, and that was the client", c.Client)
		}
	}
}

const ms = time.Millisecond

// What a server of the lab does is what the probe says.
func TestLabs(t *testing.T) {
	t.Parallel()
	labs := map[string]struct {
		cfg   script.Server
		check func(*testing.T, Site, evidence.Server)
	}{
		"a timer": {script.Server{IdleTimeout: 700 * ms}, func(t *testing.T, site Site, s evidence.Server) {
			if s.Keeping != evidence.KeepsUntilIdle || s.Close != evidence.FIN || s.Idle.Closes < 20 {
				t.Errorf("%v by %v, %d closes", s.Keeping, s.Close, s.Idle.Closes)
			}
			if s.Fresh.Known() || s.Fresh.LongerThan < time.Second || s.Half.Known() {
				t.Errorf("fresh %+v, half %+v", s.Fresh, s.Half)
			}
			if len(site.Late) < 10 {
				t.Errorf("%d late requests", len(site.Late))
			}
		}},
		"a short timer": {script.Server{IdleTimeout: 300 * ms, Body: 1000, Chunked: true}, func(t *testing.T, site Site, s evidence.Server) {
			if s.Keeping != evidence.KeepsUntilIdle || s.Idle.Closes < 20 {
				t.Errorf("%v, %d closes", s.Keeping, s.Idle.Closes)
			}
		}},
		"spread": {script.Server{IdleTimeout: 400 * ms, IdleLate: script.Delay{Form: script.Uniform, B: 900 * ms}}, func(t *testing.T, site Site, s evidence.Server) {
			if !s.Idle.Spread() || s.Idle.Max-s.Idle.Min < 400*ms {
				t.Errorf("the closes after %v to %v are not said to be spread", s.Idle.Min, s.Idle.Max)
			}
		}},
		"resets": {script.Server{IdleTimeout: 500 * ms, Fault: script.ResetOnIdle}, func(t *testing.T, site Site, s evidence.Server) {
			if s.Close != evidence.RST {
				t.Errorf("closed by %v", s.Close)
			}
		}},
		"a false hint": {script.Server{IdleTimeout: 500 * ms, Hint: "timeout=15, max=100", HintIfAsked: true}, func(t *testing.T, site Site, s evidence.Server) {
			h := s.Hints
			if h.Verdict != evidence.HintWrong || h.Timeout != 15*time.Second || h.Max != 100 || h.Unasked.KeepAlive != 0 || h.Asked.KeepAlive == 0 {
				t.Errorf("hints %+v", h)
			}
		}},
		"a limit": {script.Server{IdleTimeout: 500 * ms, MaxRequests: 4}, func(t *testing.T, site Site, s evidence.Server) {
			if s.Limit.Requests != 4 || !s.Limit.Announced {
				t.Errorf("limit %+v", s.Limit)
			}
		}},
		"an unannounced limit": {script.Server{IdleTimeout: 500 * ms, MaxRequests: 4, Unannounced: true}, func(t *testing.T, site Site, s evidence.Server) {
			if s.Limit.Requests != 4 || s.Limit.Announced {
				t.Errorf("limit %+v", s.Limit)
			}
		}},
		"says close":                          {script.Server{SayClose: true}, closesEach},
		"closes each response without a word": {script.Server{MaxRequests: 1, Unannounced: true}, closesEach},
		"ends a body by closing":              {script.Server{Body: 100, UntilClose: true, Unannounced: true}, closesEach},
		"must be asked": {script.Server{IdleTimeout: 500 * ms, Version: script.HTTP10}, func(t *testing.T, site Site, s evidence.Server) {
			if s.Keeping != evidence.KeepsUntilIdle || s.Idle.Closes < 15 {
				t.Errorf("%v, %d closes", s.Keeping, s.Idle.Closes)
			}
		}},
		"drains": {script.Server{IdleTimeout: 500 * ms, AfterFIN: script.AfterFIN(2 * time.Second)}, func(t *testing.T, site Site, s evidence.Server) {
			if s.Close != evidence.FIN {
				t.Errorf("closed by %v", s.Close)
			}
		}},
		"not found": {script.Server{IdleTimeout: 500 * ms, Status: 404}, func(t *testing.T, site Site, s evidence.Server) {
			if s.Idle.Closes < 20 || len(site.Notes) != 1 || s.Statuses[404] < 20 {
				t.Errorf("%d closes, notes %q", s.Idle.Closes, site.Notes)
			}
		}},
		"slow": {script.Server{IdleTimeout: 600 * ms, Delay: script.Delay{A: 100 * ms}}, func(t *testing.T, site Site, s evidence.Server) {
			if s.Response.Median < 100*ms || s.Idle.Closes < 15 {
				t.Errorf("response %v, %d closes", s.Response.Median, s.Idle.Closes)
			}
		}},
	}
	type outcome struct {
		server *lab.Server
		result *Result
		err    error
	}
	found := map[string]*outcome{}
	var all sync.WaitGroup
	for name, test := range labs { // all at the same time: they wait for timers
		o := &outcome{server: serve(t, test.cfg)}
		found[name] = o
		all.Go(func() { o.result, o.err = probed(t, o.server.URL(), nil) })
	}
	all.Wait()
	for name, test := range labs {
		t.Run(name, func(t *testing.T) {
			site, s := one(t, found[name].result, found[name].err)
			test.check(t, site, s)
			compare(t, site, found[name].server)
			if took, most := found[name].result.Took, atMost(s.Idle.Median)+2*time.Second; took > most {
				t.Errorf("it took %v, want at most %v", took, most)
			}
			if test.cfg.IdleTimeout > 0 && s.Idle.Known() && s.Idle.Median+s.Idle.Slack < test.cfg.IdleTimeout {
				t.Errorf("the median is %v, and the server's timer %v", s.Idle.Median, test.cfg.IdleTimeout)
			}
		})
	}
}

func closesEach(t *testing.T, _ Site, s evidence.Server) {
	if s.Keeping != evidence.ClosesEach {
		t.Errorf("%v", s.Keeping)
	}
}

func TestOverTLS(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		cfg script.Server
		how evidence.Kind
		gap bool
	}{
		"close_notify and FIN together": {script.Server{TLS: true, IdleTimeout: 500 * ms}, evidence.Notify, false},
		"close_notify long before FIN":  {script.Server{TLS: true, IdleTimeout: 500 * ms, NotifyLead: 700 * ms}, evidence.Notify, true},
		"only FIN":                      {script.Server{TLS: true, IdleTimeout: 500 * ms, Fault: script.TLSNoCloseNotify}, evidence.FIN, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, test.cfg)
			r, err := probed(t, server.URL(), trusting(server))
			site, s := one(t, r, err)
			if s.Close != test.how || s.Idle.Closes < 20 || !s.TLS {
				t.Errorf("closed by %v, %d closes", s.Close, s.Idle.Closes)
			}
			if test.gap && (!s.Notify.Known() || s.Notify.Median < 650*ms) || !test.gap && s.Notify.Median > 400*ms {
				t.Errorf("from close_notify to FIN: %+v", s.Notify)
			}
			compare(t, site, server)
		})
	}
}

// trusting makes a probe trust a server's certificate.
func trusting(s *lab.Server) func(*Target, *Options) {
	return func(_ *Target, o *Options) { o.TLS = rootsOf(s.CertPEM()) }
}

func TestAServerThatNeverCloses(t *testing.T) {
	t.Parallel()
	server := serve(t, script.Server{})
	r, err := probed(t, server.URL(), func(_ *Target, o *Options) { o.Limit, o.Timeout = 4*time.Second, DefaultTimeout })
	site, s := one(t, r, err)
	if s.Keeping != evidence.KeepsLonger || s.Idle.LongerThan < 3*time.Second {
		t.Errorf("%v, longer than %v", s.Keeping, s.Idle.LongerThan)
	}
	if site.Ended != "the time is over" || r.Took > 5500*ms {
		t.Errorf("ended %q after %v", site.Ended, r.Took)
	}
	compare(t, site, server)
}

func TestManyRequests(t *testing.T) {
	t.Parallel()
	server := serve(t, script.Server{IdleTimeout: 400 * ms, MaxRequests: 100})
	r, err := probed(t, server.URL(), func(_ *Target, o *Options) { o.Requests = 200 })
	if _, s := one(t, r, err); s.Limit.Requests != 100 {
		t.Errorf("limit %+v", s.Limit)
	}
}

func TestStopsAtABusyServer(t *testing.T) {
	t.Parallel()
	for _, status := range []int{429, 503} {
		server := serve(t, script.Server{IdleTimeout: time.Second, Status: status})
		r, err := probed(t, server.URL(), nil)
		if err != nil {
			t.Fatal(err)
		}
		if busy, is := r.Stopped.(*Busy); !is || busy.Status != status || r.Requests != 1 || r.Interrupted() {
			t.Errorf("stopped by %v after %d requests", r.Stopped, r.Requests)
		}
	}
}

func TestAUserStopsIt(t *testing.T) {
	t.Parallel()
	server := serve(t, script.Server{IdleTimeout: 500 * ms})
	stop := make(chan struct{})
	closed := false
	r, err := probed(t, server.URL(), func(_ *Target, o *Options) {
		o.Stop = stop
		o.Progress = func(p Progress) {
			if len(p.Known.Idle) >= 3 && !closed {
				closed = true
				close(stop)
			}
		}
	})
	site, s := one(t, r, err)
	if !r.Interrupted() || s.Idle.Closes < 3 || r.Connections > 38 {
		t.Errorf("interrupted %v, %d closes, %d connections", r.Interrupted(), s.Idle.Closes, r.Connections)
	}
	compare(t, site, server)
}

func TestSmallBudgets(t *testing.T) {
	t.Parallel()
	for _, requests := range []int{1, 2, 7, 20} {
		server := serve(t, script.Server{IdleTimeout: 300 * ms})
		r, err := probed(t, server.URL(), func(_ *Target, o *Options) { o.Requests = requests })
		if _, s := one(t, r, err); !s.Idle.Known() {
			t.Errorf("%d requests: %+v", requests, s.Idle)
		}
	}
}

// With --wait-all, the timers of other connections are waited for, which are longer here.
func TestWaitAll(t *testing.T) {
	t.Parallel()
	at := raw(t, func(c *net.TCPConn) {
		c.SetReadDeadline(time.Now().Add(6 * time.Second)) // fresh, or half a head
		r := bufio.NewReader(c)
		for {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			c.SetReadDeadline(time.Now().Add(300 * ms))
		}
	})
	for _, all := range []bool{false, true} {
		r, err := probed(t, "http://"+at, func(_ *Target, o *Options) { o.WaitAll = all })
		_, s := one(t, r, err)
		if s.Fresh.Known() != all || s.Half.Known() != all || !s.Idle.Known() {
			t.Errorf("wait for all: %v, fresh %+v, half %+v", all, s.Fresh, s.Half)
		}
		if all && (s.Fresh.Median < 5900*ms || s.Half.Median < 5900*ms) {
			t.Errorf("fresh %v, half %v", s.Fresh.Median, s.Half.Median)
		}
	}
}

// Many requests on a slow server take longer than its idle timeout, and are still sent.
func TestManySlowRequests(t *testing.T) {
	t.Parallel()
	server := serve(t, script.Server{IdleTimeout: 300 * ms, Delay: script.Delay{A: 60 * ms}})
	r, err := probed(t, server.URL(), func(_ *Target, o *Options) { o.Requests = 180 })
	if _, s := one(t, r, err); s.Limit.MoreThan < 120 {
		t.Errorf("limit %+v", s.Limit)
	}
}
