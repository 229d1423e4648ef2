// Package packetring takes packets from this machine's interfaces, by a packet socket
// (AF_PACKET) with a filter in the kernel and a ring in memory.
//
// # Why a ring of frames
//
// The ring is PACKET_RX_RING, TPACKET_V2. Package unix is all that it needs. The two other
// ways do not fit:
//
//   - TPACKET_V3 hands over whole blocks, a millisecond or more after a packet has come. A
//     request's packets must be there at the moment at which the client says that it is
//     over. In the second version each frame is there as soon as it is filled, and the
//     kernel fills it before TCP handles the packet.
//   - recvmmsg takes packets from the socket's queue, whose bytes net.core.rmem_max bounds
//     where the process is not root outside of its namespace: 200 KiB are about 200 packets,
//     10 ms at 20,000 packets/s.
//
// Reading the ring needs no system call. A frame of a ring of whole packets holds 2 KiB; a
// longer packet comes through the queue as well, as far as there is room, and is read from
// there. A frame of headers holds every header.
//
// Packets are stamped by the kernel, on the wall clock. [Clock] converts the stamps to the
// monotonic clock, and takes the wall clock's steps out. On the loopback a packet is seen when
// it is sent; that it is received as well follows within microseconds, and is left out.
package packetring

import (
	"errors"
	"net/netip"
	"slices"
)

// ErrNotAllowed is the error of Open where this process may not open a packet socket: it
// needs CAP_NET_RAW in its network namespace, and Linux.
var ErrNotAllowed = errors.New("packets cannot be watched: that needs Linux and CAP_NET_RAW in the network namespace")

// What says how much of the packets is taken.
type What uint8

const (
	Whole   What = iota // every byte
	Headers             // the headers of IP and TCP of every segment; the kernel cuts off the payload
	Lean                // as Headers, without segments that only acknowledge
)

const (
	ringSize  = 32 << 20
	smallRing = 16 << 20
)

// onLoopback reports whether all of the ends are on the loopback. Then Open looks at no other
// interface, and there at each packet once: that saves half of the kernel's work.
func onLoopback(ends []netip.AddrPort) bool {
	return len(ends) > 0 && !slices.ContainsFunc(ends, func(a netip.AddrPort) bool { return !a.Addr().Unmap().IsLoopback() })
}

// frame is the size of a frame in bytes. Headers have 120 bytes at most, and the kernel puts
// 80 bytes of its own before them.
func (w What) frame() int {
	if w == Whole {
		return 2 << 10
	}
	return 256
}

// size is the size of the ring in bytes.
func (w What) size() int {
	if w == Whole {
		return ringSize
	}
	return smallRing
}

// Frames is how many packets the ring holds: 16,384 whole ones are 0.8 s at 20,000 packets/s,
// and 65,536 headers are 1.6 s at 40,000.
func (w What) Frames() int { return w.size() / w.frame() }
