package applog

import (
	"strings"
	"time"

	"github.com/kabench/kabench/internal/evidence"
)

// clock turns the times of lines into times since the first one.
type clock struct {
	begin    time.Time
	last     time.Duration // the latest time so far
	previous time.Time     // of the line before
	day      time.Duration // days that have passed, where the times have no date
	timed    bool
	dated    bool
	zoned    bool
	digits   int // the most digits of a fraction
	jumps    int
}

// resolution is how far a time may be from the truth.
func (c *clock) resolution() time.Duration {
	d := time.Second
	for range min(c.digits, 6) {
		d /= 10
	}
	return d
}

// backwards is how far times may go back without a word: threads write in any order.
const backwards = time.Second

// stampOf finds the time of a line: its own, or that of its envelope.
func (c *clock) stampOf(e envelope) stamp {
	s, ok := stampIn(e.parts[0])
	if !ok || e.stamp.dated && !s.dated {
		return e.stamp
	}
	return s
}

// of returns the time of a line since the first one, or evidence.NotSeen. The clock does
// not move before take: only lines that say something count.
func (c *clock) of(s stamp) time.Duration {
	switch {
	case !s.ok, c.timed && s.dated != c.dated: // none, or another program's
		return evidence.NotSeen
	case !c.timed:
		return 0
	}
	at := s.at.Sub(c.begin) + c.day
	if c.newDay(s) {
		at += 24 * time.Hour
	}
	if at >= farthest {
		return evidence.NotSeen
	}
	return max(at, 0)
}

// newDay reports whether a time without a date is so much earlier than the one before
// that a day has passed.
func (c *clock) newDay(s stamp) bool { return !s.dated && c.previous.Sub(s.at) > 12*time.Hour }

// take moves the clock to the time of a line.
func (c *clock) take(s stamp, at time.Duration) {
	if at == evidence.NotSeen {
		return
	}
	if !c.timed {
		c.timed, c.begin, c.previous, c.dated, c.zoned = true, s.at, s.at, s.dated, s.zoned
	}
	c.digits = max(c.digits, s.digits)
	switch back := c.previous.Sub(s.at); {
	case c.newDay(s):
		c.day += 24 * time.Hour
	case back > backwards:
		c.jumps++
	}
	c.previous, c.last = s.at, max(c.last, at)
}

// farthest is the longest log that is believed: ten years.
const farthest = 10 * 366 * 24 * time.Hour

// stamp is a time in a line.
type stamp struct {
	at           time.Time
	ok           bool
	dated, zoned bool
	digits       int // of the fraction
}

// stampWithin is how far from the beginning of a line its time is looked for.
const stampWithin = 120

// stampIn finds the first time of day in a line, with the date before it and the zone
// behind it.
func stampIn(text string) (s stamp, ok bool) {
	head := text[:min(len(text), stampWithin)]
	for i := 0; i+8 <= len(head); i++ {
		if head[i+2] != ':' || head[i+5] != ':' || i > 0 && digit(head[i-1]) {
			continue
		}
		h, m, sec := two(head[i:]), two(head[i+3:]), two(head[i+6:])
		if h < 0 || h > 23 || m < 0 || m > 59 || sec < 0 || sec > 60 {
			continue
		}
		year, month, day, dated := dateBefore(head[:i])
		nanos, digits, rest := fraction(head[i+8:])
		if strings.HasPrefix(rest, " GMT") {
			continue // the Date header of a response
		}
		zone, zoned := zoneIn(rest)
		if !dated {
			year, month, day = 1970, time.January, 1
		}
		return stamp{time.Date(year, month, day, h, m, sec, nanos, zone), true, dated, zoned, digits}, true
	}
	return s, false
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// number reads n digits; -1: there are others.
func digits(s string, n int) int {
	if len(s) < n {
		return -1
	}
	v := 0
	for i := range n {
		if !digit(s[i]) {
			return -1
		}
		v = v*10 + int(s[i]-'0')
	}
	return v
}

func two(s string) int { return digits(s, 2) }

// fraction reads the part of a second behind a point or a comma.
func fraction(s string) (nanos, count int, rest string) {
	if len(s) < 2 || s[0] != '.' && s[0] != ',' || !digit(s[1]) {
		return 0, 0, s
	}
	i, scale := 1, 100_000_000
	for ; i < len(s) && digit(s[i]); i++ {
		nanos += int(s[i]-'0') * scale
		scale /= 10
	}
	return nanos, i - 1, s[i:]
}

// zoneIn reads Z, +09:00, +0900 and the same after a blank.
func zoneIn(s string) (*time.Location, bool) {
	s = strings.TrimPrefix(s, " ")
	if strings.HasPrefix(s, "Z") || strings.HasPrefix(s, "UTC") {
		return time.UTC, true
	}
	if len(s) < 5 || s[0] != '+' && s[0] != '-' {
		return time.UTC, false
	}
	h, m := two(s[1:]), two(strings.TrimPrefix(s[3:], ":"))
	if h < 0 || h > 15 || m < 0 || m > 59 {
		return time.UTC, false
	}
	east := (h*60 + m) * 60
	if s[0] == '-' {
		east = -east
	}
	return time.FixedZone("", east), true
}

var months = []string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}

func monthOf(s string) time.Month {
	for i, m := range months {
		if strings.HasPrefix(s, m) {
			return time.Month(i + 1)
		}
	}
	return 0
}

// dateBefore reads the date that ends where a time of day begins: 2024-04-28T,
// 2024/04/28 , 28/Apr/2024:, Apr 28 (whose year is not known).
func dateBefore(s string) (year int, month time.Month, day int, ok bool) {
	if len(s) < 7 {
		return 0, 0, 0, false
	}
	s = s[:len(s)-1]
	if n := len(s); n >= 11 {
		if d := s[n-11:]; d[2] == '/' && d[6] == '/' {
			year, month, day = digits(d[7:], 4), monthOf(d[3:]), two(d)
		}
	}
	if n := len(s); month == 0 && n >= 10 {
		if d := s[n-10:]; (d[4] == '-' || d[4] == '/') && d[7] == d[4] {
			year, month, day = digits(d, 4), time.Month(max(two(d[5:]), 0)), two(d[8:])
		}
	}
	if month < 1 || month > 12 || day < 1 || day > 31 || year < 1970 || year > 2200 {
		return 0, 0, 0, false
	}
	return year, month, day, true
}
