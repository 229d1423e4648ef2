package segments

import (
	"slices"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

const (
	maxHeld = 32 // segments of one direction that wait for an earlier one
	// settleAfter is how long after the receiver's ACK a segment can still be observed:
	// two cores may hand over packets in the wrong order.
	settleAfter = 5 * time.Millisecond
)

// mark is an event at a position of one direction.
type mark struct {
	seen   bool
	order  int // of the segment in the connection
	at     time.Duration
	seq    uint32 // the number after the event
	ack    uint32 // the number that its segment acknowledged
	acks   bool   // it acknowledged one
	number int64
	guess  bool // it follows from other segments, or from a length
}

// piece is a part of one direction's bytes.
type piece struct {
	seq     uint32
	length  int
	payload []byte // its captured beginning
	order   int
	at      time.Duration
	ack     uint32
	acks    bool
	number  int64
	begin   bool // it is the beginning of a segment
}

// flow is one direction of a connection.
type flow struct {
	known    bool   // next is
	guessed  bool   // next may be one too low: it is that of a segment without data, or of an ACK
	syn      bool   // its SYN was seen
	isn      uint32 // of that SYN
	next     uint32 // the number of the next byte in order
	ack      uint32 // the highest number that this side acknowledged
	acks     bool   // ack is known
	fin      mark
	ttl      uint8
	id       uint16
	hasID    bool
	held     []piece
	gapOrder int           // of the segment with that ACK
	gap      time.Duration // since when the peer's ACK covers bytes that were not observed, or NotSeen
	missing  int
	resent   int
	tries    int           // segments sent again since the peer sent one
	since    time.Duration // when the oldest bytes without an ACK were sent
}

// take sorts a segment's data into the flow and returns the piece that is in order, if
// there is one.
func (f *flow) take(p piece) (piece, bool) {
	switch {
	case !f.known:
		f.known, f.guessed, f.next = true, p.length == 0, p.seq
	case f.guessed && p.length > 0:
		f.guessed = false
		if p.seq == f.next+1 {
			f.next = p.seq // the segment before was a keep-alive probe
		}
	}
	end := p.seq + uint32(p.length)
	switch {
	case p.length == 0:
		return piece{}, false
	case !after(end, f.next):
		if p.length > 1 || end != f.next { // one old byte is a keep-alive probe
			f.resent++
			f.tries++
		}
		return piece{}, false
	case after(p.seq, f.next):
		f.hold(p)
		return piece{}, false
	}
	return f.trim(p), true
}

// trim returns the part of p that is new, and counts it as seen.
func (f *flow) trim(p piece) piece {
	if old := int(f.next - p.seq); old > 0 {
		p.payload = p.payload[min(old, len(p.payload)):]
		p.length -= old
		p.begin = false
	}
	p.seq = f.next
	f.next += uint32(p.length)
	return p
}

// hold keeps a piece that came too early.
func (f *flow) hold(p piece) {
	i, found := slices.BinarySearchFunc(f.held, p, func(a, b piece) int { return int(int32(a.seq - b.seq)) })
	if found && f.held[i].length >= p.length {
		f.resent++
		f.tries++
		return
	}
	p.payload = slices.Clone(p.payload)
	f.held = slices.Insert(f.held, i, p)
}

// release returns the first held piece if it is in order now.
func (f *flow) release() (piece, bool) {
	for len(f.held) > 0 && !after(f.held[0].seq, f.next) {
		p := f.held[0]
		f.held = slices.Delete(f.held, 0, 1)
		if after(p.seq+uint32(p.length), f.next) {
			return f.trim(p), true
		}
	}
	return piece{}, false
}

// acked takes an ACK of the peer. An ACK of bytes that were not observed says that
// they were sent anyway.
func (f *flow) acked(ack uint32, at time.Duration, order int) {
	if !f.known {
		f.known, f.guessed, f.next = true, true, ack
		return
	}
	if f.gap == evidence.NotSeen && after(ack, f.end()) {
		f.gap, f.gapOrder = at, order
	}
}

// end is the number after the last byte in order, the FIN included.
func (f *flow) end() uint32 {
	if f.fin.seen && f.fin.seq == f.next+1 {
		return f.next + 1
	}
	return f.next
}

// lost returns how many bytes at next will not be observed any more: the peer has
// acknowledged them, or (force) nothing can come that would fill the gap.
func (f *flow) lost(ack uint32, acks, force bool) int {
	to := f.next
	if acks && after(ack, f.end()) {
		to = ack
		if f.fin.seen && !after(f.fin.seq, to) {
			to = f.fin.seq - 1 // the FIN is no byte
		}
	}
	if last := f.fin.seq - 1; force && f.fin.seen && !f.fin.guess && after(last, to) {
		to = last
	}
	if len(f.held) > 0 {
		first := f.held[0].seq
		if after(to, first) || to == f.next && (force || len(f.held) >= maxHeld) {
			to = first
		}
	}
	if !after(to, f.next) {
		return 0
	}
	return int(to - f.next)
}
