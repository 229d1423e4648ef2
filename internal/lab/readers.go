package lab

import (
	"net"

	"github.com/kabench/kabench/profiles/script"
)

// drip is a TCP connection that is read byte by byte while single is set. So a body
// that arrived together with the head, or with the end of the TLS handshake, stays in
// the kernel, and the server can close while it is unread.
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

// byteWise reports whether a server must leave in the kernel what follows the head of
// a request.
func byteWise(cfg script.Server) bool {
	return cfg.Fault.WhileReading() || cfg.Upload != script.ReadFirst
}
