// Package labtest is a raw client for the tests of the lab's server, link and
// proxy.
package labtest

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

const (
	Get  = "GET / HTTP/1.1\r\nHost: lab\r\n\r\n"
	Post = "POST / HTTP/1.1\r\nHost: lab\r\nContent-Length: 1000\r\n\r\n" // and 1000 bytes
)

// Client is a raw connection whose reads give up, failing the test, only when
// something hangs.
type Client struct {
	*net.TCPConn
	T *testing.T
	R *bufio.Reader
}

// Dial connects to addr and closes the connection when the test is over.
func Dial(t *testing.T, addr string) *Client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return NewClient(t, conn)
}

// NewClient is a client on a TCP connection that there is already.
func NewClient(t *testing.T, conn net.Conn) *Client {
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	return &Client{conn.(*net.TCPConn), t, bufio.NewReader(conn)}
}

// Send writes text.
func (c *Client) Send(text string) {
	c.T.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.T.Fatal(err)
	}
}

// Response reads one whole response.
func (c *Client) Response() *http.Response {
	c.T.Helper()
	resp, err := http.ReadResponse(c.R, nil)
	if err != nil {
		c.T.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		c.T.Fatal(err)
	}
	return resp
}

// Rest reads to the end of the connection.
func (c *Client) Rest() (string, error) {
	var all []byte
	buf := make([]byte, 4096)
	for {
		n, err := c.R.Read(buf)
		all = append(all, buf[:n]...)
		if err != nil {
			return string(all), err
		}
	}
}

// Ends checks that the connection ends with want and nothing before it.
func (c *Client) Ends(want error) {
	c.T.Helper()
	if text, err := c.Rest(); text != "" || !errors.Is(err, want) {
		c.T.Fatalf("read %q, then %v; want nothing, then %v", text, err, want)
	}
}

// Tell sends text on a new connection and reads to its end. A reset that is
// quick enough is reported by connect.
func Tell(t *testing.T, addr, text string) (string, error) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	c := NewClient(t, conn)
	if text != "" {
		c.Send(text)
	}
	return c.Rest()
}

// Eventually waits for something that has to happen, however slow the machine.
func Eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}
