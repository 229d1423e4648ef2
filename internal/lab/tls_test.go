package lab

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/lab/labtest"
	"github.com/kabench/kabench/internal/lab/story"
	"github.com/kabench/kabench/profiles/script"
)

func TestTLSCloseNotify(t *testing.T) {
	cases := []struct {
		cfg    script.Server
		alert  bool
		ending story.Ending
	}{
		{script.Server{IdleTimeout: time.Millisecond}, true, *story.ServerEnds(story.FIN, story.WhyIdleTimeout)},
		{script.Server{MaxRequests: 1}, true, *story.ServerEnds(story.FIN, story.WhyMaxRequests)},
		{script.Server{IdleTimeout: time.Millisecond, Fault: script.TLSNoCloseNotify}, false, *story.ServerEnds(story.FIN, story.WhyIdleTimeout)},
		{script.Server{MaxRequests: 1, Fault: script.TLSNoCloseNotify}, false, *story.ServerEnds(story.FIN, story.WhyMaxRequests)},
		{script.Server{MaxRequests: 1, Fault: script.TLSNoCloseNotify, FaultOn: script.OnReused}, true, *story.ServerEnds(story.FIN, story.WhyMaxRequests)},
		{script.Server{Fault: script.CloseOnIdle}, true, *story.ServerEnds(story.FIN, story.WhyFault)},
	}
	for _, c := range cases {
		c.cfg.TLS = true
		s := start(t, c.cfg)
		conn, tapped, secure := labtest.DialTLS(t, s)
		if _, err := io.WriteString(secure, get); err != nil {
			t.Fatal(err)
		}
		conn.Response()
		conn.Ends(io.EOF)
		if alert := tapped.LastRecord() == labtest.RecordAlert; alert != c.alert {
			t.Errorf("%+v: close_notify: %v", c.cfg, alert)
		}
		if st := s.Stories()[0]; ending(st) != c.ending || st.TLS != "full" {
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
		conn, _, secure := labtest.DialTLS(t, s)
		if _, err := io.WriteString(secure, c.send); err != nil {
			t.Fatal(err)
		}
		conn.Ends(c.want)
	}
}

// The reset that unread bytes of the body cause comes after the close_notify,
// and who reads through TLS does not see it.
func TestTLSCloseWhileReading(t *testing.T) {
	s := start(t, script.Server{TLS: true, Fault: script.CloseWhileReading})
	raw := labtest.Dial(t, s.Addr())
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
	if _, err := raw.Rest(); !errors.Is(err, syscall.ECONNRESET) {
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
	_, _, secure := labtest.DialTLS(t, s)
	if err := secure.Handshake(); err != nil {
		t.Fatal(err)
	}
	_, tapped, secure := labtest.DialTLS(t, s)
	if err := secure.Handshake(); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("handshake: %v", err)
	}
	if tapped.LastRecord() != labtest.RecordAlert {
		t.Error("no alert came")
	}
	if st := s.Stories()[1]; ending(st) != (*story.ServerEnds(story.FIN, story.WhyFault)) || st.TLS != "" {
		t.Errorf("%+v", st)
	}
}

// A client that does not speak TLS, or does not trust the certificate, or leaves.
func TestTLSHandshakeFails(t *testing.T) {
	s := start(t, script.Server{TLS: true})
	c := labtest.Dial(t, s.Addr())
	c.Send(get)
	c.Rest()
	if st := finished(t, s, 0); ending(st) != (*story.ServerEnds(story.FIN, story.WhyHandshake)) {
		t.Errorf("%+v", st)
	}
	secure := tls.Client(labtest.Dial(t, s.Addr()), &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "localhost"})
	if err := secure.Handshake(); err == nil {
		t.Error("an unknown certificate was trusted")
	}
	secure.Close()
	if st := finished(t, s, 1); st.TLS != "" {
		t.Errorf("%+v", st)
	}
	labtest.Dial(t, s.Addr()).Close()
	if st := finished(t, s, 2); ending(st) != (*story.ClientEnds(story.FIN, story.WhyClient)) {
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
	conn, tapped, secure := labtest.DialTLS(t, s)
	if _, err := io.WriteString(secure, get); err != nil {
		t.Fatal(err)
	}
	conn.Response()
	s.Close()
	conn.Ends(io.EOF)
	if tapped.LastRecord() != labtest.RecordAlert {
		t.Error("an idle connection was closed without close_notify")
	}
}
