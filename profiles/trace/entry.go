package trace

import (
	"bytes"
	"time"
)

// entry is the request of a line.
type entry struct {
	stamp
	took time.Duration // the stamp is its end, and this is how long it took; 0: the stamp is its beginning
	// host and path are read only if the requests are selected by them; nil: not known. They
	// share the line's memory.
	host, path []byte
}

// outcome is what a reader makes of a line.
type outcome int

const (
	taken   outcome = iota
	skipped         // a line that is about no request
	wrong           // a line that the format does not have
)

// format reads the lines of one format.
type format struct {
	name string
	// wants says what a line looks like, for errors.
	wants string
	// hosts reports whether lines have the host of their request.
	hosts bool
	// since: stamps are times since the first request, without a date.
	since bool
	read  func(line []byte, e *entry) outcome
}

// target puts the host and the path of a request's target into e: /a?b, or http://h/a.
func (e *entry) target(b []byte) {
	e.path = b
	if i := bytes.Index(b, []byte("://")); i > 0 && i < 8 {
		rest := b[i+3:]
		slash := bytes.IndexByte(rest, '/')
		if slash < 0 {
			e.host, e.path = rest, []byte("/")
			return
		}
		e.host, e.path = rest[:slash], rest[slash:]
	}
}

// request puts a request's line, GET /a HTTP/1.1, into e.
func (e *entry) request(b []byte) {
	if _, rest, found := bytes.Cut(b, []byte(" ")); found {
		target, _, _ := bytes.Cut(rest, []byte(" "))
		e.target(target)
	}
}

// quoted returns what stands in the first quotation marks of b, and the rest. A mark after a
// backslash does not end it.
func quoted(b []byte) (in, rest []byte, ok bool) {
	open := bytes.IndexByte(b, '"')
	if open < 0 {
		return nil, b, false
	}
	for i := open + 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return b[open+1 : i], b[i+1:], true
		}
	}
	return nil, b, false
}

// field returns the next field of a line whose fields are separated by blanks; one in
// quotation marks may contain some.
func field(b []byte) (f, rest []byte) {
	for len(b) > 0 && b[0] == ' ' {
		b = b[1:]
	}
	if len(b) > 0 && b[0] == '"' {
		if f, rest, ok := quoted(b); ok {
			return f, rest
		}
	}
	i := bytes.IndexByte(b, ' ')
	if i < 0 {
		return b, nil
	}
	return b[:i], b[i+1:]
}

// column returns the next field of a line of comma-separated values. Marks within a quoted
// one stay doubled.
func column(b []byte) (f, rest []byte) {
	if len(b) > 0 && b[0] == '"' {
		for i := 1; i < len(b); i++ {
			if b[i] != '"' {
				continue
			}
			if i+1 < len(b) && b[i+1] == '"' {
				i++
				continue
			}
			return b[1:i], bytes.TrimPrefix(b[i+1:], []byte(","))
		}
	}
	i := bytes.IndexByte(b, ',')
	if i < 0 {
		return b, nil
	}
	return b[:i], b[i+1:]
}

// hostIs reports whether a host, with or without its port, is the one wanted.
func hostIs(host []byte, want string) bool {
	if bytes.EqualFold(host, []byte(want)) {
		return true
	}
	i := bytes.LastIndexByte(host, ':')
	return i > 0 && bytes.EqualFold(host[:i], []byte(want))
}
