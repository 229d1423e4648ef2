package freed

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/kabench/kabench/internal/watch"
)

// The last word on a connection whose request the server never had: its bytes were written
// and not acknowledged, and the server's FIN is among the bytes received.
func TestLastWordOfARace(t *testing.T) {
	l, err := Open(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	c, err := net.Dial("tcp", server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := server.Accept()
	if err != nil {
		t.Fatal(err)
	}
	must := func(_ int, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	buf := make([]byte, 100)
	must(c.Write([]byte("request")))
	must(io.ReadFull(peer, buf[:7]))
	must(peer.Write([]byte("response")))
	must(io.ReadFull(c, buf[:8]))
	if err := peer.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(buf); err != io.EOF { // the FIN has come
		t.Fatal(err)
	}
	must(c.Write([]byte("a second one"))) // it is answered by a RST
	if _, err := c.Read(buf); err == nil {
		t.Fatal("there was a response")
	}
	local := c.LocalAddr().(*net.TCPAddr).AddrPort()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(20 * time.Second); time.Now().Before(until); time.Sleep(time.Millisecond) {
		var got *watch.Gone
		l.Take(func(g *watch.Gone) {
			if g.Flow.Local == local {
				got = g
			}
		})
		if got == nil {
			continue
		}
		if got.Flow.Remote != server.Addr().(*net.TCPAddr).AddrPort() || got.Written != 19 || got.Bytes[0] != 8 || got.Bytes[1] != 9 || got.Cookie == 0 {
			t.Errorf("%+v", got)
		}
		return
	}
	t.Error("the kernel said nothing of the socket")
}

func FuzzParse(f *testing.F) {
	f.Add(make([]byte, 400))
	f.Fuzz(func(_ *testing.T, b []byte) { parse(b) })
}
