package probe

import (
	"bufio"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// threaded is a server with that many threads. Like many real ones, it gives a request a
// thread when its first byte has come, and the thread reads the rest.
func threaded(t *testing.T, threads int, idle time.Duration) (url string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	free := make(chan bool, threads)
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				for r := bufio.NewReader(conn); ; {
					conn.SetReadDeadline(time.Now().Add(idle))
					if _, err := r.Peek(1); err != nil {
						return
					}
					conn.SetReadDeadline(time.Time{})
					free <- true
					line := "-"
					for err == nil && strings.TrimSpace(line) != "" {
						line, err = r.ReadString('\n')
					}
					if err == nil {
						_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
					}
					<-free
					if err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + ln.Addr().String() + "/"
}

// Half a request head takes a thread of many servers, for ever in some. A probe must not
// take the last one: it lets go of its half heads when requests get no response.
func TestHalfHeadsDoNotBlockAServer(t *testing.T) {
	for _, threads := range []int{1, 2, 4} {
		target, err := Resolve(t.Context(), Request{URL: threaded(t, threads, 2*time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		r, err := Run(t.Context(), target, Options{})
		if err != nil {
			t.Fatal(err)
		}
		used, closed := 0, 0
		for _, c := range r.Sites[0].Connections {
			if c.Half >= 0 || len(c.Exchanges) == 0 {
				continue
			}
			used++
			if e := c.Exchanges[len(c.Exchanges)-1]; e.Done >= 0 && c.Close.At > e.Done {
				closed++
			}
			if e := c.Exchanges[0]; e.Done < 0 {
				t.Errorf("%d threads: a request sent after %v got no response", threads, e.Sent)
			}
		}
		if closed < manyUsed {
			t.Errorf("%d threads: of %d used connections, the idle timer ran out on %d; %v", threads, used, closed, r.Sites[0].Notes)
		}
		told := 0
		for _, n := range r.Sites[0].Notes {
			if strings.Contains(n, "half") {
				told++
			}
		}
		if want := threads <= 2*manyHalf; (told > 0) != want {
			t.Errorf("%d threads: %v", threads, r.Sites[0].Notes)
		}
	}
}
