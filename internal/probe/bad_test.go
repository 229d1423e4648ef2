package probe

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/profiles/script"
)

func rootsOf(pem []byte) *tls.Config {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: roots}
}

// What cannot be measured is one sentence, in bounded time.
func TestBadServers(t *testing.T) {
	secure := serve(t, script.Server{TLS: true})
	plain := serve(t, script.Server{})
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, test := range map[string]struct {
		url  string
		want string
	}{
		"nothing listens":  {"http://" + closed.Addr().String(), "nothing listens there (the connection was refused); start the server"},
		"http to TLS":      {"http://" + secure.Addr(), "https://"},
		"TLS to http":      {"https://" + plain.Addr(), "write http://"},
		"unknown issuer":   {secure.URL(), "target.tls.ca_file"},
		"no HTTP":          {"http://" + raw(t, func(c *net.TCPConn) { io.WriteString(c, "SSH-2.0-OpenSSH\r\n"); io.Copy(io.Discard, c) }), "SSH-2.0-OpenSSH"},
		"silence":          {"http://" + raw(t, func(c *net.TCPConn) { io.Copy(io.Discard, c) }), "no response within 2s"},
		"endless response": {"http://" + raw(t, func(c *net.TCPConn) { io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n"); forever(c) }), "longer than 4 MiB"},
		"endless head":     {"http://" + raw(t, func(c *net.TCPConn) { io.WriteString(c, "HTTP/1.1 200 OK\r\n"); forever(c) }), "no colon"},
		"a slow response": {"http://" + raw(t, func(c *net.TCPConn) {
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
			io.Copy(io.Discard, c)
		}), "no response within 2s"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			r, err := probed(t, test.url, nil)
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, %+v, want an error with %q", err, r, test.want)
			}
			if took := time.Since(begin); took > 20*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func forever(c net.Conn) {
	line := strings.Repeat("x", 1000) + "\n"
	for {
		if _, err := io.WriteString(c, line); err != nil {
			return
		}
	}
}

func TestClosesAtOnce(t *testing.T) {
	t.Parallel()
	for how, f := range map[evidence.Kind]func(*net.TCPConn){
		evidence.FIN: func(c *net.TCPConn) { c.Read(make([]byte, 4096)) },
		evidence.RST: func(c *net.TCPConn) { c.Read(make([]byte, 10)); c.SetLinger(0) },
	} {
		r, err := probed(t, "http://"+raw(t, f), nil)
		_, s := one(t, r, err)
		if s.Keeping != evidence.ClosesAtOnce || s.AtOnce.FIN+s.AtOnce.RST < 3 || r.Requests > 3 {
			t.Errorf("%v: %v, %+v, %d requests", how, s.Keeping, s.AtOnce, r.Requests)
		}
	}
}

func TestRedirect(t *testing.T) {
	t.Parallel()
	at := raw(t, func(c *net.TCPConn) {
		c.SetDeadline(time.Now().Add(400 * time.Millisecond))
		respond("HTTP/1.1 302 Found\r\nLocation: /login?token=hidden\r\nContent-Length: 0\r\n\r\n", 100)(c)
	})
	r, err := probed(t, "http://"+at, func(_ *Target, o *Options) { o.Requests = 20 })
	site, _ := one(t, r, err)
	if len(site.Notes) != 1 || !strings.Contains(site.Notes[0], "302") || !strings.Contains(site.Notes[0], "/login") || strings.Contains(site.Notes[0], "hidden") {
		t.Errorf("notes %q", site.Notes)
	}
}

// A server that sends 408 before it closes idle connections has sent it unasked.
func TestUnasked408(t *testing.T) {
	t.Parallel()
	at := raw(t, func(c *net.TCPConn) {
		r := bufio.NewReader(c)
		for {
			c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
			if _, err := http.ReadRequest(r); err != nil {
				break
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
		}
		io.WriteString(c, "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
	})
	r, err := probed(t, "http://"+at, nil)
	_, s := one(t, r, err)
	if s.Idle.Status408 < s.Idle.Closes/2 || s.Idle.Closes < 5 {
		t.Errorf("idle %+v", s.Idle)
	}
}

// Each address of a name is measured for itself, an unreachable one is said, and the
// budget is shared.
func TestSeveralAddresses(t *testing.T) {
	t.Parallel()
	fast, slow := serve(t, script.Server{IdleTimeout: 300 * ms}), serve(t, script.Server{IdleTimeout: 900 * ms})
	r, err := probed(t, fast.URL(), func(target *Target, _ *Options) {
		target.Addresses = []netip.AddrPort{netip.MustParseAddrPort(fast.Addr()), netip.MustParseAddrPort("127.0.0.1:1"), netip.MustParseAddrPort(slow.Addr())}
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Sites) != 3 || r.Sites[1].Err == nil || r.Sites[0].Err != nil || r.Sites[2].Err != nil {
		t.Fatalf("sites %+v", r.Sites)
	}
	a, b := r.Sites[0].Server().Idle, r.Sites[2].Server().Idle
	if a.Closes < 5 || b.Closes < 5 || a.Median < 300*ms || b.Median < 900*ms || a.Median >= b.Median {
		t.Errorf("%+v and %+v", a, b)
	}
}

// Of forty addresses a few are probed, no more than there are requests, and the others
// are named.
func TestManyAddresses(t *testing.T) {
	t.Parallel()
	server := serve(t, script.Server{IdleTimeout: 300 * ms})
	at := netip.MustParseAddrPort(server.Addr())
	target, err := Resolve(t.Context(), Request{URL: server.URL()})
	if err != nil {
		t.Fatal(err)
	}
	target.Addresses, target.Left = nil, nil
	for i := range 40 {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + i)}), at.Port())
		target.add(a)
	}
	if len(target.Addresses) != maxAddresses || len(target.Left) != 40-maxAddresses {
		t.Fatalf("%d addresses and %d left", len(target.Addresses), len(target.Left))
	}
	if text := target.Budget(Options{}); !strings.HasPrefix(text, "up to 60 requests on up to ") {
		t.Error(text)
	}
	r, err := Run(t.Context(), target, Options{Requests: 5})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Sites) != 5 || len(r.Left) != 35 || r.Requests > 5 {
		t.Errorf("%d sites, %d addresses left, %d requests", len(r.Sites), len(r.Left), r.Requests)
	}
}

func TestRequestsThatCannotBeProbed(t *testing.T) {
	for text, want := range map[string]string{
		"ftp://h/":  "scheme",
		"http://":   "no host",
		"127.0.0.1": "scheme",
	} {
		if _, err := Resolve(t.Context(), Request{URL: text}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", text, err, want)
		}
	}
	if _, err := Resolve(t.Context(), Request{URL: "http://127.0.0.1/", Header: map[string][]string{"connection": {"close"}}}); err == nil {
		t.Error("a request that closes its connection is accepted")
	}
}

// However a probe ends, it leaves no descriptor and no goroutine.
func TestNothingIsLeftOpen(t *testing.T) {
	if descriptors() < 0 {
		t.Skip("this system does not list the descriptors of a process")
	}
	kept := serve(t, script.Server{IdleTimeout: 400 * ms})
	secure := serve(t, script.Server{TLS: true, IdleTimeout: 400 * ms, NotifyLead: time.Hour})
	silent := raw(t, func(c *net.TCPConn) { io.Copy(io.Discard, c) })
	stop := make(chan struct{})
	time.AfterFunc(700*time.Millisecond, func() { close(stop) })
	for name, probe := range map[string]func() (*Result, error){
		"to the end":      func() (*Result, error) { return probed(t, kept.URL(), nil) },
		"over TLS":        func() (*Result, error) { return probed(t, secure.URL(), trusting(secure)) },
		"no response":     func() (*Result, error) { return probed(t, "http://"+silent, nil) },
		"TLS to no TLS":   func() (*Result, error) { return probed(t, "https://"+kept.Addr(), nil) },
		"stopped by user": func() (*Result, error) { return probed(t, kept.URL(), func(_ *Target, o *Options) { o.Stop = stop }) },
	} {
		files, goroutines := descriptors(), runtime.NumGoroutine()
		probe()
		// The servers, which are in this process too, need a moment to notice.
		for end := time.Now().Add(10 * time.Second); descriptors() > files || runtime.NumGoroutine() > goroutines; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Errorf("%s: %d descriptors and %d goroutines, before %d and %d", name, descriptors(), runtime.NumGoroutine(), files, goroutines)
				break
			}
		}
	}
}

// Two servers behind one address, which name themselves, are told apart.
func TestTwoBackends(t *testing.T) {
	t.Parallel()
	var connections atomic.Int64
	at := raw(t, func(c *net.TCPConn) {
		name, keep := "one", 400*time.Millisecond
		if connections.Add(1)%2 == 0 {
			name, keep = "two", 900*time.Millisecond
		}
		r := bufio.NewReader(c)
		for {
			c.SetReadDeadline(time.Now().Add(keep))
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nServer: %s\r\nContent-Length: 0\r\n\r\n", name)
		}
	})
	r, err := probed(t, "http://"+at, nil)
	_, s := one(t, r, err)
	if len(s.Backends) != 2 {
		t.Fatalf("backends %+v", s.Backends)
	}
	for _, b := range s.Backends {
		least := map[string]time.Duration{"one": 400 * time.Millisecond, "two": 900 * time.Millisecond}[b.Name]
		if least == 0 || b.Idle.Closes < 5 || b.Idle.Median+b.Idle.Slack < least || b.Idle.Median > least+300*time.Millisecond {
			t.Errorf("%s closes after %+v", b.Name, b.Idle)
		}
	}
}

// FuzzReadHead reads any head: what it takes from it is short.
func FuzzReadHead(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nServer: nginx\r\nKeep-Alive: timeout=5, max=100\r\nLocation: /x\r\n"))
	f.Add([]byte("HTTP/1.1 200\n:\nVia: " + strings.Repeat("\xff", 500) + "\nvia:x"))
	f.Fuzz(func(t *testing.T, head []byte) {
		s := readHead(head)
		for _, text := range []string{s.hint, s.backend, s.location} {
			if len(text) > 130 {
				t.Errorf("%q is %d bytes long", text, len(text))
			}
		}
	})
}

// A server that ends each connection some time after it was opened has a lifetime, and
// no idle timeout: the connections with a second request tell.
func TestLifetime(t *testing.T) {
	t.Parallel()
	at := raw(t, func(c *net.TCPConn) {
		c.SetDeadline(time.Now().Add(2 * time.Second))
		respond("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 1000)(c)
	})
	r, err := probed(t, "http://"+at, nil)
	_, s := one(t, r, err)
	if !s.Lifetime.Known() || s.Lifetime.Median+s.Lifetime.Slack < 2*time.Second || s.Lifetime.Median > 2300*time.Millisecond {
		t.Errorf("lifetime %+v, idle %+v; %s", s.Lifetime, s.Idle, s.Sentence())
	}
}
