package trace

import (
	"bytes"
	"strconv"
	"time"
)

// clock turns stamps into nanoseconds since 1970. Most stamps share their minute with the one
// before, so it remembers that.
type clock struct {
	zone *time.Location // of stamps without one

	minute    [40]byte // the text up to the minute
	known     int      // its length; 0: none
	suffix    [8]byte  // the zone's text
	zoneKnown int
	base      int64         // the minute's beginning
	twice     time.Duration // after which the same minute comes again, as clocks go back; 0: it does not
	again     bool          // it is the second time
	last      int64         // the latest stamp so far
	offset    int           // of the first stamp's zone, in seconds
	begun     bool
}

// stamp is a moment.
type stamp struct {
	at     int64 // ns since 1970
	digits int   // of the fraction of the second
}

var months = [12]string{"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// number reads n digits; -1: there are others.
func number(b []byte, n int) int {
	if len(b) < n {
		return -1
	}
	v := 0
	for _, c := range b[:n] {
		if !digit(c) {
			return -1
		}
		v = v*10 + int(c-'0')
	}
	return v
}

// read reads a stamp of any form: 28/Nov/2026:10:00:00 +0000, 2026-11-28T10:00:00.123Z, or
// seconds since 1970 with a fraction.
func (c *clock) read(b []byte) (stamp, bool) {
	switch {
	case len(b) > 11 && b[2] == '/':
		return c.dated(b, 17)
	case len(b) > 15 && (b[4] == '-' || b[4] == '/'):
		return c.dated(b, 16)
	}
	return epoch(b)
}

// dated reads a stamp whose minute ends at that place: :SS, a fraction and a zone follow.
func (c *clock) dated(b []byte, minute int) (s stamp, ok bool) {
	if len(b) < minute+3 || b[minute] != ':' {
		return s, false
	}
	sec := number(b[minute+1:], 2)
	if sec < 0 || sec > 60 {
		return s, false
	}
	rest := b[minute+3:]
	nanos := int64(0)
	if len(rest) > 1 && (rest[0] == '.' || rest[0] == ',') && digit(rest[1]) {
		i, scale := 1, int64(100_000_000)
		for ; i < len(rest) && digit(rest[i]); i++ {
			nanos += int64(rest[i]-'0') * scale
			scale /= 10
		}
		s.digits, rest = min(i-1, 9), rest[i:]
	}
	if len(rest) > len(c.suffix) {
		return s, false
	}
	if c.known != minute || c.zoneKnown != len(rest) || !bytes.Equal(c.minute[:c.known], b[:minute]) || !bytes.Equal(c.suffix[:c.zoneKnown], rest) {
		if !c.turn(b[:minute], rest) {
			return s, false
		}
	}
	s.at = c.base + int64(sec)*int64(time.Second) + nanos
	if c.again = c.twice > 0 && (c.again || s.at < c.last-int64(window)); c.again {
		s.at += int64(c.twice)
	}
	c.last = max(c.last, s.at)
	return s, true
}

// turn reads another minute, as 28/Nov/2026:10:00 or 2026-11-28T10:00, and its zone.
func (c *clock) turn(b, zone []byte) bool {
	var year, month, day int
	if len(b) == 17 {
		year, day = number(b[7:], 4), number(b, 2)
		for i, name := range months {
			if string(b[3:6]) == name {
				month = i + 1
			}
		}
		if b[6] != '/' || b[11] != ':' {
			return false
		}
	} else {
		year, month, day = number(b, 4), number(b[5:], 2), number(b[8:], 2)
		if b[7] != b[4] || b[10] != 'T' && b[10] != ' ' && b[10] != 't' {
			return false
		}
	}
	hour, min := number(b[len(b)-5:], 2), number(b[len(b)-2:], 2)
	if b[len(b)-3] != ':' || year < 1970 || year > 2200 || month < 1 || month > 12 || day < 1 || day > 31 || hour < 0 || hour > 23 || min < 0 || min > 59 {
		return false
	}
	in, own := zoneIn(zone)
	if !own {
		return false
	}
	if in == nil {
		in = c.zone
	}
	at := time.Date(year, time.Month(month), day, hour, min, 0, 0, in)
	if at.Day() != day {
		return false // 31 November
	}
	c.base, c.twice = at.UnixNano(), 0
	if in == c.zone && in != time.UTC {
		for _, d := range []time.Duration{30 * time.Minute, time.Hour} {
			for _, first := range []time.Time{at.Add(-d), at} { // which of the two Date gives is not said
				if a, b := first, first.Add(d); a.Hour() == hour && a.Minute() == min && b.Hour() == hour && b.Minute() == min {
					c.base, c.twice = a.UnixNano(), d
				}
			}
		}
	}
	if !c.begun {
		_, c.offset = at.Zone()
		c.begun = true
	}
	c.known, c.zoneKnown = copy(c.minute[:], b), copy(c.suffix[:], zone)
	return true
}

// zoneIn reads Z, +09:00, " +0900"; nil: there is none. It is false for anything else.
func zoneIn(b []byte) (*time.Location, bool) {
	b = bytes.TrimPrefix(b, []byte(" "))
	switch {
	case len(b) == 0:
		return nil, true
	case len(b) == 1 && (b[0] == 'Z' || b[0] == 'z'), string(b) == "UTC":
		return time.UTC, true
	case b[0] != '+' && b[0] != '-' || len(b) < 3:
		return nil, false
	}
	h, rest := number(b[1:], 2), bytes.TrimPrefix(b[3:], []byte(":"))
	m := 0
	if len(rest) > 0 {
		m = number(rest, 2)
	}
	if h < 0 || h > 15 || m < 0 || m > 59 || len(rest) > 2 {
		return nil, false
	}
	east := (h*60 + m) * 60
	if b[0] == '-' {
		east = -east
	}
	return time.FixedZone("", east), true
}

// epoch reads a number of seconds, milliseconds, microseconds or nanoseconds since 1970: the
// unit follows from its size. Each has the dates from 1973 to 2200.
func epoch(b []byte) (s stamp, ok bool) {
	i := 0
	for i < len(b) && digit(b[i]) {
		i++
	}
	if i < 9 || i > 19 {
		return s, false
	}
	whole := int64(0)
	for _, d := range b[:i] {
		if whole = whole*10 + int64(d-'0'); whole < 0 {
			return s, false // 19 digits may be too many
		}
	}
	unit, digits := int64(time.Second), 0
	switch {
	case i >= 18:
		unit, digits = 1, 9
	case i >= 15:
		unit, digits = int64(time.Microsecond), 6
	case i >= 12:
		unit, digits = int64(time.Millisecond), 3
	}
	if whole > (1<<63-1)/unit {
		return s, false
	}
	s.at, s.digits = whole*unit, digits
	if i == len(b) {
		return s, true
	}
	if b[i] != '.' || i+1 == len(b) {
		return s, false
	}
	scale := unit / 10
	for _, d := range b[i+1:] {
		if !digit(d) {
			return s, false
		}
		s.at += int64(d-'0') * scale
		scale /= 10
		s.digits = min(s.digits+1, 9)
	}
	return s, true
}

// seconds reads a duration in seconds with a fraction.
func seconds(b []byte) (time.Duration, bool) {
	if s, exact := since(b); exact {
		return time.Duration(s.at), true
	}
	v, err := strconv.ParseFloat(string(b), 64)
	if err != nil || !(v >= 0 && v < 1e9) {
		return 0, false
	}
	return time.Duration(v * float64(time.Second)), true
}
