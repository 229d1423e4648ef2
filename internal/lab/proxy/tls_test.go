package proxy

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/lab/labtest"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

// A proxy speaks TLS to its clients and plain HTTP to the server, and ends
// connections with a close_notify unless no_close_notify is set.
func TestProxyTLS(t *testing.T) {
	s := start(t, script.Server{Body: 5, Chunked: true})
	ends := start(t, script.Server{Version: script.HTTP10, Body: 5}) // what a blind proxy waits for
	for _, c := range []struct {
		cfg     script.Proxy
		backend string
		alert   bool
		ending  story.Ending
	}{
		{script.Proxy{IdleTimeout: time.Millisecond}, s.Addr(), true, *story.ServerEnds(story.FIN, story.WhyIdleTimeout)},
		{script.Proxy{MaxRequests: 1}, s.Addr(), true, *story.ServerEnds(story.FIN, story.WhyMaxRequests)},
		{script.Proxy{IdleTimeout: time.Millisecond, NoCloseNotify: true}, s.Addr(), false, *story.ServerEnds(story.FIN, story.WhyIdleTimeout)},
		{script.Proxy{HopByHop: script.Blind, ProxyConnection: script.PassedOn}, ends.Addr(), true, *story.ServerEnds(story.FIN, story.WhyUpstream)},
	} {
		c.cfg.TLS = true
		p := startProxy(t, c.cfg, c.backend)
		conn, tapped, secure := labtest.DialTLS(t, p)
		if _, err := io.WriteString(secure, get); err != nil {
			t.Fatal(err)
		}
		if resp := conn.Response(); resp.StatusCode != 200 {
			t.Errorf("%+v: %+v", c.cfg, resp)
		}
		conn.Ends(io.EOF)
		if alert := tapped.LastRecord() == labtest.RecordAlert; alert != c.alert {
			t.Errorf("%+v: close_notify: %v", c.cfg, alert)
		}
		if st := p.Stories()[0]; ending(st) != c.ending || st.TLS != "full" {
			t.Errorf("%+v: %+v", c.cfg, st)
		}
		if st := p.Upstream()[0]; st.TLS != "" {
			t.Errorf("%+v: to the server %+v", c.cfg, st)
		}
		if !strings.HasPrefix(p.URL(), "https://") {
			t.Errorf("the page is at %s", p.URL())
		}
	}
}

// A connection that sends no TLS, or ends before the handshake, has that in its story.
// The proxy closes a connection in the middle of its handshake.
func TestProxyTLSHandshakeFails(t *testing.T) {
	p := startProxy(t, script.Proxy{TLS: true}, start(t, script.Server{}).Addr())
	plain, gone := labtest.Dial(t, p.Addr()), labtest.Dial(t, p.Addr())
	plain.Send(get)
	gone.CloseWrite()
	labtest.Dial(t, p.Addr()) // says nothing
	labtest.Eventually(t, "all three are accepted, and two are over", func() bool {
		seen := p.Seen()
		return seen.Connections == 3 && seen.ClosedByClient == 1 && seen.ClosedByProxy == 1
	})
	var got []story.Ending
	for _, st := range p.Stories()[:2] {
		got = append(got, ending(st))
	}
	if want := []story.Ending{*story.ServerEnds(story.FIN, story.WhyHandshake), *story.ClientEnds(story.FIN, story.WhyClient)}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if st := p.Stories()[2]; ending(st) != (*story.ServerEnds(story.FIN, story.WhyShutdown)) {
		t.Errorf("%+v", st)
	}
}
