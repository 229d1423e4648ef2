package record

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/kabench/kabench/results"
)

// A line of the record is one exchange as a JSON object, described in
// docs/results.md. Times are integers in µs. due and born count from the start of the
// run. Each stamp counts from the stamp reached before it, and the first from due. A
// field that is absent has its zero value; a stamp that is absent is Never.
//
// The format keeps the record small. A stamp relative to the previous one has few
// digits. Lists of stamps have no keys, because a key between two changing numbers
// takes more compressed bytes than the numbers. And born, unlike the connection's age,
// is the same in all lines of a connection.

const (
	// maxLine is the longest line of the record that is read, in bytes. appendLine
	// writes less than 2 KiB, and up to 200 bytes more for each try.
	maxLine = 256 << 10
	// maxTries is how many tries a line holds. A policy that sends again while reused
	// connections fail can make one try for each idle connection of the pool.
	maxTries = 1000
)

// appendLine appends e and a newline to b. It only allocates the text of an error,
// because it runs once per exchange, during the run that it records.
func appendLine(b []byte, e *results.Exchange) []byte {
	b = append(b, `{"seq":`...)
	b = strconv.AppendUint(b, e.Seq, 10)
	b = appendInt(b, `,"due":`, results.Micros(e.Due))
	b = appendStamps(b, e)
	b = appendNonZero(b, `,"buffered":`, results.Micros(e.Buffered))
	b = appendNonZero(b, `,"idle":`, results.Micros(e.Idle))
	if e.Conn != 0 {
		b = append(b, `,"conn":`...)
		b = strconv.AppendUint(b, e.Conn, 10)
	}
	if e.Age != 0 {
		b = appendInt(b, `,"born":`, results.Micros(leasedOrDue(e)-e.Age))
	}
	b = appendNonZero(b, `,"use":`, int64(e.Use))
	b = appendNonZero(b, `,"target":`, int64(e.Target))
	if e.WarmUp {
		b = append(b, `,"warm_up":true`...)
	}
	b = append(b, `,"phase":"`...)
	b = append(b, e.Phase.String()...)
	b = append(b, '"')
	if e.Cause != results.CauseNone {
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
		b = AppendTries(b, e)
	}
	if e.Twice {
		b = append(b, `,"twice":true`...)
	}
	if e.AtLease != nil || e.AtFailure != nil {
		b = append(b, `,"tcp":`...)
		b = AppendTCP(b, e)
	}
	if e.Unbounded {
		b = append(b, `,"unbounded":true`...)
	}
	if e.Err != nil {
		b = append(b, `,"error":`...)
		b = appendString(b, results.ErrorText(e.Err))
	}
	return append(b, '}', '\n')
}

// An exchange has numStamps stamps, in the order in which they are reached. Those from
// dialFrom to dialTo-1 belong to new connections only.
const (
	numStamps        = 10
	dialFrom, dialTo = 2, 5
)

func stampsOf(e *results.Exchange) [numStamps]*time.Duration {
	return [...]*time.Duration{
		&e.Start, &e.Leased, &e.Resolved, &e.Connected, &e.Secured, &e.WroteHeaders, &e.Wrote, &e.FirstByte, &e.GotHeaders, &e.Done,
	}
}

// leasedOrDue is the moment to which Age refers.
func leasedOrDue(e *results.Exchange) time.Duration {
	if e.Leased == results.Never {
		return e.Due
	}
	return e.Leased
}

// appendStamps appends the lists of stamps. It leaves out a list if none of its stamps
// was reached. The differences are between whole µs, so that their sums are exact.
// Most of a line's time is spent here, so there is no loop over all stamps.
func appendStamps(b []byte, e *results.Exchange) []byte {
	last, dial := int64(0), int64(0)
	dialed := e.Resolved != results.Never || e.Connected != results.Never || e.Secured != results.Never
	if dialed || e.Start != results.Never || e.Leased != results.Never || e.WroteHeaders != results.Never || e.Wrote != results.Never ||
		e.FirstByte != results.Never || e.GotHeaders != results.Never || e.Done != results.Never {
		b = append(b, `,"stamps":[`...)
		b, last = appendStep(b, e.Due, e.Start, last)
		b, last = appendStep(append(b, ','), e.Due, e.Leased, last)
		dial = last
		if dialed {
			for _, stamp := range [...]time.Duration{e.Resolved, e.Connected, e.Secured} {
				if stamp != results.Never {
					last = sinceDue(e.Due, stamp)
				}
			}
		}
		b, last = appendStep(append(b, ','), e.Due, e.WroteHeaders, last)
		b, last = appendStep(append(b, ','), e.Due, e.Wrote, last)
		b, last = appendStep(append(b, ','), e.Due, e.FirstByte, last)
		b, last = appendStep(append(b, ','), e.Due, e.GotHeaders, last)
		b, _ = appendStep(append(b, ','), e.Due, e.Done, last)
		b = append(b, ']')
	}
	if dialed {
		b, dial = appendStep(append(b, `,"dial":[`...), e.Due, e.Resolved, dial)
		b, dial = appendStep(append(b, ','), e.Due, e.Connected, dial)
		b, _ = appendStep(append(b, ','), e.Due, e.Secured, dial)
		b = append(b, ']')
	}
	return b
}

// sinceDue is the time from due to stamp, in µs.
func sinceDue(due, stamp time.Duration) int64 { return results.Micros(max(stamp-due, 0)) }

// appendStep appends the time from last, the stamp reached before, to stamp. It also
// returns the last for the next stamp. Both are in µs from due.
func appendStep(b []byte, due, stamp time.Duration, last int64) ([]byte, int64) {
	if stamp == results.Never {
		return append(b, "null"...), last
	}
	at := sinceDue(due, stamp)
	return strconv.AppendInt(b, at-last, 10), at
}

// AppendTries appends the first maxTries tries of e as a JSON list.
func AppendTries(b []byte, e *results.Exchange) []byte {
	b = append(b, '[')
	for i := range min(len(e.Tries), maxTries) {
		t := &e.Tries[i]
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"phase":"`...)
		b = append(b, t.Phase.String()...)
		b = append(b, '"')
		if t.Cause != results.CauseNone {
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
		b = appendNonZero(b, `,"idle":`, results.Micros(t.Idle))
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

func appendStamp(b []byte, key string, e *results.Exchange, stamp time.Duration) []byte {
	if stamp == results.Never {
		return b
	}
	return appendInt(b, key, sinceDue(e.Due, stamp))
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

// line is an exchange as encoding/json reads it.
type line struct {
	Seq       uint64         `json:"seq"`
	Due       int64          `json:"due"`
	Stamps    []*int64       `json:"stamps"` // without those of the dial
	Dial      []*int64       `json:"dial"`
	Buffered  int64          `json:"buffered"`
	Conn      uint64         `json:"conn"`
	Use       int            `json:"use"`
	Idle      int64          `json:"idle"`
	Born      *int64         `json:"born"`
	Target    int            `json:"target"`
	WarmUp    bool           `json:"warm_up"`
	Phase     *results.Phase `json:"phase"`
	Cause     results.Cause  `json:"cause"`
	Status    int            `json:"status"`
	BytesOut  int64          `json:"out"`
	BytesIn   int64          `json:"in"`
	Attempts  int            `json:"attempts"`
	Tries     []try          `json:"tries"`
	Twice     bool           `json:"twice"`
	Unbounded bool           `json:"unbounded"`
	TCP       tcp            `json:"tcp"`
	Error     string         `json:"error"`
}

// try is a Try as encoding/json reads it.
type try struct {
	Phase  *results.Phase `json:"phase"`
	Cause  results.Cause  `json:"cause"`
	Leased *int64         `json:"leased"`
	Done   *int64         `json:"done"`
	Conn   uint64         `json:"conn"`
	Use    int            `json:"use"`
	Idle   int64          `json:"idle"`
}

// maxMicros is the longest time in a line, 146 years: due + it fits a time.Duration.
const maxMicros = math.MaxInt64 / 2 / int64(time.Microsecond)

// readLine sets e to the exchange in text. It returns an error for a line without a
// phase, with a negative number, or with a time beyond 146 years.
func readLine(text []byte, e *results.Exchange) error {
	if readPlain(text, e) {
		return nil
	}
	return readAny(text, e)
}

// readAny is readLine for every order and form that JSON allows.
func readAny(text []byte, e *results.Exchange) error {
	l := line{Attempts: 1}
	if err := json.Unmarshal(text, &l); err != nil {
		return err
	}
	if l.Phase == nil {
		return errors.New("no phase")
	}
	e.Reset(l.Seq, 0)
	for _, t := range [...]struct {
		name string
		v    int64
		to   *time.Duration
	}{{"due", l.Due, &e.Due}, {"buffered", l.Buffered, &e.Buffered}, {"idle", l.Idle, &e.Idle}} {
		if t.v < 0 || t.v > maxMicros {
			return fmt.Errorf("%s: %d is out of range", t.name, t.v)
		}
		*t.to = time.Duration(t.v) * time.Microsecond
	}
	if err := l.readStamps(e); err != nil {
		return err
	}
	if l.Born != nil {
		if *l.Born < -maxMicros || *l.Born > maxMicros {
			return fmt.Errorf("born: %d is out of range", *l.Born)
		}
		e.Age = max(leasedOrDue(e)-time.Duration(*l.Born)*time.Microsecond, 0)
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
	var err error
	if e.AtLease, err = l.TCP.Lease.read(); err == nil {
		e.AtFailure, err = l.TCP.Failure.read()
	}
	if err != nil {
		return fmt.Errorf("tcp: %w", err)
	}
	e.Twice, e.Unbounded = l.Twice, l.Unbounded
	e.Conn, e.Use, e.Target, e.WarmUp, e.Attempts = l.Conn, l.Use, l.Target, l.WarmUp, l.Attempts
	e.Phase, e.Cause, e.Status, e.BytesOut, e.BytesIn = *l.Phase, l.Cause, l.Status, l.BytesOut, l.BytesIn
	if l.Error != "" {
		e.Err = recordedError(l.Error)
	}
	return nil
}

// readStamps sets the stamps of e. Due must be set already.
func (l *line) readStamps(e *results.Exchange) error {
	if n := len(l.Stamps); n != 0 && n != numStamps-(dialTo-dialFrom) {
		return fmt.Errorf("stamps: %d numbers", n)
	}
	if n := len(l.Dial); n != 0 && n != dialTo-dialFrom {
		return fmt.Errorf("dial: %d numbers", n)
	}
	last := int64(0)
	for i, stamp := range stampsOf(e) {
		list, at := l.Stamps, i
		switch {
		case i >= dialTo:
			at -= dialTo - dialFrom
		case i >= dialFrom:
			list, at = l.Dial, i-dialFrom
		}
		if len(list) == 0 || list[at] == nil {
			continue // stays Never
		}
		step := *list[at]
		if step < -maxMicros || step > maxMicros || last+step < 0 || last+step > maxMicros {
			return fmt.Errorf("stamps: %d is out of range", step)
		}
		last += step
		*stamp = e.Due + time.Duration(last)*time.Microsecond
	}
	return nil
}

// read returns t as a results.Try of an exchange that was due at due.
func (t *try) read(due time.Duration) (results.Try, error) {
	if t.Phase == nil {
		return results.Try{}, errors.New("no phase")
	}
	if t.Use < 0 {
		return results.Try{}, fmt.Errorf("use: %d is negative", t.Use)
	}
	read := results.Try{Phase: *t.Phase, Cause: t.Cause, Leased: results.Never, Done: results.Never, Conn: t.Conn, Use: t.Use}
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
			return results.Try{}, fmt.Errorf("%s: %d is out of range", stamp.name, *stamp.v)
		}
		*stamp.to = stamp.from + time.Duration(*stamp.v)*time.Microsecond
	}
	return read, nil
}

// recordedError is the text of an error that was read from a record. The original
// error value is lost; Phase and Cause say what it was.
type recordedError string

func (e recordedError) Error() string { return string(e) }
