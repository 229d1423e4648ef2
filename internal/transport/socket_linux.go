package transport

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

	"github.com/kabench/kabench/results"
)

// Socket is a TCP socket that never waits. Its Loop watches it for events. It is
// a Transport.
type Socket struct {
	fd     int
	token  uint64
	loop   Loop
	remote netip.AddrPort
	late   error // how the peer had ended the connection before Connected was called; the next call returns it

	delays bool // TCP_NODELAY is wanted and not set yet
	wrote  bool // something

	closings *Closings
}

// Connect begins to connect to addr and returns; l.Event is called when that is over.
func Connect(loop Loop, l Listener, addr netip.AddrPort, o Options) (*Socket, error) {
	family := unix.AF_INET
	if addr.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := open(family)
	if (err == syscall.EMFILE || err == syscall.ENFILE) && o.Closings.all() {
		fd, err = open(family)
	}
	s := &Socket{fd: fd, loop: loop, remote: addr, delays: !o.Nagle, closings: o.Closings}
	if err != nil {
		return nil, s.error("socket", err)
	}
	if err := o.apply(fd, addr); err != nil {
		unix.Close(fd)
		return nil, err
	}
	err = connect(fd, addr)
	if err == syscall.EADDRNOTAVAIL && o.Closings.all() { // they may have held the last port
		err = connect(fd, addr)
	}
	if err != nil && err != syscall.EINPROGRESS {
		err = s.error("connect", err)
		unix.Close(fd)
		return nil, err
	}
	if s.token, err = loop.Watch(fd, l); err != nil {
		err = s.error("epoll_ctl", err)
		s.Drop()
		return nil, err
	}
	return s, nil
}

func open(family int) (fd int, err error) {
	return unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
}

func connect(fd int, addr netip.AddrPort) error {
	for {
		if err := unix.Connect(fd, sockaddr(addr)); err != syscall.EINTR {
			return err
		}
	}
}

// apply sets the options of a socket before it connects to addr.
func (o Options) apply(fd int, addr netip.AddrPort) error {
	if o.KeepAlive > 0 {
		seconds := int((o.KeepAlive + time.Second - 1) / time.Second)
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, seconds)
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, seconds)
	}
	if o.Control != nil {
		network := "tcp4"
		if addr.Addr().Is6() {
			network = "tcp6"
		}
		if err := o.Control(network, addr.String(), rawConn(fd)); err != nil {
			return err
		}
	}
	if o.Source.IsValid() {
		return Bind(fd, o.Source)
	}
	return nil
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

// Connected returns the error of the connect, nil if the connection is established.
// After an event that is Writable and not Failed, it is: there is no need to ask.
// A peer that does not want a connection refuses it (ECONNREFUSED). After an RST
// (ECONNRESET), or a FIN and an RST (EPIPE), the handshake had been completed: that
// connection was established, and its first read or write returns the error, as if
// it had not been read here.
func (s *Socket) Connected() error {
	errno, err := unix.GetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && errno != 0 {
		err = syscall.Errno(errno)
	}
	if EstablishedThenEnded(err) {
		s.late = err
		return nil
	}
	return s.error("connect", err)
}

// takeLate returns the error that the call op must return before anything else, if
// there is one.
func (s *Socket) takeLate(op string) error {
	err := s.late
	s.late = nil
	return s.error(op, err)
}

// The calls that move bytes are raw: they return at once, so the scheduler need not
// be prepared for a wait. They are those of sockets: read and write go through the layer
// of files first, which takes a fortieth of the time.

// Read implements Transport.
func (s *Socket) Read(b []byte) (int, error) {
	if s.late != nil {
		return 0, s.takeLate("read")
	}
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT, 0, 0)
		switch {
		case errno == syscall.EAGAIN:
			return 0, ErrAgain
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

// More implements Transport.
func (s *Socket) More() bool { return false }

// Write implements Transport.
func (s *Socket) Write(b []byte) (int, error) {
	if s.late != nil {
		return 0, s.takeLate("write")
	}
	s.dontDelay()
	for {
		n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(s.fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		switch {
		case errno == syscall.EAGAIN:
			return 0, ErrAgain
		case errno == syscall.EINTR:
		case errno != 0:
			return 0, s.error("write", errno)
		default:
			return int(n), nil
		}
	}
}

// dontDelay sets TCP_NODELAY before the second write: the kernel may hold a write back
// only behind an earlier one that has not been acknowledged (tcp_nagle_check in
// net/ipv4/tcp_output.c). A connection for one request does without this call.
func (s *Socket) dontDelay() {
	if s.delays && s.wrote {
		s.delays = false
		unix.SetsockoptInt(s.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	s.wrote = true
}

// Peek implements Transport.
func (s *Socket) Peek() (waiting bool, err error) {
	if s.late != nil {
		return false, s.takeLate("read")
	}
	return peekRaw(rawConn(s.fd))
}

// Info implements Transport.
func (s *Socket) Info() (results.TCPInfo, bool) { return tcpInfo(uintptr(s.fd)) }

// Token is what the Loop gave the socket.
func (s *Socket) Token() uint64 { return s.token }

// Close implements Transport.
func (s *Socket) Close(seen Closer, owner Owner) {
	if seen == CloserNone { // the kernel reports a reset once: do not ask for one that was met
		seen = s.end()
	}
	if s.loop.Forget(s.token); seen == CloserPeer {
		s.closings.add(s.loop, s.fd)
	} else {
		unix.Close(s.fd)
	}
	owner.Closed(seen, NotNotified)
}

// end ends our half of the connection, and returns who ended it first.
func (s *Socket) end() Closer {
	if s.late != nil {
		return CloserOf(s.late)
	}
	return endOurHalf(uintptr(s.fd), func() ends { return ends{s.Local(), s.remote} })
}

// Drop closes a socket that has no Owner.
func (s *Socket) Drop() {
	s.loop.Forget(s.token)
	unix.Close(s.fd)
}

// Local implements Transport.
func (s *Socket) Local() netip.AddrPort {
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

// Remote is the peer's address.
func (s *Socket) Remote() netip.AddrPort { return s.remote }

// error returns the error that package net would make of a failed operation.
func (s *Socket) error(op string, err error) error {
	if err == nil {
		return nil
	}
	var local net.Addr
	if addr := s.Local(); addr.IsValid() {
		local = net.TCPAddrFromAddrPort(addr)
	}
	return netError(op, local, net.TCPAddrFromAddrPort(s.remote), err)
}

// rawConn makes the descriptor of a socket a syscall.RawConn. It never waits.
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
