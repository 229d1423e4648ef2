package transport

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"
)

// ends are the two ends of a connection. Once it is closed, the kernel tells them no more.
type ends struct{ local, remote netip.AddrPort }

// firstOfTwo returns who ended first a connection that both sides have ended, within the
// time between our shutdown and the question after it. Only who sent its FIN before the
// peer's came keeps a TIME_WAIT socket: a side whose FIN is the second goes from LAST_ACK to
// CLOSE (RFC 9293, section 3.3.2). If the peer's end is on this machine and has one too, the
// FINs crossed.
func (e ends) firstOfTwo() Closer {
	ask, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return CloserUnknown
	}
	defer unix.Close(ask)
	if !waitsAt(ask, e.local, e.remote) || waitsAt(ask, e.remote, e.local) {
		return CloserUnknown
	}
	return CloserUs
}

// Sizes and numbers of linux/netlink.h and linux/inet_diag.h.
const (
	sizeofDiagRequest = unix.NLMSG_HDRLEN + 8 + 48 // nlmsghdr, inet_diag_req_v2
	diagStateAt       = unix.NLMSG_HDRLEN + 1      // of an answer: inet_diag_msg.idiag_state
	tcpTimeWait       = 6
	tcpClosing        = 11
)

// waitsAt asks the kernel, over the netlink socket ask, whether there is a socket in
// TIME_WAIT, or on its way to it from both sides (CLOSING), between the two addresses. The
// kernel answers before the request has returned, and looks at no other socket.
func waitsAt(ask int, local, remote netip.AddrPort) bool {
	var request [sizeofDiagRequest]byte
	binary.NativeEndian.PutUint32(request[0:], sizeofDiagRequest)
	binary.NativeEndian.PutUint16(request[4:], unix.SOCK_DIAG_BY_FAMILY)
	binary.NativeEndian.PutUint16(request[6:], unix.NLM_F_REQUEST)
	b := request[unix.NLMSG_HDRLEN:]
	b[0], b[1] = unix.AF_INET, unix.IPPROTO_TCP
	if local.Addr().Is6() {
		b[0] = unix.AF_INET6
	}
	binary.NativeEndian.PutUint32(b[4:], 1<<tcpTimeWait|1<<tcpClosing)
	id := b[8:]
	binary.BigEndian.PutUint16(id[0:], local.Port())
	binary.BigEndian.PutUint16(id[2:], remote.Port())
	copy(id[4:20], local.Addr().AsSlice())
	copy(id[20:36], remote.Addr().AsSlice())
	binary.NativeEndian.PutUint64(id[40:], 1<<64-1) // INET_DIAG_NOCOOKIE twice: any socket
	if unix.Sendto(ask, request[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}) != nil {
		return false
	}
	var answer [1024]byte
	n, _, err := unix.Recvfrom(ask, answer[:], 0)
	if err != nil || n <= diagStateAt || binary.NativeEndian.Uint16(answer[4:]) != unix.SOCK_DIAG_BY_FAMILY {
		return false // ENOENT: there is none
	}
	return answer[diagStateAt] == tcpTimeWait || answer[diagStateAt] == tcpClosing
}
