package software

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/internal/lab/proxy"
	"github.com/kabench/kabench/profiles/script"
)

// nginxUpstream is the sources' nginx: a pool to the server at the first %s.
const nginxUpstream = `
	keepalive_timeout 0;
	upstream app { server %s; keepalive %d; keepalive_time %s; keepalive_timeout %s; keepalive_requests %d; }
	server {
		listen %%s;
		location / {
			proxy_connect_timeout %s; proxy_send_timeout 10s; proxy_read_timeout 10s;
			proxy_pass http://app; proxy_http_version 1.1; proxy_set_header Connection "";
			proxy_next_upstream %s;
		}
	}`

// pooling is what the proxies of these tests are asked to do, real or emulated.
type pooling struct {
	workers, keepalive, requests int
	lifetime, idle, connect      time.Duration
	retry                        bool
}

func ms(d time.Duration) string { return fmt.Sprintf("%dms", d.Milliseconds()) }

// nginx starts a real nginx of that pooling.
func (c pooling) nginx(t *testing.T, server string) (addr, errorLog string) {
	next := "error timeout"
	if !c.retry {
		next = "off"
	}
	return nginxWith(t, c.workers, fmt.Sprintf(nginxUpstream,
		server, c.keepalive, ms(c.lifetime), ms(c.idle), c.requests, ms(c.connect), next))
}

// emulated starts the lab's proxy of that pooling.
func (c pooling) emulated(t *testing.T, errors script.ErrorStyle, server string) string {
	t.Helper()
	retry := script.RetryNone
	if c.retry {
		retry = script.RetryIdempotent
	}
	p, err := proxy.Start(script.Proxy{Workers: c.workers, Errors: errors, Upstream: script.Upstream{
		IdleTimeout: c.idle, MaxRequests: c.requests, MaxLifetime: c.lifetime, MaxIdle: c.keepalive,
		ConnectTimeout: c.connect, Timeout: 10 * time.Second, Retry: retry,
	}}, "", server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p.Addr()
}

// server starts the lab's.
func server(t *testing.T, cfg script.Server) string {
	t.Helper()
	s, err := lab.Start(cfg, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.Addr()
}

// linked puts a link before a server.
func linked(t *testing.T, delay time.Duration, server string) string {
	t.Helper()
	l, err := lab.StartLink(script.Link{Delay: delay}, "", server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr()
}

// both runs the real thing and the emulation at the same time, and logs what each
// showed.
func both(t *testing.T, real, emulated func() string) {
	t.Helper()
	var sides [2]string
	var wg sync.WaitGroup
	for i, run := range []func() string{real, emulated} {
		wg.Go(func() { sides[i] = run() })
	}
	wg.Wait()
	t.Logf("\nreal:     %s\nemulated: %s", sides[0], sides[1])
}

// The sources' three settings with real nginx before real Tomcat, and with the
// lab's proxy before the lab's server. The same eyes see both.
func TestNginxBeforeTomcat(t *testing.T) {
	t.Parallel()
	program(t, "nginx", "nginx-light")
	const limits = `maxThreads="4" minSpareThreads="2" `
	const nio, nio2 = `protocol="org.apache.coyote.http11.Http11NioProtocol" `, `protocol="org.apache.coyote.http11.Http11Nio2Protocol" `
	tomcats := tomcat(t,
		nio+limits+`maxConnections="8" acceptCount="1" keepAliveTimeout="20000" maxKeepAliveRequests="20"`,
		nio+limits+`maxConnections="8" acceptCount="1" keepAliveTimeout="1000" maxKeepAliveRequests="20"`,
		// Its timer is exact: with NIO it is up to a second late, and the race a chance.
		nio2+`maxConnections="64" keepAliveTimeout="1000" maxKeepAliveRequests="20"`,
		nio+limits+`maxConnections="8" acceptCount="1" keepAliveTimeout="20000" maxKeepAliveRequests="2"`,
	)
	asTomcat := script.Server{MaxConnections: 8, Threads: 4, Backlog: 1, IdleTimeout: 20 * time.Second, MaxRequests: 20, Delay: script.Delay{A: 100 * time.Millisecond}}

	// Ten requests, times a tenth of the source's: five connections or so, and
	// the proxy closes each. At least four, of three requests each.
	t.Run("ok", func(t *testing.T) {
		t.Parallel()
		pool := pooling{workers: 2, keepalive: 1, requests: 3, lifetime: time.Second, idle: 900 * time.Millisecond, connect: time.Second, retry: true}
		look := func(proxy string, tap *tap) string {
			statuses := paced(t, proxy, "GET", "/page.jsp?100", 10, 100*time.Millisecond)
			tap.settle(10 * time.Second)
			s := tap.seen(statuses)
			if statuses[200] != 10 || s.Requests != 10 || s.Conns < 4 || s.Conns > 10 || s.ByProxy != s.Conns || s.ByServer != 0 {
				t.Errorf("not as it should be: %v", s)
			}
			return s.String()
		}
		tapReal, tapLab := startTap(t, tomcats[0]), startTap(t, server(t, asTomcat))
		real, log := pool.nginx(t, tapReal.addr())
		emulated := pool.emulated(t, script.LikeNginx, tapLab.addr())
		both(t, func() string { return look(real, tapReal) }, func() string { return look(emulated, tapLab) })
		if n := logged(t, log, "prematurely closed"); n != 0 {
			t.Errorf("%d stale connections in nginx's log", n)
		}
	})

	// The source's timeouts, 1 s of the server's and 9 s of the pool's. Requests
	// come 3.2 s apart, when Tomcat's NIO, which is up to 1.9 s late, has closed.
	t.Run("keepalive-timeout", func(t *testing.T) {
		t.Parallel()
		pool := pooling{workers: 2, keepalive: 1, requests: 3, lifetime: 10 * time.Second, idle: 9 * time.Second, connect: time.Second, retry: true}
		cfg := asTomcat
		cfg.IdleTimeout = time.Second
		look := func(proxy string, tap *tap) string {
			statuses := paced(t, proxy, "GET", "/page.jsp?100", 3, 3200*time.Millisecond)
			tap.settle(20 * time.Second)
			s := tap.seen(statuses)
			if statuses[200] != 3 || s.Requests != 3 || s.ByServer < 2 {
				t.Errorf("not as it should be: %v", s)
			}
			return s.String()
		}
		tapReal, tapLab := startTap(t, tomcats[1]), startTap(t, server(t, cfg))
		real, _ := pool.nginx(t, tapReal.addr())
		emulated := pool.emulated(t, script.LikeNginx, tapLab.addr())
		both(t, func() string { return look(real, tapReal) }, func() string { return look(emulated, tapLab) })
	})

	// The request that meets the FIN: the server's timer is 1 s, and the FIN is
	// 100 ms under way, so that what leaves the proxy 800 ms to 1 s after the last
	// answer arrives too late. Sent at 900 ms, with 100 ms to spare on either side:
	// a GET is repaired by the retry, a POST is a 502. There are four rounds of four
	// at once, and a machine must be late by 100 ms in all of them to hide it.
	t.Run("retried", func(t *testing.T) {
		t.Parallel()
		cfg := script.Server{IdleTimeout: time.Second, Delay: script.Delay{A: 100 * time.Millisecond}}
		pool := pooling{workers: 1, keepalive: 8, requests: 100, lifetime: time.Minute, idle: 9 * time.Second, connect: 5 * time.Second, retry: true}
		for _, method := range []string{"GET", "POST"} {
			t.Run(method, func(t *testing.T) {
				t.Parallel()
				look := func(proxy string, tap *tap) string {
					s := tap.seen(pairs(t, proxy, method, rounds, atOnce))
					const all = 2 * rounds * atOnce
					switch lost := s.Statuses[502]; {
					case s.Statuses[200]+lost != all || s.ByServer == 0:
						t.Errorf("not as it should be: %v", s)
					case method == "GET" && (lost != 0 || s.Requests <= all):
						t.Errorf("a GET is sent again, unseen: %v", s)
					case method == "POST" && (lost == 0 || s.Requests != all):
						t.Errorf("a POST is not sent again: %v", s)
					}
					return s.String()
				}
				tapReal, tapLab := startTap(t, linked(t, 100*time.Millisecond, tomcats[2])), startTap(t, linked(t, 100*time.Millisecond, server(t, cfg)))
				real, log := pool.nginx(t, tapReal.addr())
				emulated := pool.emulated(t, script.LikeNginx, tapLab.addr())
				both(t, func() string { return look(real, tapReal) }, func() string { return look(emulated, tapLab) })
				n := logged(t, log, "upstream prematurely closed connection while reading response header from upstream")
				if n == 0 {
					t.Error("nginx's log has no word of it")
				}
				t.Logf("nginx's log has it %d times", n)
			})
		}
	})

	// The server says close on every second answer, below the pool's three.
	t.Run("max-requests", func(t *testing.T) {
		t.Parallel()
		pool := pooling{workers: 1, keepalive: 1, requests: 3, lifetime: 10 * time.Second, idle: 9 * time.Second, connect: time.Second, retry: true}
		cfg := asTomcat
		cfg.MaxRequests = 2
		look := func(proxy string, tap *tap) string {
			statuses := map[int]int{}
			for range 10 {
				statuses[get(t, proxy, "GET", "/page.jsp?10")]++
			}
			s := tap.seen(statuses)
			if statuses[200] != 10 || s.Requests != 10 || s.Conns != 5 {
				t.Errorf("not two requests on each connection: %v", s)
			}
			return s.String()
		}
		tapReal, tapLab := startTap(t, tomcats[3]), startTap(t, server(t, cfg))
		real, _ := pool.nginx(t, tapReal.addr())
		emulated := pool.emulated(t, script.LikeNginx, tapLab.addr())
		both(t, func() string { return look(real, tapReal) }, func() string { return look(emulated, tapLab) })
	})
}

// rounds and atOnce are for pairs.
const rounds, atOnce = 4, 4

// A pool larger than max-connections, and accept-count 1: of 40 requests at once
// eight connections are accepted, two or three wait in the kernel's queue, and
// the SYNs of the others are dropped, not refused: 504 after the connect timeout.
func TestNginxBeforeAFullTomcat(t *testing.T) {
	t.Parallel()
	program(t, "nginx", "nginx-light")
	full := tomcat(t, `protocol="org.apache.coyote.http11.Http11NioProtocol" maxThreads="4" maxConnections="8" acceptCount="1" keepAliveTimeout="20000" maxKeepAliveRequests="20"`)[0]
	emulatedServer := server(t, script.Server{MaxConnections: 8, Threads: 4, Backlog: 1, IdleTimeout: 20 * time.Second, MaxRequests: 20, Delay: script.Delay{A: 500 * time.Millisecond}})
	// Idle connections keep their places for longer than a connect is waited for.
	pool := pooling{workers: 2, keepalive: 16, requests: 3, lifetime: 10 * time.Second, idle: 3 * time.Second, connect: 1500 * time.Millisecond}
	look := func(proxy string) string {
		begin := time.Now()
		statuses := paced(t, proxy, "GET", "/page.jsp?500", 40, 0)
		if took := time.Since(begin); statuses[504] < 20 || statuses[200] < 4 || took < pool.connect {
			t.Errorf("statuses %v in %v", statuses, took)
		}
		return fmt.Sprintf("statuses %v", statuses)
	}
	real, log := pool.nginx(t, full)
	emulated := pool.emulated(t, script.LikeNginx, emulatedServer)
	both(t, func() string { return look(real) }, func() string { return look(emulated) })
	// What the full queue drops is a SYN as a rule. When many come at once it may be
	// the ACK after it: then nginx believes that it is connected, and waits for an
	// answer in vain.
	connecting := logged(t, log, "upstream timed out (110: Connection timed out) while connecting")
	reading := logged(t, log, "upstream timed out (110: Connection timed out) while reading response header")
	refused := logged(t, log, "refused")
	t.Logf("nginx's log: %d connect timeouts, %d that believed to be connected, %d refused", connecting, reading, refused)
	if connecting+reading < 20 || refused != 0 {
		t.Errorf("%d connect timeouts, %d that believed to be connected and %d refused in nginx's log", connecting, reading, refused)
	}
}

// A load balancer whose idle timeout is above the server's: 502 to the client,
// and none with the server's above. Real HAProxy, real nginx and both emulated.
func TestLoadBalancerOrder(t *testing.T) {
	t.Parallel()
	const haproxy = `
defaults
	mode http
	timeout connect 5s
	timeout client 30s
	timeout server 30s
	retries 0
frontend f
	bind %%s
	default_backend b
backend b
	http-reuse always
	server s %s pool-purge-delay %s pool-max-conn 100
`
	pool := pooling{workers: 1, keepalive: 16, requests: 1000, lifetime: time.Minute, idle: 20 * time.Second, connect: 5 * time.Second}
	balancers := map[string]func(t *testing.T, real bool, server string) string{
		"haproxy": func(t *testing.T, real bool, server string) string {
			if !real {
				return pool.emulated(t, script.LikeHAProxy, server)
			}
			return haproxyWith(t, fmt.Sprintf(haproxy, server, "20s"))
		},
		"nginx": func(t *testing.T, real bool, server string) string {
			if !real {
				return pool.emulated(t, script.LikeNginx, server)
			}
			addr, _ := pool.nginx(t, server)
			return addr
		},
	}
	for name, start := range balancers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program(t, name, map[string]string{"haproxy": "haproxy", "nginx": "nginx-light"}[name])
			// As in TestNginxBeforeTomcat, retried; and with the server's timeout above.
			for _, test := range []struct {
				idle  time.Duration
				fails bool
			}{{time.Second, true}, {time.Minute, false}} {
				cfg := script.Server{IdleTimeout: test.idle, Delay: script.Delay{A: 100 * time.Millisecond}}
				t.Run(fmt.Sprintf("server %v", test.idle), func(t *testing.T) {
					t.Parallel()
					look := func(proxy string, tap *tap) string {
						s := tap.seen(pairs(t, proxy, "GET", rounds, atOnce))
						const all = 2 * rounds * atOnce
						bad := s.Statuses[502]
						if bad+s.Statuses[200] != all || s.Requests != all || test.fails != (bad > 0) || test.fails != (s.ByServer > 0) {
							t.Errorf("not as it should be: %v", s)
						}
						return s.String()
					}
					tapReal := startTap(t, linked(t, 100*time.Millisecond, server(t, cfg)))
					tapLab := startTap(t, linked(t, 100*time.Millisecond, server(t, cfg)))
					real, emulated := start(t, true, tapReal.addr()), start(t, false, tapLab.addr())
					both(t, func() string { return look(real, tapReal) }, func() string { return look(emulated, tapLab) })
				})
			}
		})
	}
}

// pairs sends atOnce requests at once, and 900 ms after the last answer, which
// the link brought, as many again on the connections they left: rounds times,
// each beginning when the connections of the round before have been closed.
func pairs(t *testing.T, proxy, method string, rounds, atOnce int) map[int]int {
	t.Helper()
	sum := map[int]int{}
	for round := range rounds {
		if round > 0 {
			time.Sleep(1500 * time.Millisecond)
		}
		for second := range 2 {
			if second == 1 {
				time.Sleep(900 * time.Millisecond)
			}
			for status, n := range paced(t, proxy, method, "/page.jsp?100", atOnce, 0) {
				sum[status] += n
			}
		}
	}
	return sum
}

// logged counts the lines of a log that have the text.
func logged(t *testing.T, log, text string) int {
	t.Helper()
	data, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(data), text)
}
