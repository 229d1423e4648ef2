package proxy

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/internal/lab/labtest"
	"github.com/kabench/kabench/internal/lab/serve"
	"github.com/kabench/kabench/profiles/script"
)

// arrived is what the server's i-th connection was sent in its last request.
func arrived(s *lab.Server, i int) http.Header {
	st := s.Stories()[i]
	return st.Exchanges[len(st.Exchanges)-1].Header
}

// Headers for one connection go no further, nor do those that Connection names.
func TestProxyHopByHop(t *testing.T) {
	const request = "POST / HTTP/1.1\r\nHost: lab\r\nConnection: X-Secret, te, Keep-Alive\r\nConnection: x-other\r\nX-Secret: 1\r\nX-Other: 2\r\n" +
		"X-Kept: 3\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nUpgrade: h2c\r\nProxy-Connection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxx\r\n0\r\n\r\n"
	s := start(t, script.Server{RecordHeaders: true, Hint: "timeout=7"})
	for _, test := range []struct {
		cfg  script.Proxy
		want http.Header
		hint string
	}{
		{script.Proxy{}, http.Header{"Host": {"lab"}, "X-Kept": {"3"}, "Content-Length": {"2"}}, ""},
		{script.Proxy{Hint: "timeout=9"}, http.Header{"Host": {"lab"}, "X-Kept": {"3"}, "Content-Length": {"2"}}, "timeout=9"},
		{script.Proxy{ProxyConnection: script.PassedOn},
			http.Header{"Host": {"lab"}, "X-Kept": {"3"}, "Content-Length": {"2"}, "Proxy-Connection": {"keep-alive"}}, ""},
		{script.Proxy{Upstream: script.Upstream{PerRequest: true}},
			http.Header{"Host": {"lab"}, "X-Kept": {"3"}, "Content-Length": {"2"}, "Connection": {"close"}}, ""},
		{script.Proxy{Upstream: script.Upstream{Version: script.HTTP10}, Via: "edge"},
			http.Header{"Host": {"lab"}, "X-Kept": {"3"}, "Content-Length": {"2"}, "Connection": {"keep-alive"}, "Via": {"1.1 edge"}}, ""},
		{script.Proxy{HopByHop: script.Forwarded, ProxyConnection: script.PassedOn}, http.Header{
			"Host": {"lab"}, "Connection": {"X-Secret, te, Keep-Alive", "x-other"}, "X-Secret": {"1"}, "X-Other": {"2"}, "X-Kept": {"3"},
			"Keep-Alive": {"timeout=5"}, "Te": {"trailers"}, "Upgrade": {"h2c"}, "Proxy-Connection": {"keep-alive"},
			"Transfer-Encoding": {"chunked"}}, "timeout=7"},
	} {
		p := startProxy(t, test.cfg, s.Addr())
		before := len(s.Stories())
		c := labtest.Dial(t, p.Addr())
		c.Send(request)
		resp := c.Response()
		if diff := cmp.Diff(test.want, arrived(s, before)); diff != "" {
			t.Errorf("%+v: %s", test.cfg, diff)
		}
		if got := resp.Header.Get("Keep-Alive"); got != test.hint {
			t.Errorf("%+v: the client is told %q, want %q", test.cfg, got, test.hint)
		}
		if test.cfg.Via != "" && resp.Header.Get("Via") != "1.1 edge" {
			t.Errorf("the answer came %v", resp.Header)
		}
	}
}

// Two proxies that do it right keep three connections, each for itself.
func TestProxyChain(t *testing.T) {
	s := start(t, script.Server{RecordHeaders: true, Body: 3})
	inner := startProxy(t, script.Proxy{Via: "inner"}, s.Addr())
	outer := startProxy(t, script.Proxy{Via: "outer"}, inner.Addr())
	c := labtest.Dial(t, outer.Addr())
	for range 3 {
		c.Send(keep11)
		if resp := c.Response(); resp.StatusCode != 200 || resp.ContentLength != 3 {
			t.Errorf("%+v", resp)
		}
	}
	if got := arrived(s, 0); strings.Join(got["Via"], ", ") != "1.1 outer, 1.1 inner" || got.Get("Connection") != "" {
		t.Errorf("%v", got)
	}
	if s.Seen().Connections != 1 || inner.Seen().Connections != 1 || outer.Seen().Connections != 1 {
		t.Errorf("%+v, %+v, %+v", s.Seen(), inner.Seen(), outer.Seen())
	}
}

// A proxy that knows nothing of keep-alive sends the word on: the server keeps
// the connection, the proxy waits for its end, and a client that believes the
// answer asks again in vain, until the server's timer goes off.
func TestBlindProxy(t *testing.T) {
	const proxied = "GET / HTTP/1.0\r\nProxy-Connection: Keep-Alive\r\n\r\n"
	blind := script.Proxy{HopByHop: script.Blind, ProxyConnection: script.PassedOn}
	understands := script.Proxy{ProxyConnection: script.Understood, Upstream: script.Upstream{Version: script.HTTP10}}
	for _, test := range []struct {
		name    string
		request string
		chain   []script.Proxy // the client's first
		hangs   bool
		kept    bool // by the proxy: the second request is answered
	}{
		{"blind", keep10, []script.Proxy{blind}, true, false},
		{"blind, HTTP/1.1", get, []script.Proxy{blind}, true, false},
		{"blind, not asked", get10, []script.Proxy{blind}, false, false},
		{"hop-by-hop headers removed", keep10, []script.Proxy{{}}, false, true},
		{"Proxy-Connection through a blind one", proxied, []script.Proxy{blind}, false, false},
		{"Proxy-Connection, understood", proxied, []script.Proxy{understands}, false, true},
		{"Proxy-Connection, removed", proxied, []script.Proxy{{}}, false, false},
		{"Proxy-Connection through a blind one, then understood", proxied, []script.Proxy{blind, understands}, true, false},
		{"Proxy-Connection understood, then a blind one", proxied, []script.Proxy{understands, blind}, false, true},
		{"removed, then removed", keep10, []script.Proxy{{}, {}}, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			const idle = 50 * time.Millisecond
			s := start(t, script.Server{Version: script.HTTP10, Body: 3, IdleTimeout: idle})
			if test.request == get {
				s = start(t, script.Server{Body: 3, IdleTimeout: idle})
			}
			addr := s.Addr()
			for i := len(test.chain) - 1; i >= 0; i-- {
				cfg := test.chain[i]
				if cfg.HopByHop == script.Removed && i > 0 {
					cfg.IdleTimeout = idle
				}
				addr = startProxy(t, cfg, addr).Addr()
			}
			c := labtest.Dial(t, addr)
			begin := time.Now()
			c.Send(test.request)
			resp := c.Response()
			if told := resp.ProtoAtLeast(1, 1) && !resp.Close || serve.HasToken(resp.Header.Values("Connection"), "keep-alive"); told != (test.hangs || test.kept) {
				t.Errorf("the client is told %v %v", resp.Proto, resp.Header)
			}
			if !test.hangs && !test.kept {
				c.Ends(io.EOF)
				return
			}
			c.Send(test.request)
			if test.kept {
				c.Response()
				return
			}
			// Unread at the proxy's close, the second request makes that a RST.
			if text, err := c.Rest(); text != "" || !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("read %q, then %v", text, err)
			}
			if d := time.Since(begin); d < idle || s.Seen().Requests != 1 {
				t.Errorf("over after %v, %d requests at the server", d, s.Seen().Requests)
			}
		})
	}
}

func TestBlindProxyFails(t *testing.T) {
	gone := listenBackend(t)
	gone.Close()
	for _, test := range []struct {
		addr    string
		timeout time.Duration
		want    string
	}{
		{gone.addr(), 0, "HTTP/1.1 502 "},
		{start(t, script.Server{Fault: script.CloseBeforeResponse}).Addr(), 0, "HTTP/1.1 502 "},
		{start(t, script.Server{Fault: script.Silent}).Addr(), 20 * time.Millisecond, "HTTP/1.1 504 "},
	} {
		p := startProxy(t, script.Proxy{HopByHop: script.Blind, ProxyConnection: script.PassedOn, Upstream: script.Upstream{Timeout: test.timeout}}, test.addr)
		if got, err := labtest.Tell(t, p.Addr(), get); !strings.HasPrefix(got, test.want) || err != io.EOF {
			t.Errorf("read %q, then %v; want %s", got, err, test.want)
		}
	}
}

// Towards a server of HTTP/1.0 a connection is kept when that agrees.
func TestProxyHTTP10Upstream(t *testing.T) {
	for _, ignores := range []bool{false, true} {
		s := start(t, script.Server{Version: script.HTTP10, IgnoreKeepAlive: ignores, Body: 3})
		p := startProxy(t, script.Proxy{Upstream: script.Upstream{Version: script.HTTP10}}, s.Addr())
		c := labtest.Dial(t, p.Addr())
		for range 3 {
			c.Send(get)
			if resp := c.Response(); resp.Proto != "HTTP/1.1" || resp.Close || resp.ContentLength != 3 {
				t.Errorf("%+v", resp)
			}
		}
		want := uint64(1)
		if ignores {
			want = 3
		}
		if seen := p.Seen(); seen.Upstream != want {
			t.Errorf("ignores %v: %+v", ignores, seen)
		}
	}
}

// Bodies of every kind arrive whole at clients of every kind.
func TestProxyBodies(t *testing.T) {
	const size = 3<<20 + 7
	for name, cfg := range map[string]script.Server{
		"by length": {}, "in chunks": {Chunked: true}, "to the end": {UntilClose: true}, "to the end, 1.0": {UntilClose: true, Version: script.HTTP10},
	} {
		cfg.Body = size
		s := start(t, cfg)
		for _, hops := range []script.HopByHop{script.Removed, script.Forwarded} {
			config := script.Proxy{HopByHop: hops}
			if hops == script.Forwarded {
				config.ProxyConnection = script.PassedOn
			}
			p := startProxy(t, config, s.Addr())
			for _, request := range []string{get, get10} {
				if hops == script.Forwarded && request == get10 && cfg.Chunked {
					continue // the server sent chunks to the proxy's 1.1, which the client cannot read
				}
				c := labtest.Dial(t, p.Addr())
				c.Send(request)
				resp, err := http.ReadResponse(c.R, nil)
				if err != nil {
					t.Fatal(err)
				}
				body, err := io.ReadAll(resp.Body)
				if err != nil || len(body) != size || !bytes.HasPrefix(body, bytes.Repeat([]byte("kabench "), 1<<10)) {
					t.Errorf("%s, %v, %.14q: %d bytes, %v", name, hops, request, len(body), err)
				}
			}
		}
	}
}

func TestProxyHeadAndUploads(t *testing.T) {
	s := start(t, script.Server{Body: 3, Chunked: true})
	p := startProxy(t, script.Proxy{}, s.Addr())
	c := labtest.Dial(t, p.Addr())
	c.Send("HEAD / HTTP/1.1\r\nHost: lab\r\n\r\n")
	if _, err := http.ReadResponse(c.R, &http.Request{Method: "HEAD"}); err != nil {
		t.Fatal(err)
	}
	c.Send("POST / HTTP/1.1\r\nHost: lab\r\nExpect: 100-continue\r\nContent-Length: 3000000\r\n\r\n")
	if resp, err := http.ReadResponse(c.R, nil); err != nil || resp.StatusCode != 100 {
		t.Fatalf("%+v, %v", resp, err)
	}
	c.Send(strings.Repeat("x", 3_000_000))
	c.Response()
	c.Send(get + get) // in a row
	c.Response()
	c.Response()
	if seen := s.Seen(); seen.Executed != 4 || seen.Connections != 1 {
		t.Errorf("%+v", seen)
	}
}
