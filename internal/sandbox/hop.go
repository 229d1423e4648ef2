package sandbox

import (
	"math"
	"math/rand/v2"

	"github.com/kabench/kabench/profiles/network"
)

// never is a time that does not come.
const never = math.MaxInt64

// frame is a packet in flight.
type frame struct {
	buf []byte // as long as the MTU
	n   int    // bytes of the packet
	h   header
	id  uint64 // in the record
	due int64  // when it leaves its hop
}

func (f *frame) bytes() []byte { return f.buf[:f.n] }

// frame returns an empty frame, or nil when too many packets are in flight.
func (c *core) frame() *frame {
	if n := len(c.free); n > 0 {
		f := c.free[n-1]
		c.free = c.free[:n-1]
		return f
	}
	if c.made == maxFrames {
		return nil
	}
	c.made++
	return &frame{buf: make([]byte, c.cfg.MTU)}
}

// overflow records the packet in f as dropped, because no further frame could be
// made. The caller keeps f.
func (c *core) overflow(f *frame, from int, now int64) {
	c.rec.setFate(c.rec.enter(f.bytes(), from, 0, nil, now), FateQueueFull, 0, now)
}

func (c *core) release(f *frame) { c.free = append(c.free, f) }

// drop records why f goes no further.
func (c *core) drop(f *frame, fate Fate, by uint16, now int64) {
	c.rec.setFate(f.id, fate, by, now)
	c.release(f)
}

// hop is one direction of a link: a queue in which packets keep their order.
type hop struct {
	link     *link
	from, to int // nodes
	delay    int64
	jitter   int64
	loss     float64
	perByte  float64 // ns per byte; 0: unlimited bandwidth
	room     int64   // ns that a packet may wait in the queue
	random   *rand.Rand

	busy   int64 // until when earlier packets use the bandwidth
	last   int64 // when the last packet leaves
	ring   []*frame
	head   int // index of the first in ring
	length int
}

// link is a network.Link at work.
type link struct {
	by    uint16
	ends  [2]int
	rules []*rule
	flows *flowTable // nil: the link remembers no flows
	cfg   network.Flows
	hops  [2]*hop // there, back
}

func newHop(l *link, from, to int, c network.Conditions, mtu int, random *rand.Rand) *hop {
	h := &hop{link: l, from: from, to: to, delay: int64(c.Delay), jitter: int64(c.Jitter), loss: c.Loss, random: random}
	if c.Bandwidth > 0 {
		h.perByte = 8e9 / float64(c.Bandwidth)
		h.room = int64(100e6)
		if c.Queue > 0 {
			h.room = int64(float64(c.Queue) * h.perByte)
		} else {
			h.room = max(h.room, int64(10*float64(mtu)*h.perByte))
		}
	}
	return h
}

// accept decides when f leaves and puts it into the queue; false: the queue is full.
func (h *hop) accept(f *frame, now int64) bool {
	start := now
	if h.perByte > 0 {
		start = max(now, h.busy)
		if start-now > h.room {
			return false
		}
		start += int64(float64(f.n) * h.perByte)
		h.busy = start
	}
	due := start + h.delay
	if h.jitter > 0 {
		due += h.random.Int64N(h.jitter + 1)
	}
	f.due = max(due, h.last)
	h.last = f.due
	if h.length == len(h.ring) {
		h.grow()
	}
	h.ring[(h.head+h.length)&(len(h.ring)-1)] = f
	h.length++
	return true
}

func (h *hop) grow() {
	ring := make([]*frame, max(64, 2*len(h.ring))) // a power of two
	for i := range h.length {
		ring[i] = h.ring[(h.head+i)&(len(h.ring)-1)]
	}
	h.ring, h.head = ring, 0
}

// due returns when the first packet leaves.
func (h *hop) due() int64 {
	if h.length == 0 {
		return never
	}
	return h.ring[h.head].due
}

func (h *hop) pop() *frame {
	f := h.ring[h.head]
	h.ring[h.head] = nil
	h.head = (h.head + 1) & (len(h.ring) - 1)
	h.length--
	return f
}

// reverse returns the other direction of the same link.
func (h *hop) reverse() *hop {
	if h.link.hops[0] == h {
		return h.link.hops[1]
	}
	return h.link.hops[0]
}

// expire forgets flows that have been idle for too long, and sends RSTs if the link's
// network.Flows say so.
func (l *link) expire(c *core, now int64) {
	for l.flows != nil {
		f, ok := l.flows.expired(now)
		if !ok {
			return
		}
		if l.cfg.AtExpiry == network.ExpiryRST {
			l.resetEnds(c, &f, now)
		}
	}
}

// resetEnds sends a RST to both ends of a forgotten flow, in the name of the peer.
func (l *link) resetEnds(c *core, f *flow, now int64) {
	if f.closing {
		return // both ends are closing it
	}
	there, back := l.hops[0], l.hops[1] // there leads to side 1 of the key, back to side 0
	if int(f.from) != l.ends[0] {
		there, back = back, there
	}
	k := &f.key
	if f.heard[0] {
		c.inject(there, reset{src: k.addr[0], sport: k.port[0], dst: k.addr[1], dport: k.port[1], seq: f.next[0], flags: network.RST}, l.by, now)
	}
	if f.heard[1] {
		c.inject(back, reset{src: k.addr[1], sport: k.port[1], dst: k.addr[0], dport: k.port[0], seq: f.next[1], flags: network.RST}, l.by, now)
	}
}
