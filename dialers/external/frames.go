package external

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/kabench/kabench/dialers"
)

// maxLine is how long a frame may be, in bytes. A driver's longest is hello, or a done
// with a long chain of causes.
const maxLine = 1 << 20

// maxCauses is how many links of a chain of causes are read.
const maxCauses = 8

// errTooLong is a line without end.
var errTooLong = errors.New("a line of more than 1 MiB")

// readLine reads up to and with the next line end, which it leaves out. The line is
// valid until the next call. A last line without an end is left out: it was cut.
func readLine(r *bufio.Reader, long []byte) (line, room []byte, err error) {
	line, err = r.ReadSlice('\n')
	if err == nil {
		return trimEnd(line), long, nil
	}
	room = long[:0]
	for errors.Is(err, bufio.ErrBufferFull) {
		if len(room)+len(line) > maxLine {
			return nil, room, errTooLong
		}
		room = append(room, line...)
		line, err = r.ReadSlice('\n')
	}
	if err != nil {
		return nil, room, err
	}
	room = append(room, line...)
	if len(room) > maxLine {
		return nil, room, errTooLong
	}
	return trimEnd(room), room, nil
}

func trimEnd(line []byte) []byte {
	line = line[:len(line)-1]
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line
}

// frame is any frame of a driver.
type frame struct {
	Type string `json:"type"`
	Hello
	Setting string             `json:"setting"` // of refused
	Text    string             `json:"text"`    // of refused
	Now     *int64             `json:"now"`     // of clock
	Values  map[string]float64 `json:"values"`  // of gauges
	answer
}

// answer is what a done says.
type answer struct {
	Seq      *uint64 `json:"seq"`
	Received *int64  `json:"received"` // nanoseconds of the driver's clock
	Called   *int64  `json:"called"`
	Finished *int64  `json:"finished"`
	Status   int     `json:"status"`
	Bytes    int64   `json:"bytes"`
	Error    *Error  `json:"error"`
}

// Error is an error as a client gave it to its caller.
type Error struct {
	Class  string  `json:"class"`
	Text   string  `json:"text"`
	Causes []Cause `json:"causes"` // the chain beneath, outermost first
}

// Cause is one link of an error's chain.
type Cause struct {
	Class string `json:"class"`
	Text  string `json:"text"`
}

func (e *Error) Error() string {
	text := joined(e.Class, e.Text)
	if n := len(e.Causes); n > 0 {
		if inner := e.Causes[n-1]; inner.Text != e.Text || inner.Class != e.Class {
			text += "; caused by " + joined(inner.Class, inner.Text)
		}
	}
	return text
}

func joined(class, text string) string {
	switch {
	case class == "":
		return text
	case text == "":
		return class
	}
	return class + ": " + text
}

// parseFrame reads one line.
func parseFrame(line []byte) (frame, error) {
	var f frame
	if err := json.Unmarshal(line, &f); err != nil {
		if _, syntax := errors.AsType[*json.SyntaxError](err); syntax {
			err = fmt.Errorf("it is no JSON object: %w", err)
		}
		return frame{}, err
	}
	if f.Type == "" {
		return frame{}, errors.New(`it has no "type"`)
	}
	if f.Error != nil && len(f.Error.Causes) > maxCauses {
		f.Error.Causes = f.Error.Causes[:maxCauses]
	}
	return f, nil
}

// complete says what a done lacks; "": nothing.
func (a *answer) complete() string {
	switch {
	case a.Seq == nil:
		return "seq"
	case a.Received == nil:
		return "received"
	case a.Called == nil:
		return "called"
	case a.Finished == nil:
		return "finished"
	}
	return ""
}

// encodeConfig writes the frame of a Config.
func encodeConfig(c Config) ([]byte, error) {
	settings := map[string]any{}
	for name, value := range c.Settings {
		if d, ok := value.(time.Duration); ok {
			value = milliseconds(d)
		}
		settings[name] = value
	}
	return line(struct {
		Type     string         `json:"type"`
		Settings map[string]any `json:"settings"`
		Timeout  any            `json:"timeout"`
		Insecure bool           `json:"insecure"`
		Gauges   float64        `json:"gauges"`
		Origins  []string       `json:"origins,omitempty"`
	}{"config", settings, orNone(c.Timeout), c.Insecure, milliseconds(c.Gauges), c.Origins})
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// orNone is d in milliseconds, or null for "no limit".
func orNone(d time.Duration) any {
	if d <= 0 {
		return nil
	}
	return milliseconds(d)
}

func line(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	return append(b, '\n'), err
}

var (
	clockFrame = []byte(`{"type":"clock"}` + "\n")
	byeFrame   = []byte(`{"type":"bye"}` + "\n")
)

// dispatch is the frame of a request, prepared except for its number.
type dispatch struct {
	begin, id, end []byte
	from           uint64 // X-Request-Id of exchange number 0
}

// newDispatch prepares the frame of a request.
func newDispatch(p dialers.Parts) dispatch {
	headers := append([][2]string{{dialers.RequestID, ""}}, p.Header...)
	text := func(v any) []byte {
		b, err := json.Marshal(v)
		if err != nil {
			panic(fmt.Sprintf("strings cannot be written as JSON: %v", err))
		}
		return b
	}
	list := text(headers)[len(`[["`+dialers.RequestID+`","`):] // after the place of the number
	return dispatch{
		begin: []byte(`{"type":"dispatch","seq":`),
		id:    fmt.Appendf(nil, `,"method":%s,"url":%s,"headers":[["%s","`, text(p.Method), text(p.URL), dialers.RequestID),
		end:   fmt.Appendf(nil, `%s,"body":%d}`+"\n", list, p.Body),
	}
}

// idDigits is how many digits the value of X-Request-Id has.
const idDigits = 20

// appendTo adds the frame of exchange number seq to b.
func (d *dispatch) appendTo(b []byte, seq uint64) []byte {
	var digits [idDigits]byte
	for n, rest := idDigits-1, d.from+seq; n >= 0; n, rest = n-1, rest/10 {
		digits[n] = '0' + byte(rest%10)
	}
	b = append(b, d.begin...)
	b = strconv.AppendUint(b, seq, 10)
	b = append(b, d.id...)
	b = append(b, digits[:]...)
	return append(b, d.end...)
}
