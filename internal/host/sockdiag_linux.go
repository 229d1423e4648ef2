package host

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// lookLimit bounds one Count. A dump of a million sockets takes about a second; the
	// limit is for a kernel that does not respond at all.
	lookLimit = 10 * time.Second
	// dumpBuffer is the largest datagram of a dump that the kernel sends
	// (netlink_recvmsg limits max_recvmsg_len to it). A smaller buffer means more
	// datagrams.
	dumpBuffer = 32 << 10
)

// A SocketWatcher counts the TCP sockets of a Watch. It asks the kernel with
// sock_diag(7). The kernel sends only sockets that match; each costs about half a
// microsecond. For that it goes through its whole table of TCP sockets, which has up to
// half a million places and holds those of all network namespaces.
// A SocketWatcher needs no privilege and sees the network namespace in
// which it was made. It is not safe for concurrent use.
type SocketWatcher struct {
	sides    *sides
	conn     *netlink.Conn
	raw      syscall.RawConn
	filter   []byte
	byFamily bool // the kernel does not know the request for all families
	buf      []byte
}

// NewSocketWatcher opens a socket to the kernel; Close closes it. It fails if w has no
// address, or if the kernel refuses sock_diag (as in some sandboxes).
func NewSocketWatcher(w Watch) (*SocketWatcher, error) {
	s, err := newSides(w)
	if err != nil {
		return nil, err
	}
	conn, err := netlink.Dial(unix.NETLINK_SOCK_DIAG, nil)
	if err != nil {
		return nil, fmt.Errorf("sock_diag: %w", err)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sock_diag: %w", err), conn.Close())
	}
	return &SocketWatcher{sides: s, conn: conn, raw: raw, filter: socketFilter(s), buf: make([]byte, dumpBuffer)}, nil
}

// Close closes the socket to the kernel.
func (w *SocketWatcher) Close() error { return w.conn.Close() }

// Count counts the sockets that exist now. The result is not a snapshot: sockets are
// made and closed while the kernel walks its tables. After an error the watcher cannot
// be used any more.
func (w *SocketWatcher) Count() (SocketCount, error) {
	w.sides.reset()
	if err := w.conn.SetReadDeadline(time.Now().Add(lookLimit)); err != nil {
		return SocketCount{}, fmt.Errorf("sock_diag: %w", err)
	}
	if err := w.dumpAll(); err != nil {
		return SocketCount{}, fmt.Errorf("sock_diag: %w", err)
	}
	return w.sides.total(), nil
}

// dumpAll counts the sockets of both families: an IPv4 connection may have an IPv6
// socket, if a server listens on both families or a client does so.
//
// The older request of inet_diag (TCPDIAG_GETSOCK) has no family, and is for all at once.
// With one request for each family the kernel goes through all sockets twice.
func (w *SocketWatcher) dumpAll() error {
	if !w.byFamily {
		err := w.dump(tcpDiagGetSock, allRequest(w.filter))
		var refused syscall.Errno
		if !errors.As(err, &refused) {
			return err
		}
		w.byFamily = true
		w.sides.reset()
	}
	for _, family := range [...]uint8{unix.AF_INET, unix.AF_INET6} {
		if err := w.dump(unix.SOCK_DIAG_BY_FAMILY, familyRequest(family, w.filter)); err != nil {
			return err
		}
	}
	return nil
}

// dump asks the kernel for sockets and counts them.
func (w *SocketWatcher) dump(kind netlink.HeaderType, request []byte) error {
	sent, err := w.conn.Send(netlink.Message{
		Header: netlink.Header{Type: kind, Flags: netlink.Request | netlink.Dump},
		Data:   request,
	})
	if err != nil {
		return err
	}
	for {
		// netlink's own Receive allocates for every datagram.
		var n int
		var readErr error
		err := w.raw.Read(func(fd uintptr) bool {
			n, readErr = unix.Read(int(fd), w.buf)
			return readErr != unix.EAGAIN && readErr != unix.EINTR
		})
		if err := errors.Join(err, readErr); err != nil {
			return err
		}
		if done, err := parseDump(w.buf[:n], sent.Header.Sequence, w.sides.add); done || err != nil {
			return err
		}
	}
}

// Sizes and numbers of linux/netlink.h and linux/inet_diag.h.
const (
	sizeofSockID    = 48                   // inet_diag_sockid
	sizeofRequest   = 8 + sizeofSockID     // inet_diag_req_v2
	sizeofOldest    = 4 + sizeofSockID + 8 // inet_diag_req
	tcpDiagGetSock  = 18                   // TCPDIAG_GETSOCK
	countedStates   = 1<<numStates - 1 - 1<<Listen
	sizeofDiagMsg   = 4 + sizeofSockID + 20
	attrBytecode    = 1 // INET_DIAG_REQ_BYTECODE
	opJump          = 1 // INET_DIAG_BC_JMP
	opSource        = 7 // INET_DIAG_BC_S_COND
	opDestination   = 8 // INET_DIAG_BC_D_COND
	maxFilter       = 1<<16 - 1 - sizeofOp - unix.NLA_HDRLEN
	sizeofOp        = 4 // inet_diag_bc_op
	sizeofCondition = 8 // inet_diag_hostcond, less the address
)

// familyRequest returns an inet_diag_req_v2 for every TCP socket of the family except
// listeners, with the filter as its attribute.
func familyRequest(family uint8, filter []byte) []byte {
	b := make([]byte, sizeofRequest)
	b[0], b[1] = family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[4:], countedStates)
	return withFilter(b, filter)
}

// allRequest returns an inet_diag_req for every TCP socket except listeners, with the
// filter as its attribute. A dump ignores the request's family (inet_diag_dump_compat in
// net/ipv4/inet_diag.c).
func allRequest(filter []byte) []byte {
	b := make([]byte, sizeofOldest)
	binary.NativeEndian.PutUint32(b[4+sizeofSockID:], countedStates)
	return withFilter(b, filter)
}

func withFilter(b, filter []byte) []byte {
	if len(filter) > 0 {
		b = binary.NativeEndian.AppendUint16(b, uint16(unix.NLA_HDRLEN+len(filter)))
		b = binary.NativeEndian.AppendUint16(b, attrBytecode)
		b = append(b, filter...)
	}
	return b
}

// socketFilter returns the program that inet_diag_bc_run (net/ipv4/inet_diag.c) runs on
// each socket. It accepts a socket whose peer is a remote or whose local address is a
// server. It is nil if the program would be too long for its attribute; then the kernel
// sends all sockets, and sides.add selects.
//
// A program accepts a socket by reaching exactly its end, and rejects it by jumping four
// bytes past the end. So a condition that holds is followed by a jump to the end. A
// condition that does not hold skips this jump and goes on with the next condition. The
// last condition has no jump, so that skipping it leads past the end.
func socketFilter(s *sides) []byte {
	type condition struct {
		op uint8
		netip.AddrPort
	}
	var conditions []condition
	for a := range s.remotes {
		conditions = append(conditions, condition{opDestination, a})
	}
	if s.count.ServerSide {
		for a := range s.servers {
			conditions = append(conditions, condition{opSource, a})
		}
	}
	var program []byte
	var jumps []int // the position of each jump; its target is set when the end is known
	for i, c := range conditions {
		if i > 0 {
			jumps = append(jumps, len(program))
			program = append(program, opJump, sizeofOp, 0, 0)
		}
		// An IPv4 condition also matches IPv4-mapped IPv6 sockets.
		family, ip := uint8(unix.AF_INET6), c.Addr().AsSlice()
		if c.Addr().Is4() {
			family = unix.AF_INET
		}
		size := sizeofOp + sizeofCondition + len(ip)
		program = append(program, c.op, uint8(size))
		program = binary.NativeEndian.AppendUint16(program, uint16(size+sizeofOp))
		program = append(program, family, uint8(8*len(ip)), 0, 0)
		program = binary.NativeEndian.AppendUint32(program, uint32(c.Port()))
		program = append(program, ip...)
	}
	if len(program) > maxFilter {
		return nil
	}
	for _, at := range jumps {
		binary.NativeEndian.PutUint16(program[at+2:], uint16(len(program)-at))
	}
	return program
}

// parseDump reads one datagram of the kernel's response to the request with the number
// seq, and calls add for each socket in it. It reports whether the response is complete.
// It fails if the response is an error or b is malformed. It skips messages with another
// number, which belong to a dump that was given up.
func parseDump(b []byte, seq uint32, add func(State, netip.AddrPort, netip.AddrPort)) (done bool, err error) {
	for len(b) > 0 {
		if len(b) < unix.NLMSG_HDRLEN {
			return false, errors.New("netlink message cut short")
		}
		size := binary.NativeEndian.Uint32(b)
		kind := binary.NativeEndian.Uint16(b[4:])
		ours := binary.NativeEndian.Uint32(b[8:]) == seq
		if size < unix.NLMSG_HDRLEN || uint64(size) > uint64(len(b)) {
			return false, fmt.Errorf("netlink message says it has %d bytes, and %d are there", size, len(b))
		}
		data := b[unix.NLMSG_HDRLEN:size]
		b = b[min(len(b), int(size+unix.NLMSG_ALIGNTO-1)&^(unix.NLMSG_ALIGNTO-1)):]
		if !ours {
			continue
		}
		switch kind {
		case unix.NLMSG_DONE, unix.NLMSG_ERROR:
			if len(data) >= 4 {
				if code := int32(binary.NativeEndian.Uint32(data)); code < 0 {
					return true, syscall.Errno(-code)
				}
			}
			return true, nil
		case unix.SOCK_DIAG_BY_FAMILY, tcpDiagGetSock:
			if len(data) < sizeofDiagMsg {
				return false, fmt.Errorf("inet_diag_msg of %d bytes, want %d", len(data), sizeofDiagMsg)
			}
			local, remote := sockID(data[0], data[4:])
			add(State(data[1]), local, remote)
		}
	}
	return false, nil
}

// sockID reads the two ends of a connection from an inet_diag_sockid.
func sockID(family uint8, id []byte) (local, remote netip.AddrPort) {
	sport, dport := binary.BigEndian.Uint16(id), binary.BigEndian.Uint16(id[2:])
	if family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(id[4:])), sport),
			netip.AddrPortFrom(netip.AddrFrom4([4]byte(id[20:])), dport)
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(id[4:])).Unmap(), sport),
		netip.AddrPortFrom(netip.AddrFrom16([16]byte(id[20:])).Unmap(), dport)
}
