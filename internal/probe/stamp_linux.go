package probe

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tap is a TCP connection that remembers when the bytes, or the end, that the last read
// has returned had come in: by the kernel's stamps, so that the time until this process
// got the processor does not count. One goroutine may read it.
type tap struct {
	*net.TCPConn
	oob   [256]byte
	at    time.Time     // when what the last read returned had come
	slack time.Duration // by how much at may be late; unknownSlack: it was taken after the read
}

// newTap has the kernel stamp what comes on conn. A kernel that cannot stamps nothing, and
// the time of the read is taken.
func newTap(conn *net.TCPConn) *tap {
	if raw, err := conn.SyscallConn(); err == nil {
		// An error means that the connection is closed, which the first read will say.
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPING_NEW, unix.SOF_TIMESTAMPING_RX_SOFTWARE|unix.SOF_TIMESTAMPING_SOFTWARE)
		})
	}
	return &tap{TCPConn: conn}
}

// Read implements io.Reader.
func (t *tap) Read(b []byte) (n int, err error) {
	raw, err := t.SyscallConn()
	if err != nil {
		return 0, err
	}
	var stamps int
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, stamps, _, _, failed = unix.Recvmsg(int(fd), b, t.oob[:], 0)
		return !errors.Is(failed, syscall.EAGAIN)
	})
	t.at, t.slack = time.Now(), unknownSlack
	switch {
	case err != nil:
		return 0, err
	case failed != nil:
		return 0, &net.OpError{Op: "read", Net: "tcp", Addr: t.RemoteAddr(), Err: os.NewSyscallError("recvmsg", failed)}
	case n == 0 && len(b) > 0:
		t.since(raw)
		return 0, io.EOF
	}
	if stamp, found := stampIn(t.oob[:stamps]); found {
		if ago := time.Duration(t.at.UnixNano() - stamp); 0 <= ago && ago < maxAgo {
			t.at, t.slack = t.at.Add(-ago), 0
		}
	}
	return n, nil
}

// maxAgo is the longest time between a stamp and its read that is believed: the stamp is
// of the wall clock, which somebody may set.
const maxAgo = 10 * time.Second

// stampIn returns the kernel's stamp among control messages, in nanoseconds of Unix time.
func stampIn(oob []byte) (ns int64, found bool) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return 0, false
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPING_NEW && len(m.Data) >= 16 {
			at := *(*[2]int64)(unsafe.Pointer(unsafe.SliceData(m.Data))) // struct scm_timestamping64: the software stamp is its first
			return at[0]*1e9 + at[1], at[0] > 0
		}
	}
	return 0, false
}

// since corrects the time of an end, which the kernel does not stamp. The segment with the
// FIN has an ACK, and TCP_INFO says in whole ticks of the kernel how long ago that came.
func (t *tap) since(raw syscall.RawConn) {
	var info *unix.TCPInfo
	var failed error
	err := raw.Control(func(fd uintptr) { info, failed = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) })
	if err != nil || failed != nil {
		return
	}
	ago := time.Duration(info.Last_ack_recv) * time.Millisecond
	tick := 4 * time.Millisecond // CONFIG_HZ=250
	if info.Last_ack_recv%10 == 0 {
		tick = 10 * time.Millisecond // it may be CONFIG_HZ=100
	}
	if ago > 2*tick && ago < maxAgo {
		t.at = t.at.Add(-ago)
	}
	t.slack = tick
}

// roundTrip returns the kernel's estimate of the time to the peer of conn and back; 0:
// there is none.
func roundTrip(conn *net.TCPConn) (rtt time.Duration) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { // an error means that the connection is closed
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			rtt = time.Duration(info.Rtt) * time.Microsecond
		}
	})
	return rtt
}
