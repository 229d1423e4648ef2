package transport

import (
	"net"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The states of a TCP_INFO that decide who was first (net/tcp_states.h).
const (
	tcpEstablished = 1
	tcpFinWait1    = 4
	tcpFinWait2    = 5
	tcpClose       = 7
	tcpCloseWait   = 8
	tcpLastAck     = 9
)

// endOurHalf ends our half of the connection on fd, which the caller closes next,
// and returns who ended it first. A shutdown sends our FIN, and the kernel's state
// after it says whether the peer's FIN had come by then: both happen at one moment.
// A look before a close would leave time between the two. at returns the connection's ends.
//
// With unread data a close sends an RST, and no FIN. A shutdown would send a FIN
// first, and change what the peer sees; so the state is only read.
func endOurHalf(fd uintptr, at func() ends) Closer {
	waiting, err := peekRaw(rawConn(fd))
	switch {
	case err != nil:
		return CloserOf(err)
	case waiting:
		return beforeReset(fd)
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SHUTDOWN, fd, unix.SHUT_WR, 0); errno != 0 {
		return lateError(fd) // ENOTCONN: it has ended since the look
	}
	info, known := rawTCPInfo(fd)
	if !known {
		return CloserUnknown
	}
	switch info.State {
	case tcpFinWait1:
		if info.Notsent_bytes > 0 {
			// Our FIN waits behind data that the peer has no room for, and has not left. The
			// peer's FIN or RST may be on its way.
			return CloserUnknown
		}
		return CloserUs
	case tcpFinWait2:
		return CloserUs
	case tcpLastAck:
		return CloserPeer
	case tcpClose:
		// Both sides have ended, in either order. On loopback a peer that waits for our FIN
		// answers it before the state is read.
		return at().firstOfTwo()
	}
	return CloserUnknown // CLOSING: the two FINs have crossed
}

// beforeReset returns who was first to end a connection with unread data.
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

// lateError returns who ended a connection that is closed, by the socket's error.
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
func FirstToClose(conn net.Conn) Closer {
	at := func() ends { return ends{addrPort(conn.LocalAddr()), addrPort(conn.RemoteAddr())} }
	return closerOf(conn, func(fd uintptr) Closer { return endOurHalf(fd, at) })
}

// addrPort is the address of a TCP end, in the form that its socket has.
func addrPort(a net.Addr) netip.AddrPort {
	if tcp, ok := a.(*net.TCPAddr); ok {
		at := tcp.AddrPort()
		return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
	}
	return netip.AddrPort{}
}

// EndedBy returns who has ended conn, and ends nothing. CloserUs means that
// neither side has.
func EndedBy(conn net.Conn) Closer { return closerOf(conn, beforeReset) }

func closerOf(conn net.Conn, ask func(fd uintptr) Closer) Closer {
	first := CloserUnknown
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return first
	}
	raw, err := sc.SyscallConn()
	if err == nil {
		// An error means that conn was closed meanwhile: nothing is known then.
		_ = raw.Control(func(fd uintptr) { first = ask(fd) })
	}
	return first
}
