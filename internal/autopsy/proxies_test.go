package autopsy

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence/segments"
)

// gated is a world with a proxy: each request of two clients comes once more from the
// proxy. The last request of each client crosses the close of the server behind it,
// whose close the proxy passes on. header is what the proxy adds; path is how it begins
// each target.
func gated(clientHeader, header, path string, own int) *world {
	w := &world{}
	behind := netip.MustParseAddrPort("10.25.9.9:80")
	proxyOut := netip.MustParseAddr("10.25.3.200") // another address than that to which clients connect
	for n := range 6 {
		at := time.Duration(n) * 300 * time.Millisecond
		front := w.open(at)
		if n%2 == 1 {
			w.moved(front, netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), front.end.Port()), serverEnd)
		}
		mark := len(w.list)
		back := w.open(at)
		backEnd := netip.AddrPortFrom(proxyOut, back.end.Port())
		from := back.end
		request := func(c *talker, at time.Duration, target, header string, served bool) {
			c.send(at, true, data, "GET "+target+" HTTP/1.1\r\nHost: a\r\n"+header+"\r\n", true)
			if served {
				c.send(at+trip/2+time.Millisecond, false, data, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true)
			}
		}
		id := func(k int) string {
			if clientHeader == "" {
				return ""
			}
			return fmt.Sprintf(clientHeader, n*100+k)
		}
		for k := range own { // the proxy's health checks
			request(back, at+time.Duration(k)*100*time.Millisecond+500*time.Millisecond, "/health", "", true)
		}
		for k := range 5 {
			sent := at + time.Duration(k+1)*time.Second
			target := fmt.Sprintf("/x/%d", k%2)
			front.send(sent, true, data, "GET "+target+" HTTP/1.1\r\nHost: a\r\n"+id(k)+"\r\n", true)
			request(back, sent+trip, path+target, id(k)+header, k < 4)
			if k < 4 {
				front.send(sent+3*trip, false, data, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", true)
				continue
			}
			back.send(sent+trip+time.Millisecond, false, segments.FlagFIN|segments.FlagACK, "", false)
			front.send(sent+2*trip, false, segments.FlagFIN|segments.FlagACK, "", true)
		}
		for i := mark; i < len(w.list); i++ {
			s := &w.list[i]
			switch {
			case s.Src == from:
				s.Src, s.Dst = backEnd, behind
			case s.Dst == from:
				s.Src, s.Dst = behind, backEnd
			}
		}
		if n%2 == 1 {
			w.moved(front, netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), front.end.Port()), serverEnd)
		}
	}
	return w
}

// moved gives a connection another client's address.
func (w *world) moved(c *talker, to, server netip.AddrPort) {
	for i := range w.list {
		s := &w.list[i]
		switch {
		case s.Src == c.end && s.Dst == server:
			s.Src = to
		case s.Dst == c.end && s.Src == server:
			s.Dst = to
		}
	}
}

// Headers say that a request was passed on, where the proxy has two addresses, changes
// the targets, or makes requests of its own.
func TestLegsOfAProxy(t *testing.T) {
	for name, one := range map[string]struct {
		client, proxy, path string
		own, failures       int
	}{
		"no header says it":                 {"", "", "", 0, 12},
		"Via":                               {"", "Via: 1.1 gate\r\n", "", 0, 6},
		"X-Forwarded-For and health checks": {"", "X-Forwarded-For: 10.0.0.1\r\n", "", 4, 6},
		"X-Request-Id and other targets":    {"X-Request-Id: id-%d\r\n", "", "/api", 0, 6},
		"traceparent and other targets":     {"traceparent: 00-%032x-00f067aa0ba902b7-01\r\n", "", "/api", 0, 6},
		"a trace that the proxy made":       {"", "X-Request-Id: 7\r\n", "", 0, 12},
	} {
		t.Run(name, func(t *testing.T) {
			w := gated(one.client, one.proxy, one.path, one.own)
			v := examined(t, Options{Files: []string{w.capture(t, true, 0, 0)}})
			if len(v.Failures) != one.failures {
				t.Fatalf("%d failures, want %d: %s\n%v", len(v.Failures), one.failures, v.Headline, v.Says)
			}
			if one.failures == 6 {
				for _, f := range v.Failures {
					if f.Behind != "10.25.9.9:80" || f.Server != serverEnd.String() {
						t.Errorf("%s to %s failed at %q", f.Line, f.Server, f.Behind)
					}
				}
			}
		})
	}
}
