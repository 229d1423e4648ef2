package lab

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/kabench/kabench/profiles/script"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	get  = "GET / HTTP/1.1\r\nHost: lab\r\n\r\n"
	post = "POST / HTTP/1.1\r\nHost: lab\r\nContent-Length: 1000\r\n\r\n" // and 1000 bytes
)

func start(t *testing.T, cfg script.Server) *Server {
	t.Helper()
	s, err := Start(cfg, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// client is a raw connection whose reads give up, failing the test, only when
// something hangs.
type client struct {
	*net.TCPConn
	t *testing.T
	r *bufio.Reader
}

func dial(t *testing.T, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return newClient(t, conn)
}

func newClient(t *testing.T, conn net.Conn) *client {
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	return &client{conn.(*net.TCPConn), t, bufio.NewReader(conn)}
}

func (c *client) send(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// answer reads one answer whole.
func (c *client) answer() *http.Response {
	c.t.Helper()
	resp, err := http.ReadResponse(c.r, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		c.t.Fatal(err)
	}
	return resp
}

// rest reads to the end of the connection.
func (c *client) rest() (string, error) {
	var all []byte
	buf := make([]byte, 4096)
	for {
		n, err := c.r.Read(buf)
		all = append(all, buf[:n]...)
		if err != nil {
			return string(all), err
		}
	}
}

// ends checks that the connection ends with want and nothing before it.
func (c *client) ends(want error) {
	c.t.Helper()
	if text, err := c.rest(); text != "" || !errors.Is(err, want) {
		c.t.Fatalf("read %q, then %v; want nothing, then %v", text, err, want)
	}
}

// eventually waits for something that has to happen, however slow the machine.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// finished waits for the end of connection i.
func finished(t *testing.T, s *Server, i int) Story {
	t.Helper()
	var st Story
	eventually(t, "the connection's end is told", func() bool {
		if all := s.Stories(); len(all) > i {
			st = all[i]
		}
		return !st.ClosedAt.IsZero()
	})
	return st
}

func (st Story) ending() ending { return ending{st.First, st.How, st.Why} }
