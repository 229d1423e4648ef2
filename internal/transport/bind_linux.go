package transport

import (
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Bind makes source the local address of fd, a socket of source's family that is
// neither bound nor connected. The port is chosen only when fd is connected
// (IP_BIND_ADDRESS_NO_PORT, linux/in.h, since 4.2), and so must be free for that one
// destination only; a port that is chosen at bind is taken for all destinations.
//
// The option is of level IPPROTO_IP for sockets of IPv6 too: ipv6_setsockopt
// (net/ipv6/ipv6_sockglue.c) hands that level on to IPv4's, and both
// __inet_bind (net/ipv4/af_inet.c) and __inet6_bind (net/ipv6/af_inet6.c) look
// at the flag it sets. The error is a *SourceError.
func Bind(fd int, source netip.Addr) error {
	err := os.NewSyscallError("IP_BIND_ADDRESS_NO_PORT", unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1))
	if err == nil {
		err = os.NewSyscallError("bind", unix.Bind(fd, sockaddr(netip.AddrPortFrom(source.Unmap(), 0))))
	}
	if err != nil {
		return &SourceError{source, err}
	}
	return nil
}

// SetUserTimeout limits how long data that fd has sent may stay without an
// acknowledgement. Then the kernel ends the connection with ETIMEDOUT. d is counted in
// milliseconds, and a part of one counts as a whole.
func SetUserTimeout(fd int, d time.Duration) error {
	ms := int((d + time.Millisecond - 1) / time.Millisecond)
	return os.NewSyscallError("TCP_USER_TIMEOUT", unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, ms))
}
