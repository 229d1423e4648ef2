package witness

import (
	"slices"
	"time"
)

// clock converts the kernel's stamps, which are on the wall clock, to the monotonic one.
type clock struct {
	now   func() time.Time
	base  time.Time     // with a monotonic reading: the beginning of all offsets
	shift time.Duration // by how much the wall clock has been stepped since base
	old   time.Duration // shift before the last step
	from  time.Duration // when read was called last, and the time before
	to    time.Duration
	Steps int // of the wall clock

	offsetOf func(now time.Time) (mono, shift time.Duration) // since base; tests replace it
}

// stepped is how far the wall clock must have moved for a step. The two clocks are read
// one after the other, and a thread may be stopped in between.
const stepped = 20 * time.Microsecond

func newClock(now func() time.Time) *clock {
	c := &clock{now: now, base: now()}
	c.offsetOf = c.offset
	c.shift = c.measure()
	c.old = c.shift
	return c
}

// measure returns how far the wall clock has moved against the monotonic one since base:
// the median of some readings, because each may be off.
func (c *clock) measure() time.Duration {
	var all [5]time.Duration
	for i := range all {
		_, all[i] = c.offsetOf(c.now())
	}
	slices.Sort(all[:])
	return all[len(all)/2]
}

func (c *clock) offset(now time.Time) (mono, shift time.Duration) {
	mono = now.Sub(c.base)
	return mono, time.Duration(now.UnixNano()-c.base.UnixNano()) - mono
}

// read looks at the clocks. It is called before the packets that have come since are
// converted.
func (c *clock) read() {
	mono, shift := c.offsetOf(c.now())
	if d := shift - c.shift; d > stepped || d < -stepped {
		if shift := c.measure(); shift-c.shift > stepped || shift-c.shift < -stepped {
			c.old, c.shift = c.shift, shift
			c.Steps++
		}
	}
	c.from, c.to = c.to, mono
}

// since returns the time of a packet as an offset from base. A packet from before a step
// that was noticed after it is recognised: by the new clock it would have come before the
// last reading, or not yet.
func (c *clock) since(wall int64) time.Duration {
	const room = time.Millisecond
	at := time.Duration(wall-c.base.UnixNano()) - c.shift
	if at < c.from-room || at > c.to+room {
		if before := at + c.shift - c.old; before >= c.from-room && before <= c.to+room {
			return before
		}
	}
	return at
}
