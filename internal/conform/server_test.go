package conform

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"
)

func serve(t *testing.T, script Script) *Server {
	t.Helper()
	s, err := Serve(script)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// caller is a client that knows nothing of HTTP but its bytes.
type caller struct {
	t  *testing.T
	to net.Conn
	in *bufio.Reader
}

func call(t *testing.T, s *Server) *caller {
	t.Helper()
	conn, err := net.Dial("tcp", strings.Trim(strings.TrimPrefix(s.URL(), "http://"), "/"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &caller{t, conn, bufio.NewReader(conn)}
}

func (c *caller) ask(method string, seq int) {
	c.t.Helper()
	if _, err := fmt.Fprintf(c.to, "%s / HTTP/1.1\r\nHost: x\r\nX-Request-Id: %020d\r\nContent-Length: 3\r\n\r\nabc", method, seq); err != nil {
		c.t.Fatal(err)
	}
}

// rest reads until the connection ends.
func (c *caller) rest() (string, error) {
	all, err := io.ReadAll(c.in)
	return string(all), err
}

// head reads a response without a body.
func (c *caller) head() string {
	c.t.Helper()
	var all strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		if err != nil {
			c.t.Fatalf("after %q: %v", all.String(), err)
		}
		if all.WriteString(line); line == "\r\n" {
			return all.String()
		}
	}
}

// Each cut ends the response where it says, by FIN or by RST.
func TestCuts(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\n"
	for _, test := range []struct {
		response Response
		cut      Cut
		want     string
	}{
		{Response{Body: 100}, Nothing, ""},
		{Response{Body: 100}, InStatus, "HTTP/1.1 2"},
		{Response{Body: 100}, AfterStatus, head},
		{Response{Body: 100, Headers: []string{"A: b"}}, InHeaders, head + "A: b\r\nContent-Le"},
		{Response{Body: 100}, AfterHeaders, head + "Content-Length: 100\r\n\r\n"},
		{Response{Body: 100}, InBody, head + "Content-Length: 100\r\n\r\n" + fill('y', 10)},
		{Response{Body: 100, Framing: Chunked}, InBody, head + "Transfer-Encoding: chunked\r\n\r\n64\r\n" + fill('y', 10)},
		{Response{Body: 100, Framing: Chunked}, BetweenChunks, head + "Transfer-Encoding: chunked\r\n\r\n64\r\n" + fill('y', 100) + "\r\n"},
		{Response{Body: 100, Framing: UntilClose}, InBody, head + "\r\n" + fill('y', 10)},
		{Response{Body: 4, Framing: UntilClose}, Whole, head + "\r\nyyyy"},
		{Response{HTTP10: true, Status: 408}, InHeaders, "HTTP/1.0 408 Request Timeout\r\nContent-Le"},
	} {
		for _, end := range []End{FIN, RST, FINThenRST} {
			t.Run(fmt.Sprintf("%d %d %v", test.cut, test.response.Framing, end), func(t *testing.T) {
				t.Parallel()
				c := call(t, serve(t, Script{Rules: []Rule{{Act: Act{Response: test.response, Cut: test.cut, End: end}}}}))
				c.ask("GET", 0)
				got, err := c.rest()
				if got != test.want || errors.Is(err, syscall.ECONNRESET) != (end == RST) {
					t.Errorf("%q, %v; want %q", got, err, test.want)
				}
			})
		}
	}
}

// Whole responses leave the connection open, and the server knows what came.
func TestArrivals(t *testing.T) {
	s := serve(t, Script{Rules: []Rule{{From: 2, To: 2, Act: Act{Response: Response{Body: 5, Framing: Chunked}}}}})
	first, second := call(t, s), call(t, s)
	first.ask("GET", 7)
	first.head()
	first.ask("POST", 8)
	if got := first.head(); !strings.Contains(got, "chunked") {
		t.Errorf("the second response is %q", got)
	}
	second.ask("PUT", 9)
	second.head()
	io.WriteString(second.to, "GET / HTTP/1.1\r\nX-Request-Id: half")
	second.to.(*net.TCPConn).CloseWrite()
	eventually(t, func() bool { _, all, _ := s.Saw(); return len(all) == 4 })
	first.to.(*net.TCPConn).SetLinger(0)
	first.to.Close()
	eventually(t, func() bool { conns, _, _ := s.Saw(); return conns[0].By != ByNobody && conns[1].By != ByNobody })
	conns, arrivals, _ := s.Saw()
	for i, want := range []Arrival{
		{Conn: 1, Use: 1, ID: fmt.Sprintf("%020d", 7), Method: "GET", Whole: true},
		{Conn: 1, Use: 2, ID: fmt.Sprintf("%020d", 8), Method: "POST", Whole: true},
		{Conn: 2, Use: 1, ID: fmt.Sprintf("%020d", 9), Method: "PUT", Whole: true},
		{Conn: 2, Use: 2, Method: "GET"},
	} {
		got := arrivals[i]
		if got.At <= 0 || want.Whole && got.Responded < got.At {
			t.Errorf("arrival %d has no times: %+v", i, got)
		}
		if got.At, got.Responded = 0, 0; got != want {
			t.Errorf("arrival %d: %+v, want %+v", i, got, want)
		}
	}
	if conns[0].By != ByClient || !conns[0].Reset || conns[0].Uses != 2 || conns[1].By != ByClient || conns[1].Reset || conns[1].Uses != 1 {
		t.Errorf("%+v", conns)
	}
}

// Idle connections are closed after a time, from the uses that the script says.
func TestIdle(t *testing.T) {
	for _, end := range []End{FIN, RST} {
		s := serve(t, Script{Idle: &Idle{After: ms(60), Uses: 2, Say: "unasked", End: end}})
		c := call(t, s)
		c.ask("GET", 0)
		c.head()
		time.Sleep(ms(150))
		if conns, _, _ := s.Saw(); conns[0].By != ByNobody {
			t.Fatalf("closed after one use: %+v", conns[0])
		}
		c.ask("GET", 1)
		c.head()
		got, err := c.rest()
		if got != "unasked" && end == FIN || errors.Is(err, syscall.ECONNRESET) != (end == RST) {
			t.Errorf("%v: %q, %v", end, got, err)
		}
		conns, _, late := s.Saw()
		if idle := conns[0].Closed - conns[0].Last; conns[0].By != ByServer || idle < ms(60) || idle > ms(60)+late+time.Second {
			t.Errorf("%v: closed by %s after %v", end, conns[0].By, idle)
		}
	}
}

// A connection that a client leaves alone stays open, with an unasked response if the
// script says so.
func TestUnaskedOnOpenConnection(t *testing.T) {
	s := serve(t, Script{Idle: &Idle{After: ms(20), Uses: 1, Say: "HTTP/1.1 408 Request Timeout\r\n\r\n"}})
	c := call(t, s)
	c.ask("GET", 0)
	c.head()
	if got := c.head(); !strings.HasPrefix(got, "HTTP/1.1 408") {
		t.Fatalf("unasked: %q", got)
	}
	c.ask("GET", 1)
	if got := c.head(); !strings.HasPrefix(got, "HTTP/1.1 200") {
		t.Errorf("then: %q", got)
	}
}

// Requests are held until no more come, and together: so those that were let through at
// once are at the server at once.
func TestHeldUntilQuiet(t *testing.T) {
	mostlyTrue(t, heldUntilQuiet)
}

func heldUntilQuiet(t *testing.T) (wrong string) {
	s := serve(t, Script{Rules: []Rule{{Act: Act{Quiet: ms(400), Once: true}}}})
	var all []*caller
	for i := range 5 {
		c := call(t, s)
		c.ask("GET", i)
		all = append(all, c)
	}
	for _, c := range all {
		c.head()
	}
	again := time.Now()
	all[0].ask("GET", 5) // what was quiet once is over
	all[0].head()
	if took := time.Since(again); took > ms(350) {
		wrong = fmt.Sprintf("held again, for %v", took)
	}
	_, arrivals, _ := s.Saw()
	last, first := arrivals[4].At, arrivals[0].Responded
	for _, a := range arrivals[:5] {
		last, first = max(last, a.At), min(first, a.Responded)
	}
	if first-last < ms(350) {
		wrong = fmt.Sprintf("the last came at %v, and the first response went at %v", last, first)
	}
	return wrong
}

// mostlyTrue tries a check up to five times: a machine that stands still for a moment spoils
// one that is about time.
func mostlyTrue(t *testing.T, check func(*testing.T) (wrong string)) {
	t.Helper()
	wrong := ""
	for range 5 {
		if wrong = check(t); wrong == "" {
			return
		}
	}
	t.Error(wrong)
}

// Each request is held until a time after the first, however late it came itself.
func TestHeldUntil(t *testing.T) {
	mostlyTrue(t, heldUntil)
}

func heldUntil(t *testing.T) (wrong string) {
	s := serve(t, Script{Rules: []Rule{{Act: Act{Until: ms(300)}}}})
	a := call(t, s)
	a.ask("GET", 0)
	time.Sleep(ms(100))
	b := call(t, s)
	b.ask("GET", 1)
	a.head()
	b.head()
	_, arrivals, _ := s.Saw()
	if first, second := arrivals[0], arrivals[1]; first.Responded-first.At < ms(300) || second.Responded-first.At < ms(300) {
		t.Errorf("%+v", arrivals)
	} else if second.Responded-second.At > ms(290) {
		wrong = fmt.Sprintf("the second was held as long as the first: %+v", arrivals)
	}
	return wrong
}

// A head without an end, and nonsense, are no requests and end nothing.
func TestHostileRequests(t *testing.T) {
	s := serve(t, Script{})
	for _, text := range []string{
		"GET / HTTP/1.1\r\nA: " + fill('x', 2*mostHead),
		"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
		"\x00\x01\x02",
	} {
		c := call(t, s)
		io.WriteString(c.to, text)
		c.to.(*net.TCPConn).CloseWrite()
		c.rest()
	}
	c := call(t, s)
	io.WriteString(c.to, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nA: b\r\n\r\n")
	c.head()
	_, arrivals, _ := s.Saw()
	whole := 0
	for _, a := range arrivals {
		if a.Whole {
			whole++
		}
	}
	if whole != 1 {
		t.Errorf("%+v", arrivals)
	}
}

func eventually(t *testing.T, true func() bool) {
	t.Helper()
	for range 2000 {
		if true() {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatal("it did not happen within 10 s")
}
