package transport

import (
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The states of a TCP_INFO that tell who was first (net/tcp_states.h).
const (
	tcpEstablished = 1
	tcpFinWait1    = 4
	tcpFinWait2    = 5
	tcpCloseWait   = 8
	tcpLastAck     = 9
)

// endOurHalf ends our half of the connection on fd, which the caller closes next,
// and returns who ended it first. Whether the peer's FIN had come when
// ours left is what the kernel's state says after a shutdown, which looks and
// acts at one moment; a look before a close would leave time between the two.
//
// With unread data a close sends an RST, and no FIN; a shutdown would send one
// first. So that the wire has what it would have had, the state is only asked.
func endOurHalf(fd uintptr) Closer {
	waiting, err := peekRaw(rawConn(fd))
	switch {
	case err != nil:
		return CloserOf(err)
	case waiting:
		return beforeReset(fd)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SHUTDOWN, fd, unix.SHUT_WR, 0); errno != 0 {
		return lateError(fd) // ENOTCONN: it was ended since the look
	}
	info, known := rawTCPInfo(fd)
	if !known {
		return CloserUnknown
	}
	switch info.State {
	case tcpFinWait1:
		if info.Notsent_bytes > 0 {
			// Our FIN waits behind what the peer has no room for, and has not left. What
			// ends the connection may be on its way to us.
			return CloserUnknown
		}
		return CloserUs
	case tcpFinWait2:
		return CloserUs
	case tcpLastAck:
		return CloserPeer
	}
	// CLOSING: the two FINs have crossed. CLOSE: all is over, after either order; on
	// loopback both are met.
	return CloserUnknown
}

// beforeReset is who was first to end a connection with unread data.
func beforeReset(fd uintptr) Closer {
	info, known := rawTCPInfo(fd)
	switch {
	case !known:
		return CloserUnknown
	case info.State == tcpEstablished:
		return CloserUs
	case info.State == tcpCloseWait:
		return CloserPeer
	}
	return lateError(fd)
}

// lateError is who ended a connection that is no more, by the socket's error.
func lateError(fd uintptr) Closer {
	switch errno, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_ERROR); {
	case err != nil || errno == 0:
		return CloserUnknown
	default:
		return CloserOf(syscall.Errno(errno))
	}
}

// rawTCPInfo asks the kernel about the connection on fd. The call is raw, as those
// that move bytes are. A kernel that is older than a field leaves it 0.
func rawTCPInfo(fd uintptr) (i unix.TCPInfo, known bool) {
	size := uint32(unsafe.Sizeof(i))
	_, _, errno := unix.RawSyscall6(unix.SYS_GETSOCKOPT, fd, unix.IPPROTO_TCP, unix.TCP_INFO,
		uintptr(unsafe.Pointer(&i)), uintptr(unsafe.Pointer(&size)), 0)
	return i, errno == 0
}

// FirstToClose ends our half of conn, which the caller closes next, and returns
// who ended it first.
func FirstToClose(conn net.Conn) Closer { return closerOf(conn, endOurHalf) }

// EndedBy returns who has ended conn, and ends nothing. CloserUs means that
// nobody has.
func EndedBy(conn net.Conn) Closer { return closerOf(conn, beforeReset) }

func closerOf(conn net.Conn, ask func(fd uintptr) Closer) Closer {
	first := CloserUnknown
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return first
	}
	raw, err := sc.SyscallConn()
	if err == nil {
		// An error says that it was closed meanwhile, and then nothing is known.
		_ = raw.Control(func(fd uintptr) { first = ask(fd) })
	}
	return first
}
