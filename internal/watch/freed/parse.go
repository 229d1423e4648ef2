package freed

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/kabench/kabench/internal/watch"
)

// Sizes and numbers of linux/inet_diag.h and linux/tcp.h.
const (
	sizeofMessage = 72 // inet_diag_msg
	attrInfo      = 2  // INET_DIAG_INFO, a tcp_info

	offsetRetransmits  = 2
	offsetUnacked      = 24
	offsetSent         = 44 // tcpi_last_data_sent, in ms
	offsetReceived     = 52
	offsetRoundTrip    = 68 // in µs
	offsetBytesAcked   = 120
	offsetReceivedSum  = 128
	offsetBytesSent    = 200 // Linux 4.19
	offsetBytesRetrans = 208
)

// parse reads an inet_diag_msg with its attributes; ok is false if it has no tcp_info.
func parse(b []byte) (g watch.Gone, ok bool) {
	if len(b) < sizeofMessage {
		return g, false
	}
	g.Flow = flow(b[0], b[4:])
	g.Cookie = uint64(binary.NativeEndian.Uint32(b[44:])) | uint64(binary.NativeEndian.Uint32(b[48:]))<<32
	g.State = "CLOSE"
	for rest := b[sizeofMessage:]; len(rest) >= 4; {
		size, kind := int(binary.NativeEndian.Uint16(rest)), binary.NativeEndian.Uint16(rest[2:])
		if size < 4 || size > len(rest) {
			return g, false
		}
		if kind == attrInfo && size-4 >= offsetReceivedSum+8 {
			info(&g, rest[4:size])
			ok = true
		}
		rest = rest[min((size+3)&^3, len(rest)):]
	}
	return g, ok
}

func flow(family uint8, id []byte) watch.Flow {
	ports := [2]uint16{binary.BigEndian.Uint16(id), binary.BigEndian.Uint16(id[2:])}
	const inet = 2
	if family == inet {
		return watch.Flow{
			Local:  netip.AddrPortFrom(netip.AddrFrom4([4]byte(id[4:])), ports[0]),
			Remote: netip.AddrPortFrom(netip.AddrFrom4([4]byte(id[20:])), ports[1]),
		}
	}
	return watch.Flow{
		Local:  netip.AddrPortFrom(netip.AddrFrom16([16]byte(id[4:])).Unmap(), ports[0]),
		Remote: netip.AddrPortFrom(netip.AddrFrom16([16]byte(id[20:])).Unmap(), ports[1]),
	}
}

// info reads a tcp_info.
func info(g *watch.Gone, b []byte) {
	millis := func(at int) time.Duration {
		return time.Duration(binary.NativeEndian.Uint32(b[at:])) * time.Millisecond
	}
	g.Retransmits = int(b[offsetRetransmits])
	g.Unacked = int(binary.NativeEndian.Uint32(b[offsetUnacked:]))
	g.Sent, g.Received = millis(offsetSent), millis(offsetReceived)
	g.RoundTrip = time.Duration(binary.NativeEndian.Uint32(b[offsetRoundTrip:])) * time.Microsecond
	g.Bytes = [2]uint64{binary.NativeEndian.Uint64(b[offsetBytesAcked:]), binary.NativeEndian.Uint64(b[offsetReceivedSum:])}
	if len(b) >= offsetBytesRetrans+8 {
		g.Written = binary.NativeEndian.Uint64(b[offsetBytesSent:]) - binary.NativeEndian.Uint64(b[offsetBytesRetrans:])
	}
}
