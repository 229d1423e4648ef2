package segments

import (
	"bytes"
	"hash/fnv"
	"strconv"

	"github.com/kabench/kabench/internal/evidence"
)

// fields is what a request's fields say, as far as it matters here.
type fields struct {
	length  int64
	chunked bool
	asked   bool // Connection: keep-alive
	origin  evidence.Origin
}

func readFields(b []byte) fields {
	var h fields
	for len(b) > 0 {
		var line []byte
		line, b, _ = bytes.Cut(b, []byte("\n"))
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		is := func(text string) bool { return len(name) == len(text) && bytes.EqualFold(name, []byte(text)) }
		value = bytes.TrimSpace(value)
		switch {
		case is("Content-Length"):
			if n, err := strconv.ParseInt(string(value), 10, 64); err == nil && n > 0 {
				h.length = n
			}
		case is("Transfer-Encoding"):
			h.chunked = bytes.Contains(bytes.ToLower(value), []byte("chunked"))
		case is("Connection"):
			h.asked = bytes.Contains(bytes.ToLower(value), []byte("keep-alive"))
		case is("Via"), is("Forwarded"), is("X-Forwarded-For"):
			h.origin.Passed = true
		case is("X-Request-Id"), is("X-Correlation-Id"):
			h.origin.Trace = numberOf(value)
		case is("traceparent") && h.origin.Trace == 0:
			h.origin.Trace = numberOf(traceOf(value))
		}
	}
	return h
}

// traceOf returns the part of a traceparent that a proxy does not change: version,
// trace, parent and flags are separated by "-" (W3C Trace Context §3.2).
func traceOf(value []byte) []byte {
	_, rest, _ := bytes.Cut(value, []byte("-"))
	trace, _, ok := bytes.Cut(rest, []byte("-"))
	if !ok || len(trace) != 32 {
		return nil
	}
	return trace
}

// numberOf returns a number for a text, 0 for none: the text itself may be long, and is
// not needed.
func numberOf(text []byte) uint64 {
	if len(text) == 0 {
		return 0
	}
	sum := fnv.New64a()
	sum.Write(text)
	return sum.Sum64()
}
