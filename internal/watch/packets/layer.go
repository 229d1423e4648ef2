package packets

import (
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/kabench/kabench/internal/capture"
	"github.com/kabench/kabench/internal/evidence/segments"
	"github.com/kabench/kabench/internal/packetring"
	"github.com/kabench/kabench/internal/watch"
)

// Want is what to watch.
type Want struct {
	watch.Ends

	// Namespace is the file of the network namespace, such as /proc/PID/ns/net; "": that of
	// the calling thread.
	Namespace string

	// Lean leaves out segments that only acknowledge. Bytes that were sent again may then
	// look as if nobody had acknowledged them.
	Lean bool
}

// says is what the layer sees, for people.
const says = "the headers of TCP segments: SYN, FIN, RST, and when data passed in which direction"

// Layer takes the packets. Its methods may not be called concurrently.
type Layer struct {
	sees    watch.Sees
	ring    *packetring.Ring
	clock   *packetring.Clock
	shift   time.Duration // of the clock's offsets, from the start of the watch
	count   int64
	segment segments.Segment
}

// Open begins to take packets. start is the beginning of the watch: times of segments are since
// then. It never fails: if this process may not, the layer is off and Sees says why.
func Open(want Want, start time.Time) *Layer {
	l := &Layer{clock: packetring.NewClock(time.Now), sees: watch.Sees{Layer: watch.Packets, Says: "nothing"}}
	l.shift = l.clock.Base.Sub(start)
	what := packetring.Headers
	if want.Lean {
		what = packetring.Lean
	}
	err := within(want.Namespace, func() (err error) {
		l.ring, err = packetring.Open(slices.Concat(want.Listens, want.Targets), what)
		return err
	})
	switch {
	case err == nil:
		l.sees.On, l.sees.Says = true, says
	case errors.Is(err, packetring.ErrNotAllowed):
		l.sees.Lacks = "CAP_NET_RAW in the network namespace of the service, on Linux"
	default:
		l.sees.Lacks = err.Error()
	}
	return l
}

// Take calls do with each segment that has come since the last call, in the order in which the
// kernel saw them. The segment is valid until do returns. The ring holds 65,536 packets.
func (l *Layer) Take(do func(*segments.Segment)) {
	if l.ring == nil {
		return
	}
	l.clock.Read()
	l.ring.Drain(func(data []byte, size int, wall int64) {
		s := &l.segment
		if !capture.IP(data, size, s) {
			return
		}
		l.count++
		s.At, s.Number, s.Payload = l.clock.Since(wall)+l.shift, l.count, nil
		s.Src, s.Dst = unmapped(s.Src), unmapped(s.Dst)
		do(s)
	})
	l.sees.Lost = l.ring.Noticed()
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// Seen returns how many segments were taken.
func (l *Layer) Seen() int64 { return l.count }

// Sees says what the layer sees, and counts the packets for which there was no room.
func (l *Layer) Sees() watch.Sees {
	if l.ring != nil {
		l.sees.Lost = l.ring.Lost()
	}
	return l.sees
}

// Close stops taking packets. Sees still says what was lost.
func (l *Layer) Close() error {
	if l.ring != nil {
		l.Sees()
		l.ring.Close()
		l.ring = nil
	}
	return nil
}
