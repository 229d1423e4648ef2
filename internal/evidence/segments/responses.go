package segments

import (
	"strconv"
	"time"

	"github.com/kabench/kabench/internal/evidence"
	"github.com/kabench/kabench/internal/http1"
)

// response follows the bytes of HTTP/1 responses.
type response struct {
	parser  http1.Response
	inOrder bool          // the parser has seen every byte of this response
	inside  bool          // the parser is between its first and its last byte
	interim int           // parser.InterimBytes before
	head    int           // bytes of a head that is not over
	first   time.Duration // the first byte of the response, interim ones left out; NotSeen: it has not come
}

// takeResponse takes bytes of the server on a connection that is not TLS.
func (t *talk) takeResponse(p piece) {
	r := &t.response
	if t.protocol != overHTTP || !r.inOrder {
		if t.protocol != overHTTP || !t.atBeginning() && (!p.begin || !beginsResponse(p.payload)) {
			t.moreResponse(p)
			return
		}
		if t.responds {
			t.answered(t.current.Done)
		}
		r.inOrder, r.inside = true, false
	}
	for len(p.payload) > 0 {
		used, ok := t.readResponse(p)
		p = p.after(used)
		if !ok {
			r.inOrder, r.inside = false, false
			t.moreResponse(p)
			t.bad = true
			return
		}
	}
	if p.length > 0 { // not captured
		if !r.inside {
			t.answer(p.at)
		}
		if t.responds {
			t.current.Done = p.at
		}
		t.missResponse(p.length, p.at)
	}
}

// atBeginning reports whether the first bytes of the server must be a response: every
// byte of the connection was observed, and those who watch want to know if they are none.
func (t *talk) atBeginning() bool {
	return t.watch != nil && t.whole && t.count == 0 && !t.responds && !t.missed && len(t.pending) > 0
}

// moreResponse takes bytes whose meaning cannot be read.
func (t *talk) moreResponse(p piece) {
	if !t.responds {
		t.answer(p.at)
	}
	t.current.Done = p.at
}

// readResponse gives the parser bytes, at most one response's. ok is false if they are
// no response.
func (t *talk) readResponse(p piece) (used int, ok bool) {
	r := &t.response
	if !r.inside {
		method := ""
		if len(t.pending) > 0 {
			method = t.pending[0].method
		}
		r.parser.Reset(method)
		r.inside, r.interim, r.head, r.first = true, 0, 0, evidence.NotSeen
	}
	if r.first == evidence.NotSeen && !beginsInterim(p.payload) {
		r.first = p.at
		t.answer(p.at)
		t.current.Status = statusOf(p.payload)
	}
	used, err := r.parser.Feed(p.payload)
	switch {
	case err != nil:
		return used, false
	case r.parser.HeadRead:
		if t.current.Status != r.parser.Status || t.current.Hint == "" {
			t.headRead(p.at)
		}
	case r.parser.InterimBytes != r.interim:
		r.interim, r.head = r.parser.InterimBytes, 0
	default:
		if r.head += used; r.head > maxHead {
			return used, false
		}
	}
	if t.responds {
		t.current.Done = p.at
	}
	if r.parser.Done {
		r.inside = false
		t.answered(p.at)
	}
	return used, true
}

// headRead takes what the head of the response says.
func (t *talk) headRead(at time.Duration) {
	r := &t.response
	if !t.responds {
		t.answer(at)
	}
	t.current.Status, t.current.Closing = r.parser.Status, r.parser.Close
	if r.parser.KeepAlive != http1.NoKeepAlive {
		t.current.Hint = "timeout=" + strconv.Itoa(int(r.parser.KeepAlive/time.Second))
	}
}

// missResponse takes note of n bytes of the server that were not observed.
func (t *talk) missResponse(n int, at time.Duration) {
	r := &t.response
	if !r.inOrder || !r.inside || !r.parser.Skip(int64(n)) {
		r.inOrder, r.inside = false, false
		return
	}
	if r.parser.Done {
		r.inside = false
		t.answered(at)
	}
}

const protocolName = "HTTP/1."

// beginsResponse reports whether b is the beginning of an HTTP/1 response.
func beginsResponse(b []byte) bool {
	n := min(len(b), len(protocolName))
	return n >= 4 && string(b[:n]) == protocolName[:n]
}

// beginsInterim reports whether b is the beginning of a response that another one
// follows: 1xx, but not 101.
func beginsInterim(b []byte) bool {
	s := statusOf(b)
	return s >= 100 && s < 200 && s != 101
}

// statusOf returns the status in the first bytes of a response; 0: it is not there.
func statusOf(b []byte) int {
	if len(b) < 12 || !beginsResponse(b) {
		return 0
	}
	n, err := strconv.Atoi(string(b[9:12]))
	if err != nil || n < 100 {
		return 0
	}
	return n
}
