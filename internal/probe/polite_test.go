package probe

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

const emptyResponse = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

// Looks that got no response are requests too: the plan has as many fewer.
func TestLooksWithoutAResponseAreInTheBudget(t *testing.T) {
	t.Parallel()
	var opened, sent atomic.Int64
	at := raw(t, func(c *net.TCPConn) {
		r := bufio.NewReader(c)
		c.SetReadDeadline(time.Now().Add(600 * ms))
		refuses := opened.Add(1) < looksBeforeResponse
		for {
			line, err := r.ReadString('\n')
			if strings.HasPrefix(line, http.MethodGet) {
				sent.Add(1)
			}
			if err != nil || refuses {
				return
			}
			if line == "\r\n" {
				io.WriteString(c, emptyResponse)
				c.SetReadDeadline(time.Now().Add(600 * ms))
			}
		}
	})
	r, err := probed(t, "http://"+at, nil)
	one(t, r, err)
	if n := sent.Load(); n > DefaultRequests {
		t.Errorf("the server has seen %d requests", n)
	}
	if most := MakePlan(DefaultRequests).Connections(); r.Connections > most {
		t.Errorf("%d connections were opened, and at most %d were announced", r.Connections, most)
	}
}

// A busy server may be slow as well: the head of its response is enough to stop.
func TestStopsAtTheHeadOfABusyResponse(t *testing.T) {
	t.Parallel()
	var requests, late atomic.Int64
	busy := make(chan struct{})
	at := raw(t, func(c *net.TCPConn) {
		r := bufio.NewReader(c)
		for {
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			select {
			case <-busy:
				late.Add(1)
			default:
			}
			if requests.Add(1) == 8 {
				io.WriteString(c, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 5\r\n\r\nhe")
				time.AfterFunc(300*ms, func() { close(busy) }) // what was on the way has come by then
				continue
			}
			io.WriteString(c, emptyResponse)
		}
	})
	r, err := probed(t, "http://"+at, nil)
	if err != nil {
		t.Fatal(err)
	}
	if busy, is := r.Stopped.(*Busy); !is || busy.Status != 503 || late.Load() > 0 {
		t.Errorf("stopped by %v; %d of %d requests came after that", r.Stopped, late.Load(), requests.Load())
	}
}

// A body that comes slowly is no sign of a server whose threads are taken.
func TestASlowBodyIsNoBlockedServer(t *testing.T) {
	t.Parallel()
	at := raw(t, func(c *net.TCPConn) {
		r := bufio.NewReader(c)
		for {
			c.SetReadDeadline(time.Now().Add(time.Second))
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
			time.Sleep(blockedAfter + 300*ms)
			io.WriteString(c, "llo")
		}
	})
	r, err := probed(t, "http://"+at, nil)
	if site, _ := one(t, r, err); len(site.Notes) > 0 {
		t.Errorf("notes %q", site.Notes)
	}
}

// Over TLS a close_notify ends a response without a length, as a FIN does without TLS.
func TestResponseThatEndsWithItsConnection(t *testing.T) {
	t.Parallel()
	for name, secure := range map[string]bool{"tcp": false, "tls": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handle := func(c net.Conn) {
				if _, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
					io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\nhello")
				}
				c.Close()
			}
			url, change := "http://", func(*Target, *Options) {}
			var config *tls.Config
			if secure {
				secured := httptest.NewTLSServer(nil)
				defer secured.Close()
				config, url = &tls.Config{Certificates: secured.TLS.Certificates}, "https://"
				change = func(_ *Target, o *Options) { o.TLS = &tls.Config{InsecureSkipVerify: true} }
			}
			at := raw(t, func(c *net.TCPConn) {
				if config != nil {
					handle(tls.Server(c, config))
					return
				}
				handle(c)
			})
			r, err := probed(t, url+at, change)
			if _, s := one(t, r, err); s.Keeping != evidence.ClosesEach || s.Responses == 0 {
				t.Errorf("%v, %d responses of %d requests", s.Keeping, s.Responses, s.Requests)
			}
		})
	}
}
