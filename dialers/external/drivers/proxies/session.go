package main

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/kabench/kabench/dialers/external/drivers/golang/kit"
)

// sessions are the driver's own connections to a proxy: the session used last is used
// first, and a request is never sent again.
type sessions struct {
	path string

	mu     sync.Mutex
	idle   []*session
	closed bool
}

// session is one connection.
type session struct {
	conn net.Conn
	in   *bufio.Reader
}

func newSession(conn net.Conn) *session { return &session{conn, bufio.NewReader(conn)} }

// exchange is what happened between the driver and the proxy.
type exchange struct {
	id     string // of the request: its X-Request-Id
	mark   int    // of the proxy's journal, before the request
	status int    // 0: no response
	line   string // its status, such as 502 Bad Gateway
	header http.Header
	start  []byte // of the body
	bytes  int64  // of the body
	err    error
}

// startSize is how much of a body is kept: Envoy says in it why it failed.
const startSize = 512

func (s *sessions) get() (*session, error) {
	s.mu.Lock()
	for len(s.idle) > 0 {
		last := s.idle[len(s.idle)-1]
		s.idle = s.idle[:len(s.idle)-1]
		if last.alive() {
			s.mu.Unlock()
			return last, nil
		}
		last.conn.Close()
	}
	s.mu.Unlock()
	conn, err := net.Dial("unix", s.path)
	if err != nil {
		return nil, err
	}
	return newSession(conn), nil
}

func (s *sessions) put(one *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		one.conn.Close()
		return
	}
	s.idle = append(s.idle, one)
}

func (s *sessions) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, one := range s.idle {
		one.conn.Close()
	}
	s.idle = nil
}

// perform sends a request to the proxy and reads its response.
func (s *sessions) perform(r kit.Request, u *url.URL, timeout time.Duration) exchange {
	var x exchange
	one, err := s.get()
	if err != nil {
		x.err = err
		return x
	}
	var deadline time.Time
	if timeout > 0 {
		deadline = time.Now().Add(timeout)
	}
	one.conn.SetDeadline(deadline)
	head := request(r, u, &x)
	if _, x.err = one.conn.Write(head); x.err == nil {
		x.err = one.receive(r, &x)
	}
	if x.err != nil || x.header.Get("Connection") == "close" {
		one.conn.Close()
		return x
	}
	one.conn.SetDeadline(time.Time{})
	s.put(one)
	return x
}

// request writes the request as it goes out, with its body.
func request(r kit.Request, u *url.URL, x *exchange) []byte {
	var b bytes.Buffer
	b.WriteString(r.Method + " " + u.RequestURI() + " HTTP/1.1\r\n")
	host := u.Host
	for _, h := range r.Headers {
		switch strings.ToLower(h[0]) {
		case "host":
			host = h[1]
			continue
		case "x-request-id":
			x.id = h[1]
		}
		b.WriteString(h[0] + ": " + h[1] + "\r\n")
	}
	b.WriteString("Host: " + host + "\r\n")
	if r.Body > 0 || r.Method == "POST" || r.Method == "PUT" || r.Method == "PATCH" {
		b.WriteString("Content-Length: " + strconv.Itoa(r.Body) + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(bytes.Repeat([]byte{'x'}, r.Body))
	return b.Bytes()
}

// receive reads the response.
func (s *session) receive(r kit.Request, x *exchange) error {
	for {
		response, err := http.ReadResponse(s.in, &http.Request{Method: r.Method})
		if err != nil {
			return err
		}
		if response.StatusCode/100 == 1 {
			continue
		}
		x.status, x.line, x.header = response.StatusCode, response.Status, response.Header
		if response.Close {
			x.header.Set("Connection", "close")
		}
		var start bytes.Buffer
		x.bytes, err = io.CopyN(&start, response.Body, startSize)
		x.start = start.Bytes()
		if err == nil {
			var rest int64
			rest, err = io.Copy(io.Discard, response.Body)
			x.bytes += rest
		}
		if err == io.EOF { // CopyN's word for a body that is shorter
			err = nil
		}
		return err
	}
}
