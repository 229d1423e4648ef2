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
	// lookLimit bounds one dump. A dump of a million sockets takes about a second; the
	// limit is for a kernel that does not respond at all.
	lookLimit = 10 * time.Second
	// dumpBuffer is the largest datagram of a dump that the kernel sends
	// (netlink_recvmsg limits max_recvmsg_len to it). A smaller buffer means more
	// datagrams.
	dumpBuffer = 32 << 10
)

// Diag asks the kernel for TCP sockets with sock_diag(7). The kernel sends only sockets
// that match; each costs about half a microsecond. For that it goes through its whole
// table of TCP sockets, which has up to half a million places and holds those of all
// network namespaces. A Diag needs no privilege and sees the network namespace in which
// it was made. It is not safe for concurrent use.
type Diag struct {
	conn     *netlink.Conn
	raw      syscall.RawConn
	byFamily bool // the kernel does not know the request for all families
	buf      []byte
}

// DiagSocket is a TCP socket as the kernel's inet_diag_msg describes it.
type DiagSocket struct {
	State          State
	Local, Remote  netip.AddrPort // IPv4-mapped addresses are IPv4
	Cookie         uint64         // the kernel's number of the socket
	Inode          uint32         // 0: no process has it
	Timer          uint8          // the timer that runs: 1 retransmission, 2 keep-alive, 3 TIME_WAIT, 4 probe of a zero window
	Retransmits    uint8          // by that timer
	Expires        time.Duration  // until the timer fires
	Unread, Unsent uint32         // bytes in the queues; of a listener: its queue of connections, and the queue's limit
	Info           []byte         // the kernel's tcp_info, if it was asked for; valid during the call only
}

// DiagQuery says which sockets a dump has.
type DiagQuery struct {
	Listeners bool   // with those that listen
	Info      bool   // with tcp_info, which makes a socket cost more
	Filter    []byte // see DiagFilter; empty: all
}

// NewDiag opens a socket to the kernel; Close closes it. It fails if the kernel refuses
// sock_diag (as in some sandboxes).
func NewDiag() (*Diag, error) {
	conn, err := netlink.Dial(unix.NETLINK_SOCK_DIAG, nil)
	if err != nil {
		return nil, fmt.Errorf("sock_diag: %w", err)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sock_diag: %w", err), conn.Close())
	}
	return &Diag{conn: conn, raw: raw, buf: make([]byte, dumpBuffer)}, nil
}

// Close closes the socket to the kernel.
func (d *Diag) Close() error { return d.conn.Close() }

// Sockets calls begin, and then each for every socket that exists now; if the kernel does
// not know the first request, it begins again. The socket is valid during the call only.
// The sockets are no snapshot: some are made and closed while the kernel walks its tables.
// After an error the Diag cannot be used any more.
//
// Sockets has both families: an IPv4 connection may have an IPv6 socket, if a server
// listens on both families or a client does so.
func (d *Diag) Sockets(q DiagQuery, begin func(), each func(*DiagSocket)) error {
	if err := d.conn.SetReadDeadline(time.Now().Add(lookLimit)); err != nil {
		return fmt.Errorf("sock_diag: %w", err)
	}
	begin()
	// The older request of inet_diag (TCPDIAG_GETSOCK) has no family, and is for all at once.
	// With one request for each family the kernel goes through all sockets twice.
	if !d.byFamily {
		err := d.dump(tcpDiagGetSock, allRequest(q), each)
		var refused syscall.Errno
		if !errors.As(err, &refused) {
			return wrapDiag(err)
		}
		d.byFamily = true
		begin()
	}
	for _, family := range [...]uint8{unix.AF_INET, unix.AF_INET6} {
		if err := d.dump(unix.SOCK_DIAG_BY_FAMILY, familyRequest(family, q), each); err != nil {
			return wrapDiag(err)
		}
	}
	return nil
}

func wrapDiag(err error) error {
	if err != nil {
		return fmt.Errorf("sock_diag: %w", err)
	}
	return nil
}

// dump asks the kernel for sockets.
func (d *Diag) dump(kind netlink.HeaderType, request []byte, each func(*DiagSocket)) error {
	sent, err := d.conn.Send(netlink.Message{
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
		err := d.raw.Read(func(fd uintptr) bool {
			n, readErr = unix.Read(int(fd), d.buf)
			return readErr != unix.EAGAIN && readErr != unix.EINTR
		})
		if err := errors.Join(err, readErr); err != nil {
			return err
		}
		if done, err := parseDump(d.buf[:n], sent.Header.Sequence, each); done || err != nil {
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
	allStates       = 1<<numStates - 1 - 1
	sizeofDiagMsg   = 4 + sizeofSockID + 20
	attrBytecode    = 1 // INET_DIAG_REQ_BYTECODE
	attrInfo        = 2 // INET_DIAG_INFO
	opJump          = 1 // INET_DIAG_BC_JMP
	opSource        = 7 // INET_DIAG_BC_S_COND
	opDestination   = 8 // INET_DIAG_BC_D_COND
	maxFilter       = 1<<16 - 1 - sizeofOp - unix.NLA_HDRLEN
	sizeofOp        = 4 // inet_diag_bc_op
	sizeofCondition = 8 // inet_diag_hostcond, less the address
)

func (q DiagQuery) states() uint32 {
	if q.Listeners {
		return allStates
	}
	return allStates &^ (1 << Listen)
}

func (q DiagQuery) extensions() uint8 {
	if q.Info {
		return 1 << (attrInfo - 1)
	}
	return 0
}

// familyRequest returns an inet_diag_req_v2 for the TCP sockets of the family, with the
// filter as its attribute.
func familyRequest(family uint8, q DiagQuery) []byte {
	b := make([]byte, sizeofRequest)
	b[0], b[1], b[2] = family, unix.IPPROTO_TCP, q.extensions()
	binary.NativeEndian.PutUint32(b[4:], q.states())
	return withFilter(b, q.Filter)
}

// allRequest returns an inet_diag_req for TCP sockets, with the filter as its attribute.
// A dump ignores the request's family (inet_diag_dump_compat in net/ipv4/inet_diag.c).
func allRequest(q DiagQuery) []byte {
	b := make([]byte, sizeofOldest)
	b[3] = q.extensions()
	binary.NativeEndian.PutUint32(b[4+sizeofSockID:], q.states())
	return withFilter(b, q.Filter)
}

func withFilter(b, filter []byte) []byte {
	if len(filter) > 0 {
		b = binary.NativeEndian.AppendUint16(b, uint16(unix.NLA_HDRLEN+len(filter)))
		b = binary.NativeEndian.AppendUint16(b, attrBytecode)
		b = append(b, filter...)
	}
	return b
}

// DiagFilter returns the program that inet_diag_bc_run (net/ipv4/inet_diag.c) runs on
// each socket. It accepts a socket whose peer is one of remotes, or whose own end is one
// of locals. The invalid address of [netip.AddrPort] stands for any address. It is nil if
// the program would be too long for its attribute; then the kernel sends all sockets.
//
// A program accepts a socket by reaching exactly its end, and rejects it by jumping four
// bytes past the end. So a condition that holds is followed by a jump to the end. A
// condition that does not hold skips this jump and goes on with the next condition. The
// last condition has no jump, so that skipping it leads past the end.
func DiagFilter(remotes, locals []netip.AddrPort) []byte {
	var program []byte
	var jumps []int // the position of each jump; its target is set when the end is known
	for i := range len(remotes) + len(locals) {
		op, at := uint8(opDestination), netip.AddrPort{}
		if i < len(remotes) {
			at = remotes[i]
		} else {
			op, at = opSource, locals[i-len(remotes)]
		}
		if i > 0 {
			jumps = append(jumps, len(program))
			program = append(program, opJump, sizeofOp, 0, 0)
		}
		// An IPv4 condition also matches IPv4-mapped IPv6 sockets.
		family, ip := uint8(unix.AF_INET6), at.Addr().AsSlice()
		switch {
		case !at.Addr().IsValid():
			family = unix.AF_UNSPEC
		case at.Addr().Is4():
			family = unix.AF_INET
		}
		size := sizeofOp + sizeofCondition + len(ip)
		program = append(program, op, uint8(size))
		program = binary.NativeEndian.AppendUint16(program, uint16(size+sizeofOp))
		program = append(program, family, uint8(8*len(ip)), 0, 0)
		program = binary.NativeEndian.AppendUint32(program, uint32(at.Port()))
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
// seq, and calls each for each socket in it. It reports whether the response is complete.
// It fails if the response is an error or b is malformed. It skips messages with another
// number, which belong to a dump that was given up.
func parseDump(b []byte, seq uint32, each func(*DiagSocket)) (done bool, err error) {
	var s DiagSocket
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
			s.read(data)
			each(&s)
		}
	}
	return false, nil
}

// read reads an inet_diag_msg and its attributes. b has at least the message.
func (s *DiagSocket) read(b []byte) {
	s.State, s.Timer, s.Retransmits = State(b[1]), b[2], b[3]
	s.Local, s.Remote = sockID(b[0], b[4:])
	s.Cookie = binary.NativeEndian.Uint64(b[4+sizeofSockID-8:])
	tail := b[4+sizeofSockID:]
	s.Expires = time.Duration(binary.NativeEndian.Uint32(tail)) * time.Millisecond
	s.Unread, s.Unsent = binary.NativeEndian.Uint32(tail[4:]), binary.NativeEndian.Uint32(tail[8:])
	s.Inode = binary.NativeEndian.Uint32(tail[16:])
	s.Info = nil
	for attrs := b[sizeofDiagMsg:]; len(attrs) >= unix.NLA_HDRLEN; {
		size := int(binary.NativeEndian.Uint16(attrs))
		if size < unix.NLA_HDRLEN || size > len(attrs) {
			return
		}
		if binary.NativeEndian.Uint16(attrs[2:]) == attrInfo {
			s.Info = attrs[unix.NLA_HDRLEN:size]
		}
		attrs = attrs[min(len(attrs), (size+unix.NLA_ALIGNTO-1)&^(unix.NLA_ALIGNTO-1)):]
	}
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
