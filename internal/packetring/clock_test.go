package packetring

import (
	"testing"
	"time"
)

// fake is a machine's two clocks.
type fake struct {
	mono time.Duration
	wall time.Duration // ahead of mono
}

// A time.Time with a monotonic reading cannot be made, so the difference between the two
// is put into a clock's Base and wall readings by hand.
func (f *fake) clock(begin time.Time) *Clock {
	c := NewClock(func() time.Time { return begin })
	c.offsetOf = func(time.Time) (mono, shift time.Duration) { return f.mono, f.wall }
	return c
}

func TestClock(t *testing.T) {
	begin := time.Now()
	f := &fake{}
	c := f.clock(begin)
	at := func(mono time.Duration, shift time.Duration) int64 { return begin.Add(mono + shift).UnixNano() }
	f.mono = time.Second
	c.Read()
	if got := c.Since(at(900*time.Millisecond, 0)); got != 900*time.Millisecond {
		t.Errorf("without a step: %v", got)
	}
	// The wall clock is set back by an hour, between two packets.
	f.mono, f.wall = 2*time.Second, -time.Hour
	c.Read()
	if got := c.Since(at(1500*time.Millisecond, 0)); got != 1500*time.Millisecond {
		t.Errorf("before the step: %v", got)
	}
	if got := c.Since(at(1600*time.Millisecond, -time.Hour)); got != 1600*time.Millisecond {
		t.Errorf("after the step: %v", got)
	}
	if c.Steps != 1 {
		t.Errorf("%d steps", c.Steps)
	}
	f.mono = 3 * time.Second
	c.Read()
	if got := c.Since(at(2500*time.Millisecond, -time.Hour)); got != 2500*time.Millisecond || c.Steps != 1 {
		t.Errorf("later: %v, %d steps", got, c.Steps)
	}
}
