package lab

import (
	"net"
)

// drip is a TCP connection that, when single, is read byte by byte. So a body
// that came along with the head, or with the end of the TLS handshake, stays in
// the kernel: without it there would be nothing unread to close on.
type drip struct {
	*net.TCPConn
	single bool
}

func (d *drip) Read(p []byte) (int, error) {
	if d.single && len(p) > 1 {
		p = p[:1]
	}
	return d.TCPConn.Read(p)
}
