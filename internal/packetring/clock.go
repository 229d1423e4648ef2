package packetring

import (
	"slices"
	"time"
)

// Clock converts the kernel's stamps, which are on the wall clock, to the monotonic one.
type Clock struct {
	now   func() time.Time
	Base  time.Time     // with a monotonic reading: the beginning of all offsets
	shift time.Duration // by how much the wall clock has been stepped since base
	old   time.Duration // shift before the last step
	from  time.Duration // when Read was called last, and the time before
	to    time.Duration
	Steps int // of the wall clock

	offsetOf func(now time.Time) (mono, shift time.Duration) // since base; tests replace it
}

// stepped is how far the wall clock must have moved for a step. The two clocks are read
// one after the other, and a thread may be stopped in between.
const stepped = 20 * time.Microsecond

// NewClock returns a clock whose offsets begin now.
func NewClock(now func() time.Time) *Clock {
	c := &Clock{now: now, Base: now()}
	c.offsetOf = c.offset
	c.shift = c.measure()
	c.old = c.shift
	return c
}

// measure returns how far the wall clock has moved against the monotonic one since Base:
// the median of some readings, because each may be off.
func (c *Clock) measure() time.Duration {
	var all [5]time.Duration
	for i := range all {
		_, all[i] = c.offsetOf(c.now())
	}
	slices.Sort(all[:])
	return all[len(all)/2]
}

func (c *Clock) offset(now time.Time) (mono, shift time.Duration) {
	mono = now.Sub(c.Base)
	return mono, time.Duration(now.UnixNano()-c.Base.UnixNano()) - mono
}

// Now returns the last reading of the clocks, as an offset from Base.
func (c *Clock) Now() time.Duration { return c.to }

// Read looks at the clocks. It is called before the packets that have come since are
// converted.
func (c *Clock) Read() {
	mono, shift := c.offsetOf(c.now())
	if d := shift - c.shift; d > stepped || d < -stepped {
		if shift := c.measure(); shift-c.shift > stepped || shift-c.shift < -stepped {
			c.old, c.shift = c.shift, shift
			c.Steps++
		}
	}
	c.from, c.to = c.to, mono
}

// Since returns the time of a packet as an offset from Base. A packet from before a step
// that was noticed after it is recognised: by the new clock it would have come before the
// last reading, or not yet.
func (c *Clock) Since(wall int64) time.Duration {
	const room = time.Millisecond
	at := time.Duration(wall-c.Base.UnixNano()) - c.shift
	if at < c.from-room || at > c.to+room {
		if before := at + c.shift - c.old; before >= c.from-room && before <= c.to+room {
			return before
		}
	}
	return at
}
