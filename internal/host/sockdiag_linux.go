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
	// lookLimit bounds one Count. A dump of a million sockets takes about a
	// second; this is for a kernel that does not answer at all.
	lookLimit = 10 * time.Second
	// dumpBuffer is the most the kernel puts in one datagram of a dump
	// (netlink_recvmsg caps max_recvmsg_len there); less means more of them.
	dumpBuffer = 32 << 10
)

// A SocketWatcher counts the TCP sockets of a Watch by asking the kernel over
// sock_diag(7). The kernel sends only sockets that match, so what a Count costs
// grows with their number: about half a microsecond each. It needs no privilege and
// sees the network namespace it was made in. It is not safe for concurrent use.
type SocketWatcher struct {
	sides    *sides
	conn     *netlink.Conn
	raw      syscall.RawConn
	requests [][]byte // one for each address family to ask for
	buf      []byte
}

// NewSocketWatcher opens a socket to the kernel. The error says when no address
// was given, or sock_diag is refused (as in some sandboxes). Close it after use.
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
	filter := socketFilter(s)
	return &SocketWatcher{
		sides: s, conn: conn, raw: raw, buf: make([]byte, dumpBuffer),
		// IPv4 connections are IPv6 sockets too where a server listens on
		// both families or a client is written so: always ask for both.
		requests: [][]byte{dumpRequest(unix.AF_INET, filter), dumpRequest(unix.AF_INET6, filter)},
	}, nil
}

// Close gives the socket back.
func (w *SocketWatcher) Close() error { return w.conn.Close() }

// Count counts the sockets there are now. It is no snapshot: sockets come and
// go while the kernel walks its tables. After an error the watcher is of no
// further use.
func (w *SocketWatcher) Count() (SocketCount, error) {
	w.sides.reset()
	if err := w.conn.SetReadDeadline(time.Now().Add(lookLimit)); err != nil {
		return SocketCount{}, fmt.Errorf("sock_diag: %w", err)
	}
	for _, request := range w.requests {
		if err := w.dump(request); err != nil {
			return SocketCount{}, fmt.Errorf("sock_diag: %w", err)
		}
	}
	return w.sides.total(), nil
}

// dump asks for the sockets of one family and adds them to the count.
func (w *SocketWatcher) dump(request []byte) error {
	sent, err := w.conn.Send(netlink.Message{
		Header: netlink.Header{Type: unix.SOCK_DIAG_BY_FAMILY, Flags: netlink.Request | netlink.Dump},
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
	sizeofSockID    = 48 // inet_diag_sockid
	sizeofRequest   = 8 + sizeofSockID
	sizeofDiagMsg   = 4 + sizeofSockID + 20
	attrBytecode    = 1 // INET_DIAG_REQ_BYTECODE
	opJump          = 1 // INET_DIAG_BC_JMP
	opSource        = 7 // INET_DIAG_BC_S_COND
	opDestination   = 8 // INET_DIAG_BC_D_COND
	maxFilter       = 1<<16 - 1 - sizeofOp - unix.NLA_HDRLEN
	sizeofOp        = 4 // inet_diag_bc_op
	sizeofCondition = 8 // inet_diag_hostcond, less the address
)

// dumpRequest is an inet_diag_req_v2 for every TCP socket of the family but
// listeners, and the filter as its attribute.
func dumpRequest(family uint8, filter []byte) []byte {
	b := make([]byte, sizeofRequest, sizeofRequest+unix.NLA_HDRLEN+len(filter))
	b[0], b[1] = family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[4:], 1<<numStates-1-1<<Listen)
	if len(filter) > 0 {
		b = binary.NativeEndian.AppendUint16(b, uint16(unix.NLA_HDRLEN+len(filter)))
		b = binary.NativeEndian.AppendUint16(b, attrBytecode)
		b = append(b, filter...)
	}
	return b
}

// socketFilter is the program that inet_diag_bc_run (net/ipv4/inet_diag.c)
// runs on each socket: peer is a remote, or local address is a server. It is
// nil when the program would be too long for its attribute; then the kernel
// sends all sockets, and sides.add picks.
//
// A program accepts by ending exactly at its end and rejects by jumping four
// bytes past it. So each condition, when met, goes on to a jump to the end,
// and when not, over that jump to the next condition; the last has no jump,
// and over it is past the end.
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
	var jumps []int // where each jump is; they can be aimed when the end is known
	for i, c := range conditions {
		if i > 0 {
			jumps = append(jumps, len(program))
			program = append(program, opJump, sizeofOp, 0, 0)
		}
		// The kernel lets an IPv4 condition match IPv4-mapped IPv6 sockets.
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

// parseDump reads one datagram of the answer to the request numbered seq, and
// calls add for each socket in it. It says whether the answer is complete, and
// returns the kernel's error if that is the answer, or one if b is malformed.
// Messages of another number are left over from a dump given up: not ours.
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
		case unix.SOCK_DIAG_BY_FAMILY:
			if len(data) < sizeofDiagMsg {
				return false, fmt.Errorf("inet_diag_msg of %d bytes, want %d", len(data), sizeofDiagMsg)
			}
			local, remote := sockID(data[0], data[4:])
			add(State(data[1]), local, remote)
		}
	}
	return false, nil
}

// sockID reads the two ends from an inet_diag_sockid.
func sockID(family uint8, id []byte) (local, remote netip.AddrPort) {
	sport, dport := binary.BigEndian.Uint16(id), binary.BigEndian.Uint16(id[2:])
	if family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(id[4:])), sport),
			netip.AddrPortFrom(netip.AddrFrom4([4]byte(id[20:])), dport)
	}
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte(id[4:])).Unmap(), sport),
		netip.AddrPortFrom(netip.AddrFrom16([16]byte(id[20:])).Unmap(), dport)
}
