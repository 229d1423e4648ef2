//go:build !linux

package transport

import "net"

// FirstToClose returns who ended conn first, as far as a read that takes nothing
// can tell: only Linux has TCP_INFO. Where nothing has come from the
// peer, its FIN may still be on the way; we are then taken for the first.
func FirstToClose(conn net.Conn) Closer {
	if _, err := Peek(conn); err != nil {
		return CloserOf(err)
	}
	return CloserUs
}

// EndedBy is FirstToClose: neither ends anything here.
func EndedBy(conn net.Conn) Closer { return FirstToClose(conn) }
