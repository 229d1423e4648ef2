package dialers

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

func reset(conn net.Conn) { conn.(*net.TCPConn).SetLinger(0) }

// takes reads as many bytes of a request as that and then does the next thing.
func takes(n int64, then func(net.Conn)) func(net.Conn) {
	return func(conn net.Conn) {
		io.CopyN(io.Discard, conn, n)
		then(conn)
	}
}

// The kernel reports a reset once, to a read, a write or the connect. Whichever call
// gets it, a connection that the server reset is counted as reset, and the exchange
// on it failed for that.
func TestStockKnowsResets(t *testing.T) {
	upload := bytes.Repeat([]byte("x"), 24<<20) // more than the socket buffers of both ends may grow to
	for name, test := range map[string]struct {
		body   []byte
		rounds int
		secure bool
		serve  func(net.Conn)
		want   []string
	}{
		"at accept":                              {nil, 400, false, reset, []string{"connect/rst", "write_headers/rst", "before_response/rst"}},
		"at accept, body":                        {[]byte("hello"), 400, false, reset, []string{"connect/rst", "write_headers/rst", "before_response/rst"}},
		"at accept, upload":                      {upload, 40, false, reset, []string{"connect/rst", "write_headers/rst", "write_body/rst"}},
		"at accept, TLS":                         {nil, 400, true, reset, []string{"connect/rst", "tls/rst"}},
		"in an upload":                           {upload, 40, false, takes(1<<20, reset), []string{"write_body/rst"}},
		"closed in an upload, with bytes unread": {upload, 40, false, takes(1<<20, func(net.Conn) {}), []string{"write_body/rst"}},
		"for an answer":                          {nil, 100, false, takes(40, reset), []string{"before_response/rst"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := raw(t, test.serve)
			if test.secure {
				url = "https" + strings.TrimPrefix(url, "http")
			}
			s := NewStock(&Dialer{}, []*Request{request(t, "POST", url, test.body)}, long)
			for range test.rounds {
				e := do(t.Context(), s, s.now)
				if !slices.Contains(test.want, outcome(e)) {
					t.Fatalf("got %s (%v), want one of %v", outcome(e), e.Err, test.want)
				}
				written := e.BytesOut >= int64(len("POST / HTTP/1.1\r\n\r\n"))
				if e.Phase == results.PhaseBeforeResponse && !written || e.Phase == results.PhaseWriteHeaders && (written || e.WroteHeaders != results.Never) {
					t.Fatalf("got %s after %d bytes, head stamped at %v", outcome(e), e.BytesOut, e.WroteHeaders)
				}
				_, unknown := netip.ParseAddrPort(e.Local)
				if onOne := e.Phase >= results.PhaseWriteHeaders; onOne == (unknown != nil) {
					t.Fatalf("got %s, our end of its connection is %q", outcome(e), e.Local)
				}
			}
			if st := s.Stats(); st.Opened != uint64(test.rounds) || st.ClosedReset != st.Opened {
				t.Errorf("of %d connections, all reset: %d opened, %d counted as reset, %d as closed by the peer, %d by us",
					test.rounds, st.Opened, st.ClosedReset, st.ClosedByPeer, st.ClosedByUs)
			}
		})
	}
}

// A FIN is no reset, also when nothing of the request has left by then.
func TestStockKnowsFINs(t *testing.T) {
	url := raw(t, func(conn net.Conn) {
		conn.(*net.TCPConn).CloseWrite()
		io.Copy(io.Discard, conn)
	})
	s := NewStock(&Dialer{}, []*Request{request(t, "POST", url, nil)}, long)
	for range 200 {
		if e := do(t.Context(), s, s.now); outcome(e) != "write_headers/fin" && outcome(e) != "before_response/fin" {
			t.Fatalf("got %s: %v", outcome(e), e.Err)
		}
	}
	if st := s.Stats(); st.ClosedByPeer != st.Opened {
		t.Errorf("of %d connections %d are counted as closed by the peer, %d as reset", st.Opened, st.ClosedByPeer, st.ClosedReset)
	}
}

// What the server says is no HTTP, and how it ends the connection after that
// changes nothing.
func TestStockOfWhatIsNotHTTP(t *testing.T) {
	banner := func(conn net.Conn) {
		io.WriteString(conn, "SSH-2.0-x\r\n")
		io.Copy(io.Discard, conn)
	}
	answers := func(text string, then func(net.Conn)) func(net.Conn) {
		return takes(40, func(conn net.Conn) {
			io.WriteString(conn, text)
			then(conn)
		})
	}
	for name, test := range map[string]struct {
		secure bool
		serve  func(net.Conn)
		want   string
	}{
		"unasked":              {false, banner, "response_headers/malformed"},
		"then a FIN":           {false, answers("SSH-2.0-x\r\n", func(net.Conn) {}), "response_headers/malformed"},
		"then an RST":          {false, answers("SSH-2.0-x\r\n", reset), "response_headers/malformed"},
		"a TLS alert":          {false, answers("\x15\x03\x01\x00\x02\x02\x46", func(net.Conn) {}), "response_headers/malformed"},
		"HTTP in place of TLS": {true, answers("HTTP/1.1 400 Bad Request\r\n\r\n", func(net.Conn) {}), "tls/malformed"},
		"a chunk without size": {false, answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", reset), "during_response/malformed"},
		"interim without end":  {false, answers(strings.Repeat("HTTP/1.1 103 Early Hints\r\nX: "+strings.Repeat("x", 1<<16)+"\r\n\r\n", 400), reset), "response_headers/malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			url := raw(t, test.serve)
			if test.secure {
				url = "https" + strings.TrimPrefix(url, "http")
			}
			s := NewStock(&Dialer{}, []*Request{request(t, "GET", url, nil)}, long)
			for range 20 {
				if e := do(t.Context(), s, s.now); outcome(e) != test.want {
					t.Fatalf("got %s (%v), want %s", outcome(e), e.Err, test.want)
				}
			}
		})
	}
}

// Whatever a server does, the exchange ends when its time is over, in the phase it is
// in. A 101 is an answer without a body, as for the client of our own.
func TestStockEndsInTime(t *testing.T) {
	const timeout = time.Second
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	certificates := server.TLS.Certificates
	upload := bytes.Repeat([]byte("x"), 24<<20)
	silent := func(net.Conn) {}
	trickle := func(conn net.Conn) {
		for {
			if _, err := io.WriteString(conn, "1\r\nx\r\n"); err != nil {
				return
			}
			time.Sleep(10 * time.Millisecond)
		}
	}
	answers := func(head string, then func(net.Conn)) func(net.Conn) {
		return takes(40, func(conn net.Conn) {
			io.WriteString(conn, head)
			then(conn)
		})
	}
	const upgrade = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n"
	for name, test := range map[string]struct {
		body  []byte
		serve func(net.Conn)
		want  string
	}{
		"101, then nothing":               {nil, answers(upgrade+"\r\n", silent), "done/"},
		"101, then bytes":                 {nil, answers(upgrade+"\r\n", trickle), "done/"},
		"101 with a length":               {nil, answers(upgrade+"Content-Length: 100\r\n\r\n", silent), "done/"},
		"101 with chunks":                 {nil, answers(upgrade+"Transfer-Encoding: chunked\r\n\r\n", trickle), "done/"},
		"101 without a protocol":          {nil, answers("HTTP/1.1 101 Switching Protocols\r\n\r\n", silent), "done/"},
		"no body comes":                   {nil, answers("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", silent), "during_response/timeout"},
		"a body without end":              {nil, answers("HTTP/1.1 200 OK\r\n\r\n", trickle), "during_response/timeout"},
		"chunks without end":              {nil, answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", trickle), "during_response/timeout"},
		"gzip without end":                {nil, answers("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", silent), "during_response/timeout"},
		"a head without end":              {nil, answers("HTTP/1.1 200 OK\r\n", trickle), "response_headers/malformed"},
		"half a head":                     {nil, answers("HTTP/1.1 200 OK\r\n", silent), "response_headers/timeout"},
		"an interim answer, then nothing": {nil, answers("HTTP/1.1 102 Processing\r\n\r\n", silent), "response_headers/timeout"},
		"nothing":                         {nil, silent, "before_response/timeout"},
		"a window that stays shut":        {upload, silent, "write_body/timeout"},
	} {
		for _, secure := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s tls=%v", name, secure), func(t *testing.T) {
				t.Parallel()
				over := make(chan struct{})
				url := raw(t, func(conn net.Conn) {
					if secure {
						server := tls.Server(conn, &tls.Config{Certificates: certificates})
						server.Handshake()
						conn = server
					}
					test.serve(conn)
					<-over
				})
				defer close(over)
				if secure {
					url = "https" + strings.TrimPrefix(url, "http")
				}
				r := request(t, "POST", url, test.body)
				s := NewStock(&Dialer{TLS: &tls.Config{InsecureSkipVerify: true}}, []*Request{r}, timeout)
				e := do(t.Context(), s, s.now)
				if outcome(e) != test.want {
					t.Errorf("got %s (%v), want %s", outcome(e), e.Err, test.want)
				}
				if e.OK() && (e.Status != 101 || e.Unbounded) {
					t.Errorf("status %d, unbounded %v", e.Status, e.Unbounded)
				}
				if late := e.ResponseTime() - timeout; late > 4*time.Second { // crypto/tls waits for 5 to say close_notify
					t.Errorf("it ended %v after its time was over", late)
				}
				eventually(t, func() bool { st := s.Stats(); return st.ClosedByUs+st.ClosedUnknown == st.Opened })
			})
		}
	}
}

// heldListener holds back what clients say on its second connection.
type heldListener struct {
	net.Listener
	accepted int
	until    chan struct{}
}

func (l *heldListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if l.accepted++; err == nil && l.accepted == 2 {
		return heldConn{conn, l.until}, nil
	}
	return conn, err
}

type heldConn struct {
	net.Conn
	until chan struct{}
}

func (c heldConn) Read(b []byte) (int, error) {
	<-c.until
	return c.Conn.Read(b)
}

// An exchange whose dial is slow takes the connection that comes free meanwhile.
// The dial goes on for the pool, and leaves no stamps on the exchange.
func TestStockLeavesADialToThePool(t *testing.T) {
	answer, shakenHands := make(chan struct{}), make(chan struct{}, 2)
	arrived := make(chan struct{}, 2)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-answer
	}))
	ln := &heldListener{Listener: server.Listener, until: make(chan struct{})}
	server.Listener = ln
	server.TLS = &tls.Config{VerifyConnection: func(tls.ConnectionState) error { shakenHands <- struct{}{}; return nil }}
	server.StartTLS()
	t.Cleanup(server.Close)
	s := NewStock(&Dialer{TLS: &tls.Config{InsecureSkipVerify: true}}, []*Request{request(t, "GET", server.URL, nil)}, long)
	t.Cleanup(s.Close)
	first, second := make(chan *results.Exchange, 1), make(chan *results.Exchange, 1)
	go func() { first <- do(t.Context(), s, s.now) }()
	<-arrived
	<-shakenHands
	go func() { second <- do(t.Context(), s, s.now) }()
	eventually(t, func() bool { return s.Stats().Opened == 2 })
	answer <- struct{}{}
	<-first
	<-arrived // the second, on the first's connection
	close(ln.until)
	<-shakenHands
	answer <- struct{}{}
	e := <-second
	if !e.OK() || !e.Reused() || e.Connected != results.Never || e.Secured != results.Never {
		t.Errorf("%s, reused %v, with stamps of a dial: connected %v, secured %v", outcome(e), e.Reused(), e.Connected, e.Secured)
	}
}
