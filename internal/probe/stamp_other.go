//go:build !linux

package probe

import (
	"net"
	"time"
)

// tap is a TCP connection that remembers when its last read returned. One goroutine may
// read it.
type tap struct {
	*net.TCPConn
	at    time.Time
	slack time.Duration // unknownSlack: at was taken after the read
}

func newTap(conn *net.TCPConn) *tap { return &tap{TCPConn: conn} }

// Read implements io.Reader.
func (t *tap) Read(b []byte) (int, error) {
	n, err := t.TCPConn.Read(b)
	t.at, t.slack = time.Now(), unknownSlack
	return n, err
}

// roundTrip is not known: this system's kernel does not tell it.
func roundTrip(*net.TCPConn) time.Duration { return 0 }
