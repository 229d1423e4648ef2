package software

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// tap stands right behind a proxy, real or emulated, relays its connections and
// counts what crosses: the same look at either.
type tap struct {
	ln     net.Listener
	target string
	all    sync.WaitGroup

	mu                                 sync.Mutex
	conns, requests, byProxy, byServer int
	open                               map[net.Conn]bool
	closed                             bool
}

func startTap(t *testing.T, target string) *tap {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{ln: ln, target: target, open: map[net.Conn]bool{}}
	p.all.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			p.all.Go(func() { p.relay(conn) })
		}
	})
	t.Cleanup(func() {
		ln.Close()
		p.mu.Lock()
		p.closed = true
		for c := range p.open {
			c.Close()
		}
		p.mu.Unlock()
		p.all.Wait()
	})
	return p
}

func (p *tap) addr() string { return p.ln.Addr().String() }

func (p *tap) relay(proxy net.Conn) {
	defer proxy.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return
	}
	p.conns++
	p.open[proxy], p.open[server] = true, true
	p.mu.Unlock()
	var first sync.Once
	over := func(count *int) {
		first.Do(func() {
			p.mu.Lock()
			*count++
			p.mu.Unlock()
		})
	}
	var both sync.WaitGroup
	both.Go(func() {
		p.copy(server, proxy, true)
		over(&p.byProxy)
		server.(*net.TCPConn).CloseWrite()
	})
	both.Go(func() {
		p.copy(proxy, server, false)
		over(&p.byServer)
		proxy.(*net.TCPConn).CloseWrite()
	})
	both.Wait()
	p.mu.Lock()
	delete(p.open, proxy)
	delete(p.open, server)
	p.mu.Unlock()
}

// copy relays until the end and, if asked, counts the requests: none has a body,
// and each is one write of the proxy's.
func (p *tap) copy(to, from net.Conn, requests bool) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if requests {
			p.mu.Lock()
			p.requests += bytes.Count(buf[:n], []byte("\r\n\r\n"))
			p.mu.Unlock()
		}
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				// The other direction tells why; what is written meanwhile is lost.
				io.Copy(io.Discard, from)
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// seen is what a tap saw of a proxy, and the statuses its clients saw.
type seen struct {
	Conns, Requests, ByProxy, ByServer int
	Statuses                           map[int]int
}

func (s seen) String() string {
	return fmt.Sprintf("%d connections (%d closed first by the proxy, %d by the server), %d attempts, statuses %v",
		s.Conns, s.ByProxy, s.ByServer, s.Requests, s.Statuses)
}

func (p *tap) seen(statuses map[int]int) seen {
	p.mu.Lock()
	defer p.mu.Unlock()
	return seen{p.conns, p.requests, p.byProxy, p.byServer, statuses}
}

// settle waits until every connection has ended, for at most d.
func (p *tap) settle(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		p.mu.Lock()
		n := len(p.open)
		p.mu.Unlock()
		if n == 0 {
			return
		}
	}
}

// get makes one request on a connection of its own, as curl does. A status of 0
// is no answer.
func get(t *testing.T, addr, method, path string) (status int) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Minute}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+addr+path, nil)
	if err != nil {
		t.Error(err)
		return 0
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// paced sends count requests, one each gap, whether or not those before are
// answered: the source's test.sh.
func paced(t *testing.T, addr, method, path string, count int, gap time.Duration) map[int]int {
	t.Helper()
	var all sync.WaitGroup
	var mu sync.Mutex
	statuses := map[int]int{}
	begin := time.Now()
	for i := range count {
		time.Sleep(time.Until(begin.Add(time.Duration(i) * gap)))
		all.Go(func() {
			status := get(t, addr, method, path)
			mu.Lock()
			statuses[status]++
			mu.Unlock()
		})
	}
	all.Wait()
	return statuses
}
