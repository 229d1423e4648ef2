package lab

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/kabench/kabench/profiles/script"
)

// Between two events a server reads requests and sends no response; then it sends those that it
// holds. Other events change nothing.
func TestStall(t *testing.T) {
	s, err := Start(script.Server{Stall: script.Stall{From: "stalls", Until: "responds"}}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := net.Dial("tcp", s.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask := func() {
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	responds := func(within time.Duration) bool {
		c.SetReadDeadline(time.Now().Add(within))
		_, err := c.Read(make([]byte, 1000))
		return err == nil
	}
	const long = time.Minute
	s.Event("responds") // nothing stalls yet
	ask()
	if !responds(long) {
		t.Fatal("no response before the stall")
	}
	s.Event("stalls")
	s.Event("stalls")
	s.Event("another")
	ask()
	for end := time.Now().Add(long); s.Seen().Executed < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the server does not read the request")
		}
	}
	if responds(50 * time.Millisecond) {
		t.Error("a response during the stall")
	}
	s.Event("responds")
	if !responds(long) {
		t.Error("no response after the stall")
	}
	s.Event("stalls")
	ask()
	s.Close() // a stall holds up nothing
}
