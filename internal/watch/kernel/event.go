package kernel

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/kabench/kabench/internal/host"
	"github.com/kabench/kabench/internal/watch"
)

// The form of an event in the ring, in the byte order of this machine except where said:
// offsets in bytes.
const (
	eventAt     = 0  // 8: ns of CLOCK_MONOTONIC
	eventSocket = 8  // 8: the socket's address; 0: there is none
	eventCookie = 16 // 8
	eventKind   = 24 // 1: watch.EventKind
	eventFrom   = 25 // 1: a state
	eventTo     = 26 // 1
	eventReason = 28 // 4: of a RST
	eventLocal  = 32 // an end
	eventRemote = 52 // an end
	eventSize   = 72

	// The form of an end, which is a key of the filter too.
	endAddress = 0  // 16: IPv6, or IPv4 in IPv6 (RFC 4291 §2.5.5.2)
	endPort    = 16 // 2, in network order
	endRole    = 18 // 2: 0 in eventLocal, roleRemote in eventRemote
	endSize    = 20

	roleRemote = 1
)

// decoder turns what is in the ring into events.
type decoder struct {
	start   int64 // of the watch, in ns of CLOCK_MONOTONIC
	mask    uint64
	reasons map[uint32]string
}

// event returns the event in b, which has eventSize bytes at least.
func (d *decoder) event(b []byte) watch.Event {
	order := binary.NativeEndian
	e := watch.Event{
		At:     time.Duration(int64(order.Uint64(b[eventAt:])) - d.start),
		Kind:   watch.EventKind(b[eventKind]),
		Flow:   watch.Flow{Local: end(b[eventLocal:]), Remote: end(b[eventRemote:])},
		Socket: order.Uint64(b[eventSocket:]),
		Cookie: order.Uint64(b[eventCookie:]),
	}
	if e.Socket != 0 {
		e.Socket ^= d.mask // nobody needs to know where the kernel's memory is
	}
	switch e.Kind {
	case watch.StateChanged:
		e.From, e.To = host.State(b[eventFrom]).String(), host.State(b[eventTo]).String()
	case watch.ResetSent:
		e.Reason = d.reasons[order.Uint32(b[eventReason:])]
	}
	return e
}

func end(b []byte) netip.AddrPort {
	a := netip.AddrFrom16([16]byte(b[endAddress:])).Unmap()
	return netip.AddrPortFrom(a, binary.BigEndian.Uint16(b[endPort:]))
}

// key is an end as the filter knows it. anyAddress leaves the address out.
func key(a netip.AddrPort, role uint16, anyAddress bool) (k [endSize]byte) {
	if !anyAddress {
		address := a.Addr().As16()
		copy(k[endAddress:], address[:])
	}
	binary.BigEndian.PutUint16(k[endPort:], a.Port())
	binary.NativeEndian.PutUint16(k[endRole:], role)
	return k
}
