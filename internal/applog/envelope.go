package applog

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// line is one line of a message.
type line struct {
	number int64
	text   string
	whole  string        // the text with everything before the message
	at     time.Duration // since the log's first time, or evidence.NotSeen
}

// find matches a pattern in a text that has a mark of it. Most lines have none, and a
// pattern is slow.
func find(pattern *regexp.Regexp, text, mark string) []string {
	if !strings.Contains(text, mark) {
		return nil
	}
	return pattern.FindStringSubmatch(text)
}

// envelope is what a collector of logs wrote around a message.
type envelope struct {
	parts []string // the lines of the message, at least one
	stamp stamp    // the time of the envelope
}

// unwrap takes a line out of its envelope: colours, the container runtimes' prefixes,
// and JSON as logstash, ECS and Docker write it.
func unwrap(text string) envelope {
	text = plain(text)
	if inner, s, ok := container(text); ok {
		e := unwrap(inner)
		if !e.stamp.ok {
			e.stamp = s
		}
		return e
	}
	if strings.HasPrefix(strings.TrimSpace(text), "{") {
		if e, ok := fromJSON(text); ok {
			return e
		}
	}
	return envelope{parts: []string{text}}
}

// plain removes the sequences that colour a terminal.
func plain(text string) string {
	if !strings.Contains(text, "\x1b[") {
		return text
	}
	var b strings.Builder
	for {
		before, after, ok := strings.Cut(text, "\x1b[")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		i := 0
		for i < len(after) && (digit(after[i]) || after[i] == ';') {
			i++
		}
		text = after[min(i+1, len(after)):]
	}
}

// container reads the prefix of containerd and CRI-O: TIME stdout F MESSAGE.
func container(text string) (inner string, s stamp, ok bool) {
	for _, stream := range []string{" stdout ", " stderr "} {
		before, after, found := strings.Cut(text[:min(len(text), 64)], stream)
		if !found || len(after) < 2 || after[1] != ' ' || after[0] != 'F' && after[0] != 'P' {
			continue
		}
		if s, ok = stampIn(before); ok && s.dated {
			return text[len(before)+len(stream)+2:], s, true
		}
	}
	return "", s, false
}

// The fields of JSON logs that matter, in the order in which they are tried.
var (
	messageFields = []string{"message", "msg", "log"}
	timeFields    = []string{"@timestamp", "timestamp", "time", "ts", "date", "instant"}
	traceFields   = []string{"stack_trace", "error.stack_trace", "exception", "stacktrace"}
)

// fromJSON reads a line that is a JSON object with a message.
func fromJSON(text string) (envelope, bool) {
	var fields map[string]json.RawMessage
	if json.Unmarshal([]byte(text), &fields) != nil {
		return envelope{}, false
	}
	message, ok := first(fields, messageFields)
	if !ok {
		return envelope{}, false
	}
	var e envelope
	for _, name := range timeFields {
		if e.stamp = stampOf(fields[name]); e.stamp.ok {
			break
		}
	}
	if thread, ok := first(fields, []string{"thread_name", "thread", "process.thread.name"}); ok {
		message = "[" + thread + "] " + message
	}
	e.parts = strings.Split(strings.TrimRight(message, "\n"), "\n")
	if inner := unwrapNested(e.parts); inner != nil { // a JSON log in Docker's JSON
		return *inner, true
	}
	if trace, ok := first(fields, traceFields); ok {
		e.parts = append(e.parts, strings.Split(trace, "\n")...)
	}
	return e, true
}

func unwrapNested(parts []string) *envelope {
	if len(parts) != 1 || !strings.HasPrefix(parts[0], "{") || strings.HasPrefix(parts[0], `{"log"`) {
		return nil
	}
	if e, ok := fromJSON(parts[0]); ok {
		return &e
	}
	return nil
}

// first returns the first of the fields that is a text.
func first(fields map[string]json.RawMessage, names []string) (string, bool) {
	for _, name := range names {
		var text string
		if raw, ok := fields[name]; ok && json.Unmarshal(raw, &text) == nil {
			return text, true
		}
	}
	return "", false
}

// stampOf reads a time in JSON: a text, or seconds or milliseconds since 1970.
func stampOf(raw json.RawMessage) stamp {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		s, _ := stampIn(text)
		return s
	}
	n, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || n < 1e8 || n > 1e14 {
		return stamp{}
	}
	if n > 1e11 {
		n /= 1000
	}
	return stamp{time.UnixMicro(int64(n * 1e6)).UTC(), true, true, true, 3}
}
