package dialers

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers/pool"
	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/internal/transport"
	"github.com/kabench/kabench/profiles/script"
)

// A server sends its close_notify, and its FIN later: it was the first to say
// goodbye, and we are the first to close, which leaves the TIME_WAIT socket with
// us.
func TestCloseNotifyIsNoFIN(t *testing.T) {
	server := serve(t, script.Server{TLS: true, IdleTimeout: 20 * time.Millisecond, NotifyLead: 10 * time.Second})
	watcher, err := host.NewSocketWatcher(host.Watch{Remotes: []netip.AddrPort{netip.MustParseAddrPort(server.Addr())}})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close()
	c, r := traced(t, pool.Default(), &Dialer{TLS: trust(server)}, request(t, "GET", server.URL(), nil))
	if e := c.do(t); !e.OK() {
		t.Fatalf("%s: %v", outcome(e), e.Err)
	}
	eventually(t, func() bool { _, gone := r.of(Unregistered); return gone })
	if s := c.Stats(); s.ClosedByUs != 1 || s.ClosedByPeer != 0 || s.NotifiedByPeer != 1 || s.NotifiedByUs != 0 {
		t.Errorf("closed by us %d, by the peer %d; close_notify by us %d, by the peer %d; want 1, 0, 0, 1",
			s.ClosedByUs, s.ClosedByPeer, s.NotifiedByUs, s.NotifiedByPeer)
	}
	if gone, _ := r.of(Unregistered); gone.First != CloserUs {
		t.Errorf("the trace says %q", gone.First)
	}
	eventually(t, func() bool {
		count, err := watcher.Count()
		return err == nil && count.Client[host.TimeWait] == 1
	})
}

// Our close_notify is the first alert. The server ends its side as soon as it reads
// it, so its FIN may leave before ours.
func TestOurCloseNotify(t *testing.T) {
	server := serve(t, script.Server{TLS: true})
	policy := pool.Default()
	policy.IdleTimeout, policy.Expiry = 20*time.Millisecond, pool.ExpireByTimer
	c := newClient(t, policy, &Dialer{TLS: trust(server)}, long, request(t, "GET", server.URL(), nil))
	c.do(t)
	eventually(t, func() bool {
		s := c.Stats()
		return s.NotifiedByUs == 1 && s.NotifiedByPeer == 0 && s.ClosedByUs+s.ClosedUnknown+s.ClosedByPeer == 1
	})
}

// Our FIN waits behind an upload that the server, which has answered, does not
// read. Its RST is the first packet that ends the connection, and our side cannot
// know that yet.
func TestFINThatHasNotLeft(t *testing.T) {
	closed := make(chan struct{})
	url := raw(t, func(conn net.Conn) {
		http.ReadRequest(bufio.NewReader(conn))
		io.WriteString(conn, "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
		<-closed
	})
	body := make([]byte, 24<<20) // more than the socket buffers of both ends may grow to
	c := newClient(t, pool.Default(), &Dialer{}, long, request(t, "POST", url, body))
	e := c.do(t)
	close(closed)
	if s := c.Stats(); !e.OK() || s.ClosedUnknown != 1 || s.ClosedByUs != 0 {
		t.Errorf("%s; closed by us %d, not known %d; want 0 and 1", outcome(e), s.ClosedByUs, s.ClosedUnknown)
	}
}

// The peer's end is met at the close at the latest, behind data that nobody reads
// too.
func TestFirstToClose(t *testing.T) {
	for name, test := range map[string]struct {
		end   func(*net.TCPConn) // of the server
		state string             // of ours then
		want  Closer
	}{
		"nothing":           {func(*net.TCPConn) {}, "ESTABLISHED", CloserUs},
		"FIN":               {func(c *net.TCPConn) { c.Close() }, "CLOSE_WAIT", CloserPeer},
		"half-close":        {func(c *net.TCPConn) { c.CloseWrite() }, "CLOSE_WAIT", CloserPeer},
		"RST":               {func(c *net.TCPConn) { c.SetLinger(0); c.Close() }, "CLOSE", CloserReset},
		"FIN, then RST":     {func(c *net.TCPConn) { c.CloseWrite(); c.SetLinger(0); c.Close() }, "CLOSE", CloserPeer},
		"data":              {func(c *net.TCPConn) { io.WriteString(c, "x") }, "ESTABLISHED", CloserUs},
		"data, then FIN":    {func(c *net.TCPConn) { io.WriteString(c, "x"); c.Close() }, "CLOSE_WAIT", CloserPeer},
		"data, then RST":    {func(c *net.TCPConn) { io.WriteString(c, "x"); c.SetLinger(0); c.Close() }, "CLOSE", CloserReset},
		"data, FIN and RST": {func(c *net.TCPConn) { io.WriteString(c, "x"); c.CloseWrite(); c.SetLinger(0); c.Close() }, "CLOSE", CloserPeer},
	} {
		t.Run(name, func(t *testing.T) {
			ln := listen(t)
			ours, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer ours.Close()
			theirs, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer theirs.Close()
			test.end(theirs.(*net.TCPConn))
			eventually(t, func() bool {
				info, known := transport.Info(ours)
				return known && info.State == test.state && (name != "data" || info.BytesReceived > 0)
			})
			if got := transport.FirstToClose(ours); got != test.want {
				t.Errorf("first to close: %v, want %v", got, test.want)
			}
		})
	}
}

// The handshake is done, and the RST is there, before anybody has looked at the
// socket: that is a connection, which was reset.
func TestResetBeforeAnybodyLooks(t *testing.T) {
	url := raw(t, func(conn net.Conn) { conn.(*net.TCPConn).SetLinger(0) })
	var socket lastSocket
	s := newStepped(t, pool.Default(), &Dialer{Control: socket.control}, long, request(t, "GET", url, nil))
	s.start(0)
	eventually(t, func() bool { return socket.state() == "CLOSE" })
	s.until(t, func() bool { return len(s.over) == 1 })
	e := s.over[0]
	if outcome(e) != "write_headers/rst" || e.Conn != 1 || e.BytesOut != 0 || !strings.Contains(e.Err.Error(), "connection reset by peer") {
		t.Errorf("%s on connection %d, %d bytes written: %v", outcome(e), e.Conn, e.BytesOut, e.Err)
	}
	if stats := s.Stats(); stats.Opened != 1 || stats.ClosedReset != 1 {
		t.Errorf("opened %d, reset %d, want 1 and 1", stats.Opened, stats.ClosedReset)
	}
}

// Over TLS such a connection fails in the handshake that follows TCP's.
func TestResetBeforeTLS(t *testing.T) {
	url := raw(t, func(conn net.Conn) { conn.(*net.TCPConn).SetLinger(0) })
	c := newClient(t, pool.Default(), &Dialer{}, long, request(t, "GET", "https"+strings.TrimPrefix(url, "http"), nil))
	for range 200 {
		if e := c.do(t); outcome(e) != "tls/rst" || e.Connected < 0 {
			t.Fatalf("%s, connected at %v: %v", outcome(e), e.Connected, e.Err)
		}
	}
}
