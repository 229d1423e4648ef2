package target

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/kabench/kabench/results"
)

// accepting serves connections at a free port, or at addr, and returns where, and
// what a server's last read of each came to.
func accepting(t *testing.T, addr string, serve func(net.Conn) error) (at string, ends <-chan error) {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Skipf("cannot listen at %s: %v", addr, err)
	}
	list := make(chan error, 1000)
	var all sync.WaitGroup
	t.Cleanup(func() { ln.Close(); all.Wait() })
	all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				conn.SetDeadline(time.Now().Add(time.Minute))
				list <- serve(conn)
			})
		}
	})
	return ln.Addr().String(), list
}

// readAll reads until the connection ends, and says how.
func readAll(conn net.Conn) error {
	_, err := io.Copy(io.Discard, conn)
	return err
}

func resets(conn net.Conn) error { return conn.(*net.TCPConn).SetLinger(0) }

// looking returns a function that makes the look before a run at that target, and
// says what it opened.
func looking(t *testing.T, url string) func() (*results.Before, error) {
	t.Helper()
	p := load(t, "quick", "target.lab=null", "target.url="+url)
	return func() (*results.Before, error) {
		target, err := Open(t.Context(), p)
		if err != nil {
			return nil, err
		}
		defer target.Close()
		return target.Before(), nil
	}
}

func looked(t *testing.T, url string) (*results.Before, error) {
	t.Helper()
	return looking(t, url)()
}

// A server that resets a connection, or closes it without a byte, has accepted it.
func TestLookTakesWhoeverAccepts(t *testing.T) {
	for name, test := range map[string]struct {
		serve  func(net.Conn) error
		rounds int
		resets bool
	}{
		"reset": {resets, 100, true},
		"close": {func(net.Conn) error { return nil }, 10, false},
	} {
		for _, scheme := range []string{"http", "https"} {
			t.Run(name+" "+scheme, func(t *testing.T) {
				at, _ := accepting(t, "127.0.0.1:0", test.serve)
				look := looking(t, scheme+"://"+at)
				for range test.rounds {
					before, err := look()
					if err != nil {
						t.Fatal(err)
					}
					if before == nil || before.Connections != 1 || test.resets && before.Reset != 1 || before.TLS != 0 {
						t.Fatalf("recorded %+v", before)
					}
				}
			})
		}
	}
	t.Run("silence https", func(t *testing.T) {
		at, _ := accepting(t, "127.0.0.1:0", readAll)
		if before, err := looked(t, "https://"+at); err != nil || *before != (results.Before{Connections: 1}) {
			t.Errorf("recorded %+v: %v", before, err)
		}
	})
}

// The server reads a FIN, whatever it has said before.
func TestLookClosesInOrder(t *testing.T) {
	for name, serve := range map[string]func(net.Conn) error{
		"a server that waits": readAll,
		"a server that speaks first": func(conn net.Conn) error {
			io.WriteString(conn, strings.Repeat("220 welcome\r\n", 1000))
			return readAll(conn)
		},
	} {
		t.Run(name, func(t *testing.T) {
			at, ends := accepting(t, "127.0.0.1:0", serve)
			look := looking(t, "http://"+at)
			for range 20 {
				if _, err := look(); err != nil {
					t.Fatal(err)
				}
				if err := <-ends; err != nil {
					t.Fatalf("the server read %v, want the end of the stream", err)
				}
			}
		})
	}
	t.Run("TLS", func(t *testing.T) {
		server := httptest.NewTLSServer(http.NotFoundHandler())
		defer server.Close()
		at, ends := accepting(t, "127.0.0.1:0", func(client net.Conn) error {
			behind, err := net.Dial("tcp", server.Listener.Addr().String())
			if err != nil {
				return err
			}
			defer behind.Close()
			go io.Copy(client, behind)
			if _, err := io.Copy(behind, client); err != nil {
				return err
			}
			return behind.(*net.TCPConn).CloseWrite()
		})
		before, err := looked(t, "https://"+at)
		if err != nil || *before != (results.Before{Connections: 1, TLS: 1}) {
			t.Errorf("recorded %+v: %v", before, err)
		}
		if err := <-ends; err != nil {
			t.Errorf("the server read %v, want the end of the stream", err)
		}
	})
}

// The wrong scheme is said before the run, as an unreachable target is.
func TestLookKnowsTheScheme(t *testing.T) {
	plain, secure := httptest.NewServer(http.NotFoundHandler()), httptest.NewTLSServer(http.NotFoundHandler())
	defer plain.Close()
	defer secure.Close()
	_, err := looked(t, strings.Replace(plain.URL, "http://", "https://", 1))
	if err == nil || !strings.Contains(err.Error(), "speaks HTTP without TLS; write http:// instead of https://") {
		t.Errorf("https:// at an http port: %v", err)
	}
	for _, url := range []string{plain.URL, secure.URL} {
		if _, err := looked(t, url); err != nil {
			t.Error(err)
		}
	}
	t.Run("https at a server whose error page has no status line", func(t *testing.T) {
		at, _ := accepting(t, "127.0.0.1:0", func(conn net.Conn) error {
			io.WriteString(conn, "<!DOCTYPE HTML>\n<title>Error response</title>\n") // as Python's http.server
			return readAll(conn)
		})
		if _, err := looked(t, "https://"+at); err == nil || !strings.Contains(err.Error(), "in plain text; write http:// instead of https://") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("https at a server that answers in neither", func(t *testing.T) {
		at, _ := accepting(t, "127.0.0.1:0", func(conn net.Conn) error {
			conn.Write([]byte{0x80, 1, 2, 3, 4, 5, 6, 7})
			return readAll(conn)
		})
		if _, err := looked(t, "https://"+at); err != nil { // a run may measure broken TLS
			t.Error(err)
		}
	})
	t.Run("http at 443", func(t *testing.T) {
		at, _ := accepting(t, "127.44.3.1:443", func(client net.Conn) error {
			behind, err := net.Dial("tcp", secure.Listener.Addr().String())
			if err != nil {
				return err
			}
			defer behind.Close()
			go io.Copy(client, behind)
			return errors.Join(readTo(behind, client), behind.(*net.TCPConn).CloseWrite())
		})
		if _, err := looked(t, "http://"+at); err == nil || !strings.Contains(err.Error(), "speaks TLS; write https:// instead of http://") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("plain HTTP at 443", func(t *testing.T) {
		at, _ := accepting(t, "127.44.3.2:443", func(conn net.Conn) error {
			io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\n\r\n")
			return readAll(conn)
		})
		if _, err := looked(t, "http://"+at); err != nil {
			t.Error(err)
		}
	})
}

func readTo(to io.Writer, from io.Reader) error {
	_, err := io.Copy(to, from)
	return err
}

func TestLookSaysWhoIsNotThere(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	_, err = looked(t, "http://"+ln.Addr().String())
	if !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), "is the server running") {
		t.Errorf("got %v", err)
	}
}
