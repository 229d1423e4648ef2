// Package ends is the format of the record of connections: a line for each connection
// that has ended, as docs/results.md describes it.
package ends

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/kabench/kabench/results"
)

// maxMicros is the longest time in a line: it fits a time.Duration, also added to another.
const maxMicros = math.MaxInt64 / 2 / int64(time.Microsecond)

// maxWord is the longest reason in a line that is read.
const maxWord = 64

// AppendLine appends e and a newline to b. Times are integers in µs. A field that is absent
// has its zero value, and a stamp that is absent is Never; closed is absent if it is ended.
// AppendLine allocates nothing else, because it runs during the run that it records.
func AppendLine(b []byte, e *results.ConnectionEnd) []byte {
	b = append(b, `{"conn":`...)
	b = strconv.AppendUint(b, e.Conn, 10)
	b = appendTime(b, `,"opened":`, e.Opened)
	b = appendTime(b, `,"ended":`, e.Ended)
	if e.Closed != e.Ended {
		b = appendTime(b, `,"closed":`, e.Closed)
	}
	if e.Uses != 0 {
		b = append(b, `,"uses":`...)
		b = strconv.AppendInt(b, int64(e.Uses), 10)
	}
	b = appendTime(b, `,"idle":`, e.Idle)
	b = appendWord(b, `,"by":"`, e.By.String())
	if e.How != results.HowUnknown {
		b = appendWord(b, `,"how":"`, e.How.String())
	}
	if e.Reason != "" {
		b = appendWord(b, `,"reason":"`, e.Reason)
	}
	if e.Server != "" {
		b = appendWord(b, `,"server":"`, e.Server)
		b = appendTime(b, `,"server_at":`, e.ServerAt)
	}
	return append(b, '}', '\n')
}

func appendTime(b []byte, key string, at time.Duration) []byte {
	if at == results.Never {
		return b
	}
	return strconv.AppendInt(append(b, key...), results.Micros(max(at, 0)), 10)
}

// appendWord appends a word of kabench's own, which has no character to escape.
func appendWord(b []byte, key, word string) []byte {
	return append(append(append(b, key...), word...), '"')
}

// line is what ReadLine reads.
type line struct {
	Conn     uint64           `json:"conn"`
	Opened   *int64           `json:"opened"`
	Ended    *int64           `json:"ended"`
	Closed   *int64           `json:"closed"`
	Uses     int              `json:"uses"`
	Idle     *int64           `json:"idle"`
	By       results.Ender    `json:"by"`
	How      results.EndedHow `json:"how"`
	Reason   string           `json:"reason"`
	Server   string           `json:"server"`
	ServerAt *int64           `json:"server_at"`
}

// ReadLine sets e to what text, a line without its end, says. The error names what is out
// of range or missing.
func ReadLine(text []byte, e *results.ConnectionEnd) error {
	var l line
	if err := json.Unmarshal(text, &l); err != nil {
		return err
	}
	switch {
	case l.Conn == 0:
		return errors.New("conn: missing")
	case len(l.Reason) > maxWord || len(l.Server) > maxWord:
		return fmt.Errorf("reason and server are words of at most %d bytes", maxWord)
	case l.Uses < 0:
		return fmt.Errorf("uses: %d is negative", l.Uses)
	}
	*e = results.ConnectionEnd{Conn: l.Conn, Uses: l.Uses, By: l.By, How: l.How, Reason: l.Reason, Server: l.Server}
	for _, t := range [...]struct {
		name string
		v    *int64
		to   *time.Duration
	}{
		{"opened", l.Opened, &e.Opened}, {"ended", l.Ended, &e.Ended}, {"closed", l.Closed, &e.Closed}, {"idle", l.Idle, &e.Idle},
		{"server_at", l.ServerAt, &e.ServerAt},
	} {
		if *t.to = results.Never; t.v == nil {
			continue
		}
		if *t.v < 0 || *t.v > maxMicros {
			return fmt.Errorf("%s: %d is out of range", t.name, *t.v)
		}
		*t.to = time.Duration(*t.v) * time.Microsecond
	}
	if e.Closed == results.Never {
		e.Closed = e.Ended
	}
	return nil
}
