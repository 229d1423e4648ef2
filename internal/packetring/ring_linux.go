package packetring

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

const blockSize = 64 << 10

// Ring is a packet socket and the memory in which the kernel puts what it takes. Its methods
// may not be called concurrently.
type Ring struct {
	fd    int
	mem   []byte
	frame int    // the size of one, in bytes
	at    int    // the next frame, in bytes
	room  []byte // for a packet that is longer than a frame
	lost  uint64
}

// Open begins to take the packets to and from ends, in the network namespace of the calling
// thread. Without ends, it takes all of TCP. The error is ErrNotAllowed if this process may
// not.
func Open(ends []netip.AddrPort, what What) (*Ring, error) {
	received := what != Whole && onLoopback(ends)
	program, err := filter(ends, what, received)
	if err != nil {
		return nil, fmt.Errorf("the filter of %d ends: %w", len(ends), err)
	}
	// Without a protocol it takes nothing yet.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES), errors.Is(err, unix.EAFNOSUPPORT):
		return nil, fmt.Errorf("%w: %w", ErrNotAllowed, err)
	case err != nil:
		return nil, fmt.Errorf("packet socket: %w", err)
	}
	r := &Ring{fd: fd, frame: what.frame()}
	if what == Whole {
		r.room = make([]byte, most)
	}
	if err := r.open(program, what.size(), received); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

func (r *Ring) open(program []bpf.RawInstruction, size int, received bool) error {
	code := make([]unix.SockFilter, len(program))
	for i, p := range program {
		code[i] = unix.SockFilter{Code: p.Op, Jt: p.Jt, Jf: p.Jf, K: p.K}
	}
	if err := unix.SetsockoptSockFprog(r.fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}); err != nil {
		return fmt.Errorf("packet socket: filter: %w", err)
	}
	// The queue of the packets that are longer than a frame. More than rmem_max needs rights.
	if unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 4<<20) != nil {
		_ = unix.SetsockoptInt(r.fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4<<20)
	}
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_VERSION, unix.TPACKET_V2); err != nil {
		return fmt.Errorf("packet socket: version of the ring: %w", err)
	}
	if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_COPY_THRESH, 1); err != nil {
		return fmt.Errorf("packet socket: long packets: %w", err)
	}
	ask := unix.TpacketReq{Block_size: blockSize, Block_nr: uint32(size / blockSize), Frame_size: uint32(r.frame), Frame_nr: uint32(size / r.frame)}
	if err := unix.SetsockoptTpacketReq(r.fd, unix.SOL_PACKET, unix.PACKET_RX_RING, &ask); err != nil {
		return fmt.Errorf("packet socket: ring of %d MiB: %w", size>>20, err)
	}
	mem, err := unix.Mmap(r.fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("packet socket: map of the ring: %w", err)
	}
	r.mem = mem
	all := uint16(unix.ETH_P_ALL)
	on := unix.SockaddrLinklayer{Protocol: all<<8 | all>>8}
	if received {
		on.Ifindex = loopback
		if err := unix.SetsockoptInt(r.fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1); err != nil {
			return fmt.Errorf("packet socket: only what is received: %w", err)
		}
	}
	if err := unix.Bind(r.fd, &on); err != nil {
		return fmt.Errorf("packet socket: interfaces: %w", err)
	}
	return nil
}

func (r *Ring) status(at int) *uint32 { return (*uint32)(unsafe.Pointer(&r.mem[at%len(r.mem)])) }

// ready reports whether the kernel has filled the next frame. Frames are given away in
// order and filled by several processors: if a later one is filled, the next one will be
// within moments.
func (r *Ring) ready() bool {
	if atomic.LoadUint32(r.status(r.at))&unix.TP_STATUS_USER != 0 {
		return true
	}
	var give time.Time
	for {
		later := false
		for i := 1; i <= 8 && !later; i++ {
			later = atomic.LoadUint32(r.status(r.at+i*r.frame))&unix.TP_STATUS_USER != 0
		}
		if atomic.LoadUint32(r.status(r.at))&unix.TP_STATUS_USER != 0 {
			return true
		}
		switch now := time.Now(); {
		case !later:
			return false
		case give.IsZero():
			give = now.Add(2 * time.Millisecond)
		case now.After(give):
			return false
		}
		runtime.Gosched()
	}
}

// Drain calls take with all packets that have come: their captured bytes, their size and
// the kernel's stamp in ns of the wall clock. take keeps nothing of the bytes.
func (r *Ring) Drain(take func(data []byte, size int, wall int64)) {
	for n := 0; n < len(r.mem)/r.frame && r.ready(); n++ {
		frame := r.mem[r.at : r.at+r.frame]
		h := (*unix.Tpacket2Hdr)(unsafe.Pointer(&frame[0]))
		data := frame[h.Net : int(h.Net)+int(h.Snaplen)]
		if h.Status&unix.TP_STATUS_COPY != 0 && r.room != nil {
			if n, _, err := unix.Recvfrom(r.fd, r.room, unix.MSG_DONTWAIT); err == nil {
				data = r.room[:n]
			}
		}
		if h.Status&unix.TP_STATUS_LOSING != 0 {
			r.Lost()
		}
		take(data, int(h.Len), int64(h.Sec)*1e9+int64(h.Nsec))
		atomic.StoreUint32(&h.Status, unix.TP_STATUS_KERNEL)
		r.at = (r.at + r.frame) % len(r.mem)
	}
}

// Noticed is how many packets the kernel had no room for, as far as Drain has noticed.
func (r *Ring) Noticed() uint64 { return r.lost }

// Lost asks the kernel how many packets it had no room for.
func (r *Ring) Lost() uint64 {
	if s, err := unix.GetsockoptTpacketStats(r.fd, unix.SOL_PACKET, unix.PACKET_STATISTICS); err == nil {
		r.lost += uint64(s.Drops)
	}
	return r.lost
}

// Close stops taking packets.
func (r *Ring) Close() {
	if r.mem != nil {
		_ = unix.Munmap(r.mem)
		r.mem = nil
	}
	_ = unix.Close(r.fd)
}
