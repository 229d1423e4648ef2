package kabench

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/kabench/kabench/dialers"
	"github.com/kabench/kabench/profiles"
)

// answer is what a storyServer does with a request: it writes text, and then ends the
// connection or keeps it.
type answer struct {
	text string
	end  ending
}

type ending uint8

const (
	keeps ending = iota
	fins
	resets
)

const whole = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

// storyServer answers as a story says, by the number of the connection and of the
// request on it, both from 1.
type storyServer struct {
	listener net.Listener
	answer   func(conn, use int) answer
	mu       sync.Mutex
	arrived  [][2]int // conn and use, in order of arrival
}

func newStoryServer(t *testing.T, say func(conn, use int) answer) *storyServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &storyServer{listener: l, answer: say}
	t.Cleanup(func() { l.Close() })
	go func() {
		for n := 1; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go s.serve(c.(*net.TCPConn), n)
		}
	}()
	return s
}

func (s *storyServer) serve(c *net.TCPConn, n int) {
	defer c.Close()
	r := bufio.NewReader(c)
	for use := 1; ; use++ {
		q, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		io.Copy(io.Discard, q.Body)
		s.mu.Lock()
		s.arrived = append(s.arrived, [2]int{n, use})
		s.mu.Unlock()
		say := s.answer(n, use)
		io.WriteString(c, say.text)
		if say.end == keeps {
			continue
		}
		if say.text != "" {
			time.Sleep(30 * time.Millisecond) // what was written is read before a reset
		}
		if say.end == resets {
			c.SetLinger(0)
		}
		return
	}
}

// told is what arrived since the last call.
func (s *storyServer) told() (arrived [][2]int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	arrived, s.arrived = s.arrived, nil
	return arrived
}

// presetClient returns a client of the preset that sends one kind of request.
func presetClient(t *testing.T, name, method string, s *storyServer) *preset {
	t.Helper()
	policy, err := profiles.LoadPool(name)
	if err != nil {
		t.Fatal(err)
	}
	body := ""
	if method == "POST" || method == "PUT" {
		body = "xxx"
	}
	request, err := dialers.NewRequest(method, "http://"+s.listener.Addr().String()+"/", nil, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return &preset{t: t, client: newClient(t, policy, request), request: request}
}

// cuts are answers that break off.
var cuts = map[string]string{
	"nothing": "", "status": "HTTP/1.1 20", "headers": "HTTP/1.1 200 OK\r\nContent-Le",
	"body": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n0123456789",
}

// What real clients did with an answer that broke off: how often the request arrived
// and how it ended. In "fresh" and "always" every answer breaks off, in "always"
// after one that made the connection reusable.
func TestPresetsAfterACut(t *testing.T) {
	for _, row := range []struct {
		names []string
		cut   string
		end   ending
		// per method and kind of connection; "": not measured
		getFresh, postFresh, getAlways, postAlways string
	}{
		{[]string{"okhttp", "okhttp-sync"}, "nothing", fins, "1 err", "1 err", "2 err", "2 err"},
		{[]string{"okhttp", "okhttp-sync"}, "status", fins, "1 err", "1 err", "2 err", "2 err"},
		{[]string{"okhttp", "okhttp-sync"}, "headers", fins, "1 err", "1 err", "2 err", "2 err"},
		{[]string{"okhttp", "okhttp-sync"}, "headers", resets, "1 err", "1 err", "2 err", "2 err"},
		{[]string{"okhttp", "okhttp-sync"}, "body", fins, "1 err", "1 err", "1 err", "1 err"},
		{[]string{"okhttp-5", "okhttp-5-sync"}, "nothing", fins, "1 err", "1 err", "3 err", "3 err"},
		{[]string{"okhttp-5", "okhttp-5-sync"}, "nothing", resets, "1 err", "1 err", "3 err", "3 err"},
		{[]string{"okhttp-5", "okhttp-5-sync"}, "status", fins, "1 err", "1 err", "3 err", "3 err"},
		{[]string{"okhttp-5", "okhttp-5-sync"}, "headers", fins, "1 err", "1 err", "3 err", "3 err"},
		{[]string{"okhttp-5", "okhttp-5-sync"}, "headers", resets, "1 err", "1 err", "3 err", "3 err"},
		{[]string{"okhttp-5", "okhttp-5-sync"}, "body", fins, "1 err", "1 err", "1 err", "1 err"},
		{[]string{"jdk-httpclient", "jdk-httpclient-17"}, "nothing", fins, "2 err", "1 err", "2 err", "1 err"},
		{[]string{"jdk-httpclient", "jdk-httpclient-17"}, "nothing", resets, "2 err", "1 err", "2 err", "1 err"},
		{[]string{"jdk-httpclient", "jdk-httpclient-17"}, "headers", fins, "1 err", "1 err", "1 err", "1 err"},
		{[]string{"ruby-net-http", "net-http-persistent"}, "status", fins, "2 err", "1 err", "2 err", "1 err"},
		{[]string{"ruby-net-http", "net-http-persistent"}, "status", resets, "2 err", "1 err", "2 err", "1 err"},
		{[]string{"ruby-net-http", "net-http-persistent"}, "headers", fins, "1 err", "1 err", "1 err", "1 err"},
		{[]string{"ruby-net-http", "net-http-persistent"}, "headers", resets, "2 err", "1 err", "2 err", "1 err"},
	} {
		for _, cell := range []struct {
			method string
			always bool
			want   string
		}{{"GET", false, row.getFresh}, {"POST", false, row.postFresh}, {"GET", true, row.getAlways}, {"POST", true, row.postAlways}} {
			for _, name := range row.names {
				if cell.want == "" {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s %s %v always=%v", name, cell.method, row.cut, row.end, cell.always), func(t *testing.T) {
					t.Parallel()
					var warm sync.Once
					s := newStoryServer(t, func(_, use int) (r answer) {
						r = answer{cuts[row.cut], row.end}
						if cell.always {
							warm.Do(func() { r = answer{whole, keeps} })
						}
						return r
					})
					p := presetClient(t, name, cell.method, s)
					if cell.always {
						if e := p.do(); !e.OK() {
							t.Fatalf("the first request: %v/%v", e.Phase, e.Cause)
						}
						s.told()
					}
					e := p.do()
					outcome := "err"
					if e.OK() {
						outcome = "ok"
					}
					if got := fmt.Sprintf("%d %s", len(s.told()), outcome); got != cell.want {
						t.Errorf("%q, want %q (tries %+v, last %v/%v)", got, cell.want, e.Tries, e.Phase, e.Cause)
					}
				})
			}
		}
	}
}

// Which answers keep a connection, as seen of the real clients.
func TestPresetsKeepOrNot(t *testing.T) {
	const ok = "Content-Length: 2\r\n\r\nok"
	for _, row := range []struct {
		name, answer string
		kept         bool
	}{
		{"okhttp", "HTTP/1.0 200 OK\r\n" + ok, true},
		{"okhttp-5", "HTTP/1.0 200 OK\r\n" + ok, true},
		{"okhttp-5", "HTTP/1.0 200 OK\r\nConnection: close\r\n" + ok, false},
		{"jdk-httpclient", "HTTP/1.0 200 OK\r\n" + ok, true},
		{"jdk-httpclient-17", "HTTP/1.0 200 OK\r\n" + ok, true},
		{"jdk-httpclient-17", "HTTP/1.0 200 OK\r\nConnection: close\r\n" + ok, false},
		{"nginx-upstream", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + ok, false},
		{"httpx", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + ok, false},
		{"requests", "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n" + ok, true},
		{"requests", "HTTP/1.0 200 OK\r\n" + ok, false},
		{"agentkeepalive", "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=1\r\n" + ok, false},
		{"agentkeepalive", "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=2\r\n" + ok, true},
		{"node-agent", "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=1\r\n" + ok, false},
		{"node-agent", "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nKeep-Alive: timeout=2\r\n" + ok, true},
	} {
		t.Run(fmt.Sprintf("%s/%.40q", row.name, row.answer), func(t *testing.T) {
			t.Parallel()
			s := newStoryServer(t, func(int, int) answer { return answer{row.answer, keeps} })
			p := presetClient(t, row.name, "GET", s)
			for range 2 {
				if e := p.do(); !e.OK() {
					t.Fatalf("%v/%v", e.Phase, e.Cause)
				}
			}
			if last := s.told()[1]; (last[0] == 1) != row.kept {
				t.Errorf("the second request came as %v (connection, use); kept should be %v", last, row.kept)
			}
		})
	}
}

// Several idle connections that all fail: how many attempts there are, and the end.
func TestPresetsAfterSeveralDeadConnections(t *testing.T) {
	for name, want := range map[string]string{
		"okhttp-sync": "6 ok", "okhttp-5-sync": "6 ok", "go-tuned": "7 ok", "libcurl-multi": "6 err", "libcurl": "6 ok",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var together sync.WaitGroup
			together.Add(6)
			s := newStoryServer(t, func(conn, use int) answer {
				if conn <= 6 && use == 1 {
					together.Done()
					together.Wait() // so that six are open
				}
				if use > 1 {
					return answer{"", fins}
				}
				return answer{whole, keeps}
			})
			p := presetClient(t, name, "GET", s)
			var six sync.WaitGroup
			for range 6 {
				six.Go(func() { p.do() })
			}
			six.Wait()
			s.told()
			e := p.do()
			outcome := "err"
			if e.OK() {
				outcome = "ok"
			}
			if got := fmt.Sprintf("%d %s", len(s.told()), outcome); got != want {
				t.Errorf("%q, want %q (tries %+v)", got, want, e.Tries)
			}
		})
	}
}
