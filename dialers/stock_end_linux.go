package dialers

import (
	"io"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// peerEnd is how the peer has ended conn: io.EOF after its FIN, the socket's
// error after its RST, nil as long as it has done neither. It sees both behind bytes that
// nobody has read, which peek does not, and takes the socket's error.
func peerEnd(conn net.Conn) error {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil // closed by us already
	}
	var end error
	_ = raw.Control(func(fd uintptr) { // an error: closed by us meanwhile
		errno, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR)
		if err == nil && errno != 0 {
			end = syscall.Errno(errno)
			return
		}
		if info, known := tcpInfo(fd); known && info.State == "CLOSE_WAIT" {
			end = io.EOF
		}
	})
	return end
}

// inReset reports whether conn ended without a last word of ours: after an RST,
// whoever was told of it. A FIN alone leaves it in CLOSE_WAIT.
func inReset(conn net.Conn) bool {
	info, known := connInfo(conn)
	return known && info.State == "CLOSE"
}
