//go:build !linux

package dialers

import "net"

// peerEnd is how the peer has ended conn: io.EOF after its FIN, an error after
// its RST, nil as long as nothing has come or bytes are waiting.
func peerEnd(conn net.Conn) error {
	_, err := peek(conn)
	return err
}

// inReset is not known.
func inReset(net.Conn) bool { return false }
