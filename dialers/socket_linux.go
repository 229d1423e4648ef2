package dialers

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/kabench/kabench/dialers/pool"
)

// socket is a TCP socket that never waits, known to the Client's poller. It is a
// transport.
type socket struct {
	fd     int
	token  uint64
	c      *Client
	remote netip.AddrPort
	late   error // what the next call is to return: see connected
}

// connect begins to connect to addr; owner is told when that is over.
func (c *Client) connect(addr netip.AddrPort, owner listener) (*socket, error) {
	family := unix.AF_INET
	if addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	s := &socket{fd: fd, c: c, remote: addr}
	if err != nil {
		return nil, s.error("socket", err)
	}
	if err := c.dialer.prepare(fd, addr); err != nil {
		unix.Close(fd)
		return nil, err
	}
	from, chosen := c.dialer.source(addr.Addr())
	if chosen {
		if err := bindSource(fd, from); err != nil {
			unix.Close(fd)
			return nil, err
		}
	}
	for {
		if err = unix.Connect(fd, sockaddr(addr)); err != syscall.EINTR {
			break
		}
	}
	if err != nil && err != syscall.EINPROGRESS {
		err = s.error("connect", err)
		unix.Close(fd)
		if !chosen {
			err = homeless(err, addr)
		}
		return nil, err
	}
	s.token = c.slots.take(owner)
	if err := c.poller.Add(fd, s.token); err != nil {
		err = s.error("epoll_ctl", err)
		s.drop()
		return nil, err
	}
	return s, nil
}

// prepare sets the options of a socket before it connects to addr.
func (d *Dialer) prepare(fd int, addr netip.AddrPort) error {
	if !d.Nagle {
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if d.KeepAlive > 0 {
		seconds := int((d.KeepAlive + time.Second - 1) / time.Second)
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds)
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds)
	}
	if d.Control == nil {
		return nil
	}
	network := "tcp4"
	if addr.Addr().Is6() {
		network = "tcp6"
	}
	return d.Control(network, addr.String(), rawConn(fd))
}

func sockaddr(addr netip.AddrPort) unix.Sockaddr {
	if ip := addr.Addr(); ip.Is6() {
		to := &unix.SockaddrInet6{Port: int(addr.Port()), Addr: ip.As16()}
		if zone := ip.Zone(); zone != "" {
			if ifi, err := net.InterfaceByName(zone); err == nil {
				to.ZoneId = uint32(ifi.Index)
			} else if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
				to.ZoneId = uint32(n)
			}
		}
		return to
	}
	return &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
}

// connected is how the connect came out. A peer that does not want it refuses
// (ECONNREFUSED): one that resets has completed the handshake before, and so has
// one whose FIN and RST came (EPIPE). That connection was made, and its first call
// says how it ended, as if nobody had asked the socket for its error here.
func (s *socket) connected() error {
	errno, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && errno != 0 {
		err = syscall.Errno(errno)
	}
	if madeAndEnded(err) {
		s.late = err
		return nil
	}
	return s.error("connect", err)
}

// takeLate is the error that the call op returns before anything else, if there
// is one.
func (s *socket) takeLate(op string) error {
	err := s.late
	s.late = nil
	return s.error(op, err)
}

// The calls that move bytes are raw: they return at once, so the scheduler need
// not know of them.

func (s *socket) read(b []byte) (int, error) {
	if s.late != nil {
		return 0, s.takeLate("read")
	}
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch {
		case errno == syscall.EAGAIN:
			return 0, errAgain
		case errno == syscall.EINTR:
		case errno != 0:
			return 0, s.error("read", errno)
		case n == 0:
			return 0, io.EOF
		default:
			return int(n), nil
		}
	}
}

func (s *socket) write(b []byte) (int, error) {
	if s.late != nil {
		return 0, s.takeLate("write")
	}
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		switch {
		case errno == syscall.EAGAIN:
			return 0, errAgain
		case errno == syscall.EINTR:
		case errno != 0:
			return 0, s.error("write", errno)
		default:
			return int(n), nil
		}
	}
}

func (s *socket) peek() (waiting bool, err error) {
	if s.late != nil {
		return false, s.takeLate("read")
	}
	return peekRaw(rawConn(s.fd))
}

func (s *socket) close(owner *Conn) {
	first := s.firstToClose(owner.end)
	s.drop()
	owner.gone(first)
}

// firstToClose ends our half of the connection, and says who was first to end it.
// What was seen on it says that, and the kernel the rest; it tells of a reset
// once.
func (s *socket) firstToClose(seen pool.Reason) Closer {
	switch {
	case seen == pool.PeerClosed:
		return CloserPeer
	case seen == pool.Reset:
		return CloserReset
	case s.late != nil:
		return closerIn(s.late)
	}
	return firstToClose(uintptr(s.fd))
}

// drop closes a socket that is no Conn's.
func (s *socket) drop() {
	s.c.slots.release(s.token)
	unix.Close(s.fd)
}

func (s *socket) local() netip.AddrPort {
	sa, err := unix.Getsockname(s.fd)
	if err != nil {
		return netip.AddrPort{}
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// error is what package net would make of a failed operation.
func (s *socket) error(op string, err error) error {
	if err == nil {
		return nil
	}
	var local net.Addr
	if addr := s.local(); addr.IsValid() {
		local = net.TCPAddrFromAddrPort(addr)
	}
	return netError(op, local, net.TCPAddrFromAddrPort(s.remote), err)
}

// rawConn is the descriptor of a socket as a syscall.RawConn. It never waits.
type rawConn int

func (fd rawConn) Control(f func(uintptr)) error { f(uintptr(fd)); return nil }

func (fd rawConn) Read(f func(uintptr) bool) error { return fd.once(f) }

func (fd rawConn) Write(f func(uintptr) bool) error { return fd.once(f) }

func (fd rawConn) once(f func(uintptr) bool) error {
	if !f(uintptr(fd)) {
		return errors.ErrUnsupported
	}
	return nil
}
