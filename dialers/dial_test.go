package dialers

import (
	"context"
	"net"
	"strings"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/profiles/script"
	"github.com/kabench/kabench/results"
)

// nameServer is a Resolver whose only server, on loopback, gives every question
// the same answer.
func nameServer(t *testing.T, code dnsmessage.RCode) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		b := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(b[:n]) != nil {
				continue
			}
			m.Header.Response, m.Header.RCode, m.Additionals = true, code, nil
			if packed, err := m.Pack(); err == nil {
				conn.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// refusing is the URL of a port that refuses connections for as long as the test
// lasts: it is the client's of a connection. One that was merely listened on
// before may be the next server's.
func refusing(t *testing.T) string {
	t.Helper()
	conn, err := net.Dial("tcp", listen(t).Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return "http://" + conn.LocalAddr().String()
}

func TestFailedDials(t *testing.T) {
	secure := serve(t, script.Server{TLS: true})
	alert := serve(t, script.Server{TLS: true, Fault: script.TLSAlert})
	plain := serve(t, script.Server{})
	rude := serve(t, script.Server{Fault: script.CloseOnAccept})
	closed := listen(t) // after the servers, so that none of them has its port
	closed.Close()
	for _, test := range []struct {
		name, url string
		dialer    Dialer
		want      string
		last      func(*results.Exchange) bool // the last stamp that must be there, and the next that must not
	}{
		{"refused", refusing(t), Dialer{}, "connect/refused",
			func(e *results.Exchange) bool { return e.Resolved != results.Never && e.Connected == results.Never }},
		{"no such name", "http://shop.test/", Dialer{Resolver: nameServer(t, dnsmessage.RCodeNameError)}, "resolve/nxdomain",
			func(e *results.Exchange) bool { return e.Leased != results.Never && e.Resolved == results.Never }},
		{"name server fails", "http://shop.test/", Dialer{Resolver: nameServer(t, dnsmessage.RCodeServerFailure)}, "resolve/dns",
			func(e *results.Exchange) bool { return e.Resolved == results.Never }},
		{"certificate nobody vouches for", secure.URL(), Dialer{}, "tls/certificate",
			func(e *results.Exchange) bool { return e.Connected != results.Never && e.Secured == results.Never }},
		{"alert", alert.URL(), Dialer{TLS: trust(alert)}, "tls/alert", nil},
		{"TLS to a server without", "https" + plain.URL()[len("http"):], Dialer{}, "tls/malformed", nil},
		// Whether the hello is there before the close, and unread, is chance.
		{"closed in the handshake", "https" + rude.URL()[len("http"):], Dialer{}, "tls/fin|tls/rst", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newClient(t, pool.Default(), &test.dialer, long, request(t, "GET", test.url, nil))
			e := c.do(t)
			if !strings.Contains("|"+test.want+"|", "|"+outcome(e)+"|") {
				t.Fatalf("got %s: %v; want %s", outcome(e), e.Err, test.want)
			}
			if test.last != nil && !test.last(e) {
				t.Errorf("wrong stamps: %+v", e)
			}
			if e.Attempts != 0 || e.Conn != 0 {
				t.Errorf("nothing was put on a connection, but attempts %d, connection %d", e.Attempts, e.Conn)
			}
			if s := c.Stats(); s.Dialing != 0 || s.Opened != 0 {
				t.Errorf("after a failed dial: %v, opened %d", s.Stats, s.Opened)
			}
		})
	}
}

func TestDialStampsEveryStep(t *testing.T) {
	server := serve(t, script.Server{TLS: true, Body: 10})
	c := newClient(t, pool.Default(), &Dialer{TLS: trust(server)}, long, request(t, "GET", server.URL(), nil))
	for use := 1; use <= 2; use++ {
		e := c.do(t)
		if !e.OK() || e.Use != use || e.Status != 200 {
			t.Fatalf("%s, use %d: %v", outcome(e), e.Use, e.Err)
		}
		stamps := []results.Phase{}
		for phase, d := range e.Phases() {
			stamps = append(stamps, phase)
			if d < 0 {
				t.Errorf("%v took %v", phase, d)
			}
		}
		want := 4 // acquire, write_headers, before_response, and the answer's two parts
		if use == 1 {
			want = 7
		}
		if len(stamps) != want+1 {
			t.Errorf("use %d went through %v", use, stamps)
		}
	}
	if n := len(server.Stories()); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}
