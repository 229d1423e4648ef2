package segments

import (
	"bytes"

	"github.com/kabench/kabench/internal/http1"
)

const (
	maxHead = 16 << 10 // bytes of a request's head
	maxLine = 200      // bytes of a request line that are kept
)

// requestPart is where in a request the next byte of the client belongs.
type requestPart uint8

const (
	beforeRequest requestPart = iota
	inRequestHead
	inRequestBody // of a known length
	inChunks
	outOfStep // bytes are missing: where a request begins can only be recognised
)

// requests follows the bytes of HTTP/1 requests.
type requests struct {
	id     int // of the newest request, from 1
	part   requestPart
	head   []byte // of the request whose head is not over
	left   int64  // bytes of the body
	chunks *http1.Response
	stray  bool // bytes that are out of step are the rest of a body
}

// inBody reports whether the next byte belongs to the body of a request.
func (r *requests) inBody() bool { return r.part == inRequestBody || r.part == inChunks }

// inside reports whether bytes that begin no request can only be a part of one: enough
// of them were captured, and they are no blank lines, which may precede a request.
func (r *requests) inside(b []byte) bool { return len(b) >= enough && blankLines(b) == 0 }

// takeRequest takes bytes of the client on a connection that is not TLS.
func (t *talk) takeRequest(p piece) {
	r := &t.requests
	begins := p.begin && beginsRequest(p.payload)
	if t.protocol == overHTTP && (r.part == outOfStep || r.part == beforeRequest) && p.begin && !begins && r.inside(p.payload) {
		r.part = outOfStep
		t.continued(p, p.length)
		return
	}
	if t.protocol != overHTTP || r.part == outOfStep && !begins {
		if r.stray && len(t.pending) == 0 {
			return
		}
		t.askOrContinue(p)
		return
	}
	r.stray = false
	if r.part == outOfStep {
		r.part = beforeRequest
	}
	for len(p.payload) > 0 {
		if r.part == beforeRequest {
			if p = p.after(blankLines(p.payload)); len(p.payload) == 0 {
				break
			}
			if !beginsRequest(p.payload) {
				r.part = outOfStep
				t.askOrContinue(p)
				return
			}
			t.ask(p)
			r.part, r.head = inRequestHead, r.head[:0]
		}
		used, over := t.readRequest(p.payload)
		if q := t.continued(p, used); q != nil && over {
			q.whole = true
		}
		p = p.after(used)
		if r.part == outOfStep {
			t.continued(p, p.length)
			return
		}
	}
	if p.length > 0 { // not captured
		if r.part == beforeRequest {
			t.ask(p)
		}
		t.continued(p, p.length)
		t.missRequest(p.length)
	}
}

// after returns the rest of a piece, behind its first n bytes.
func (p piece) after(n int) piece {
	p.seq += uint32(n)
	p.length -= n
	p.payload = p.payload[min(n, len(p.payload)):]
	p.begin = p.begin && n == 0
	return p
}

// readRequest takes bytes of a request that has begun; over: the last byte was its.
func (t *talk) readRequest(b []byte) (used int, over bool) {
	r := &t.requests
	switch r.part {
	case inRequestHead:
		return t.readHead(b)
	case inRequestBody:
		used = int(min(r.left, int64(len(b))))
		r.left -= int64(used)
		if over = r.left == 0; over {
			r.part = beforeRequest
		}
	case inChunks:
		var err error
		if used, err = r.chunks.Feed(b); err != nil {
			r.part = outOfStep
		} else if over = r.chunks.Done; over {
			r.part, r.chunks = beforeRequest, nil
		}
	}
	return used, over
}

func (t *talk) readHead(b []byte) (used int, over bool) {
	r := &t.requests
	before := len(r.head)
	b = b[:min(len(b), maxHead-before)]
	head := b
	if before > 0 {
		r.head = append(r.head, b...)
		head = r.head
	}
	end := headEnd(head, max(before-3, 0))
	if end < 0 {
		if before == 0 {
			r.head = append(r.head, b...)
		}
		if len(r.head) == maxHead {
			t.cutHead()
		}
		return len(b), false
	}
	head = head[:end]
	line, fields, _ := bytes.Cut(head, []byte("\n"))
	h := readFields(fields)
	t.name(line, h, true)
	r.head = keepSmall(r.head)
	switch {
	case h.chunked:
		r.chunks = &http1.Response{}
		r.chunks.Reset("GET")
		r.chunks.Feed([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"))
		r.part = inChunks
	case h.length > 0:
		r.part, r.left = inRequestBody, h.length
	default:
		r.part, over = beforeRequest, true
	}
	return end - before, over
}

// keepSmall returns an empty buffer, the same one if it is small: there may be many
// connections.
func keepSmall(b []byte) []byte {
	if cap(b) > 1<<10 {
		return nil
	}
	return b[:0]
}

// name gives the newest request what its head says. whole: all of the head was seen.
func (t *talk) name(line []byte, h fields, whole bool) {
	if n := len(t.pending); n > 0 && t.pending[n-1].id == t.requests.id {
		q := &t.pending[n-1]
		q.line, q.method = requestLine(line)
		q.asked, q.origin, q.headed = h.asked, h.origin, whole
		if t.named != nil {
			t.named(q.line, q.begun)
		}
		t.tell(n - 1)
	}
}

// cutHead gives up a head that has missing bytes; its first line may be there.
func (t *talk) cutHead() {
	r := &t.requests
	line, fields, _ := bytes.Cut(r.head, []byte("\n"))
	t.name(line, readFields(fields), false)
	r.head = keepSmall(r.head)
	r.part = outOfStep
}

// missRequest takes note of n bytes of the client that were not observed.
func (t *talk) missRequest(n int) {
	r := &t.requests
	switch {
	case r.part == inRequestHead:
		t.cutHead()
	case r.part == inRequestBody && r.left >= int64(n):
		if r.left -= int64(n); r.left == 0 {
			r.part = beforeRequest
			if last := len(t.pending) - 1; last >= 0 && t.pending[last].id == r.id {
				t.pending[last].whole = true
			}
		}
	default:
		r.stray = r.inBody()
		r.part, r.chunks = outOfStep, nil
	}
}

// requestLine returns the method and the target of a request line, and the method.
func requestLine(line []byte) (text, method string) {
	line = bytes.TrimRight(line[:min(len(line), maxLine)], "\r")
	if i := bytes.LastIndex(line, []byte(" HTTP/")); i > 0 {
		line = line[:i]
	}
	text = string(line)
	name, _, _ := bytes.Cut(line, []byte(" "))
	return text, string(name)
}

// headEnd returns where the head ends, the blank line included; -1: it is not over.
// Lines may end in a bare LF.
func headEnd(b []byte, from int) int {
	for i := from; i < len(b); i++ {
		if b[i] != '\n' {
			continue
		}
		if i+1 < len(b) && b[i+1] == '\n' {
			return i + 2
		}
		if i+2 < len(b) && b[i+1] == '\r' && b[i+2] == '\n' {
			return i + 3
		}
	}
	return -1
}

// blankLines returns how many bytes of b are blank lines, which may precede a request.
func blankLines(b []byte) int {
	n := 0
	for n < len(b) && (b[n] == '\r' || b[n] == '\n') {
		n++
	}
	return n
}

// beginsRequest reports whether b is the beginning of an HTTP/1 request line: a method
// in capitals, and a target.
func beginsRequest(b []byte) bool {
	n := 0
	for n < len(b) && n < 17 && ('A' <= b[n] && b[n] <= 'Z' || b[n] == '-') {
		n++
	}
	if n < 3 || n > 16 || string(b[:n]) == "PRI" { // PRI begins HTTP/2
		return false
	}
	if n == len(b) {
		return true
	}
	if b[n] != ' ' {
		return false
	}
	return n+1 == len(b) || bytes.IndexByte([]byte("/h*"), b[n+1]) >= 0 || string(b[:n]) == "CONNECT"
}
