package probe

import (
	"bufio"
	"flag"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/lab"
	"github.com/kabench/kabench/profiles/script"
)

// The tests wait for timers nearly all the time, so several of them wait together. With many more, a small machine
// is late for some.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "5"); err != nil {
		panic(err)
	}
	os.Exit(m.Run())
}

// serve starts a server of the lab.
func serve(t *testing.T, cfg script.Server) *lab.Server {
	t.Helper()
	s, err := lab.Start(cfg, "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// raw serves each connection to a listener with f, and closes it after.
func raw(t *testing.T, f func(*net.TCPConn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c.(*net.TCPConn))
			}()
		}
	}()
	return ln.Addr().String()
}

// respond answers each request on a connection with text, until the client closes or
// after has no more.
func respond(text string, times int) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		r := bufio.NewReader(c)
		for range times {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			if _, err := c.Write([]byte(text)); err != nil {
				return
			}
		}
	}
}

// probed probes url with short limits; change may set others.
func probed(t *testing.T, url string, change func(*Target, *Options)) (*Result, error) {
	t.Helper()
	target, err := Resolve(t.Context(), Request{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	o := Options{Limit: 20 * time.Second, Timeout: 2 * time.Second}
	if change != nil {
		change(target, &o)
	}
	r, err := Run(t.Context(), target, o)
	if r != nil && r.Requests > o.withDefaults().Requests {
		t.Errorf("%d requests were sent, and %d were allowed", r.Requests, o.withDefaults().Requests)
	}
	return r, err
}

// descriptors counts the descriptors of this process; -1: they cannot be counted.
func descriptors() int {
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(list)
}

// one is the only site of a result.
func one(t *testing.T, r *Result, err error) (Site, evidence.Server) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Sites) != 1 || r.Sites[0].Err != nil {
		t.Fatalf("the sites are %+v", r.Sites)
	}
	return r.Sites[0], r.Sites[0].Server()
}
