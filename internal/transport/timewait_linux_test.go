package transport

import (
	"io"
	"net"
	"testing"
	"time"
)

// When both sides have ended before anybody asks, the TIME_WAIT socket shows whose FIN was
// first.
func TestFirstOfTwoThatHaveEnded(t *testing.T) {
	for _, network := range []string{"tcp4", "tcp6"} {
		for _, test := range []struct {
			name  string
			first int // the one that closes first: 0 is ours
			want  Closer
		}{{"ours", 0, CloserUs}, {"the peer's", 1, CloserUnknown}} {
			t.Run(network+" "+test.name, func(t *testing.T) {
				at := "127.0.0.1:0"
				if network == "tcp6" {
					at = "[::1]:0"
				}
				ln, err := net.Listen(network, at)
				if err != nil {
					t.Skip(err)
				}
				defer ln.Close()
				ours, err := net.Dial(network, ln.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer ours.Close()
				theirs, err := ln.Accept()
				if err != nil {
					t.Fatal(err)
				}
				defer theirs.Close()
				both := [...]*net.TCPConn{ours.(*net.TCPConn), theirs.(*net.TCPConn)}
				first, second := both[test.first], both[1-test.first]
				if got := (ends{addrPort(ours.LocalAddr()), addrPort(ours.RemoteAddr())}).firstOfTwo(); got != CloserUnknown {
					t.Errorf("of an open connection: %v", got)
				}
				first.CloseWrite()
				if _, err := io.Copy(io.Discard, second); err != nil {
					t.Fatal(err)
				}
				second.CloseWrite()
				for end := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
					info, known := Info(ours)
					if known && info.State == "CLOSE" {
						break
					}
					if time.Now().After(end) {
						t.Fatalf("ours is in the state %s", info.State)
					}
				}
				if got := (ends{addrPort(ours.LocalAddr()), addrPort(ours.RemoteAddr())}).firstOfTwo(); got != test.want {
					t.Errorf("first to close: %v, want %v", got, test.want)
				}
			})
		}
	}
}
