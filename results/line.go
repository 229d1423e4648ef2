package results

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// A line of the record is one exchange as a flat JSON object, described in
// docs/results.md. Times are integers in µs: due from the start of the run,
// every other stamp from due, so that a reader of one line sees the times it
// cares about. What is absent has its zero value, a stamp Never.

const (
	// maxLine bounds a line of the record when reading, in bytes. What appendLine
	// writes is below 2 KiB, and 200 bytes more for each try.
	maxLine = 256 << 10
	// maxTries is how many tries a line holds. A policy that sends again for as
	// long as reused connections fail can make as many as the pool had idle.
	maxTries = 1000
)

// appendLine appends e and a newline to b. It allocates nothing but the text
// of an error: it runs once per exchange, inside the run it records.
func appendLine(b []byte, e *Exchange) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, e.Seq, 10)
	b = appendInt(b, `,"due":`, micros(e.Due))
	b = appendStamp(b, `,"start":`, e, e.Start)
	b = appendStamp(b, `,"leased":`, e, e.Leased)
	b = appendStamp(b, `,"resolved":`, e, e.Resolved)
	b = appendStamp(b, `,"connected":`, e, e.Connected)
	b = appendStamp(b, `,"secured":`, e, e.Secured)
	b = appendStamp(b, `,"wrote_headers":`, e, e.WroteHeaders)
	b = appendStamp(b, `,"wrote":`, e, e.Wrote)
	b = appendStamp(b, `,"first_byte":`, e, e.FirstByte)
	b = appendStamp(b, `,"got_headers":`, e, e.GotHeaders)
	b = appendStamp(b, `,"done":`, e, e.Done)
	b = appendNonZero(b, `,"buffered":`, micros(e.Buffered))
	if e.Conn != 0 {
		b = append(b, `,"conn":`...)
		b = strconv.AppendUint(b, e.Conn, 10)
	}
	b = appendNonZero(b, `,"use":`, int64(e.Use))
	b = appendNonZero(b, `,"idle":`, micros(e.Idle))
	b = appendNonZero(b, `,"age":`, micros(e.Age))
	b = appendNonZero(b, `,"target":`, int64(e.Target))
	if e.WarmUp {
		b = append(b, `,"warm_up":true`...)
	}
	b = append(b, `,"phase":"`...)
	b = append(b, e.Phase.String()...)
	b = append(b, '"')
	if e.Cause != CauseNone {
		b = append(b, `,"cause":"`...)
		b = append(b, e.Cause.String()...)
		b = append(b, '"')
	}
	b = appendNonZero(b, `,"status":`, int64(e.Status))
	b = appendNonZero(b, `,"out":`, e.BytesOut)
	b = appendNonZero(b, `,"in":`, e.BytesIn)
	if e.Attempts != 1 {
		b = appendInt(b, `,"attempts":`, int64(e.Attempts))
	}
	if len(e.Tries) > 0 {
		b = append(b, `,"tries":`...)
		b = appendTries(b, e)
	}
	if e.Twice {
		b = append(b, `,"twice":true`...)
	}
	if e.Unbounded {
		b = append(b, `,"unbounded":true`...)
	}
	if e.Err != nil {
		b = append(b, `,"error":`...)
		b = appendString(b, errorText(e.Err))
	}
	return append(b, '}', '\n')
}

// appendTries appends the first maxTries tries of e as a JSON list.
func appendTries(b []byte, e *Exchange) []byte {
	b = append(b, '[')
	for i := range min(len(e.Tries), maxTries) {
		t := &e.Tries[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"phase":"`...)
		b = append(b, t.Phase.String()...)
		b = append(b, '"')
		if t.Cause != CauseNone {
			b = append(b, `,"cause":"`...)
			b = append(b, t.Cause.String()...)
			b = append(b, '"')
		}
		b = appendStamp(b, `,"leased":`, e, t.Leased)
		b = appendStamp(b, `,"done":`, e, t.Done)
		if t.Conn != 0 {
			b = append(b, `,"conn":`...)
			b = strconv.AppendUint(b, t.Conn, 10)
		}
		b = appendNonZero(b, `,"use":`, int64(t.Use))
		b = appendNonZero(b, `,"idle":`, micros(t.Idle))
		b = append(b, '}')
	}
	return append(b, ']')
}

func appendInt(b []byte, key string, v int64) []byte {
	return strconv.AppendInt(append(b, key...), v, 10)
}

func appendNonZero(b []byte, key string, v int64) []byte {
	if v == 0 {
		return b
	}
	return appendInt(b, key, v)
}

func appendStamp(b []byte, key string, e *Exchange, stamp time.Duration) []byte {
	if stamp == Never {
		return b
	}
	return appendInt(b, key, micros(max(stamp-e.Due, 0)))
}

const hexDigits = "0123456789abcdef"

// appendString appends valid UTF-8 as a JSON string.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r < 0x20 || r == 0x7f:
			b = append(b, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&15])
		default:
			b = utf8.AppendRune(b, r)
		}
	}
	return append(b, '"')
}

// line is an exchange as read back.
type line struct {
	Seq          uint64 `json:"seq"`
	Due          int64  `json:"due"`
	Start        int64  `json:"start"`
	Leased       int64  `json:"leased"`
	Resolved     int64  `json:"resolved"`
	Connected    int64  `json:"connected"`
	Secured      int64  `json:"secured"`
	WroteHeaders int64  `json:"wrote_headers"`
	Wrote        int64  `json:"wrote"`
	FirstByte    int64  `json:"first_byte"`
	GotHeaders   int64  `json:"got_headers"`
	Done         int64  `json:"done"`
	Buffered     int64  `json:"buffered"`
	Conn         uint64 `json:"conn"`
	Use          int    `json:"use"`
	Idle         int64  `json:"idle"`
	Age          int64  `json:"age"`
	Target       int    `json:"target"`
	WarmUp       bool   `json:"warm_up"`
	Phase        *Phase `json:"phase"`
	Cause        Cause  `json:"cause"`
	Status       int    `json:"status"`
	BytesOut     int64  `json:"out"`
	BytesIn      int64  `json:"in"`
	Attempts     int    `json:"attempts"`
	Tries        []try  `json:"tries"`
	Twice        bool   `json:"twice"`
	Unbounded    bool   `json:"unbounded"`
	Error        string `json:"error"`
}

// try is a Try as read back.
type try struct {
	Phase  *Phase `json:"phase"`
	Cause  Cause  `json:"cause"`
	Leased *int64 `json:"leased"`
	Done   *int64 `json:"done"`
	Conn   uint64 `json:"conn"`
	Use    int    `json:"use"`
	Idle   int64  `json:"idle"`
}

// absent marks a stamp that the line does not mention; no line can hold it,
// because readLine refuses negative times.
const absent = math.MinInt64

// maxMicros is the longest time a line may hold: with due added it still fits
// a time.Duration. It is 146 years.
const maxMicros = math.MaxInt64 / 2 / int64(time.Microsecond)

// readLine sets e to the exchange in text. It refuses what no writer of this
// format writes: no phase, a negative number, a time beyond 146 years.
func readLine(text []byte, e *Exchange) error {
	l := line{
		Start: absent, Leased: absent, Resolved: absent, Connected: absent, Secured: absent, WroteHeaders: absent,
		Wrote: absent, FirstByte: absent, GotHeaders: absent, Done: absent, Attempts: 1,
	}
	if err := json.Unmarshal(text, &l); err != nil {
		return err
	}
	if l.Phase == nil {
		return errors.New("no phase")
	}
	e.Reset(l.Seq, 0)
	for _, t := range [...]struct {
		name  string
		v     int64
		to    *time.Duration
		stamp bool
	}{
		{"due", l.Due, &e.Due, false}, {"buffered", l.Buffered, &e.Buffered, false},
		{"idle", l.Idle, &e.Idle, false}, {"age", l.Age, &e.Age, false},
		{"start", l.Start, &e.Start, true}, {"leased", l.Leased, &e.Leased, true},
		{"resolved", l.Resolved, &e.Resolved, true}, {"connected", l.Connected, &e.Connected, true},
		{"secured", l.Secured, &e.Secured, true}, {"wrote_headers", l.WroteHeaders, &e.WroteHeaders, true},
		{"wrote", l.Wrote, &e.Wrote, true}, {"first_byte", l.FirstByte, &e.FirstByte, true},
		{"got_headers", l.GotHeaders, &e.GotHeaders, true}, {"done", l.Done, &e.Done, true},
	} {
		if t.stamp && t.v == absent {
			continue // stays Never
		}
		if t.v < 0 || t.v > maxMicros {
			return fmt.Errorf("%s: %d is out of range", t.name, t.v)
		}
		*t.to = time.Duration(t.v) * time.Microsecond
		if t.stamp {
			*t.to += e.Due
		}
	}
	for _, n := range [...]struct {
		name string
		v    int64
	}{
		{"use", int64(l.Use)}, {"target", int64(l.Target)}, {"status", int64(l.Status)},
		{"out", l.BytesOut}, {"in", l.BytesIn}, {"attempts", int64(l.Attempts)},
	} {
		if n.v < 0 {
			return fmt.Errorf("%s: %d is negative", n.name, n.v)
		}
	}
	for i := range l.Tries {
		t, err := l.Tries[i].read(e.Due)
		if err != nil {
			return fmt.Errorf("try %d: %w", i+1, err)
		}
		e.Tries = append(e.Tries, t)
	}
	if len(e.Tries) > maxTries {
		return fmt.Errorf("tries: %d are more than %d", len(e.Tries), maxTries)
	}
	e.Twice, e.Unbounded = l.Twice, l.Unbounded
	e.Conn, e.Use, e.Target, e.WarmUp, e.Attempts = l.Conn, l.Use, l.Target, l.WarmUp, l.Attempts
	e.Phase, e.Cause, e.Status, e.BytesOut, e.BytesIn = *l.Phase, l.Cause, l.Status, l.BytesOut, l.BytesIn
	if l.Error != "" {
		e.Err = recordedError(l.Error)
	}
	return nil
}

// read is the Try in t, of an exchange due at due.
func (t *try) read(due time.Duration) (Try, error) {
	if t.Phase == nil {
		return Try{}, errors.New("no phase")
	}
	if t.Use < 0 {
		return Try{}, fmt.Errorf("use: %d is negative", t.Use)
	}
	read := Try{Phase: *t.Phase, Cause: t.Cause, Leased: Never, Done: Never, Conn: t.Conn, Use: t.Use}
	for _, stamp := range [...]struct {
		name string
		v    *int64
		from time.Duration
		to   *time.Duration
	}{{"leased", t.Leased, due, &read.Leased}, {"done", t.Done, due, &read.Done}, {"idle", &t.Idle, 0, &read.Idle}} {
		if stamp.v == nil {
			continue // stays Never
		}
		if *stamp.v < 0 || *stamp.v > maxMicros {
			return Try{}, fmt.Errorf("%s: %d is out of range", stamp.name, *stamp.v)
		}
		*stamp.to = stamp.from + time.Duration(*stamp.v)*time.Microsecond
	}
	return read, nil
}

// recordedError is the text of an error read back from a record. The value
// behind it is gone; Phase and Cause say what it was.
type recordedError string

func (e recordedError) Error() string { return string(e) }
