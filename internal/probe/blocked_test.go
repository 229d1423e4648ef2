package probe

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/evidence"
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
// take the last one: it closes its half heads when requests get no response.
func TestHalfHeadsDoNotBlockAServer(t *testing.T) {
	for _, threads := range []int{1, 2, 4, 100} {
		t.Run(fmt.Sprintf("%d threads", threads), func(t *testing.T) {
			t.Parallel()
			probeThreaded(t, threads)
		})
	}
}

func probeThreaded(t *testing.T, threads int) {
	target, err := Resolve(t.Context(), Request{URL: threaded(t, threads, 2*time.Second)})
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), target, Options{})
	if err != nil {
		t.Fatal(err)
	}
	site := r.Sites[0]
	used, closed := 0, 0
	for _, c := range site.Connections {
		if c.Half != evidence.NotSeen || len(c.Exchanges) == 0 {
			continue
		}
		used++
		if e := c.Exchanges[0]; e.Done == evidence.NotSeen {
			t.Errorf("a request sent after %v got no response", e.Sent)
		}
		if e := c.Exchanges[len(c.Exchanges)-1]; e.Done != evidence.NotSeen && c.Close.At > e.Done {
			closed++
		}
	}
	if closed < manyUsed {
		t.Errorf("of %d used connections, the idle timer ran out on %d; %v", used, closed, site.Notes)
	}
	told := slices.ContainsFunc(site.Notes, func(n string) bool { return strings.Contains(n, "half a request head") })
	if want := threads <= 2*manyHalf; told != want {
		t.Errorf("notes: %v", site.Notes)
	}
}
