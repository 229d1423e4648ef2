package record

import (
	"bytes"
	"math"
	"time"

	"github.com/kabench/kabench/results"
)

// plain reads a line of the record with the usual fields, in the order in which
// appendLine writes them. Nearly all lines are like this. plain takes a tenth of the
// time of a decoder for any JSON.
type plain struct {
	text []byte
	ok   bool // so far
}

// readPlain sets e to the exchange in text, and reports whether it could. It cannot
// if the line has another order or form, or a number out of range. Then e is partly
// filled, and readAny must read the line.
func readPlain(text []byte, e *results.Exchange) bool {
	p := plain{text, true}
	p.want(`{"seq":`)
	e.Reset(p.unsigned(), 0)
	p.want(`,"due":`)
	e.Due = p.micros()
	if !p.ok || !p.stamps(e) {
		return false
	}
	if p.has(`,"buffered":`) {
		e.Buffered = p.micros()
	}
	if p.has(`,"idle":`) {
		e.Idle = p.micros()
	}
	if p.has(`,"conn":`) {
		e.Conn = p.unsigned()
	}
	if p.has(`,"born":`) {
		e.Age = max(leasedOrDue(e)-p.signedMicros(), 0)
	}
	e.Use = p.count(`,"use":`)
	e.Target = p.count(`,"target":`)
	e.WarmUp = p.has(`,"warm_up":true`)
	p.want(`,"phase":"`)
	if name := p.until('"'); string(name) == results.PhaseDone.String() {
		e.Phase = results.PhaseDone
	} else if !p.ok || e.Phase.UnmarshalText(name) != nil {
		return false
	}
	if p.has(`,"cause":"`) {
		if name := p.until('"'); !p.ok || e.Cause.UnmarshalText(name) != nil {
			return false
		}
	}
	e.Status = p.count(`,"status":`)
	e.BytesOut = p.size(`,"out":`)
	e.BytesIn = p.size(`,"in":`)
	e.Attempts = 1
	if text := p.text; p.has(`,"attempts":`) {
		p.text = text
		e.Attempts = p.count(`,"attempts":`)
	}
	if p.has(`,"error":"`) {
		e.Err = p.error()
	}
	p.want(`}`)
	return p.ok && len(p.text) == 0
}

// has reports whether the rest of the line begins with s, and moves past s if it does.
func (p *plain) has(s string) bool {
	if len(p.text) < len(s) || string(p.text[:len(s)]) != s {
		return false
	}
	p.text = p.text[len(s):]
	return true
}

func (p *plain) want(s string) { p.ok = p.has(s) && p.ok }

// until returns the text before the next end, and moves past end. The text must not
// contain escapes.
func (p *plain) until(end byte) []byte {
	i := bytes.IndexByte(p.text, end)
	if i < 0 || bytes.IndexByte(p.text[:i], '\\') >= 0 {
		p.ok = false
		return nil
	}
	s := p.text[:i]
	p.text = p.text[i+1:]
	return s
}

// maxPlainDigits is the most digits of a number, so that no number overflows.
const maxPlainDigits = 18

// unsigned reads the next number.
func (p *plain) unsigned() uint64 {
	v, i := uint64(0), 0
	for i < len(p.text) && p.text[i]-'0' <= 9 {
		v = v*10 + uint64(p.text[i]-'0')
		i++
		if i > maxPlainDigits {
			p.ok = false
			return 0
		}
	}
	if i == 0 || i > 1 && p.text[0] == '0' {
		p.ok = false
		return 0
	}
	p.text = p.text[i:]
	return v
}

func (p *plain) signed() int64 {
	if p.has("-") {
		return -int64(p.unsigned())
	}
	return int64(p.unsigned())
}

// micros reads the next time, which is at most maxMicros.
func (p *plain) micros() time.Duration { return p.within(int64(p.unsigned())) }

func (p *plain) signedMicros() time.Duration { return p.within(p.signed()) }

func (p *plain) within(us int64) time.Duration {
	if us < -maxMicros || us > maxMicros {
		p.ok = false
		return 0
	}
	return time.Duration(us) * time.Microsecond
}

// count reads key and the number after it; it is 0 if key does not come next.
func (p *plain) count(key string) int {
	n := p.size(key)
	p.ok = p.ok && n <= math.MaxInt32
	return int(n)
}

// size is count for a number that may be larger than an int32.
func (p *plain) size(key string) int64 {
	if !p.has(key) {
		return 0
	}
	return int64(p.unsigned())
}

// stamps reads the lists of stamps, if there are any.
func (p *plain) stamps(e *results.Exchange) bool {
	const undialed = numStamps - (dialTo - dialFrom)
	var steps, dial struct {
		at  [undialed]int64
		set [undialed]bool
	}
	read := func(at []int64, set []bool) {
		for i := range at {
			if i > 0 {
				p.want(",")
			}
			if !p.has("null") {
				at[i], set[i] = p.signed(), true
			}
		}
		p.want("]")
	}
	if p.has(`,"stamps":[`) {
		read(steps.at[:], steps.set[:])
	}
	if p.has(`,"dial":[`) {
		read(dial.at[:dialTo-dialFrom], dial.set[:dialTo-dialFrom])
	}
	last := int64(0)
	for i, stamp := range stampsOf(e) {
		step, set := int64(0), false
		switch {
		case i >= dialTo:
			step, set = steps.at[i-(dialTo-dialFrom)], steps.set[i-(dialTo-dialFrom)]
		case i >= dialFrom:
			step, set = dial.at[i-dialFrom], dial.set[i-dialFrom]
		default:
			step, set = steps.at[i], steps.set[i]
		}
		if !set {
			continue // stays Never
		}
		if step < -maxMicros || step > maxMicros || last+step < 0 || last+step > maxMicros {
			return false
		}
		last += step
		*stamp = e.Due + time.Duration(last)*time.Microsecond
	}
	return p.ok
}

// error reads the next text. It accepts ASCII characters, escaped quotes and escaped
// backslashes.
func (p *plain) error() error {
	var text []byte
	for i := 0; i < len(p.text); i++ {
		switch c := p.text[i]; {
		case c == '"' && i > 0:
			p.text = p.text[i+1:]
			return recordedError(text)
		case c == '\\' && i+1 < len(p.text) && (p.text[i+1] == '"' || p.text[i+1] == '\\'):
			i++
			text = append(text, p.text[i])
		case c < 0x20 || c >= 0x7f || c == '\\' || c == '"':
			p.ok = false
			return nil
		default:
			text = append(text, c)
		}
	}
	p.ok = false
	return nil
}
