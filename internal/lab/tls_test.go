package lab

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/profiles/script"
)

// tap keeps what is read from a connection.
type tap struct {
	net.Conn
	seen bytes.Buffer
}

func (c *tap) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.seen.Write(p[:n])
	return n, err
}

// lastRecord is the content type of the last TLS record.
func (c *tap) lastRecord() (last byte) {
	for b := c.seen.Bytes(); len(b) >= 5; {
		last = b[0]
		b = b[min(len(b), 5+int(b[3])<<8+int(b[4])):]
	}
	return last
}

const recordAlert = 21

// dialTLS speaks TLS 1.2, in which an alert's record can be told from others.
func dialTLS(t *testing.T, s interface {
	Addr() string
	CertPEM() []byte
}) (*client, *tap, *tls.Conn) {
	t.Helper()
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(s.CertPEM()) {
		t.Fatal("no certificate")
	}
	raw := dial(t, s.Addr())
	tapped := &tap{Conn: raw}
	secure := tls.Client(tapped, &tls.Config{RootCAs: roots, ServerName: "localhost", MaxVersion: tls.VersionTLS12})
	return &client{raw.TCPConn, t, bufio.NewReader(secure)}, tapped, secure
}

func TestTLSCloseNotify(t *testing.T) {
	cases := []struct {
		cfg    script.Server
		alert  bool
		ending ending
	}{
		{script.Server{IdleTimeout: time.Millisecond}, true, ending{ByServer, FIN, WhyIdleTimeout}},
		{script.Server{MaxRequests: 1}, true, ending{ByServer, FIN, WhyMaxRequests}},
		{script.Server{IdleTimeout: time.Millisecond, Fault: script.TLSNoCloseNotify}, false, ending{ByServer, FIN, WhyIdleTimeout}},
		{script.Server{MaxRequests: 1, Fault: script.TLSNoCloseNotify}, false, ending{ByServer, FIN, WhyMaxRequests}},
		{script.Server{MaxRequests: 1, Fault: script.TLSNoCloseNotify, FaultOn: script.OnReused}, true, ending{ByServer, FIN, WhyMaxRequests}},
		{script.Server{Fault: script.CloseOnIdle}, true, ending{ByServer, FIN, WhyFault}},
	}
	for _, c := range cases {
		c.cfg.TLS = true
		s := start(t, c.cfg)
		conn, tapped, secure := dialTLS(t, s)
		if _, err := io.WriteString(secure, get); err != nil {
			t.Fatal(err)
		}
		conn.answer()
		conn.ends(io.EOF)
		if alert := tapped.lastRecord() == recordAlert; alert != c.alert {
			t.Errorf("%+v: close_notify: %v", c.cfg, alert)
		}
		if st := s.Stories()[0]; st.ending() != c.ending || st.TLS != "full" {
			t.Errorf("%+v: %+v", c.cfg, st)
		}
	}
}

func TestTLSFaults(t *testing.T) {
	cases := []struct {
		cfg  script.Server
		send string
		want error
	}{
		{script.Server{Fault: script.CloseBeforeResponse}, get, io.EOF},
		{script.Server{Fault: script.ResetBeforeResponse}, get, syscall.ECONNRESET},
		{script.Server{Fault: script.ResetWhileReading}, post + "xx", syscall.ECONNRESET},
	}
	for _, c := range cases {
		c.cfg.TLS = true
		s := start(t, c.cfg)
		conn, _, secure := dialTLS(t, s)
		if _, err := io.WriteString(secure, c.send); err != nil {
			t.Fatal(err)
		}
		conn.ends(c.want)
	}
}

// The reset that unread bytes of the body cause comes after the close_notify,
// and who reads through TLS does not see it.
func TestTLSCloseWhileReading(t *testing.T) {
	s := start(t, script.Server{TLS: true, Fault: script.CloseWhileReading})
	raw := dial(t, s.Addr())
	gather := &gathered{Conn: raw}
	secure := tls.Client(gather, &tls.Config{InsecureSkipVerify: true})
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	gather.hold = true
	io.WriteString(secure, post+"x")
	io.WriteString(secure, "x")
	gather.flush()
	if _, err := secure.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("through TLS: %v", err)
	}
	if _, err := raw.rest(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("below it: %v", err)
	}
}

// gathered is a connection that, on hold, writes everything at once at the end.
type gathered struct {
	net.Conn
	hold bool
	held bytes.Buffer
}

func (g *gathered) Write(p []byte) (int, error) {
	if g.hold {
		return g.held.Write(p)
	}
	return g.Conn.Write(p)
}

func (g *gathered) flush() { g.Conn.Write(g.held.Bytes()) }

func TestTLSAlert(t *testing.T) {
	s := start(t, script.Server{TLS: true, Fault: script.TLSAlert, FaultOn: 2})
	_, _, secure := dialTLS(t, s)
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	_, tapped, secure := dialTLS(t, s)
	if err := secure.Handshake(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("handshake: %v", err)
	}
	if tapped.lastRecord() != recordAlert {
		t.Error("no alert came")
	}
	if st := s.Stories()[1]; st.ending() != (ending{ByServer, FIN, WhyFault}) || st.TLS != "" {
		t.Errorf("%+v", st)
	}
}

// A client that does not speak TLS, or does not trust the certificate, or leaves.
func TestTLSHandshakeFails(t *testing.T) {
	s := start(t, script.Server{TLS: true})
	c := dial(t, s.Addr())
	c.send(get)
	c.rest()
	if st := finished(t, s, 0); st.ending() != (ending{ByServer, FIN, WhyHandshake}) {
		t.Errorf("%+v", st)
	}
	secure := tls.Client(dial(t, s.Addr()), &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"})
	if err := secure.Handshake(); err == nil {
		t.Error("an unknown certificate was trusted")
	}
	secure.Close()
	if st := finished(t, s, 1); st.TLS != "" {
		t.Errorf("%+v", st)
	}
	dial(t, s.Addr()).Close()
	if st := finished(t, s, 2); st.ending() != (ending{ByClient, FIN, WhyClient}) {
		t.Errorf("%+v", st)
	}
}

func TestTLSResumption(t *testing.T) {
	s := start(t, script.Server{TLS: true, Body: 10, Chunked: true})
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(s.CertPEM())
	transport := &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{
		RootCAs: roots, ClientSessionCache: tls.NewLRUClientSessionCache(1)}}
	defer transport.CloseIdleConnections()
	for i, want := range []string{"full", "resumed"} {
		resp, err := (&http.Client{Transport: transport}).Get(s.URL())
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(resp.Body); len(body) != 10 || err != nil {
			t.Errorf("%q, %v", body, err)
		}
		resp.Body.Close()
		if st := finished(t, s, i); st.TLS != want {
			t.Errorf("%+v", st)
		}
	}
}

func TestTLSShutdown(t *testing.T) {
	s := start(t, script.Server{TLS: true})
	conn, tapped, secure := dialTLS(t, s)
	if _, err := io.WriteString(secure, get); err != nil {
		t.Fatal(err)
	}
	conn.answer()
	s.Close()
	conn.ends(io.EOF)
	if tapped.lastRecord() != recordAlert {
		t.Error("an idle connection was closed without close_notify")
	}
}

// A proxy speaks TLS to its clients and plain HTTP to the server, and ends
// connections with a close_notify unless it is told not to.
func TestProxyTLS(t *testing.T) {
	s := start(t, script.Server{Body: 5, Chunked: true})
	ends := start(t, script.Server{Version: script.HTTP10, Body: 5}) // what a blind proxy waits for
	for _, c := range []struct {
		cfg     script.Proxy
		backend string
		alert   bool
		ending  ending
	}{
		{script.Proxy{IdleTimeout: time.Millisecond}, s.Addr(), true, ending{ByServer, FIN, WhyIdleTimeout}},
		{script.Proxy{MaxRequests: 1}, s.Addr(), true, ending{ByServer, FIN, WhyMaxRequests}},
		{script.Proxy{IdleTimeout: time.Millisecond, NoCloseNotify: true}, s.Addr(), false, ending{ByServer, FIN, WhyIdleTimeout}},
		{script.Proxy{HopByHop: script.Blind, ProxyConnection: script.PassedOn}, ends.Addr(), true, ending{ByServer, FIN, WhyUpstream}},
	} {
		c.cfg.TLS = true
		p := startProxy(t, c.cfg, c.backend)
		conn, tapped, secure := dialTLS(t, p)
		if _, err := io.WriteString(secure, get); err != nil {
			t.Fatal(err)
		}
		if resp := conn.answer(); resp.StatusCode != 200 {
			t.Errorf("%+v: %+v", c.cfg, resp)
		}
		conn.ends(io.EOF)
		if alert := tapped.lastRecord() == recordAlert; alert != c.alert {
			t.Errorf("%+v: close_notify: %v", c.cfg, alert)
		}
		if st := p.Stories()[0]; st.ending() != c.ending || st.TLS != "full" {
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

// What is no TLS, or ends before it is, is told as that; and the proxy closes
// with a connection in the midst of its handshake.
func TestProxyTLSHandshakeFails(t *testing.T) {
	p := startProxy(t, script.Proxy{TLS: true}, start(t, script.Server{}).Addr())
	plain, gone := dial(t, p.Addr()), dial(t, p.Addr())
	plain.send(get)
	gone.CloseWrite()
	dial(t, p.Addr()) // says nothing
	eventually(t, "all three are accepted, and two are over", func() bool {
		seen := p.Seen()
		return seen.Connections == 3 && seen.ClosedByClient == 1 && seen.ClosedByProxy == 1
	})
	var got []ending
	for _, st := range p.Stories()[:2] {
		got = append(got, st.ending())
	}
	if want := []ending{{ByServer, FIN, WhyHandshake}, {ByClient, FIN, WhyClient}}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if st := p.Stories()[2]; st.ending() != (ending{ByServer, FIN, WhyShutdown}) {
		t.Errorf("%+v", st)
	}
}
